// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/cache/pending_writes.hpp"
#include "support/harness.hpp"
#include "support/large_certificate.hpp"
#include "tls/decoded_sessions.hpp"

#include <reprise/detail/stream/tls_engine.hpp>

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace test;

TEST_SUITE_BEGIN("memory");

namespace {

// What malloc has given out: mallinfo2(3).
std::size_t in_use()
{
    auto const info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

// Of what is counted, as session::size promises.
void check_within_twice(std::size_t counted, std::size_t taken)
{
    CAPTURE(counted);
    CAPTURE(taken);
    CHECK(taken <= 2 * counted);
    CHECK(counted <= 2 * taken);
}

// A server with this certificate, and a client that trusts it.
struct large_world
{
    explicit large_world(kind const& k, reprise::testing::identity const& own)
        : server_tls(asio::ssl::context::tls_server), client_tls(asio::ssl::context::tls_client),
          cache(configured(server_tls, k, own), cache_options(k)), srv(io, cache)
    {
        client_tls.add_certificate_authority(asio::buffer(own.certificate));
        set_versions(client_tls, k.version, k.version);
    }

    static asio::ssl::context& configured(asio::ssl::context& tls, kind const& k, reprise::testing::identity const& own)
    {
        tls.use_certificate_chain(asio::buffer(own.certificate));
        tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        set_versions(tls, k.version, k.version);
        return tls;
    }

    // Each user has a session of its own, out of a handshake of its own.
    void visit(reprise::memory_session_store& store, int user)
    {
        reprise::client_options wanted;
        wanted.partition = std::to_string(user);
        client_side stream{io.get_executor(), client_tls, store, std::move(wanted)};
        io.restart();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                (void)co_await stream.async_connect("localhost", srv.port());
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }());
    }

    asio::io_context io;
    asio::ssl::context server_tls;
    asio::ssl::context client_tls;
    reprise::session_cache cache;
    server srv;
};

} // namespace

