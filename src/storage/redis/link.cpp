// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/link.hpp"

#include "storage/redis/link_plan.hpp"
#include "storage/redis/redis_socket.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <new>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace reprise::detail {

namespace {

steady_time steady_now()
{
    return std::chrono::steady_clock::now();
}

// A primary's answer to INFO has a line for each replica.
constexpr std::size_t longest_info = 65'536;

// Whether the bytes begin a TLS record: an alert or a handshake (RFC 8446, 5.1).
bool is_tls_record(byte_view bytes)
{
    return bytes.size() >= 2 && (bytes[0] == 21 || bytes[0] == 22) && bytes[1] == 3;
}

/* Three coroutines in one strand: serve() connects and writes, read() reads, watch() enforces the deadlines.

   Without memory, Asio destroys a coroutine that cannot begin to wait, so any of them may end at any time. The other
   coroutines then start it again. */
class link : public std::enable_shared_from_this<link>
{
public:
    link(asio::any_io_executor const& executor, std::shared_ptr<redis_storage_options const> options,
         std::shared_ptr<pipeline> requests)
        : executor_(executor), options_(std::move(options)), requests_(std::move(requests)),
          plan_(options_->backoff_min, options_->backoff_max, options_->failures_to_open), retry_(executor),
          deadline_(executor), context_(context_bond::of(executor)),
          names_(std::make_shared<name_lookup>(options_->host, options_->port)), input_(16'384)
    {
    }
    link(link const&) = delete;
    link& operator=(link const&) = delete;

    // Also when the execution context is destroyed, so that no operation waits for ever.
    ~link() { requests_->abandon(); }

    /// @throws std::bad_alloc.
    void start()
    {
        requests_->serve();
        auto serving = mark(is_serving_);
        auto watching = mark(is_watching_); // mark both before the first one runs, maybe on another thread
        spawn(std::move(serving), serve);
        spawn(std::move(watching), watch);
    }

private:
    // Marks a coroutine as running until its frame is destroyed, for whatever reason.
    class running
    {
    public:
        running(bool& is_running, std::shared_ptr<link> of) noexcept : is_running_(is_running), of_(std::move(of))
        {
            is_running_ = true;
        }
        running(running const&) = delete;
        running& operator=(running const&) = delete;
        ~running()
        {
            is_running_ = false;
            of_->has_ended(is_running_);
        }

    private:
        bool& is_running_;
        std::shared_ptr<link> const of_;
    };

    using coroutine = asio::awaitable<void> (*)(std::shared_ptr<link>);

    std::unique_ptr<running> mark(bool& is_running)
    {
        return std::make_unique<running>(is_running, shared_from_this());
    }

    void spawn(std::unique_ptr<running> marked, coroutine begin)
    {
        asio::co_spawn(executor_, run(shared_from_this(), std::move(marked), begin), asio::detached);
    }

    static asio::awaitable<void> run(std::shared_ptr<link> self, [[maybe_unused]] std::unique_ptr<running> marked,
                                     coroutine begin)
    {
        co_await begin(std::move(self));
    }

    void has_ended(bool const& which) noexcept
    {
        if (&which == &is_reading_)
            return requests_->work.notify();
        if (requests_->is_stopped() || context_->is_over())
            return;
        give_up();
        requests_->needs_link();
    }

    // Start a coroutine again that was lost for lack of memory. If memory is still lacking, the next operation tries
    // again.
    void begin_again(bool& is_running, coroutine begin) noexcept
    try
    {
        if (!is_running && !requests_->is_stopped())
            spawn(mark(is_running), begin);
    }
    catch (...)
    {
    }

    // Give the connection or the attempt up, for lack of memory.
    void give_up() noexcept
    {
        if (!is_lost_)
            return lose(loss::broken, asio::error::no_memory);
        plan_.attempt_failed(steady_now(), jitter());
        requests_->disconnected(plan_.state(), asio::error::no_memory);
    }

    static asio::awaitable<void> serve(std::shared_ptr<link> self)
    {
        for (;;)
        {
            self->begin_again(self->is_watching_, watch);
            try
            {
                if (!co_await self->may_connect())
                    co_return;
                if (!co_await self->connect())
                    continue;
                self->spawn(self->mark(self->is_reading_), read);
                co_await self->write();
            }
            catch (std::bad_alloc const&)
            {
                co_return;
            }
            self->socket_->close();
            while (self->is_reading_)
                co_await self->requests_->work.wait();
        }
    }

    // Wait until the plan allows another attempt. Returns false when the pipeline is stopped.
    asio::awaitable<bool> may_connect()
    {
        while (!requests_->is_stopped() && steady_now() < plan_.next_attempt())
        {
            begin_again(is_watching_, watch);
            retry_.expires_at(plan_.next_attempt());
            retry_.async_wait(
                [requests = requests_](error_code ec)
                {
                    if (!ec)
                        requests->work.notify();
                });
            co_await requests_->work.wait();
        }
        retry_.cancel();
        co_return !requests_->is_stopped();
    }

    asio::awaitable<bool> connect()
    {
        is_leaving_ = false;
        has_heard_ = false;
        greets_in_tls_ = false;
        socket_ = make_redis_socket(executor_, *options_, names_);
        reader_.emplace(std::max(options_->max_value_bytes, longest_info) + 1024);
        asio::steady_timer limit{executor_, options_->connect_timeout};
        limit.async_wait(
            [closing = std::weak_ptr{socket_}](error_code ec)
            {
                if (auto const late = closing.lock(); late && !ec)
                    late->close();
            });
        error_code failure;
        try
        {
            co_await socket_->connect();
            co_await greet();
        }
        catch (system_error const& e)
        {
            failure = e.code();
        }
        catch (std::bad_alloc const&)
        {
            failure = asio::error::no_memory;
        }
        if (limit.cancel() == 0) // the timer has closed the socket, or is about to
            failure = asio::error::timed_out;
        if (failure == redis_errc::bad_answer && greets_in_tls_)
            failure = redis_errc::tls_expected;
        if (!failure)
        {
            plan_.connected();
            requests_->connected();
            is_lost_ = false;
            co_return true;
        }
        socket_->close();
        ++requests_->counters().failed_connects;
        if (failure == redis_errc::bad_answer)
            ++requests_->counters().bad_answers;
        plan_.attempt_failed(steady_now(), jitter());
        requests_->disconnected(plan_.state(), failure, hint());
        co_return false;
    }

    // Return what an attempt without an answer may mean.
    [[nodiscard]] char const* hint() const noexcept
    {
        if (has_heard_ || !socket_->has_peer())
            return "";
        return options_->tls
                   ? "the peer accepts connections but did not answer; if it does not speak TLS, write redis://"
                   : "the peer accepts connections but did not answer; if it speaks TLS, write rediss://";
    }

    // Authenticate, select the database, and check that the server serves.
    asio::awaitable<void> greet()
    {
        auto const& password = options_->password;
        std::string_view const secret{reinterpret_cast<char const*>(password.data()), password.size()};
        if (!options_->user.empty())
        {
            redis_command const auth{"AUTH", options_->user, secret};
            co_await ask(auth.bytes(), redis_answer::stored, redis_errc::password_refused);
        }
        else if (!password.empty())
        {
            redis_command const auth{"AUTH", secret};
            co_await ask(auth.bytes(), redis_answer::stored, redis_errc::password_refused);
        }
        if (options_->database != 0)
        {
            redis_command const select{"SELECT", std::to_string(options_->database)};
            co_await ask(select.bytes(), redis_answer::stored, redis_errc::database_refused);
        }
        redis_command const ping{"PING"};
        co_await ask(ping.bytes(), redis_answer::pong, redis_errc::server_error);
    }

    // Send a command and check its answer. An error reply without a code of its own throws `refusal`.
    asio::awaitable<void> ask(byte_view command, redis_answer wanted, redis_errc refusal)
    {
        co_await socket_->write(asio::buffer(command.data(), command.size()));
        auto reply = reader_->next();
        for (; !reply; reply = reader_->next())
            co_await receive();
        if (reply->type == redis_reply::kind::error)
        {
            auto const meaning = error_of(*reply);
            throw system_error{meaning == redis_errc::server_error ? refusal : meaning};
        }
        if (!answers(*reply, wanted))
            throw system_error{redis_errc::bad_answer};
    }

    asio::awaitable<void> receive()
    {
        auto const size = co_await socket_->read_some(asio::buffer(input_.data(), input_.size()));
        if (!std::exchange(has_heard_, true))
            greets_in_tls_ = is_tls_record({input_.data(), size});
        reader_->feed({input_.data(), size});
        wipe({input_.data(), size});
    }

    static asio::awaitable<void> read(std::shared_ptr<link> self)
    {
        try
        {
            for (;;)
            {
                auto const now = steady_now();
                while (auto reply = self->reader_->next())
                    self->answer(std::move(*reply), now);
                co_await self->receive();
            }
        }
        catch (system_error const& e)
        {
            self->lose(loss::ended, e.code());
        }
        catch (...)
        {
            self->lose(loss::ended, asio::error::no_memory);
        }
    }

    void answer(redis_reply reply, steady_time now)
    {
        switch (requests_->answer(std::move(reply), now))
        {
        case pipeline::reply_kind::wrote: plan_.wrote(); [[fallthrough]];
        case pipeline::reply_kind::answered: plan_.answered(); break;
        case pipeline::reply_kind::not_ready:
            if (plan_.missed())
                lose(loss::broken, redis_errc::server_loading);
            break;
        case pipeline::reply_kind::read_only:
            plan_.answered();
            is_leaving_ = is_leaving_ || plan_.should_leave_replica(now, jitter());
            break;
        case pipeline::reply_kind::garbage: throw system_error{redis_errc::bad_answer};
        }
        if (is_leaving_ && !requests_->is_owed()) // no answer is lost with the connection
            lose(loss::ended, redis_errc::server_read_only);
    }

    // Write queued requests until the connection is lost or the pipeline is stopped.
    asio::awaitable<void> write()
    {
        std::vector<unsigned char> output;
        while (!is_lost_ && !requests_->is_stopped())
        {
            begin_again(is_watching_, watch);
            if (!is_reading_)
                lose(loss::ended, asio::error::no_memory);
            else if (is_leaving_ || !requests_->take(output, steady_now()))
                co_await requests_->work.wait();
            else
                co_await write(output);
        }
    }

    asio::awaitable<void> write(std::vector<unsigned char>& output)
    {
        error_code failure;
        try
        {
            co_await socket_->write(asio::buffer(output));
        }
        catch (system_error const& e)
        {
            failure = e.code();
        }
        wipe(output);
        output.clear();
        if (failure)
            lose(loss::ended, failure);
    }

    static asio::awaitable<void> watch(std::shared_ptr<link> self)
    {
        auto& requests = *self->requests_;
        while (!requests.is_stopped())
        {
            self->begin_again(self->is_serving_, serve);
            self->expire();
            co_await requests.attention.wait();
        }
        self->retry_.cancel();
        self->deadline_.cancel();
        if (self->socket_)
            self->socket_->close();
    }

    void expire()
    {
        auto const found = requests_->expire(steady_now());
        bool is_broken = found.is_hung;
        for (auto missed = found.timed_out; missed > 0; --missed)
            is_broken = plan_.missed() || is_broken;
        if (is_broken)
            lose(loss::broken, redis_errc::timed_out);
        if (found.next == steady_time::max())
            return;
        deadline_.expires_at(found.next);
        deadline_.async_wait(
            [requests = requests_](error_code ec)
            {
                if (!ec)
                    requests->attention.notify();
            });
    }

    // Give the connection up and notify serve(). Only the first reason counts.
    void lose(loss how, error_code why) noexcept
    {
        requests_->work.notify();
        if (std::exchange(is_lost_, true))
            return;
        if (why == redis_errc::bad_answer)
        {
            how = loss::broken;
            ++requests_->counters().bad_answers;
        }
        else if (why.category() != redis_category())
            why = redis_errc::connection_lost; // "end of file" and the like say less
        plan_.lost(how, steady_now(), jitter());
        requests_->disconnected(plan_.state(), why);
        if (socket_)
            socket_->close();
    }

    double jitter() noexcept { return std::uniform_real_distribution<double>{0, 1}(random_); }

    asio::any_io_executor const executor_;
    std::shared_ptr<redis_storage_options const> const options_;
    std::shared_ptr<pipeline> const requests_;
    link_plan plan_;
    asio::steady_timer retry_;
    asio::steady_timer deadline_;
    std::shared_ptr<context_bond> const context_; // created after the timers' service, so that it is shut down first
    std::shared_ptr<name_lookup> const names_;
    std::shared_ptr<redis_socket> socket_; // one for each attempt
    std::optional<reply_reader> reader_;   // one for each attempt
    std::vector<unsigned char> input_;
    std::minstd_rand random_{std::random_device{}()};
    bool is_serving_ = false; // which coroutines run
    bool is_reading_ = false;
    bool is_watching_ = false;
    bool is_lost_ = true;        // this connection is of no more use
    bool is_leaving_ = false;    // nothing more is written to the connection
    bool has_heard_ = false;     // bytes have come on this connection
    bool greets_in_tls_ = false; // the first bytes were a TLS record
};

} // namespace

void serve_pipeline(asio::any_io_executor const& executor, std::shared_ptr<redis_storage_options const> options,
                    std::shared_ptr<pipeline> requests)
{
    std::make_shared<link>(executor, std::move(options), std::move(requests))->start();
}

} // namespace reprise::detail
