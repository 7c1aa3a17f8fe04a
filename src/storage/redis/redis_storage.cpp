// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/link.hpp"
#include "storage/redis/pipeline.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <atomic>
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
        require(!o.host.empty(), "host: not empty");
        require(o.port != 0, "port: 1 to 65535");
    }
    else
    {
        require(o.socket_path.size() <= 107, "socket_path: at most 107 bytes");
        require(!o.tls, "tls: not over a unix socket");
    }
    require(o.user.empty() || !o.password.empty(), "password: not empty, if there is a user");
    require(o.key_prefix.size() <= 256, "key_prefix: at most 256 bytes");
    require<std::size_t>(o.connections, 1, 16, "connections: 1 to 16");
    require(o.request_timeout, 1ms, 60'000ms, "request_timeout: 1 ms to 60 s");
    require(o.connect_timeout, 1ms, 60'000ms, "connect_timeout: 1 ms to 60 s");
    require<std::size_t>(o.max_pending, 1, 1u << 20, "max_pending: 1 to 1048576");
    require<std::size_t>(o.max_value_bytes, 1, 64u << 20, "max_value_bytes: 1 to 67108864");
    require(o.failures_to_open, 1u, 1000u, "failures_to_open: 1 to 1000");
    require(o.backoff_min, 1ms, 3'600'000ms, "backoff_min: 1 ms to 1 h");
    require(o.backoff_max, o.backoff_min, 3'600'000ms, "backoff_max: backoff_min to 1 h");
    require(static_cast<bool>(o.now), "now: a clock");
}

std::string_view text_of(secret_bytes const& bytes)
{
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

// For errors. It holds no secrets.
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

// What operations need, whether the storage is still there or not.
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

    // Until `stop`, on an io_context of its own. A lack of memory costs connections.
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

    // Commands have names: GCC 12 mishandles temporaries of an initializer list in an expression with co_await.

    static asio::awaitable<std::optional<secret_bytes>> get(std::shared_ptr<core> self, std::string name)
    {
        redis_command command{"GET", self->key(name)};
        auto const sent = co_await ask(self, std::move(command), redis_answer::value, redis_effect::reads);
        co_return value_of(*sent);
    }

    static asio::awaitable<std::optional<secret_bytes>> take(std::shared_ptr<core> self, std::string name)
    {
        auto const key = self->key(name);
        if (self->has_getdel_)
        {
            redis_command command{"GETDEL", key};
            try
            {
                auto const sent = co_await ask(self, std::move(command), redis_answer::value, redis_effect::writes);
                co_return value_of(*sent);
            }
            catch (system_error const& e)
            {
                if (e.code() != redis_errc::unknown_command)
                    throw;
            }
            self->has_getdel_ = false;
        }
        redis_command command{"EVAL", take_script, "1", key};
        auto const sent = co_await ask(self, std::move(command), redis_answer::value, redis_effect::writes);
        co_return value_of(*sent);
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
        self->check_size(value);
        auto const lifetime = std::max(self->lifetime(expiry), 1ms); // what has expired asks all the same
        redis_command command{"SET", self->key(name), text_of(value), "PX", std::to_string(lifetime.count()), "NX"};
        auto const sent = co_await ask(self, std::move(command), redis_answer::stored, redis_effect::writes);
        co_return sent->reply.type == redis_reply::kind::status;
    }

    static asio::awaitable<bool> erase(std::shared_ptr<core> self, std::string name)
    {
        redis_command command{"DEL", self->key(name)};
        auto const sent = co_await ask(self, std::move(command), redis_answer::number, redis_effect::writes);
        co_return sent->reply.number > 0;
    }

    // Wait until it is known whether the server can be reached. Then `use` is to show whether it can be used.
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
    // False, if a handler has thrown: a coroutine is lost.
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

    void check_size(secret_bytes const& value) const
    {
        if (value.size() > options_->max_value_bytes)
            throw error(redis_errc::value_too_large);
    }

    // Of the links in the best state, the first one from `from` on.
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

    // Send a command and await its answer.
    static asio::awaitable<request_ptr> ask(std::shared_ptr<core> self, redis_command command, redis_answer wanted,
                                            redis_effect effect)
    {
        auto const executor = co_await asio::this_coro::executor;
        auto request = std::make_shared<detail::redis_request>(executor, std::move(command), wanted, effect);
        auto& link = self->choose(self->turn_++);
        if (auto const refusal = link.submit(request, std::chrono::steady_clock::now()))
            throw refusal == redis_errc::circuit_open ? self->error(refusal, link.last_error().message(), link.hint())
                                                      : self->error(refusal);
        error_code failure;
        try
        {
            co_await request->wait();
        }
        catch (system_error const& e)
        {
            failure = e.code();
        }
        if (failure)
            throw self->error(failure);
        co_return request;
    }

    // That names the server.
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
    std::atomic<bool> has_getdel_ = true; // until the server says otherwise
};

class redis_storage::own_thread
{
public:
    explicit own_thread(std::shared_ptr<core const> of) : thread_([of = std::move(of)] { of->run(); }) {}
    own_thread(own_thread const&) = delete;
    own_thread& operator=(own_thread const&) = delete;

    /// @pre The links are stopped: run() ends by itself.
    ~own_thread() { thread_.join(); }

private:
    std::thread thread_;
};

std::shared_ptr<redis_storage> redis_storage::make(redis_storage_options options)
{
    check_options(options);
    auto const executor = std::exchange(options.executor, {}); // its context may go before the options do
    auto made = std::make_shared<core>(std::make_shared<redis_storage_options const>(std::move(options)));
    std::unique_ptr<own_thread> thread;
    if (executor)
        made->start(executor);
    else
        thread = std::make_unique<own_thread>(made);
    return std::shared_ptr<redis_storage>{new redis_storage{std::move(made), std::move(thread)}};
}

redis_storage::redis_storage(std::shared_ptr<core> made, std::unique_ptr<own_thread> thread)
    : core_(std::move(made)), thread_(std::move(thread))
{
}

redis_storage::~redis_storage()
{
    core_->stop();
}

asio::awaitable<std::optional<secret_bytes>> redis_storage::get(std::string name)
{
    return core::get(core_, std::move(name));
}

asio::awaitable<void> redis_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    return core::put(core_, std::move(name), std::move(value), expiry);
}

asio::awaitable<std::optional<secret_bytes>> redis_storage::take(std::string name)
{
    return core::take(core_, std::move(name));
}

asio::awaitable<bool> redis_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    return core::put_if_absent(core_, std::move(name), std::move(value), expiry);
}

asio::awaitable<bool> redis_storage::erase(std::string name)
{
    return core::erase(core_, std::move(name));
}

asio::awaitable<void> redis_storage::check()
{
    return core::check(core_, storage::check());
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
    return core_->stats();
}

} // namespace reprise
