// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a storage that takes 5 ms to answer does to the other connections of a thread. Eight clients resume over and
// over, each time with one lookup; beside them connections that are long established have a byte echoed now and then.
// Once the server asks its storage in OpenSSL's synchronous callback, once with reprise.

#include "contexts.hpp"
#include "coroutines.hpp"
#include "goal_table.hpp"
#include "loopback_server.hpp"

#include <reprise/server_stream.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;
using steady_clock = std::chrono::steady_clock;

constexpr auto answer_time = 5ms;
constexpr std::size_t clients = 16;      // that come again
constexpr auto visit_interval = 50ms;    // of each of those
constexpr std::size_t others = 20;       // connections beside them
constexpr auto request_interval = 100ms; // of each of those
constexpr int rounds = 3;
constexpr auto round_time = 1500ms;
constexpr auto hang_limit = 5s; // beyond what a round takes
constexpr double bar = 0.20;
constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

template <class Stream>
asio::awaitable<void> echo(Stream& stream)
{
    for (;;)
    {
        char byte = 0;
        auto const [ec, size] =
            co_await asio::async_read(stream, asio::buffer(&byte, 1), asio::transfer_all(), no_throw);
        if (ec == asio::error::eof)
            co_return;
        if (ec)
            throw boost::system::system_error{ec};
        co_await asio::async_write(stream, asio::buffer(&byte, 1), asio::transfer_all(), asio::use_awaitable);
    }
}

// Whose sessions are looked up.
class echo_server : public loopback_server
{
public:
    using loopback_server::loopback_server;

    [[nodiscard]] virtual std::size_t lookups() const = 0;

    /// Wait until the sessions that were made are where they are looked up.
    virtual void settle() {}
};

// OpenSSL asks for a session with a function that has to return it: whoever has to wait for it makes the thread wait.
// That a session is also written to such a store, in the same way, is not held against it: its writes take no time
// here.
class callback_server final : public echo_server
{
public:
    callback_server() : echo_server(kinds[0])
    {
        auto* const context = tls().native_handle();
        resume_by_hand(context, kinds[0]);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
        if (SSL_CTX_set_ex_data(context, index(), this) != 1)
            throw std::bad_alloc{};
        SSL_CTX_sess_set_new_cb(context, on_new_session);
        SSL_CTX_sess_set_get_cb(context, on_get_session);
    }

    [[nodiscard]] std::size_t lookups() const override { return lookups_; }

private:
    static int index()
    {
        static int const made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
        return made;
    }

    static callback_server& of(SSL* ssl)
    {
        return *static_cast<callback_server*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index()));
    }

    static int on_new_session(SSL* ssl, SSL_SESSION* made) noexcept
    {
        unsigned size = 0;
        auto const* const id = SSL_SESSION_get_id(made, &size);
        unsigned char* der = nullptr;
        auto const der_size = i2d_SSL_SESSION(made, &der);
        if (der_size > 0)
            of(ssl).records_[{id, id + size}] =
                reprise::secret_bytes{reprise::byte_view{der, static_cast<std::size_t>(der_size)}};
        OPENSSL_clear_free(der, static_cast<std::size_t>(std::max(der_size, 0)));
        return 0; // the session itself is not kept
    }

    static SSL_SESSION* on_get_session(SSL* ssl, unsigned char const* id, int size, int* copy) noexcept
    {
        auto& self = of(ssl);
        ++self.lookups_;
        std::this_thread::sleep_for(answer_time);
        *copy = 0; // OpenSSL becomes its owner
        auto const found = self.records_.find({id, id + size});
        if (found == self.records_.end())
            return nullptr;
        auto const* der = found->second.data();
        return d2i_SSL_SESSION(nullptr, &der, static_cast<long>(found->second.size()));
    }

    asio::awaitable<void> connection(tcp::socket socket) override
    {
        socket.set_option(tcp::no_delay{true});
        asio::ssl::stream<tcp::socket> stream{std::move(socket), tls()};
        co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        count(SSL_session_reused(stream.native_handle()) == 1);
        co_await echo(stream);
        co_await stream.async_shutdown(no_throw);
    }

    std::map<std::string, reprise::secret_bytes> records_; // used by the server's thread alone
    std::atomic<std::size_t> lookups_ = 0;
};

// A storage as far away as the callback's. Its other operations take no time.
class distant_storage final : public reprise::storage
{
public:
    using optional_bytes = std::optional<reprise::secret_bytes>;

    [[nodiscard]] std::size_t lookups() const { return lookups_; }

