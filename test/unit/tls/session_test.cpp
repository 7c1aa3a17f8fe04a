// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/sessions.hpp"

#include <reprise/error.hpp>
#include <reprise/session.hpp>

#include <doctest/doctest.h>
#include <openssl/asn1.h>

#include <algorithm>
#include <random>

using namespace reprise;
using namespace std::chrono_literals;
using test::make_live_session;
using test::make_session;

TEST_SUITE_BEGIN("session");

namespace {

time_point whole_seconds(time_point t)
{
    return std::chrono::floor<std::chrono::seconds>(t);
}

// Whatever came out of untrusted bytes, every question about it has an answer. The sum keeps the calls from going away.
std::size_t ask_everything(session const& s)
{
    auto const again = session::snapshot(s.copy().get(), s.origin());
    return s.alpn().size() + s.cipher().size() + s.max_early_data() + s.size() + std::size_t{s.has_ticket()} +
           static_cast<std::size_t>(s.lifetime().count()) + static_cast<std::size_t>(s.protocol()) +
           std::size_t{s.issued_at() > time_point{}} + std::size_t{again.has_value()} + s.serialize().size();
}

} // namespace

TEST_CASE("a session says what it is, and is the same after serialize and parse")
{
    auto const now = whole_seconds(std::chrono::system_clock::now());
    for (test::session_recipe recipe : {test::session_recipe{.version = TLS1_2_VERSION, .ticket = false},
                                        test::session_recipe{.version = TLS1_2_VERSION, .alpn = "http/1.1"},
                                        test::session_recipe{.alpn = "h2", .early_data = 4096}})
    {
        recipe.lifetime = 90s;
        recipe.issued = now - 7s;
        recipe.origin = {now - 60s, now + 48h, X509_V_OK};
        CAPTURE(recipe.version);
        CAPTURE(recipe.ticket);
        auto const made = make_session(recipe);
        auto const bytes = made.serialize();
        auto const parsed = session::parse(bytes);
        REQUIRE(parsed.has_value());
        for (auto const& s : {made, *parsed})
        {
            CHECK(static_cast<int>(s.protocol()) == recipe.version);
            CHECK(s.has_ticket() == recipe.ticket);
            CHECK(s.alpn() == recipe.alpn);
            CHECK(s.cipher().starts_with("TLS_"));
            CHECK(s.max_early_data() == recipe.early_data);
            CHECK(s.issued_at() == recipe.issued);
            CHECK(s.lifetime() == 90s);
            CHECK(s.origin().verified_at == recipe.origin.verified_at);
            CHECK(s.origin().chain_expiry == recipe.origin.chain_expiry);
            CHECK(s.origin().verify_result == X509_V_OK);
            CHECK(s.size() > 500);
        }
        CHECK(parsed->serialize() == bytes);
    }
}

