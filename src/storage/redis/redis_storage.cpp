// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/fork.hpp"
#include "storage/redis/link.hpp"
#include "storage/redis/pipeline.hpp"
#include "storage/redis/server_info.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <initializer_list>
#include <thread>
#include <utility>
#include <vector>

namespace reprise {

namespace {

using detail::redis_answer;
using detail::redis_command;
using detail::redis_effect;
using detail::redis_reply;
using namespace std::chrono_literals;

template <class T>
void require(T const& value, T const& least, T const& most, char const* what)
{
    if (value < least || value > most)
        throw system_error{errc::bad_option, std::string{"redis_storage_options::"} + what};
}

void require(bool holds, char const* what)
{
    require(holds, true, true, what);
}

void check_options(redis_storage_options const& o)
{
    if (o.socket_path.empty())
    {
        require(!o.host.empty(), "host must not be empty");
        require(o.port != 0, "port must be 1 to 65535");
    }
    else
    {
        require(o.socket_path.size() <= 107, "socket_path must be at most 107 bytes");
        require(!o.tls, "tls must be empty for a unix socket");
    }
    require(o.user.empty() || !o.password.empty(), "password must not be empty if there is a user");
    require(o.key_prefix.size() <= 256, "key_prefix must be at most 256 bytes");
    require<std::size_t>(o.connections, 1, 16, "connections must be 1 to 16");
    require(o.request_timeout, 1ms, 60'000ms, "request_timeout must be 1 ms to 60 s");
    require(o.connect_timeout, 1ms, 60'000ms, "connect_timeout must be 1 ms to 60 s");
    require<std::size_t>(o.max_pending, 1, 1u << 20, "max_pending must be 1 to 1048576");
    require<std::size_t>(o.max_value_bytes, 1, 64u << 20, "max_value_bytes must be 1 to 67108864");
    require(o.failures_to_open, 1u, 1000u, "failures_to_open must be 1 to 1000");
    require(o.backoff_min, 1ms, 3'600'000ms, "backoff_min must be 1 ms to 1 h");
    require(o.backoff_max, o.backoff_min, 3'600'000ms, "backoff_max must be backoff_min to 1 h");
    require(static_cast<bool>(o.now), "now must not be empty");
}

std::string_view text_of(secret_bytes const& bytes)
{
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

// Name the server, for errors. The name holds no secrets.
std::string name_of(redis_storage_options const& o)
{
    if (!o.socket_path.empty())
        return o.socket_path;
    bool const is_ipv6 = o.host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + o.host + "]" : o.host) + ":" + std::to_string(o.port);
}

// For servers without GETDEL (before Redis 6.2).
constexpr std::string_view take_script =
    "local v = redis.call('GET', KEYS[1]) if v then redis.call('DEL', KEYS[1]) end return v";

} // namespace

// The state that operations need. Operations share ownership, because they may outlive the storage.
class redis_storage::core
{
public:
    explicit core(std::shared_ptr<redis_storage_options const> options) : options_(std::move(options))
    {
        for (std::size_t i = 0; i < options_->connections; ++i)
            links_.push_back(
                std::make_shared<detail::pipeline>(options_->request_timeout, options_->max_pending, counters_));
    }

    void start(asio::any_io_executor const& executor) const
    {
        for (auto const& link : links_)
            detail::serve_pipeline(detail::serial_executor(executor), options_, link);
    }

    // Serve the links on an io_context of this thread, until `stop`. A lack of memory costs connections.
    void run() const noexcept
    {
        while (!links_.front()->is_stopped())
        {
            try
            {
                asio::io_context io{1};
                for (auto const& link : links_)
                    detail::serve_pipeline(io.get_executor(), options_, link);
                while (!run(io))
                    ;
            }
            catch (system_error const& e)
            {
                fail(e.code());
            }
            catch (...)
            {
                fail(asio::error::no_memory);
            }
            if (!links_.front()->is_stopped())
                std::this_thread::sleep_for(10ms);
        }
    }

    void stop() const
    {
        for (auto const& link : links_)
            link->stop();
    }

    // Commands are named variables, because GCC 12 mishandles temporaries of an initializer list in an expression with
    // co_await.

    static asio::awaitable<std::optional<secret_bytes>> get(std::shared_ptr<core> self, std::string name)
    {
        redis_command command{"GET", self->key(name)};
        auto const sent = co_await ask(self, std::move(command), redis_answer::value, redis_effect::reads);
        co_return value_of(*sent);
    }

    static asio::awaitable<std::optional<secret_bytes>> take(std::shared_ptr<core> self, std::string name)
    {
        auto const sent = co_await take_by(&core::ask, std::move(self), std::move(name));
        co_return value_of(*sent);
    }

    static asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::shared_ptr<core> self,
                                                                                    std::string name)
    {
        auto const sent = co_await take_by(&core::ask_with_epoch, std::move(self), std::move(name));
        with_epoch<std::optional<secret_bytes>> result;
        result.value = value_of(*sent.value);
        result.epoch = sent.epoch;
        co_return result;
    }

    static asio::awaitable<void> put(std::shared_ptr<core> self, std::string name, secret_bytes value,
                                     time_point expiry)
    {
        auto const lifetime = self->lifetime(expiry);
        if (lifetime.count() == 0)
        {
            co_await erase(self, std::move(name));
            co_return;
        }
        self->check_size(value);
        redis_command command{"SET", self->key(name), text_of(value), "PX", std::to_string(lifetime.count())};
        co_await ask(self, std::move(command), redis_answer::stored, redis_effect::writes);
    }

    static asio::awaitable<bool> put_if_absent(std::shared_ptr<core> self, std::string name, secret_bytes value,
                                               time_point expiry)
    {
        auto command = self->set_if_absent(name, value, expiry);
        auto const sent = co_await ask(self, std::move(command), redis_answer::stored, redis_effect::writes);
        co_return sent->reply.type == redis_reply::kind::status;
    }

    static asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::shared_ptr<core> self, std::string name,
                                                                      secret_bytes value, time_point expiry)
    {
        auto command = self->set_if_absent(name, value, expiry);
        auto const sent = co_await ask_with_epoch(self, std::move(command), redis_answer::stored, redis_effect::writes);
        with_epoch<bool> result;
        result.value = sent.value->reply.type == redis_reply::kind::status;
        result.epoch = sent.epoch;
        co_return result;
    }

