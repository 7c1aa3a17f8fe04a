// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/decoded_sessions.hpp"

#include "support/sessions.hpp"

#include <doctest/doctest.h>

using namespace reprise;
using detail::decoded_sessions;

TEST_SUITE_BEGIN("decoded_sessions");

namespace {

SSL_SESSION const* native(std::optional<session> const& s)
{
    return s ? s->native_handle() : nullptr;
}

} // namespace

TEST_CASE("the session that was kept is found by the very same bytes only")
{
    decoded_sessions known{64};
    auto const one = test::make_session();
    auto const record = one.serialize();
    CHECK_FALSE(known.find(record).has_value());
    known.keep(record, one);
    CHECK(native(known.find(record)) == one.native_handle());

    for (std::size_t i = 0; i < record.size(); ++i)
    {
        auto other = record;
        other.data()[i] ^= 1;
        CHECK_FALSE(known.find(other).has_value());
    }
    CHECK_FALSE(known.find(record.view().first(record.size() - 1)).has_value());
    CHECK_FALSE(known.find({}).has_value());
}

TEST_CASE("what is forgotten is not found, and nothing else is forgotten")
{
    decoded_sessions last{1};
    auto const one = test::make_session();
    auto const two = test::make_session();
    last.keep(one.serialize(), one);
    last.forget(two.serialize()); // the same slot
    CHECK(last.find(one.serialize()).has_value());
    last.forget(one.serialize());
    CHECK_FALSE(last.find(one.serialize()).has_value());
    CHECK_FALSE(last.find({}).has_value());

    decoded_sessions none{0};
    none.forget(one.serialize());
}

TEST_CASE("no more are kept than asked for, and none where none are wanted")
{
    auto const one = test::make_session();
    auto const two = test::make_session();
    decoded_sessions last{1};
    last.keep(one.serialize(), one);
    last.keep(two.serialize(), two);
    CHECK_FALSE(last.find(one.serialize()).has_value());
    CHECK(native(last.find(two.serialize())) == two.native_handle());

    decoded_sessions none{0};
    none.keep(one.serialize(), one);
    CHECK_FALSE(none.find(one.serialize()).has_value());
}

TEST_SUITE_END();
