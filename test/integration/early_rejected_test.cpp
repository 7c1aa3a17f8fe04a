// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Early data that is not offered or not accepted: each reason, on both ends, and that the bytes arrive once all the
// same.

#include "support/early.hpp"
#include "tls/session_time.hpp"

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <openssl/ssl.h>

using namespace test;
using reprise::early_data;
using reprise::early_data_reason;
using reprise::early_data_status;

TEST_SUITE_BEGIN("early_rejected");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

// The second visit: its early data was rejected by the server for this reason, and was heard once, late.
void check_rejected(early_world& w, reprise::handshake_info const& info, early_data_reason at_server)
{
    CHECK(info.early_data == early_data_status::rejected);
    CHECK(info.early_reason == early_data_reason::declined);
    CHECK(info.early_size == 0);
    CHECK(w.srv().handshakes.at(1).early_data == early_data_status::rejected);
    CHECK(w.srv().handshakes.at(1).early_reason == at_server);
    CHECK(w.cache().stats().early_rejected_by_reason.at(static_cast<std::size_t>(at_server)) == 1);
    CHECK(w.times_heard("again") == 1);
    CHECK_FALSE(w.heard.at(1).is_early);
    CHECK(w.srv().failures.empty());
}

// The second visit: it was not offered, for this reason.
void check_not_offered(early_world& w, reprise::handshake_info const& info, early_data_reason reason)
{
    CHECK(info.early_data == early_data_status::not_offered);
    CHECK(info.early_reason == reason);
    CHECK(w.srv().handshakes.at(1).early_data == early_data_status::not_offered);
    CHECK(w.times_heard("again") == 1);
    CHECK(w.srv().failures.empty());
}

// Visit, change something, visit again.
void visit_twice(early_world& w, std::function<void()> const& change,
                 std::function<void(reprise::handshake_info const&)> const& check, reprise::client_options options = {})
{
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            co_await w.say(stream, "first");
            change();
            auto const info = co_await w.say(stream, "again");
            check(info);
        });
}

void nothing() {}

} // namespace

TEST_CASE("a predicate that says no, or throws, rejects; it is asked once and told what is offered")
{
    for (bool const throws : {false, true})
    {
        int asked = 0;
        auto const accept = [&](reprise::early_data_offer const& offer)
        {
            ++asked;
            CHECK(offer.hello.server_name == "localhost");
            CHECK(offer.alpn.empty());
            CHECK(offer.session_age.count() >= 0);
            CHECK(offer.session_age.count() < 60);
            if (throws)
                throw std::runtime_error{"no"};
            return false;
        };
        early_world w{kinds[2], {.early = {.max_bytes = 100, .accept = accept}}};
        visit_twice(w, nothing, [&](auto const& info) { check_rejected(w, info, early_data_reason::unwanted); });
        CHECK(asked == 1);
    }
}

TEST_CASE("a second ClientHello brings no early data")
{
    for (auto const& k : tls13_kinds())
    {
        early_world w{k, {.configure = [](auto& tls) { SSL_CTX_set1_groups_list(tls.native_handle(), "P-384"); }}};
        SSL_CTX_set1_groups_list(w.inner().client_tls.native_handle(), "P-256:P-384");
        visit_twice(w, nothing,
                    [&](auto const& info)
                    {
                        CHECK(info.resumed());
                        check_rejected(w, info, early_data_reason::hello_retry);
                    });
    }
}

TEST_CASE("with a ticket that was used already, the handshake is full and nothing early")
{
    early_world w{kinds[3]};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            auto const used = w.tickets->sessions.front();
            CHECK((co_await w.say(stream, "again")).early_data == early_data_status::accepted);
            w.tickets->sessions = {used};
            auto const info = co_await w.say(stream, "third");
            CHECK_FALSE(info.resumed());
            CHECK(info.early_data == early_data_status::rejected);
        });
    CHECK(w.srv().handshakes.at(2).early_reason == early_data_reason::not_resumed);
    CHECK(w.times_heard("third") == 1);
}

TEST_CASE("one ticket may be used twice with a strike register, for its ClientHellos differ")
{
    early_world w{kinds[2]};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            auto const ticket = w.tickets->sessions.front();
            for (int i = 0; i < 2; ++i)
            {
                w.tickets->sessions = {ticket};
                CHECK((co_await w.say(stream, "again")).early_data == early_data_status::accepted);
            }
        });
    CHECK(w.times_heard("again") == 2);
}