    static asio::awaitable<storage_epoch> epoch(std::shared_ptr<core> self)
    {
        auto const executor = co_await asio::this_coro::executor;
        auto const info = make_info(executor);
        self->submit({info[0], info[1], info[2]});
        auto const answer = co_await read_epoch(info);
        if (answer.failure)
            throw self->error(answer.failure);
        if (answer.epoch.incarnation.empty() || !answer.epoch.evicted)
            throw self->error(errc::guard_unsure,
                              "INFO shows no primary with run_id, master_replid and evicted_keys: use a primary");
        co_return answer.epoch;
    }

    static asio::awaitable<bool> erase(std::shared_ptr<core> self, std::string name)
    {
        redis_command command{"DEL", self->key(name)};
        auto const sent = co_await ask(self, std::move(command), redis_answer::number, redis_effect::writes);
        co_return sent->reply.number > 0;
    }

    // Wait until the first attempt to connect has ended. Then run `use`, which shows whether the server can be used.
    static asio::awaitable<void> check(std::shared_ptr<core> self, asio::awaitable<void> use)
    {
        auto const settled = std::make_shared<detail::handoff>(co_await asio::this_coro::executor);
        auto& link = self->choose(0);
        link.tell_when_settled(settled);
        co_await settled->wait();
        if (link.state() == redis_state::open)
            throw self->error(link.last_error(), link.hint());
        co_await std::move(use);
    }

