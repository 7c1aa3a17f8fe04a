// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/slot_table.hpp"

#include "support/session_scopes.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace reprise;
using detail::slot_table;
using test::key_of_host;

TEST_SUITE_BEGIN("slot_table");

namespace {

constexpr auto tls12 = tls_version::tls12;
constexpr auto tls13 = tls_version::tls13;

struct fixture
{
    std::size_t write(tls_version protocol, std::uint64_t kept_at)
    {
        auto const slot = table.begin_write(key, protocol).slot;
        table.seen(key, {slot, kept_at, protocol, time_point::max()});
        return slot;
    }

    slot_table table{3, 8, 1};
    session_scope key = key_of_host("a");
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the newest ticket is named, each once")
{
    for (std::uint64_t const at : {10u, 30u, 20u})
        write(tls13, at);
    CHECK(table.count(key) == 3);
    CHECK(table.newest(key)->kept_at == 30);
    CHECK(table.newest(key)->kept_at == 20);
    CHECK(table.count() == 1);
    CHECK(table.newest(key)->kept_at == 10);
    CHECK_FALSE(table.newest(key));
    CHECK_FALSE(table.newest(key_of_host("b")));
}

TEST_CASE_FIXTURE(fixture, "a TLS 1.2 session is named again, and has one place in all processes")
{
    CHECK(write(tls12, 1) == 0);
    CHECK(write(tls12, 2) == 0);
    CHECK(slot_table{3, 8, 2}.begin_write(key, tls12).slot == 0);
    CHECK(table.newest(key)->kept_at == 2);
    CHECK(table.newest(key)->kept_at == 2);
}

TEST_CASE_FIXTURE(fixture, "a ticket goes where it costs least")
{
    SUBCASE("processes begin in different places, and go round")
    {
        CHECK(write(tls13, 1) == 1);
        CHECK(write(tls13, 2) == 2);
        CHECK(write(tls13, 3) == 0);
    }
    SUBCASE("in the place of a TLS 1.2 session")
    {
        write(tls12, 1);
        CHECK(write(tls13, 2) == 0);
        CHECK(write(tls13, 3) == 1);
    }
    SUBCASE("into one that is empty")
    {
        (void)table.begin_write(key, tls12);
        table.emptied(key, 2);
        CHECK(write(tls13, 2) == 2);
    }
    SUBCASE("into one of which nothing is known, before one that holds something")
    {
        write(tls13, 1);
        write(tls13, 2);
        write(tls13, 3);
        table.doubted(key, 2);
        CHECK(write(tls13, 4) == 2);
    }
    SUBCASE("in the place of the oldest")
    {
        write(tls13, 30);
        auto const oldest = write(tls13, 10);
        write(tls13, 20);
        CHECK(write(tls13, 40) == oldest);
    }
    SUBCASE("not where something is being written")
    {
        std::set<std::size_t> chosen;
        for (int i = 0; i < 3; ++i)
            chosen.insert(table.begin_write(key, tls13).slot);
        CHECK(chosen.size() == 3);
        table.seen(key, {1, 7, tls13, time_point::max()});
        CHECK(table.begin_write(key, tls13).slot == 1);
    }
}

TEST_CASE_FIXTURE(fixture, "only what this process knows is replaced, until there is no other place")
{
    CHECK(table.begin_write(key, tls12).may_replace);
    auto const first = table.begin_write(key, tls13);
    CHECK_FALSE(first.may_replace);
    table.taken(key, first.slot);
    auto const second = table.begin_write(key, tls13);
    CHECK(second.slot != first.slot);
    CHECK_FALSE(second.may_replace);
    table.seen(key, {second.slot, 7, tls13, time_point::max()});
    auto const third = table.begin_write(key, tls13); // one is being written, one is held: the one that is taken
    CHECK(third.slot == first.slot);
    CHECK(third.may_replace);
}

TEST_CASE_FIXTURE(fixture, "what is being written, empty or doubted is not named, nor counted")
{
    auto const slot = table.begin_write(key, tls13).slot;
    CHECK_FALSE(table.newest(key));
    CHECK(table.count() == 0);
    table.seen(key, {slot, 1, tls13, time_point::max()});
    CHECK(table.count() == 1);
    table.doubted(key, slot);
    CHECK_FALSE(table.newest(key));
    table.seen(key, {slot, 1, tls13, time_point::max()});
    table.emptied(key, slot);
    CHECK_FALSE(table.newest(key));
    table.emptied(key_of_host("unknown"), 0);
    CHECK(table.keys().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "the key that was used least recently is forgotten")
{
    slot_table small{1, 2, 0};
    auto const write_to = [&](std::string const& host)
    { small.seen(key_of_host(host), {0, 1, tls12, time_point::max()}); };
    write_to("a");
    write_to("b");
    CHECK(small.newest(key_of_host("a"))); // used
    write_to("c");
    CHECK(small.keys() == std::vector{key_of_host("a"), key_of_host("c")});
    small.forget(key_of_host("a"));
    small.forget(key_of_host("a"));
    CHECK(small.count() == 1);
    small.clear();
    CHECK(small.count() == 0);
    CHECK(small.keys().empty());
}

TEST_CASE_FIXTURE(fixture, "neighbours tell why there is nothing")
{
    auto policy = key;
    policy.policy = "q";
    auto identity = key;
    identity.identity = "i";
    auto partition = key;
    partition.partition = "x";
    CHECK(table.why_not(key) == full_handshake_reason::nothing_stored);
    write(tls13, 1);
    CHECK(table.why_not(key) == full_handshake_reason::nothing_stored); // itself is no neighbour
    CHECK(table.why_not(policy) == full_handshake_reason::policy_differs);
    CHECK(table.why_not(identity) == full_handshake_reason::identity_differs);
    CHECK(table.why_not(partition) == full_handshake_reason::nothing_stored);
    CHECK(table.why_not(key_of_host("b")) == full_handshake_reason::nothing_stored);
    (void)table.newest(key);
    CHECK(table.why_not(policy) == full_handshake_reason::nothing_stored);
}

TEST_SUITE_END();