TEST_CASE("a server that has gone down to TLS 1.2 is asked again, once, without early data")
{
    early_world w{kinds[2], {.configure = [](auto& tls) { set_versions(tls, TLS1_2_VERSION, TLS1_3_VERSION); }}};
    set_versions(w.inner().client_tls, TLS1_2_VERSION, TLS1_3_VERSION);
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            set_versions(w.inner().server_tls, TLS1_2_VERSION, TLS1_2_VERSION);
            auto const info = co_await w.say(stream, "again");
            CHECK(info.protocol == reprise::tls_version::tls12);
            CHECK(info.early_data == early_data_status::rejected);
            CHECK(info.early_reason == early_data_reason::connection_failed);
            while (w.srv().failures.empty()) // the client may be done before
                co_await asio::post(asio::use_awaitable);
        });
    CHECK(w.srv().failures.size() == 1);
    CHECK(w.times_heard("again") == 1);
}

TEST_CASE("a session of TLS 1.2 carries none")
{
    early_world w{kinds[1]};
    visit_twice(w, nothing, [&](auto const& info) { check_not_offered(w, info, early_data_reason::not_tls13); });
}

TEST_CASE("a server without early data promises none")
{
    early_world w{kinds[2], {.early = {}}};
    visit_twice(w, nothing, [&](auto const& info) { check_not_offered(w, info, early_data_reason::not_allowed); });
}

TEST_CASE("with ALPN: what the stream offers may go early, what only its context offers may not")
{
    auto const select = [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in,
                           unsigned in_size, void*) -> int
    {
        static constexpr unsigned char ours[] = {2, 'h', '2'};
        return SSL_select_next_proto(const_cast<unsigned char**>(out), size, ours, sizeof ours, in, in_size) ==
                       OPENSSL_NPN_NEGOTIATED
                   ? SSL_TLSEXT_ERR_OK
                   : SSL_TLSEXT_ERR_NOACK;
    };
    auto const configure = [&](asio::ssl::context& tls)
    { SSL_CTX_set_alpn_select_cb(tls.native_handle(), select, nullptr); };
    std::string alpn;
    auto const accept = [&](reprise::early_data_offer const& offer)
    {
        alpn = offer.alpn;
        return true;
    };
    SUBCASE("offered by the stream")
    {
        early_world w{kinds[2], {.early = {.max_bytes = 100, .accept = accept}, .configure = configure}};
        visit_twice(w, nothing,
                    [&](auto const& info)
                    {
                        CHECK(info.alpn == "h2");
                        CHECK(info.early_data == early_data_status::accepted);
                    },
                    {.alpn = {"http/1.1", "h2"}});
        CHECK(alpn == "h2");
    }
    SUBCASE("offered by the context")
    {
        early_world w{kinds[2], {.early = {.max_bytes = 100, .accept = accept}, .configure = configure}};
        static constexpr unsigned char offer[] = {2, 'h', '2'};
        SSL_CTX_set_alpn_protos(w.inner().client_tls.native_handle(), offer, sizeof offer);
        visit_twice(w, nothing, [&](auto const& info) { check_not_offered(w, info, early_data_reason::alpn_differs); });
    }
}

TEST_CASE("of a session that the caller brings, the name must be known")
{
    for (bool const acknowledges : {false, true})
    {
        CAPTURE(acknowledges);
        auto const configure = [&](asio::ssl::context& tls)
        {
            if (acknowledges)
                SSL_CTX_set_tlsext_servername_callback(
                    tls.native_handle(), +[](SSL*, int*, void*) -> int { return SSL_TLSEXT_ERR_OK; });
        };
        early_world w{kinds[2], {.configure = configure}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                auto const session = w.tickets->sessions.front();
                CHECK(session.server_name() == (acknowledges ? "localhost" : ""));
                early_data const early{asio::buffer("again\n", 6)};
                for (std::string const host : {"localhost", "127.0.0.1"})
                {
                    auto other = w.stream();
                    auto const info =
                        co_await other.async_connect(host, w.srv().port(), {.early_data = early, .exactly = &session});
                    CHECK(info.resumed() == (host == "localhost")); // under another name the server does not
                    bool const is_known = acknowledges && host == "localhost";
                    CHECK((info.early_data == early_data_status::accepted) == is_known);
                    CHECK(info.early_reason ==
                          (is_known ? early_data_reason::none : early_data_reason::server_name_differs));
                    std::string reply;
                    (void)co_await asio::async_read(other, asio::dynamic_buffer(reply), asio::transfer_all(), as_tuple);
                    CHECK(reply == "yes\n");
                    co_await other.async_shutdown();
                }
            });
        CHECK(w.times_heard("again") == 2);
    }
}