    asio::awaitable<optional_bytes> get(std::string name) override
    {
        ++lookups_;
        return get_later(near_, std::move(name));
    }
    asio::awaitable<void> put(std::string name, reprise::secret_bytes value, reprise::time_point expiry) override
    {
        return near_->put(std::move(name), std::move(value), expiry);
    }
    asio::awaitable<optional_bytes> take(std::string name) override { return near_->take(std::move(name)); }
    asio::awaitable<bool> put_if_absent(std::string name, reprise::secret_bytes value,
                                        reprise::time_point expiry) override
    {
        return near_->put_if_absent(std::move(name), std::move(value), expiry);
    }
    asio::awaitable<bool> erase(std::string name) override { return near_->erase(std::move(name)); }
    asio::awaitable<std::size_t> flush() override { return near_->flush(); }
    [[nodiscard]] reprise::storage_stats stats() const override { return near_->stats(); }

private:
    static asio::awaitable<optional_bytes> get_later(reprise::storage_ptr from, std::string name)
    {
        asio::steady_timer timer{co_await asio::this_coro::executor, answer_time};
        co_await timer.async_wait(asio::use_awaitable);
        co_return co_await from->get(std::move(name));
    }

    reprise::storage_ptr near_ = reprise::memory_storage::make({});
    std::atomic<std::size_t> lookups_ = 0;
};

class reprise_server final : public echo_server
{
public:
    reprise_server() : echo_server(kinds[0]) {}

    [[nodiscard]] std::size_t lookups() const override { return storage_->lookups(); }

    // Until a session is written the cache finds it without asking the storage.
    void settle() override { asio::co_spawn(io(), cache_.drain(), asio::use_future).get(); }

private:
    asio::awaitable<void> connection(tcp::socket socket) override
    {
        reprise::server_stream<tcp::socket> stream{std::move(socket), cache_};
        co_await stream.async_handshake();
        count(stream.handshake().resumed());
        co_await echo(stream);
        co_await stream.async_shutdown();
    }

    std::shared_ptr<distant_storage> storage_ = std::make_shared<distant_storage>();
    reprise::session_cache cache_{tls(),
                                  {.id_context = "bench", .tickets = false, .storage = storage_, .lookup_timeout = 1s}};
};

class running
{
public:
    explicit running(echo_server& server) : server_(server) { server_.start(); }
    running(running const&) = delete;
    running& operator=(running const&) = delete;
    ~running() { server_.stop(); }

private:
    echo_server& server_;
};

void run_to_end(asio::io_context& io)
{
    io.restart();
    io.run_for(round_time + hang_limit);
    if (!io.stopped())
        throw std::runtime_error{"a connection hangs"};
}

using client_stream = asio::ssl::stream<tcp::socket>;

asio::awaitable<void> connect(client_stream& stream, tcp::endpoint to, SSL_SESSION* offered)
{
    co_await stream.next_layer().async_connect(to, asio::use_awaitable);
    stream.next_layer().set_option(tcp::no_delay{true});
    name_peer(stream.native_handle());
    if (offered != nullptr && SSL_set_session(stream.native_handle(), offered) != 1)
        throw std::runtime_error{"a session cannot be offered"};
    co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
}

asio::awaitable<void> round_trip(client_stream& stream)
{
    char byte = 'r';
    co_await asio::async_write(stream, asio::buffer(&byte, 1), asio::use_awaitable);
    co_await asio::async_read(stream, asio::buffer(&byte, 1), asio::use_awaitable);
}

// Long-established connections with a request now and then, on a thread of their own: they wait for nothing but the
// server.
class bystanders
{
public:
    explicit bystanders(tcp::endpoint to) : tls_(client_context(kinds[0]))
    {
        for (std::size_t i = 0; i < others; ++i)
            asio::co_spawn(io_, connect(streams_.emplace_back(io_, tls_), to, nullptr), rethrow);
        run_to_end(io_);
    }

    /// What each round trip took, in ms.
    std::vector<double> talk(steady_clock::time_point start)
    {
        std::vector<double> times;
        auto first = start;
        for (auto& stream : streams_)
        {
            asio::co_spawn(io_, talk(stream, first, start + round_time, times), rethrow);
            first += request_interval / others;
        }
        run_to_end(io_);
        return times;
    }

private:
    // Requests are due at a steady pace, and each counts from when it was due. Sent as soon as the last answer comes,
    // they would avoid the pauses: many between two of them, and one that waits.
    asio::awaitable<void> talk(client_stream& stream, steady_clock::time_point first, steady_clock::time_point until,
                               std::vector<double>& times)
    {
        asio::steady_timer timer{io_};
        for (auto due = first; due < until; due += request_interval)
        {
            timer.expires_at(due);
            co_await timer.async_wait(asio::use_awaitable);
            co_await round_trip(stream);
            times.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - due).count());
        }
    }

    asio::io_context io_{1};
    asio::ssl::context tls_;
    std::deque<client_stream> streams_;
};

// Clients that come again and again.
class crowd
{
public:
    explicit crowd(tcp::endpoint to) : to_(to), tls_(client_context(kinds[0]))
    {
        for (auto& session : sessions_)
            asio::co_spawn(io_, meet(session), rethrow);
        run_to_end(io_);
    }

