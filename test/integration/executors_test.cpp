// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Streams on executors of several types, and what becomes of an executor that somebody counts.

#include "support/harness.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include <memory>
#include <thread>
#include <type_traits>

using namespace test;

TEST_SUITE_BEGIN("executors");

namespace {

constexpr auto awaiting = asio::use_awaitable;

using io_executor = asio::io_context::executor_type;

template <class Executor>
Executor make_executor(asio::io_context& io)
{
    if constexpr (std::is_constructible_v<Executor, io_executor>)
        return Executor{io.get_executor()};
    else
        return asio::make_strand(io);
}

template <class Executor>
struct streams
{
    using socket = asio::basic_stream_socket<tcp, Executor>;
    using acceptor = asio::basic_socket_acceptor<tcp, Executor>;
    using client = reprise::client_stream<socket>;
    using server = reprise::server_stream<socket>;
};

// The port of "localhost" on which a server listens; its ::1 refuses.
template <class Executor>
asio::awaitable<void> serve(typename streams<Executor>::acceptor& acceptor, reprise::session_cache cache,
                            std::vector<reprise::handshake_info>& handshakes, int count)
{
    for (int i = 0; i < count; ++i)
    {
        typename streams<Executor>::server stream{co_await acceptor.async_accept(awaiting), cache};
        handshakes.push_back(co_await stream.async_handshake());
        co_await asio::async_write(stream, asio::buffer("!", 1), awaiting);
        co_await stream.async_shutdown();
    }
}

// Run a coroutine on this executor to its end.
void run_on(asio::any_io_executor const& ex, asio::io_context& io, asio::awaitable<void> coroutine)
{
    std::exception_ptr failure;
    bool done = false;
    asio::co_spawn(ex, std::move(coroutine),
                   [&](std::exception_ptr e)
                   {
                       failure = e;
                       done = true;
                       io.stop();
                   });
    io.restart();
    io.run_for(10s);
    REQUIRE(done);
    if (failure)
        std::rethrow_exception(failure);
}

/* An executor of which it is known how many there are, as a strand knows it, and how often one has run a function. A
   copy that is not counted, or one that is destroyed twice, shows. */
class counted_executor
{
public:
    counted_executor(io_executor inner, std::shared_ptr<int> count) : inner_(std::move(inner)), count_(std::move(count))
    {
    }

    template <class Property>
        requires(asio::can_query_v<io_executor const&, Property>)
    decltype(auto) query(Property const& p) const
    {
        return asio::query(inner_, p);
    }

    template <class Property>
        requires(asio::can_require_v<io_executor const&, Property>)
    auto require(Property const& p) const
    {
        return of(asio::require(inner_, p));
    }

    template <class Property>
        requires(asio::can_prefer_v<io_executor const&, Property> && !asio::can_require_v<io_executor const&, Property>)
    auto prefer(Property const& p) const
    {
        return of(asio::prefer(inner_, p));
    }

    template <class Function>
    void execute(Function&& f) const
    {
        ++*count_;
        inner_.execute(std::forward<Function>(f));
    }

    bool operator==(counted_executor const& other) const noexcept
    {
        return inner_ == other.inner_ && count_ == other.count_;
    }
    bool operator!=(counted_executor const& other) const noexcept { return !(*this == other); }

private:
    // Every property that we meet keeps the type of an io_context's executor, or is one of its bits.
    template <class Inner>
    auto of(Inner inner) const
    {
        return wrapper<Inner>{std::move(inner), count_};
    }

    template <class Inner>
    class wrapper
    {
    public:
        wrapper(Inner inner, std::shared_ptr<int> count) : inner_(std::move(inner)), count_(std::move(count)) {}

        template <class Property>
            requires(asio::can_query_v<Inner const&, Property>)
        decltype(auto) query(Property const& p) const
        {
            return asio::query(inner_, p);
        }
        template <class Property>
            requires(asio::can_require_v<Inner const&, Property>)
        auto require(Property const& p) const
        {
            auto next = asio::require(inner_, p);
            return wrapper<decltype(next)>{std::move(next), count_};
        }
        template <class Property>
            requires(asio::can_prefer_v<Inner const&, Property> && !asio::can_require_v<Inner const&, Property>)
        auto prefer(Property const& p) const
        {
            auto next = asio::prefer(inner_, p);
            return wrapper<decltype(next)>{std::move(next), count_};
        }
        template <class Function>
        void execute(Function&& f) const
        {
            ++*count_;
            inner_.execute(std::forward<Function>(f));
        }
        bool operator==(wrapper const& other) const noexcept
        {
            return inner_ == other.inner_ && count_ == other.count_;
        }
        bool operator!=(wrapper const& other) const noexcept { return !(*this == other); }