TEST_CASE("a cipher suite that is no longer offered carries none")
{
    early_world w{kinds[2]};
    visit_twice(
        w, [&] { SSL_CTX_set_ciphersuites(w.inner().client_tls.native_handle(), "TLS_CHACHA20_POLY1305_SHA256"); },
        [&](auto const& info) { check_not_offered(w, info, early_data_reason::cipher_disabled); });
}

TEST_CASE("a ticket whose age is not what the client says is resumed without early data")
{
    auto const acknowledge = [](asio::ssl::context& tls)
    {
        SSL_CTX_set_tlsext_servername_callback(
            tls.native_handle(), +[](SSL*, int*, void*) -> int { return SSL_TLSEXT_ERR_OK; });
    };
    early_world w{kinds[2], {.configure = acknowledge}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            auto& ticket = w.tickets->sessions.front();
            auto const older = ticket.copy();
            reprise::detail::set_issued_at(older.get(), reprise::detail::issued_at(older.get()) - 20);
            ticket = *reprise::session::snapshot(older.get(), ticket.origin());
            auto const info = co_await w.say(stream, "again");
            CHECK(info.resumed());
            check_rejected(w, info, early_data_reason::not_acceptable);
        });
}

namespace {

// The same key for all who ask, one for each number.
reprise::ticket_keys fixed_key(unsigned char number)
{
    return reprise::ticket_keys::from_callback(
        [number]() -> asio::awaitable<reprise::ticket_key_set>
        {
            std::string secret(48, '\0');
            for (std::size_t i = 0; i < secret.size(); ++i)
                secret[i] = static_cast<char>(number + 7 * i);
            co_return reprise::ticket_key_set{
                {.secret = reprise::locked_bytes{reprise::as_bytes(secret)}, .name = std::to_string(number)}};
        });
}

// Servers that open each other's tickets, and one client, whose store takes them for one.
class twins
{
public:
    twins(reprise::early_data_options first, reprise::early_data_options second, bool same_keys = true)
        : a_(server_tls_a_, options(std::move(first), 1)),
          b_(server_tls_b_, options(std::move(second), same_keys ? 1 : 2)), server_a_(io, a_, {}, hear()),
          server_b_(io, b_, {}, hear())
    {
    }

    // Visit the first, then the second with its ticket and so much early data.
    reprise::handshake_info visit(std::size_t size)
    {
        reprise::handshake_info info;
        auto const test = [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), client_tls_, *store_};
            co_await say(stream, server_a_, "first\n");
            text = std::string(size - 1, 'x') + "\n";
            info = co_await say(stream, server_b_, text);
        };
        run(io, test());
        CHECK(times_heard == 2);
        return info;
    }

    struct outcome
    {
        error_code ec{}; // of connecting
        reprise::handshake_info info{};
        std::string reply{};
    };

    // Visit the first, then the second, which gives the connection up. Ends when the second has noted that.
    outcome visit_failing(std::size_t size)
    {
        outcome result;
        auto const test = [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), client_tls_, *store_};
            co_await say(stream, server_a_, "first\n");
            text = std::string(size - 1, 'x') + "\n";
            early_data const early{asio::buffer(text)};
            std::tie(result.ec, result.info) =
                co_await stream.async_connect("localhost", server_b_.port(), early, as_tuple);
            if (!result.ec)
                (void)co_await asio::async_read(stream, asio::dynamic_buffer(result.reply), asio::transfer_all(),
                                                as_tuple);
            while (server_b_.failures.empty())
                co_await asio::post(asio::use_awaitable);
        };
        run(io, test());
        return result;
    }

    [[nodiscard]] reprise::handshake_info const& at_second() const { return server_b_.handshakes.at(0); }
    [[nodiscard]] std::size_t failures() const { return server_b_.failures.size(); }

    std::string text;
    int times_heard = 0;

