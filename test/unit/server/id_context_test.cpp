// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/id_context.hpp"

#include <doctest/doctest.h>

using namespace reprise::detail;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("id context");

TEST_CASE("it tells the policy and the name apart, and takes a name in any case")
{
    policy_tag const one{1};
    policy_tag const two{2};
    auto const made = make_id_context(one, "a.test");
    CHECK(compare(made, made) == full_handshake_reason::none);
    CHECK(compare(make_id_context(one, "A.Test"), made) == full_handshake_reason::none);
    CHECK(compare(make_id_context(one, "b.test"), made) == full_handshake_reason::name_differs);
    CHECK(compare(make_id_context(one, "a.test."), made) == full_handshake_reason::name_differs);
    CHECK(compare(make_id_context(one, ""), made) == full_handshake_reason::name_differs);
    CHECK(compare(make_id_context(two, "a.test"), made) == full_handshake_reason::policy_differs);
    CHECK(compare(make_id_context(two, "b.test"), made) == full_handshake_reason::policy_differs);
    CHECK(compare(reprise::byte_view{made}.first(31), made) == full_handshake_reason::policy_differs);
    CHECK(compare({}, made) == full_handshake_reason::policy_differs);
}

TEST_SUITE_END();