    private:
        Inner inner_;
        std::shared_ptr<int> count_;
    };

    io_executor inner_;
    std::shared_ptr<int> count_;
};

} // namespace

TEST_CASE_TEMPLATE("both ends resume on any type of executor, with two threads", Executor, asio::any_io_executor,
                   io_executor, asio::strand<io_executor>, asio::strand<asio::any_io_executor>)
{
    using stream = typename streams<Executor>::client;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        auto const strand = asio::make_strand(io); // for types that are none themselves: one coroutine at a time
        auto server_tls = server_context();
        auto client_tls = client_context();
        set_versions(server_tls, k.version, k.version);
        auto const store = reprise::memory_session_store::make();
        reprise::session_cache const cache{server_tls, {.id_context = "executors", .tickets = k.tickets}};
        auto const ex = make_executor<Executor>(io);
        typename streams<Executor>::acceptor acceptor{ex, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        auto const port = std::to_string(acceptor.local_endpoint().port());
        std::vector<reprise::handshake_info> at_server;
        std::vector<reprise::handshake_info> at_client;
        auto const visit = [&]() -> asio::awaitable<void>
        {
            stream s{ex, client_tls, *store};
            for (int i = 0; i < 3; ++i)
            {
                at_client.push_back(co_await s.async_connect("localhost", port));
                std::string data;
                (void)co_await asio::async_read(s, asio::dynamic_buffer(data), asio::transfer_all(),
                                                asio::as_tuple(awaiting));
                CHECK(data == "!");
                co_await s.async_shutdown();
            }
        };
        auto served =
            asio::co_spawn(asio::make_strand(io), serve<Executor>(acceptor, cache, at_server, 3), asio::use_future);
        auto visited = asio::co_spawn(strand, visit(), asio::use_future);
        {
            std::jthread const second{[&] { io.run_for(20s); }};
            io.run_for(20s);
        }
        REQUIRE(visited.wait_for(0s) == std::future_status::ready);
        visited.get();
        REQUIRE(served.wait_for(0s) == std::future_status::ready);
        served.get();
        REQUIRE(at_client.size() == 3);
        REQUIRE(at_server.size() == 3);
        for (std::size_t i = 0; i < 3; ++i)
        {
            CHECK(at_client[i].resumption == (i == 0 ? reprise::resumption_kind::none : k.on_client));
            CHECK(at_server[i].resumption == (i == 0 ? reprise::resumption_kind::none : k.on_server));
        }
    }
}

TEST_CASE("no copy of an executor is lost or destroyed twice, with one address and with two")
{
    world w{};
    auto const count = std::make_shared<int>(0);
    std::vector<std::shared_ptr<int>> const spare(1000, count); // so that too many destructors free nothing
    auto const before = count.use_count();
    asio::any_io_executor const ex{counted_executor{w.io.get_executor(), count}};
    auto const with_one = count.use_count() - before;
    for (std::size_t const addresses : {1u, 2u, 3u})
    {
        CAPTURE(addresses);
        std::vector const endpoints(addresses, w.srv.endpoint());
        auto const visit = [&]() -> asio::awaitable<void>
        {
            client_side::rebind_executor<asio::any_io_executor>::other stream{ex, w.client_tls, *w.store};
            (void)co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints});
            co_await stream.async_shutdown();
        };
        run_on(ex, w.io, visit());
        w.io.restart();
        w.io.poll(); // what is left of it goes
        CHECK(count.use_count() - before == with_one);
    }
}

TEST_CASE("attempts that race run on the executor of their operation, not on the socket's")
{
    world w{};
    auto const runs = std::make_shared<int>(0);
    asio::any_io_executor const of_socket{counted_executor{w.io.get_executor(), runs}};
    std::vector<int> runs_with;
    for (std::size_t const addresses : {1u, 2u})
    {
        std::vector const endpoints(addresses, w.srv.endpoint());
        auto const visit = [&]() -> asio::awaitable<void>
        {
            reprise::client_stream<> stream{of_socket, w.client_tls, *w.store};
            *runs = 0;
            (void)co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints});
            runs_with.push_back(*runs);
            stream.close();
        };
        run_on(asio::make_strand(w.io), w.io, visit());
    }
    CHECK(runs_with == std::vector{0, 0});
}