private:
    static reprise::session_cache_options options(reprise::early_data_options early, unsigned char key)
    {
        reprise::session_cache_options o{.id_context = "twins", .early_data = std::move(early)};
        o.tickets = fixed_key(key);
        return o;
    }

    conversation hear()
    {
        return [this](server_side& stream) -> asio::awaitable<void>
        {
            std::string line;
            auto const [ec, n] = co_await asio::async_read_until(stream, asio::dynamic_buffer(line), '\n', as_tuple);
            if (ec)
                co_return;
            ++times_heard;
            CHECK((line == "first\n" || line == text));
            (void)co_await asio::async_write(stream, asio::buffer("yes\n", 4), as_tuple);
            co_await stream.async_shutdown();
        };
    }

    asio::awaitable<reprise::handshake_info> say(client_side& stream, server& to, std::string const& line)
    {
        early_data const early{asio::buffer(line)};
        auto info = co_await stream.async_connect("localhost", to.port(), early);
        std::string reply;
        (void)co_await asio::async_read(stream, asio::dynamic_buffer(reply), asio::transfer_all(), as_tuple);
        CHECK(reply == "yes\n");
        co_await stream.async_shutdown();
        co_return info;
    }

    asio::io_context io;
    reprise::testing::identity own_ = authority().issue({"localhost"});
    asio::ssl::context server_tls_a_ = context();
    asio::ssl::context server_tls_b_ = context();
    asio::ssl::context client_tls_ = client_context();
    reprise::session_cache a_;
    reprise::session_cache b_;
    std::shared_ptr<any_key_store> store_ = any_key_store::make();
    server server_a_;
    server server_b_;

    asio::ssl::context context() const
    {
        asio::ssl::context tls{asio::ssl::context::tls_server};
        tls.use_certificate_chain(asio::buffer(own_.certificate));
        tls.use_private_key(asio::buffer(own_.key), asio::ssl::context::pem);
        return tls;
    }
};

reprise::early_data_options accepting(std::uint32_t bytes)
{
    return {.max_bytes = bytes, .guard = reprise::replay_guard::in_memory({.one_process = true})};
}

} // namespace

TEST_CASE("in a fleet, a server that allows less rejects what another's ticket promises, and bears it")
{
    twins t{accepting(60'000), accepting(1'000)};
    auto const info = t.visit(50'000);
    CHECK(info.resumed());
    CHECK(info.early_data == early_data_status::rejected);
    CHECK(info.early_reason == early_data_reason::declined);
    CHECK(t.at_second().early_reason == early_data_reason::limit_lowered);
    CHECK(t.failures() == 0);
}

TEST_CASE("in a fleet, a server without early data bears what another's ticket promises")
{
    twins t{accepting(60'000), {}};
    auto const info = t.visit(50'000);
    CHECK(info.resumed());
    CHECK(info.early_data == early_data_status::rejected);
    CHECK(t.at_second().early_reason == early_data_reason::disabled);
    CHECK(t.failures() == 0);
}

TEST_CASE("a server that cannot open the ticket bears what it was told that tickets promise")
{
    twins t{accepting(60'000), {.promised_bytes = 60'000}, false};
    auto const info = t.visit(50'000);
    CHECK_FALSE(info.resumed());
    CHECK(info.early_data == early_data_status::rejected);
    CHECK(info.early_reason == early_data_reason::declined);
    CHECK(t.failures() == 0);
}

TEST_CASE("if it was not told, the connection fails: it is made again without early data, or the client sees it fail")
{
    twins t{accepting(60'000), {}, false};
    auto const seen = t.visit_failing(50'000);
    if (!seen.ec && seen.info.early_reason == early_data_reason::connection_failed)
    {
        CHECK(seen.reply == "yes\n");
        CHECK(t.times_heard == 2);
    }
    else // the server gave up after the client had completed its handshake
    {
        CHECK((seen.ec || seen.info.early_reason == early_data_reason::declined));
        CHECK(seen.reply.empty());
        CHECK(t.times_heard == 1);
    }
    CHECK(t.failures() == 1);
}

TEST_CASE("in a fleet, a guard in memory does not know of a ticket that is older than itself")
{
    reprise::testing::manual_clock later;
    later.advance(5s);
    auto const guard = reprise::replay_guard::in_memory({.one_process = true, .now = later});
    twins t{accepting(100), {.max_bytes = 100, .guard = guard}};
    auto const info = t.visit(50);
    CHECK(info.resumed());
    CHECK(info.early_data == early_data_status::rejected);
    CHECK(t.at_second().early_reason == early_data_reason::guard_starting);
}

TEST_SUITE_END();