    [[nodiscard]] redis_stats stats() const
    {
        redis_stats total;
        total.requests = counters_->requests;
        total.timeouts = counters_->timeouts;
        total.error_replies = counters_->error_replies;
        total.rejected = counters_->rejected;
        total.queue_full = counters_->queue_full;
        total.lost = counters_->lost;
        total.bad_answers = counters_->bad_answers;
        total.connects = counters_->connects;
        total.failed_connects = counters_->failed_connects;
        auto const& best = choose(0);
        total.state = best.state();
        total.last_error = best.last_error();
        return total;
    }

private:
    // Returns false if a handler has thrown, which loses a coroutine.
    static bool run(asio::io_context& io) noexcept
    try
    {
        io.run();
        return true;
    }
    catch (...)
    {
        return false;
    }

    void fail(error_code why) const noexcept
    {
        for (auto const& link : links_)
            link->disconnected(redis_state::open, why);
    }

    using request_ptr = std::shared_ptr<detail::redis_request>;

    static std::optional<secret_bytes> value_of(detail::redis_request& answered)
    {
        if (answered.reply.type == redis_reply::kind::nil)
            return std::nullopt;
        return std::move(answered.reply.value);
    }

    [[nodiscard]] detail::redis_word key(std::string const& name) const { return {options_->key_prefix, name}; }

    [[nodiscard]] std::chrono::milliseconds lifetime(time_point expiry) const
    {
        auto const now = options_->now();
        return expiry <= now ? 0ms : std::chrono::floor<std::chrono::milliseconds>(expiry - now);
    }

    [[nodiscard]] redis_command set_if_absent(std::string const& name, secret_bytes const& value,
                                              time_point expiry) const
    {
        check_size(value);
        auto const left = std::max(lifetime(expiry), 1ms); // an expired value still asks the server
        return {"SET", key(name), text_of(value), "PX", std::to_string(left.count()), "NX"};
    }

    void check_size(secret_bytes const& value) const
    {
        if (value.size() > options_->max_value_bytes)
            throw error(redis_errc::value_too_large);
    }

    // Return the first link from `from` on, among those in the best state.
    [[nodiscard]] detail::pipeline& choose(std::size_t from) const
    {
        detail::pipeline* waiting = nullptr;
        for (std::size_t i = 0; i < links_.size(); ++i)
        {
            auto& link = *links_[(from + i) % links_.size()];
            switch (link.state())
            {
            case redis_state::connected: return link;
            case redis_state::connecting: waiting = waiting != nullptr ? waiting : &link; break;
            case redis_state::open: break;
            }
        }
        return waiting != nullptr ? *waiting : *links_[from % links_.size()];
    }

    // Take an entry by `ask` or `ask_with_epoch`.
    template <class Answer>
    static asio::awaitable<Answer> take_by(asio::awaitable<Answer> (*ask)(std::shared_ptr<core>, redis_command,
                                                                          redis_answer, redis_effect),
                                           std::shared_ptr<core> self, std::string name)
    {
        auto const key = self->key(name);
        if (self->has_getdel_)
        {
            redis_command command{"GETDEL", key};
            try
            {
                co_return co_await ask(self, std::move(command), redis_answer::value, redis_effect::writes);
            }
            catch (system_error const& e)
            {
                if (e.code() != redis_errc::unknown_command)
                    throw;
            }
            self->has_getdel_ = false;
        }
        redis_command command{"EVAL", take_script, "1", key};
        co_return co_await ask(self, std::move(command), redis_answer::value, redis_effect::writes);
    }

    // Send a command and await its answer.
    static asio::awaitable<request_ptr> ask(std::shared_ptr<core> self, redis_command command, redis_answer wanted,
                                            redis_effect effect)
    {
        auto const executor = co_await asio::this_coro::executor;
        auto request = std::make_shared<detail::redis_request>(executor, std::move(command), wanted, effect);
        self->submit({request});
        if (auto const failure = co_await failure_of(request))
            throw self->error(failure);
        co_return request;
    }