TEST_CASE("a stream is made of an execution context, and of its executor, as Asio's I/O objects are")
{
    using stream = reprise::client_stream<>;
    using context = asio::ssl::context;
    using store = reprise::session_store;
    static_assert(std::is_constructible_v<stream, asio::io_context&, context&, store&>);
    static_assert(std::is_constructible_v<stream, asio::io_context&, context&>);
    static_assert(std::is_constructible_v<stream, asio::io_context&, context&, store&, reprise::client_options>);
    static_assert(std::is_constructible_v<stream, io_executor, context&, store&>);
    static_assert(std::is_constructible_v<stream, asio::any_io_executor, context&, reprise::client_options>);
    static_assert(std::is_constructible_v<stream, tcp::socket, context&, store&>);
    static_assert(!std::is_constructible_v<stream, int, context&, store&>);
    static_assert(std::is_nothrow_move_constructible_v<stream>);
    static_assert(std::is_nothrow_move_assignable_v<stream>);
    static_assert(std::is_same_v<stream::next_layer_type, tcp::socket>);
    static_assert(std::is_same_v<stream::rebind_executor<io_executor>::other::executor_type, io_executor>);
    static_assert(
        std::is_same_v<reprise::server_stream<>::rebind_executor<io_executor>::other::executor_type, io_executor>);

    world w{};
    stream made{w.io, w.client_tls, *w.store};
    CHECK(made.get_executor() == w.io.get_executor());
    w.run(
        [&]() -> asio::awaitable<void>
        {
            co_await made.async_connect("localhost", w.srv.port());
            std::string data;
            co_await asio::async_read_until(made, asio::dynamic_buffer(data), '!', awaiting);
            co_await made.async_shutdown();
        });
}

TEST_CASE("an operation without a token takes the executor's, and awaits where that has none")
{
    using tuples = asio::as_tuple_t<asio::use_awaitable_t<>>;
    using deferred = asio::deferred_t;
    using plain = reprise::client_stream<>;
    using with_tuples = reprise::client_stream<tuples::as_default_on_t<tcp::socket>>;
    using with_deferred = reprise::client_stream<deferred::as_default_on_t<tcp::socket>>;
    using info = reprise::handshake_info;
    static_assert(std::is_same_v<decltype(std::declval<plain&>().async_connect("", "")), asio::awaitable<info>>);
    static_assert(std::is_same_v<decltype(std::declval<with_tuples&>().async_connect("", "")),
                                 asio::awaitable<std::tuple<error_code, info>>>);
    static_assert(!std::is_same_v<decltype(std::declval<with_deferred&>().async_reconnect()), asio::awaitable<info>>);

    world w{};
    with_tuples stream{w.io, w.client_tls, *w.store};
    with_deferred lazy{w.io, w.client_tls, *w.store};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto const [ec, made] = co_await stream.async_connect("localhost", w.srv.port());
            CHECK_FALSE(ec);
            auto const [closed] = co_await stream.async_shutdown();
            CHECK_FALSE(closed);
            auto operation = lazy.async_connect("localhost", w.srv.port());
            CHECK((co_await std::move(operation)(awaiting)).resumed());
            lazy.close();
        });
}

TEST_CASE("the usual calls of Asio compile with a callback on a stream that has no default token")
{
    world w{};
    reprise::client_stream<> stream{w.io, w.client_tls, *w.store};
    std::string data(1, ' ');
    bool done = false;
    stream.async_connect("localhost", w.srv.port(),
                         [&](error_code ec, reprise::handshake_info const&)
                         {
                             REQUIRE_FALSE(ec);
                             asio::async_read(stream, asio::buffer(data),
                                              [&](error_code read_error, std::size_t size)
                                              {
                                                  CHECK_FALSE(read_error);
                                                  CHECK(size == 1);
                                                  done = true;
                                                  w.io.stop();
                                              });
                         });
    w.io.run_for(10s);
    CHECK(done);
    CHECK(data == "!");
}

TEST_SUITE_END();