TEST_CASE("a client's store takes as much memory as it counts, whatever certificates servers have")
{
    struct size
    {
        std::size_t comment;
        int names;
    };
    for (auto const& k : kinds)
        for (auto const [comment, names] : {size{0, 1}, size{0, 200}, size{20'000, 1}})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(comment);
            CAPTURE(names);
            large_world w{k, large_certificate(comment, names)};
            auto const store = reprise::memory_session_store::make();
            for (int user = 0; user < 20; ++user) // what is made once
                w.visit(*store, user);
            auto const counted_before = store->bytes();
            auto const before = in_use();
            for (int user = 20; user < 120; ++user)
                w.visit(*store, user);
            REQUIRE(store->size() == 120);
            check_within_twice(store->bytes() - counted_before, in_use() - before);

            auto const small = reprise::memory_session_store::make({.max_bytes = 200'000});
            for (int user = 0; user < 120; ++user)
                w.visit(*small, user);
            CHECK(small->bytes() <= 200'000);
        }
}

TEST_CASE("decoded sessions are bounded in memory, not only in number")
{
    large_world w{kinds[3], large_certificate(60'000)};
    auto const store = reprise::memory_session_store::make();
    w.visit(*store, 0);
    std::vector<reprise::kept_session> kept;
    w.io.restart();
    run(w.io, [&]() -> asio::awaitable<void>
        { kept = co_await store->release([](reprise::session_scope const&) { return true; }); }());
    REQUIRE(kept.size() == 1);
    auto const record = kept.front().ticket.serialize();

    constexpr std::size_t capacity = 64;
    reprise::detail::decoded_sessions known{capacity};
    auto const before = in_use();
    for (unsigned i = 0; i < 500; ++i)
    {
        auto other = record;
        other.data()[1] = static_cast<unsigned char>(i); // of when it was verified: another record
        other.data()[2] = static_cast<unsigned char>(i >> 8);
        auto const decoded = reprise::session::parse(other);
        REQUIRE(decoded.has_value());
        known.keep(other, *decoded);
        CHECK(known.bytes() <= capacity * reprise::detail::decoded_sessions::bytes_for_each);
    }
    CHECK(known.bytes() > capacity * reprise::detail::decoded_sessions::bytes_for_each / 2);
    check_within_twice(known.bytes(), in_use() - before);
}

TEST_CASE("writes that a storage does not answer are bounded in memory, not only in number")
{
    auto const writes = std::make_shared<reprise::detail::pending_writes>(4096, 1u << 20);
    std::vector<std::unique_ptr<reprise::detail::pending_writes::entry>> pending;
    for (int i = 0; i < 100; ++i)
        if (auto entry = writes->begin(std::to_string(i), reprise::secret_bytes{std::size_t{70'000}}))
            pending.push_back(std::move(entry));
    CHECK(pending.size() == 7); // twice 70 000 bytes each, because the write has a copy
    pending.clear();
    CHECK(writes->begin("again", reprise::secret_bytes{std::size_t{70'000}}) != nullptr);
}

TEST_CASE("what a burst has taken of an engine's memory is given back when it is sent")
{
    using reprise::detail::tls_engine;
    using reprise::detail::tls_status;
    auto server_tls = server_context();
    auto client_tls = client_context();
    reprise::ssl_ptr client_ssl{::SSL_new(client_tls.native_handle())};
    ::SSL_set_connect_state(client_ssl.get());
    reprise::ssl_ptr server_ssl{::SSL_new(server_tls.native_handle())};
    ::SSL_set_accept_state(server_ssl.get());
    tls_engine client{std::move(client_ssl)};
    tls_engine server{std::move(server_ssl)};
    auto const deliver = [](tls_engine& from, tls_engine& to)
    {
        auto const bytes = from.output();
        auto const room = to.room();
        auto const size = std::min(bytes.size(), room.size());
        std::copy_n(bytes.begin(), size, room.begin());
        to.feed(size);
        from.sent(size);
    };
    for (bool done = false; !done;)
    {
        done = client.handshake().status == tls_status::done;
        deliver(client, server);
        (void)server.handshake();
        deliver(server, client);
    }
    std::string const large(1u << 14, 'x');
    auto const burst = [&](int records)
    {
        for (int i = 0; i < records; ++i)
            REQUIRE(client.write(reprise::as_bytes(large)).status == tls_status::done);
        for (auto bytes = client.output(); !bytes.empty(); bytes = client.output())
            client.sent(bytes.size());
    };
    burst(1);
    auto const before = in_use();
    burst(64);
    CHECK(in_use() <= before + 64 * 1024);
}

TEST_CASE("an idle connection does not remember what its client offered to resume by")
{
    // The session and its large certificate are sealed in the ticket, which the client offers as a PSK identity.
    auto const own = large_certificate(40'000);
    std::vector<std::size_t> left;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        auto const& hello = stream.hello();
        std::size_t bytes = hello.first_binder.size() + hello.ticket_name.size();
        for (auto const& identity : hello.psk_identities)
            bytes += identity.size();
        left.push_back(bytes);
        CHECK(hello.server_name == "localhost");
        co_await answer_and_shut_down(stream);
    };
    for (auto const& k : {kinds[1], kinds[2]})
    {
        CAPTURE(std::string{k.name});
        left.clear();
        world w{{.of = k,
                 .talk = talk,
                 .configure = [&](asio::ssl::context& tls)
                 {
                     tls.add_certificate_authority(asio::buffer(own.certificate));
                     tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
                 }}};
        w.client_tls.use_certificate_chain(asio::buffer(own.certificate));
        w.client_tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        w.run(
            [&]() -> asio::awaitable<void>
            {
                for (bool const resumes : {false, true})
                {
                    auto stream = w.stream();
                    CHECK((co_await w.visit(stream)).resumed() == resumes);
                }
            });
        CHECK(left == std::vector<std::size_t>{0, 0});
    }
}

TEST_SUITE_END();
