// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/session_bond.hpp"

#include "support/sessions.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace reprise;
using namespace reprise::detail;
using enum early_data_reason;

TEST_SUITE_BEGIN("session bond");

TEST_CASE("a session carries early data in the incarnation that it was stored in, and in no other")
{
    auto const made = test::make_session();
    auto const bound = bind_to_incarnation(made, "run id");
    REQUIRE(bound.has_value());
    auto const stored = session::parse(bound->serialize());
    REQUIRE(stored.has_value());
    auto const taken = stored->copy();
    CHECK(judge_bond(taken.get(), {"run id", 0}) == none);
    CHECK(judge_bond(taken.get(), {"run id", 7}) == none); // an eviction is a miss
    CHECK(judge_bond(taken.get(), {"run id", std::nullopt}) == none);
    CHECK(judge_bond(taken.get(), {"another", 0}) == guard_starting);
    CHECK(judge_bond(taken.get(), {"run id ", 0}) == guard_starting);
    CHECK(judge_bond(taken.get(), {}) == guard_unsure);
    CHECK(judge_bond(made.copy().get(), {"run id", 0}) == guard_starting);
    CHECK(bound->origin().verified_at == made.origin().verified_at);
}

TEST_CASE("what a session carries beside its bond stays, because a server knows its own sessions by that")
{
    auto const carrying = test::make_session().copy();
    std::string const before = "verified then";
    REQUIRE(::SSL_SESSION_set1_ticket_appdata(carrying.get(), before.data(), before.size()) == 1);
    auto const made = session::snapshot(carrying.get(), {});
    REQUIRE(made.has_value());
    auto const bound = bind_to_incarnation(*made, "run id");
    REQUIRE(bound.has_value());
    auto const taken = bound->copy();
    void* data = nullptr;
    std::size_t size = 0;
    REQUIRE(::SSL_SESSION_get0_ticket_appdata(taken.get(), &data, &size) == 1);
    CHECK(std::string_view{static_cast<char const*>(data), size}.starts_with(before));
    CHECK(judge_bond(taken.get(), {"run id", 0}) == none);
    CHECK(judge_bond(carrying.get(), {"run id", 0}) == guard_starting);
}

TEST_SUITE_END();
