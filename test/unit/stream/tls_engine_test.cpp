// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/stream/tls_engine.hpp>

#include "support/harness.hpp"
#include "support/record_writer.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace test;
using reprise::detail::tls_engine;
using reprise::detail::tls_status;

TEST_SUITE_BEGIN("tls_engine");

namespace {

reprise::ssl_ptr made(asio::ssl::context& tls, void (*role)(SSL*))
{
    reprise::ssl_ptr ssl{::SSL_new(tls.native_handle())};
    role(ssl.get());
    return ssl;
}

using preparation = void (*)(SSL_CTX* client, SSL_CTX* server);

void write_by_hand(SSL_CTX* client, SSL_CTX*)
{
    record_writer::prepare(client);
}

/// The engines of a client and a server, connected in memory.
struct two_ends
{
    explicit two_ends(preparation prepare)
        : client((prepare(client_tls.native_handle(), server_tls.native_handle()),
                  made(client_tls, ::SSL_set_connect_state))),
          server(made(server_tls, ::SSL_set_accept_state))
    {
        for (bool done = false; !done;)
        {
            done = client.handshake().status == tls_status::done;
            deliver();
            (void)server.handshake();
            for (auto bytes = server.output(); !bytes.empty(); bytes = server.output())
            {
                auto const room = client.room();
                auto const size = std::min(bytes.size(), room.size());
                std::copy_n(bytes.begin(), size, room.begin());
                client.feed(size);
                server.sent(size);
                if (!done)
                    done = client.handshake().status == tls_status::done;
            }
        }
        deliver();
        (void)server.handshake();
    }

    void deliver()
    {
        for (auto bytes = client.output(); !bytes.empty(); bytes = client.output())
        {
            feed({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
            client.sent(bytes.size());
        }
    }

    void feed(std::string_view bytes)
    {
        if (bytes.empty())
            return;
        auto const room = server.room();
        REQUIRE(bytes.size() <= room.size());
        std::ranges::copy(bytes, room.begin());
        server.feed(bytes.size());
    }

    /// What the server reads of these bytes, until it needs more.
    std::string read(std::string_view bytes)
    {
        feed(bytes);
        std::string result;
        for (;;)
        {
            unsigned char piece[100];
            auto const ended = server.read(piece);
            if (ended.status != tls_status::done)
            {
                CHECK(ended.status == tls_status::needs_input);
                return result;
            }
            CHECK(ended.size > 0);
            result.append(reinterpret_cast<char const*>(piece), ended.size);
        }
    }

    asio::ssl::context client_tls = client_context();
    asio::ssl::context server_tls = server_context();
    tls_engine client;
    tls_engine server;
};

} // namespace

TEST_CASE("records without data are read over, wherever they are")
{
    std::vector<std::string_view> const pieces = {"G", "E", "T", "\n"};
    for (unsigned where = 0; where < 32; ++where) // before, between and after the pieces
        for (std::size_t const padding : {0u, 1u, 200u})
            for (bool const at_once : {true, false})
            {
                CAPTURE(where);
                CAPTURE(padding);
                CAPTURE(at_once);
                two_ends ends{write_by_hand};
                record_writer writer{ends.client.native_handle()};
                std::vector<std::string> records;
                for (std::size_t i = 0; i <= pieces.size(); ++i)
                {
                    if ((where >> i & 1) != 0)
                        records.push_back(writer.write("", padding));
                    if (i < pieces.size())
                        records.push_back(writer.write(pieces[i]));
                }
                std::string got;
                std::string all;
                for (auto const& record : records)
                    if (at_once)
                        all += record;
                    else
                        got += ends.read(record);
                if (at_once)
                    got = ends.read(all);
                CHECK(got == "GET\n");
            }
}

TEST_CASE("looking for data finds none in records without")
{
    two_ends ends{write_by_hand};
    record_writer writer{ends.client.native_handle()};
    for (int i = 0; i < 5; ++i)
    {
        ends.feed(writer.write(""));
        CHECK(ends.server.peek().status == tls_status::needs_input);
    }
    auto records = writer.write("", 3);
    records += writer.write("x");
    records += writer.write("");
    ends.feed(records);
    CHECK(ends.server.peek().status == tls_status::done);
    CHECK(ends.read("") == "x");
}

TEST_CASE("a handshake within a read fails where it would have to pause")
{
    static bool pauses = false;
    pauses = false;
    two_ends ends{[](SSL_CTX* client, SSL_CTX* server)
                  {
                      REQUIRE(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION) == 1);
                      ::SSL_CTX_set_options(server, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
                      auto const on_hello = [](SSL*, int*, void*)
                      { return pauses ? SSL_CLIENT_HELLO_RETRY : SSL_CLIENT_HELLO_SUCCESS; };
                      ::SSL_CTX_set_client_hello_cb(server, on_hello, nullptr);
                  }};
    pauses = true;
    REQUIRE(::SSL_renegotiate(ends.client.native_handle()) == 1);
    unsigned char byte = 'x';
    CHECK(ends.client.write({&byte, 1}).status == tls_status::needs_input);
    ends.deliver();
    auto const ended = ends.server.read({&byte, 1});
    CHECK(ended.status == tls_status::failed);
    CHECK(ended.size == 0);
    CHECK(ended.error != 0);
}

TEST_SUITE_END();
