// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/link.hpp"

#include "storage/redis/link_plan.hpp"
#include "storage/redis/transport.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <exception>
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

// Three coroutines in one strand: serve() connects and writes, read() reads, watch() keeps the deadlines.
class link : public std::enable_shared_from_this<link>
{
public:
    link(asio::any_io_executor const& executor, std::shared_ptr<redis_storage_options const> options,
         std::shared_ptr<pipeline> requests)
        : executor_(executor), options_(std::move(options)), requests_(std::move(requests)),
          plan_(options_->backoff_min, options_->backoff_max, options_->failures_to_open), retry_(executor),
          deadline_(executor), input_(16'384)
    {
    }
    link(link const&) = delete;
    link& operator=(link const&) = delete;

    // Also when its execution context is destroyed: nobody is left waiting.
    ~link() { requests_->stop(); }

    void start()
    {
        // Whatever ends one of them, be it a lack of memory, ends the other and all operations.
        auto const ended = [self = shared_from_this()](std::exception_ptr) { self->requests_->stop(); };
        asio::co_spawn(executor_, serve(shared_from_this()), ended);
        asio::co_spawn(executor_, watch(shared_from_this()), ended);
    }

private:
    static asio::awaitable<void> serve(std::shared_ptr<link> self)
    {
        while (co_await self->may_connect())
        {
            if (!co_await self->connect())
                continue;
            asio::co_spawn(self->executor_, read(self),
                           [self](std::exception_ptr e)
                           {
                               self->is_reading_ = false;
                               self->lose(loss::ended, e);
                           });
            co_await self->write();
            self->transport_->close();
            while (self->is_reading_)
                co_await self->requests_->work.wait();
        }
    }

    // Wait until the plan has another attempt; false when it is all over.
    asio::awaitable<bool> may_connect()
    {
        while (!requests_->is_stopped() && steady_now() < plan_.next_attempt())
        {
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
        transport_ = make_transport(executor_, *options_);
        reader_.emplace(options_->max_value_bytes + 1024);
        asio::steady_timer limit{executor_, options_->connect_timeout};
        limit.async_wait(
            [closing = std::weak_ptr{transport_}](error_code ec)
            {
                if (auto const late = closing.lock(); late && !ec)
                    late->close();
            });
        error_code failure;
        try
        {
            co_await transport_->connect();
            co_await greet();
        }
        catch (system_error const& e)
        {
            failure = e.code();
        }
        if (limit.cancel() == 0) // it has closed the transport, or is about to
            failure = asio::error::timed_out;
        if (!failure)
        {
            plan_.connected();
            requests_->connected();
            is_lost_ = false;
            is_reading_ = true;
            co_return true;
        }
        transport_->close();
        ++requests_->counters().failed_connects;
        if (failure == redis_errc::bad_answer)
            ++requests_->counters().bad_answers;
        plan_.attempt_failed(steady_now(), jitter());
        requests_->disconnected(plan_.state(), failure);
        co_return false;
    }

    // Who we are, which database, and whether it serves.
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

    // `refusal` is what an error means that has no name of its own.
    asio::awaitable<void> ask(byte_view command, redis_answer wanted, redis_errc refusal)
    {
        co_await transport_->write(asio::buffer(command.data(), command.size()));
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
        auto const size = co_await transport_->read_some(asio::buffer(input_.data(), input_.size()));
        reader_->feed({input_.data(), size});
        wipe({input_.data(), size});
    }

    static asio::awaitable<void> read(std::shared_ptr<link> self)
    {
        for (;;)
        {
            auto const now = steady_now();
            while (auto reply = self->reader_->next())
                self->answer(std::move(*reply), now);
            co_await self->receive();
        }
    }

    void answer(redis_reply reply, steady_time now)
    {
        switch (requests_->answer(std::move(reply), now))
        {
        case pipeline::outcome::answered: plan_.answered(); break;
        case pipeline::outcome::not_ready:
            if (plan_.missed())
                lose(loss::broken, redis_errc::server_loading);
            break;
        case pipeline::outcome::garbage: throw system_error{redis_errc::bad_answer};
        }
    }

    // Until the connection is lost or the pipeline is stopped.
    asio::awaitable<void> write()
    {
        std::vector<unsigned char> output;
        while (!is_lost_ && !requests_->is_stopped())
        {
            if (!requests_->take(output, steady_now()))
            {
                co_await requests_->work.wait();
                continue;
            }
            error_code failure;
            try
            {
                co_await transport_->write(asio::buffer(output));
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
    }

    static asio::awaitable<void> watch(std::shared_ptr<link> self)
    {
        auto& requests = *self->requests_;
        while (!requests.is_stopped())
        {
            self->expire();
            co_await requests.attention.wait();
        }
        self->retry_.cancel();
        self->deadline_.cancel();
        if (self->transport_)
            self->transport_->close();
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

    void lose(loss how, std::exception_ptr const& failure)
    {
        try
        {
            std::rethrow_exception(failure);
        }
        catch (system_error const& e)
        {
            lose(how, e.code());
        }
        catch (std::exception const&) // no memory
        {
            lose(how, asio::error::no_memory);
        }
    }

    // The first reason counts; serve() is told.
    void lose(loss how, error_code why)
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
        transport_->close();
    }

    double jitter() { return std::uniform_real_distribution<double>{0, 1}(random_); }

    asio::any_io_executor const executor_;
    std::shared_ptr<redis_storage_options const> const options_;
    std::shared_ptr<pipeline> const requests_;
    link_plan plan_;
    asio::steady_timer retry_;
    asio::steady_timer deadline_;
    std::shared_ptr<transport> transport_; // one for each attempt
    std::optional<reply_reader> reader_;   // likewise
    std::vector<unsigned char> input_;
    std::minstd_rand random_{std::random_device{}()};
    bool is_reading_ = false; // read() runs
    bool is_lost_ = true;     // this connection is of no more use
};

} // namespace

void serve_pipeline(asio::any_io_executor const& executor, std::shared_ptr<redis_storage_options const> options,
                    std::shared_ptr<pipeline> requests)
{
    std::make_shared<link>(executor, std::move(options), std::move(requests))->start();
}

} // namespace reprise::detail