    /// How many times they came. Each time they resumed.
    std::size_t come_again(steady_clock::time_point start)
    {
        std::size_t visits = 0;
        auto first = start;
        for (auto const& session : sessions_)
        {
            asio::co_spawn(io_, come_again(session.get(), first, start + round_time, visits), rethrow);
            first += visit_interval / clients;
        }
        run_to_end(io_);
        return visits;
    }

private:
    asio::awaitable<void> meet(reprise::ssl_session_ptr& session)
    {
        client_stream stream{io_, tls_};
        co_await connect(stream, to_, nullptr);
        co_await round_trip(stream);
        session.reset(SSL_get1_session(stream.native_handle()));
        co_await stream.async_shutdown(no_throw);
    }

    // One that had to wait longer than its interval comes at once, but does not make up for the visits that it missed.
    asio::awaitable<void> come_again(SSL_SESSION* session, steady_clock::time_point first,
                                     steady_clock::time_point until, std::size_t& visits)
    {
        asio::steady_timer timer{io_, first};
        for (co_await timer.async_wait(asio::use_awaitable); steady_clock::now() < until; ++visits)
        {
            timer.expires_after(visit_interval);
            client_stream stream{io_, tls_};
            co_await connect(stream, to_, session);
            if (SSL_session_reused(stream.native_handle()) != 1)
                throw std::runtime_error{"a client did not resume"};
            co_await round_trip(stream);
            co_await stream.async_shutdown(no_throw); // without it OpenSSL spoils the session
            co_await timer.async_wait(asio::use_awaitable);
        }
    }

    tcp::endpoint to_;
    asio::io_context io_{1};
    asio::ssl::context tls_;
    std::vector<reprise::ssl_session_ptr> sessions_{clients};
};

struct result
{
    std::vector<double> times; // of the bystanders, in ms
    std::size_t visits = 0;
    double seconds = 0;

    /// @pre `times` is sorted and not empty.
    [[nodiscard]] double percentile(std::size_t p) const
    {
        return times[std::min(times.size() - 1, times.size() * p / 100)];
    }
};

class trial
{
public:
    explicit trial(std::unique_ptr<echo_server> server) : server_(std::move(server)) { server_->settle(); }

    void run_alone(result& into)
    {
        auto const times = bystanders_.talk(steady_clock::now());
        into.times.insert(into.times.end(), times.begin(), times.end());
    }

    void run_in_crowd(result& into)
    {
        auto const resumed = server_->resumed();
        auto const lookups = server_->lookups();
        auto const start = steady_clock::now();
        auto talk = std::async(std::launch::async, [&] { return bystanders_.talk(start); });
        auto const visits = crowd_.come_again(start);
        into.seconds += std::chrono::duration<double>(steady_clock::now() - start).count();
        into.visits += visits;
        auto const times = talk.get();
        into.times.insert(into.times.end(), times.begin(), times.end());
        if (server_->failed() != 0)
            throw std::runtime_error{"a connection failed at the server"};
        if (server_->resumed() - resumed != visits)
            throw std::runtime_error{"the server did not resume each connection"};
        if (server_->lookups() - lookups != visits)
            throw std::runtime_error{"there was not one lookup for each connection"};
    }

private:
    std::unique_ptr<echo_server> server_;
    running running_{*server_};
    bystanders bystanders_{server_->endpoint()};
    crowd crowd_{server_->endpoint()};
};

void print(char const* what, result const& r)
{
    std::printf("%-36s %12zu %9.2f %9.2f %9.2f %14.0f\n", what, r.times.size(), r.percentile(50), r.percentile(99),
                r.times.back(), r.seconds > 0 ? static_cast<double>(r.visits) / r.seconds : 0);
}

int run()
{
    trial theirs{std::make_unique<callback_server>()};
    trial ours{std::make_unique<reprise_server>()};
    result alone, callback, awaited;
    theirs.run_alone(alone);
    for (int i = 0; i < rounds; ++i) // in turn: a machine that changes its pace changes it for both
    {
        theirs.run_in_crowd(callback);
        ours.run_in_crowd(awaited);
    }
    for (auto* const r : {&alone, &callback, &awaited})
        std::ranges::sort(r->times);

    std::printf("A storage that answers after %d ms, a server with one thread, TLS 1.2 with session ids. %zu clients "
                "reconnect and "
                "resume,\nagain and again, beside %zu other connections with a request every %d ms; ms per round trip "
                "of those.\n\n",
                static_cast<int>(answer_time.count()), clients, others, static_cast<int>(request_interval.count()));
    std::printf("%-36s %12s %9s %9s %9s %14s\n", "", "round trips", "p50", "p99", "max", "reconnects/s");
    print("nobody reconnects", alone);
    print("OpenSSL's synchronous callback", callback);
    print("reprise: the storage is awaited", awaited);

    auto const ratio = awaited.percentile(99) / callback.percentile(99);
    std::printf("\n");
    print_goal_heading("ms");
    print_goal("p99 of others, reprise / OpenSSL's callback", awaited.percentile(99), ratio, bar);
    std::printf(
        "\nIn the callback each lookup stops the thread, one after the other, and all its connections with it. "
        "Awaited, "
        "the lookups\nof all clients wait at the same time, and the others wait only for the work of handshakes.\n");
    return ratio <= bar ? 0 : 1;
}

} // namespace
} // namespace bench

int main()
{
    return bench::exit_status(bench::run);
}
