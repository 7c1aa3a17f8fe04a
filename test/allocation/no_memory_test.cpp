// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/allocations.hpp"
#include "support/engines.hpp"
#include "support/harness.hpp"

#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/detail/server/server_handshake.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>

using namespace test;
using reprise::detail::client_handshake;
using reprise::detail::server_handshake;
using reprise::detail::tls_engine;
using reprise::detail::tls_result;
using reprise::detail::tls_status;

TEST_SUITE_BEGIN("no memory");

namespace {

enum class ending
{
    talked,    ///< the client has read what the server said
    no_memory, ///< it has failed, for that reason
    failed,    ///< it has failed otherwise
};

// What goes through OpenSSL throws nothing: neither through its frames, nor at a handler of the transport's.
template <class Step>
tls_result without_exception(Step step)
{
    try
    {
        return step();
    }
    catch (...)
    {
        return {tls_status::failed};
    }
}

/// Client and server of connections without sockets, one connection after the other.
class both_ends
{
public:
    explicit both_ends(kind const& k)
        : server_tls_(configured(server_context(), k)), client_tls_(configured(client_context(), k)),
          cache_(server_tls_, cache_options(k)), store_(reprise::memory_session_store::make()),
          client_(reprise::client{client_tls_, *store_})
    {
    }

    /// One connection, from its first allocation to its last. The one of that number fails, if there are as many.
    ending visit(allocator whose = allocator::ours, std::size_t failing = 0)
    {
        failing_allocation const armed{whose, failing};
        auto result = ending::no_memory;
        try
        {
            result = talk();
        }
        catch (std::bad_alloc const&)
        {
        }
        catch (reprise::system_error const& e)
        {
            result = e.code() == asio::error::no_memory ? ending::no_memory : ending::failed;
        }
        has_failed_ = armed.has_failed();
        return result;
    }

    /// Let the next connection find no session.
    void forget()
    {
        asio::co_spawn(io_, store_->clear(), asio::detached);
        io_.restart();
        io_.run();
    }

    /// Whether the last connection had as many allocations.
    [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }

    [[nodiscard]] reprise::handshake_info const& at_client() const noexcept { return client_.info(); }
    [[nodiscard]] reprise::session_cache_stats stats() const { return cache_.stats(); }

private:
    static asio::ssl::context configured(asio::ssl::context tls, kind const& k)
    {
        set_versions(tls, k.version, k.version);
        return tls;
    }

    // What Asio allocates is not what is tested.
    void choose_session(SSL* ssl)
    {
        undisturbed const pause;
        io_.restart();
        asio::co_spawn(io_, client_.choose_session(ssl), asio::detached);
        io_.run();
    }

    struct client_end
    {
        client_handshake& connection;
        tls_engine engine;
        bool is_connected = false;

        // Done when the server's byte was read.
        tls_result step()
        {
            if (!is_connected)
            {
                auto const result = without_exception([this] { return engine.handshake(); });
                if (result.status != tls_status::done)
                    return result;
                connection.handshake_done(engine.native_handle());
                is_connected = true;
            }
            unsigned char byte = 0;
            return without_exception([&] { return engine.read({&byte, 1}); });
        }
    };

    struct server_end
    {
        server_handshake& accept;
        tls_engine engine;
        bool has_spoken = false;

        tls_result step(asio::io_context& io)
        {
            if (has_spoken)
                return {};
            auto const result = without_exception([&] { return accept.shake_hands(engine, io.get_executor()); });
            if (result.status != tls_status::done)
                return result;
            has_spoken = true;
            return without_exception([this] { return engine.write(reprise::as_bytes("!")); });
        }
    };

    ending talk()
    {
        client_end client{client_, tls_engine{client_.begin("localhost", "443")}};
        choose_session(client.engine.native_handle());
        server_handshake accept{cache_};
        server_end server{accept, tls_engine{accept.make_ssl()}};
        accept.begin(false);
        for (;;)
        {
            auto result = client.step();
            if (result.status == tls_status::done)
                return ending::talked;
            while (result.status != tls_status::failed && deliver(client.engine, server.engine))
                result = server.step(io_);
            if (result.status == tls_status::failed || !deliver(server.engine, client.engine))
            {
                (void)client_.handshake_failed(client.engine.has_sent());
                return result.no_memory ? ending::no_memory : ending::failed;
            }
        }
    }

    asio::io_context io_;
    asio::ssl::context server_tls_;
    asio::ssl::context client_tls_;
    reprise::session_cache cache_;
    std::shared_ptr<reprise::memory_session_store> store_;
    client_handshake client_;
    bool has_failed_ = false;
};

/// Each allocation of a connection fails once; the connection after it must work.
void try_each(kind const& k, bool resumes)
{
    CAPTURE(std::string{k.name});
    CAPTURE(resumes);
    both_ends ends{k};
    int went_on = 0;
    for (std::size_t n = 1;; ++n)
    {
        CAPTURE(n);
        if (!resumes)
            ends.forget();
        auto const result = ends.visit(allocator::ours, n);
        if (!ends.has_failed())
            break;
        CHECK(result != ending::failed);
        went_on += result == ending::talked ? 1 : 0;
        REQUIRE(ends.visit() == ending::talked);
    }
    REQUIRE(ends.visit() == ending::talked);
    CHECK(ends.at_client().resumed());
    if (resumes)
        return;
    CHECK(went_on > 0); // what only a later resumption needs is done without
    if (!k.tickets)     // the session was not stored
        CHECK(ends.stats().dropped > 0);
}

} // namespace

TEST_CASE("an allocation that fails ends a full handshake cleanly, if at all, and the next connection works")
{
    for (auto const& k : kinds)
        try_each(k, false);
}

TEST_CASE("an allocation that fails ends a resumed handshake cleanly, if at all, and the next connection works")
{
    for (auto const& k : kinds)
        try_each(k, true);
}

TEST_SUITE_END();