    // The epoch's requests follow on the same connection, so that the server that answered the command answers them
    // too.
    static asio::awaitable<with_epoch<request_ptr>> ask_with_epoch(std::shared_ptr<core> self, redis_command command,
                                                                   redis_answer wanted, redis_effect effect)
    {
        auto const executor = co_await asio::this_coro::executor;
        auto const request = std::make_shared<detail::redis_request>(executor, std::move(command), wanted, effect);
        auto const info = make_info(executor);
        self->submit({request, info[0], info[1], info[2]});
        if (auto const failure = co_await failure_of(request))
            throw self->error(failure);
        auto const answer = co_await read_epoch(info);
        with_epoch<request_ptr> result;
        result.value = request;
        result.epoch = answer.epoch;
        co_return result;
    }

    using info_requests = std::array<request_ptr, detail::epoch_sections.size()>;

    static info_requests make_info(asio::any_io_executor const& executor)
    {
        info_requests made;
        for (std::size_t i = 0; i < made.size(); ++i)
            made[i] = std::make_shared<detail::redis_request>(
                executor, redis_command{"INFO", detail::epoch_sections[i]}, redis_answer::value, redis_effect::reads);
        return made;
    }

    struct epoch_answer
    {
        storage_epoch epoch{}; // unknown on failure
        error_code failure{};
    };

    static asio::awaitable<epoch_answer> read_epoch(info_requests const& info)
    {
        epoch_answer result;
        std::string text;
        for (auto const& request : info)
        {
            result.failure = co_await failure_of(request);
            if (result.failure)
                co_return result;
            text.append(text_of(request->reply.value)).append("\n");
        }
        result.epoch = detail::epoch_of(text);
        co_return result;
    }

    void submit(std::initializer_list<request_ptr> requests)
    {
        auto& link = choose(turn_++);
        if (auto const refusal = link.submit(requests, std::chrono::steady_clock::now()))
            throw refusal == redis_errc::circuit_open ? error(refusal, link.last_error().message(), link.hint())
                                                      : error(refusal);
    }

    static asio::awaitable<error_code> failure_of(request_ptr request)
    {
        error_code failure;
        try
        {
            co_await request->wait();
        }
        catch (system_error const& e)
        {
            failure = e.code();
        }
        co_return failure;
    }

    // Make an error that names the server.
    [[nodiscard]] system_error error(error_code ec, std::string_view reason = {}, std::string_view hint = {}) const
    {
        if (ec == asio::error::operation_aborted)
            return system_error{ec};
        auto what = server_;
        for (auto const part : {reason, hint})
            if (!part.empty())
                what.append(": ").append(part);
        return {ec, what};
    }

    std::shared_ptr<redis_storage_options const> const options_;
    std::string const server_ = name_of(*options_);
    std::shared_ptr<detail::redis_counters> const counters_ = std::make_shared<detail::redis_counters>();
    std::vector<std::shared_ptr<detail::pipeline>> links_;
    std::atomic<std::size_t> turn_ = 0;
    std::atomic<bool> has_getdel_ = true; // until the server does not know GETDEL
};

class redis_storage::own_thread
{
public:
    explicit own_thread(std::shared_ptr<core const> of) : thread_([of = std::move(of)] { of->run(); }) {}
    own_thread(own_thread const&) = delete;
    own_thread& operator=(own_thread const&) = delete;

    /// @pre The links are stopped, so that run() returns.
    ~own_thread() { thread_.join(); }

private:
    std::thread thread_;
};

// One core for each process. The child of fork(2) must not use the parent's connections: parent and child would read
// each other's answers.
class redis_storage::impl
{
public:
    explicit impl(redis_storage_options options)
        : executor_(std::exchange(options.executor, {})), has_own_thread_(!executor_),
          options_(std::make_shared<redis_storage_options const>(std::move(options)))
    {
        (void)of_process_.get([this] { return serve(); });
        executor_ = {}; // its context may be destroyed before the storage
    }

