// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/handshake_info.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace reprise;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("handshake_info");

TEST_CASE("a session may be used up to max_age after the verification, and while its chain is valid")
{
    time_point const t{std::chrono::hours{24 * 365 * 50}};
    session_origin const origin{t, t + 10h};
    CHECK(check_age(origin, t, 1h) == full_handshake_reason::none);
    CHECK(check_age(origin, t + 1h - 1ns, 1h) == full_handshake_reason::none);
    CHECK(check_age(origin, t + 1h, 1h) == full_handshake_reason::age_cap);
    CHECK(check_age(origin, t - 1ns, 1h) ==
          full_handshake_reason::age_cap); // verified in the future: a clock went back
    CHECK(check_age(origin, t + 10h - 1ns, 24h) == full_handshake_reason::none);
    CHECK(check_age(origin, t + 10h, 24h) == full_handshake_reason::chain_expired);
}

TEST_CASE("no time overflows")
{
    auto const last = time_point::max();
    CHECK(check_age({last, last}, time_point{}, 24h) == full_handshake_reason::age_cap);
    CHECK(check_age({time_point{}, last}, last, 24h) == full_handshake_reason::age_cap);
    CHECK(check_age({last, last}, last, 24h) == full_handshake_reason::chain_expired);
}

TEST_CASE("every reason and kind has a name of its own")
{
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < full_reason_count; ++i)
        names.insert(to_string(static_cast<full_handshake_reason>(i)));
    CHECK(names.size() == full_reason_count);
    CHECK_FALSE(names.contains("unknown"));
    CHECK(to_string(static_cast<full_handshake_reason>(full_reason_count)) == "unknown");

    std::set<std::string_view> kinds;
    for (int i = 0; i < 6; ++i)
        kinds.insert(to_string(static_cast<resumption_kind>(i)));
    CHECK(kinds.size() == 6);
    CHECK_FALSE(kinds.contains("unknown"));

    CHECK(to_string(tls_version::tls10) == "TLSv1"); // as SSL_get_version(3) has it
    CHECK(to_string(tls_version::tls11) == "TLSv1.1");
    CHECK(to_string(tls_version::tls12) == "TLSv1.2");
    CHECK(to_string(tls_version::tls13) == "TLSv1.3");
    CHECK(to_string(tls_version{0x0305}) == "unknown");
}

TEST_SUITE_END();