TEST_CASE("an origin without an end and a failed verification survive the journey too")
{
    auto const made =
        make_session({.origin = {time_point{} + 1s, time_point::max(), X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT}});
    auto const parsed = session::parse(made.serialize());
    REQUIRE(parsed.has_value());
    CHECK(parsed->origin().verified_at == time_point{} + 1s);
    CHECK(parsed->origin().chain_expiry == time_point::max());
    CHECK(parsed->origin().verify_result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
}

TEST_CASE("a snapshot is not spoiled by what happens to the live session")
{
    auto const live = make_live_session();
    auto const made = session::snapshot(live.get(), {});
    REQUIRE(made.has_value());
    // This is what freeing a connection without a shutdown does to its session.
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_add_session(context, live.get());
    SSL_CTX_remove_session(context, live.get());
    SSL_CTX_free(context);
    CHECK(SSL_SESSION_is_resumable(live.get()) == 0);
    CHECK_FALSE(session::snapshot(live.get(), {}).has_value());
    CHECK(SSL_SESSION_is_resumable(made->native_handle()) == 1);
    CHECK(SSL_SESSION_is_resumable(made->copy().get()) == 1);
}

TEST_CASE("each connection gets a copy of its own")
{
    auto const made = make_session();
    auto const first = made.copy();
    auto const second = made.copy();
    CHECK(first.get() != second.get());
    CHECK(first.get() != made.native_handle());
}

TEST_CASE("there is no snapshot of nothing, nor of what cannot be resumed")
{
    CHECK_FALSE(session::snapshot(nullptr, {}).has_value());
    ssl_session_ptr const empty{SSL_SESSION_new()};
    CHECK_FALSE(session::snapshot(empty.get(), {}).has_value());
}

TEST_CASE("there is no snapshot of a session of TLS 1.0 or 1.1")
{
    for (int const version : {TLS1_VERSION, TLS1_1_VERSION})
        for (bool const ticket : {true, false})
        {
            CAPTURE(version);
            CAPTURE(ticket);
            auto const live = make_live_session({.version = version, .ticket = ticket});
            REQUIRE(::SSL_SESSION_is_resumable(live.get()) == 1);
            CHECK_FALSE(session::snapshot(live.get(), {}).has_value());
        }
}

TEST_CASE("a lifetime is the server's, but no longer than seven days, and none at all for a ticket of lifetime zero")
{
    CHECK(make_session({.lifetime = 3600s}).lifetime() == 1h);
    CHECK(make_session({.lifetime = 24h * 30}).lifetime() == 24h * 7);
    CHECK(make_session({.version = TLS1_2_VERSION, .lifetime = 120s}).lifetime() == 120s);
    CHECK(make_session({.version = TLS1_2_VERSION, .ticket = false, .lifetime = 120s}).lifetime() == 120s);
}

TEST_CASE("bytes that are not exactly one session give session_corrupt")
{
    auto const good = make_session().serialize();
    std::vector<unsigned char> const bytes{good.view().begin(), good.view().end()};
    auto const fails = [](std::vector<unsigned char> const& b)
    {
        auto const result = session::parse(b);
        return result.has_error() && result.error() == errc::session_corrupt;
    };

    SUBCASE("cut off anywhere")
    {
        for (std::size_t size = 0; size < bytes.size(); ++size)
        {
            CAPTURE(size);
            CHECK(fails({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}));
        }
    }
    SUBCASE("something after the end")
    {
        auto longer = bytes;
        longer.push_back(0);
        CHECK(fails(longer));
        longer.insert(longer.end(), bytes.begin(), bytes.end());
        CHECK(fails(longer));
    }
    SUBCASE("every other version")
    {
        for (unsigned version = 0; version < 256; ++version)
        {
            auto other = bytes;
            other[0] = static_cast<unsigned char>(version);
            CHECK(fails(other) == (version != bytes[0]));
        }
    }
    SUBCASE("a version of TLS that is not resumed")
    {
        auto const made = make_session({.version = TLS1_2_VERSION}).serialize();
        std::vector<unsigned char> old{made.view().begin(), made.view().end()};
        unsigned char const tls12[] = {V_ASN1_INTEGER, 2, 3,
                                       3}; // how the DER of SSL_SESSION begins, after its own version
        auto const found = std::ranges::search(old, tls12);
        REQUIRE_FALSE(found.empty());
        CHECK_FALSE(fails(old));
        found.back() = 2;
        CHECK(fails(old));
    }
}

TEST_CASE("hostile bytes give a session or session_corrupt, and nothing else")
{
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        auto const good = make_session({.version = version, .alpn = "h2"}).serialize();
        std::vector<unsigned char> bytes{good.view().begin(), good.view().end()};
        constexpr unsigned char flips[] = {0x01, 0x80, 0xff};
        std::size_t sum = 0;
        for (std::size_t at = 0; at < bytes.size(); ++at)
            for (auto const flip : flips)
            {
                bytes[at] = static_cast<unsigned char>(bytes[at] ^ flip);
                auto const result = session::parse(bytes);
                if (result.has_value())
                    sum += ask_everything(*result);
                else
                    CHECK(result.error() == errc::session_corrupt);
                bytes[at] = static_cast<unsigned char>(bytes[at] ^ flip);
            }
        CHECK(sum > 0);
    }
}

TEST_CASE("noise is not a session")
{
    std::mt19937 random{7};
    std::uniform_int_distribution<unsigned> byte{0, 255};
    for (int i = 0; i < 10000; ++i)
    {
        std::vector<unsigned char> noise(1 + byte(random));
        std::ranges::generate(noise, [&] { return static_cast<unsigned char>(byte(random)); });
        noise[0] = 1; // or it would be refused for its version
        if (noise.size() > 26)
            noise[25] = 0x30; // a SEQUENCE, as a session is
        CHECK(session::parse(noise).has_error());
    }
}

TEST_CASE("times from hostile bytes stay within the clock")
{
    auto const good = make_session().serialize();
    constexpr unsigned char fills[] = {0x00, 0x7f, 0x80, 0xff};
    for (auto const fill : fills)
    {
        std::vector<unsigned char> bytes{good.view().begin(), good.view().end()};
        std::fill(bytes.begin() + 1, bytes.begin() + 17, fill);
        auto const parsed = session::parse(bytes);
        REQUIRE(parsed.has_value());
        auto const& origin = parsed->origin();
        CHECK(origin.verified_at >= time_point{});
        CHECK(origin.chain_expiry >= time_point{});
        CHECK((origin.verified_at == time_point::max()) == (fill == 0x7f));
    }
}

TEST_SUITE_END();