    /// Run an operation on the core of this process.
    template <class T, class... Parameters, class... Arguments>
    asio::awaitable<T> ask(asio::awaitable<T> (*operation)(std::shared_ptr<core>, Parameters...),
                           Arguments&&... arguments)
    {
        std::exception_ptr failure;
        try
        {
            return operation(core_of_process(), std::forward<Arguments>(arguments)...);
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        return fail<T>(failure);
    }

    /// Return the core of this process, or null.
    [[nodiscard]] core const* find() const noexcept
    {
        auto const* const served = of_process_.find();
        return served != nullptr ? served->by.get() : nullptr;
    }

    void stop() noexcept
    {
        is_stopped_ = true;
        if (auto* const served = of_process_.find())
        {
            served->by->stop();
            served->thread.reset();
        }
    }

private:
    struct service
    {
        std::shared_ptr<core> by;
        std::unique_ptr<own_thread> thread; // null with an executor of the caller's
    };

    template <class T>
    static asio::awaitable<T> fail(std::exception_ptr why)
    {
        std::rethrow_exception(why);
        co_return T(); // makes it a coroutine
    }

    std::shared_ptr<core> core_of_process()
    {
        return of_process_
            .get(
                [this]
                {
                    if (is_stopped_)
                        throw system_error{asio::error::operation_aborted};
                    if (!has_own_thread_)
                        throw system_error{errc::made_before_fork,
                                           "a redis_storage with an executor of the caller, " + name_of(*options_)};
                    return serve();
                })
            .by;
    }

    service serve()
    {
        service result{std::make_shared<core>(options_), nullptr};
        if (has_own_thread_)
            result.thread = std::make_unique<own_thread>(result.by);
        else
            result.by->start(executor_);
        return result;
    }

    asio::any_io_executor executor_; // set while the first core is made
    bool const has_own_thread_;
    std::shared_ptr<redis_storage_options const> const options_;
    detail::per_process<service> of_process_;
    std::atomic<bool> is_stopped_ = false;
};

std::shared_ptr<redis_storage> redis_storage::make(redis_storage_options options)
{
    check_options(options);
    return std::shared_ptr<redis_storage>{new redis_storage{std::make_unique<impl>(std::move(options))}};
}

redis_storage::redis_storage(std::unique_ptr<impl> made) noexcept : impl_(std::move(made)) {}

redis_storage::~redis_storage()
{
    impl_->stop();
}

asio::awaitable<std::optional<secret_bytes>> redis_storage::get(std::string name)
{
    return impl_->ask(&core::get, std::move(name));
}

asio::awaitable<void> redis_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    return impl_->ask(&core::put, std::move(name), std::move(value), expiry);
}

asio::awaitable<std::optional<secret_bytes>> redis_storage::take(std::string name)
{
    return impl_->ask(&core::take, std::move(name));
}

asio::awaitable<bool> redis_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    return impl_->ask(&core::put_if_absent, std::move(name), std::move(value), expiry);
}

asio::awaitable<bool> redis_storage::erase(std::string name)
{
    return impl_->ask(&core::erase, std::move(name));
}

asio::awaitable<with_epoch<bool>> redis_storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                          time_point expiry)
{
    return impl_->ask(&core::put_if_absent_with_epoch, std::move(name), std::move(value), expiry);
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> redis_storage::take_with_epoch(std::string name)
{
    return impl_->ask(&core::take_with_epoch, std::move(name));
}

asio::awaitable<storage_epoch> redis_storage::epoch()
{
    return impl_->ask(&core::epoch);
}

asio::awaitable<void> redis_storage::check()
{
    return impl_->ask(&core::check, storage::check());
}

asio::awaitable<std::size_t> redis_storage::flush()
{
    co_return 0;
}

storage_stats redis_storage::stats() const
{
    return {};
}

redis_stats redis_storage::connection_stats() const
{
    auto const* const own = impl_->find();
    return own != nullptr ? own->stats() : redis_stats{};
}

} // namespace reprise
