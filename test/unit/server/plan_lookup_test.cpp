// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/server/server_handshake.hpp>

#include <doctest/doctest.h>

using namespace reprise;
using namespace reprise::detail;

TEST_SUITE_BEGIN("plan_lookup");

namespace {

std::string const id(32, 'i');
std::string const filler(32, 'f');
std::string const stateful(32, 's');
std::string const sealed(192, 't');

constexpr lookup_policy both{};
constexpr lookup_policy no_tickets{.tickets = false};

bool is(lookup_plan const& plan, lookup_kind kind, std::string const& name, full_handshake_reason otherwise)
{
    return plan.kind == kind && plan.name == name && plan.otherwise == otherwise;
}

} // namespace

TEST_CASE("TLS 1.2: a session id is looked up where ids are given out")
{
    CHECK(is(plan_lookup({.session_id = id}, both), lookup_kind::get, id, full_handshake_reason::unknown_session));
    CHECK(
        is(plan_lookup({.session_id = id}, no_tickets), lookup_kind::get, id, full_handshake_reason::unknown_session));
    CHECK(is(plan_lookup({.session_id = id, .takes_tickets = true}, no_tickets), lookup_kind::get, id,
             full_handshake_reason::unknown_session));
    CHECK(is(plan_lookup({}, both), lookup_kind::none, "", full_handshake_reason::not_offered));
    CHECK(is(plan_lookup({}, no_tickets), lookup_kind::none, "", full_handshake_reason::not_offered));
}

TEST_CASE("TLS 1.2: a client with a ticket, or one that would take it, is not looked up")
{
    CHECK(is(plan_lookup({.session_id = filler, .takes_tickets = true, .offers_ticket = true}, both), lookup_kind::none,
             "", full_handshake_reason::unknown_ticket_key));
    CHECK(is(plan_lookup({.session_id = filler, .takes_tickets = true}, both), lookup_kind::none, "",
             full_handshake_reason::not_offered));
}

TEST_CASE("TLS 1.3: the compatibility id is filler and is not looked up")
{
    CHECK(is(plan_lookup({.offers_tls13 = true, .session_id = filler}, both), lookup_kind::none, "",
             full_handshake_reason::not_offered));
    CHECK(is(plan_lookup({.offers_tls13 = true, .session_id = filler}, no_tickets), lookup_kind::none, "",
             full_handshake_reason::not_offered));
    // ... but to a server that speaks TLS 1.2 only it is an id like any other.
    CHECK(is(plan_lookup({.offers_tls13 = true, .session_id = filler}, {.speaks_tls13 = false, .tickets = false}),
             lookup_kind::get, filler, full_handshake_reason::unknown_session));
}

TEST_CASE("TLS 1.3: a sealed ticket needs no lookup, the name of a session is taken")
{
    CHECK(is(plan_lookup({.offers_tls13 = true, .psk_identities = {sealed}}, both), lookup_kind::none, "",
             full_handshake_reason::unknown_ticket_key));
    CHECK(is(plan_lookup({.offers_tls13 = true, .psk_identities = {stateful}}, both), lookup_kind::none, "",
             full_handshake_reason::unknown_ticket_key));
    CHECK(is(plan_lookup({.offers_tls13 = true, .psk_identities = {stateful}}, no_tickets), lookup_kind::take, stateful,
             full_handshake_reason::unknown_session));
    CHECK(is(plan_lookup({.offers_tls13 = true, .psk_identities = {sealed, stateful}}, no_tickets), lookup_kind::take,
             stateful, full_handshake_reason::unknown_session));
    CHECK(is(plan_lookup({.offers_tls13 = true, .psk_identities = {sealed}}, no_tickets), lookup_kind::none, "",
             full_handshake_reason::unknown_session));
}

TEST_CASE("without a storage nothing is looked up, and without any memory resumption is disabled")
{
    lookup_policy const internal{.tickets = false, .storage = false};
    lookup_policy const off{.tickets = false, .storage = false, .remembers = false};
    CHECK(plan_lookup({.session_id = id}, internal).kind == lookup_kind::none);
    CHECK(plan_lookup({.session_id = id}, internal).otherwise == full_handshake_reason::unknown_session);
    CHECK(plan_lookup({.session_id = id}, off).otherwise == full_handshake_reason::disabled);
    CHECK(plan_lookup({.offers_tls13 = true, .psk_identities = {stateful}}, internal).kind == lookup_kind::none);
    CHECK(plan_lookup({.offers_tls13 = true, .psk_identities = {stateful}}, off).otherwise ==
          full_handshake_reason::disabled);
}

TEST_SUITE_END();
