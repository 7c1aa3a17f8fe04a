// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/handshake/early_offer.hpp"

#include <doctest/doctest.h>

using namespace reprise::detail;
using reprise::early_data_reason;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("early_offer");

namespace {

early_situation good()
{
    return {.has_session = true,
            .session_is_tls13 = true,
            .stream_is_tls13 = true,
            .allowed = 1000,
            .name_is_known = true,
            .cipher_is_enabled = true,
            .age = 10s,
            .lifetime = 300s,
            .size = 100};
}

early_data_reason why(early_situation const& s)
{
    auto const plan = plan_early_data(s);
    CHECK((plan.size == 0) == (plan.reason != early_data_reason::none));
    return plan.reason;
}

} // namespace

TEST_CASE("what fits goes early, to the byte")
{
    auto s = good();
    CHECK(plan_early_data(s).size == 100);
    s.size = 1000;
    CHECK(plan_early_data(s).size == 1000);
    s.size = 1001;
    CHECK(why(s) == early_data_reason::too_large);
    s.may_split = true;
    CHECK(plan_early_data(s).size == 1000);
}

TEST_CASE("each thing that is wrong is a reason of its own")
{
    auto s = good();
    s.size = 0;
    CHECK(why(s) == early_data_reason::not_asked);
    s = good();
    s.has_session = false;
    CHECK(why(s) == early_data_reason::no_session);
    s = good();
    s.session_is_tls13 = false;
    CHECK(why(s) == early_data_reason::not_tls13);
    s = good();
    s.stream_is_tls13 = false;
    CHECK(why(s) == early_data_reason::not_tls13);
    s = good();
    s.allowed = 0;
    CHECK(why(s) == early_data_reason::not_allowed);
    s = good();
    s.name_is_known = false;
    CHECK(why(s) == early_data_reason::server_name_differs);
    s = good();
    s.cipher_is_enabled = false;
    CHECK(why(s) == early_data_reason::cipher_disabled);
}

TEST_CASE("the session's protocol must be offered again")
{
    auto s = good();
    s.session_alpn = "h2";
    CHECK(why(s) == early_data_reason::alpn_differs);
    s.offered_alpn = {"http/1.1"};
    CHECK(why(s) == early_data_reason::alpn_differs);
    s.offered_alpn = {"http/1.1", "h2"};
    CHECK(why(s) == early_data_reason::none);
    s.session_alpn = "";
    CHECK(why(s) == early_data_reason::none);
}

TEST_CASE("a ticket is neither from the future nor older than its lifetime")
{
    auto s = good();
    s.age = -1s;
    CHECK(why(s) == early_data_reason::ticket_age);
    s.age = 0s;
    CHECK(why(s) == early_data_reason::none);
    s.age = 300s;
    CHECK(why(s) == early_data_reason::none);
    s.age = 301s;
    CHECK(why(s) == early_data_reason::ticket_age);
}
