// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/sessions.hpp"

#include <reprise/detail/client/client_handshake.hpp>

#include <doctest/doctest.h>

using namespace reprise;
using namespace std::chrono_literals;
using detail::may_offer;

TEST_SUITE_BEGIN("may_offer");

TEST_CASE("a session is offered only while every rule allows it")
{
    auto const t = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    auto const made = test::make_session({.lifetime = 300s, .issued = t, .origin = {t - 1h, t + 200s, X509_V_OK}});

    CHECK(may_offer(made, t, 24h, true) == full_handshake_reason::none);
    CHECK(may_offer(made, t - 1s, 24h, true) == full_handshake_reason::expired); // issued in the future
    CHECK(may_offer(made, t + 199s, 24h, true) == full_handshake_reason::none);
    CHECK(may_offer(made, t + 200s, 24h, true) == full_handshake_reason::chain_expired);
    CHECK(may_offer(made, t + 300s, 24h, true) == full_handshake_reason::expired);
    CHECK(may_offer(made, t, 1h, true) == full_handshake_reason::age_cap);
    CHECK(may_offer(made, t, 1h + 1s, true) == full_handshake_reason::none);
}

TEST_CASE("a session without the verification that a stream requires is not offered")
{
    auto const t = std::chrono::system_clock::now();
    auto const made =
        test::make_session({.issued = t, .origin = {t, time_point::max(), X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT}});
    CHECK(may_offer(made, t, 24h, true) == full_handshake_reason::unverified);
    CHECK(may_offer(made, t, 24h, false) == full_handshake_reason::none);
}

TEST_CASE("a record with times that cannot be is never offered")
{
    auto const t = std::chrono::system_clock::now();
    CHECK(may_offer(test::make_session({.issued = t, .origin = {time_point::max(), time_point::max()}}), t, 24h,
                    true) == full_handshake_reason::age_cap);
    CHECK(may_offer(test::make_session({.issued = t, .origin = {time_point{}, time_point::max()}}), t, 24h, true) ==
          full_handshake_reason::age_cap);
    CHECK(may_offer(test::make_session({.issued = t, .origin = {t, time_point{}}}), t, 24h, true) ==
          full_handshake_reason::chain_expired);
}

TEST_SUITE_END();
