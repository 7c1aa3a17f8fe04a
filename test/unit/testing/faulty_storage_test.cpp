// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <doctest/doctest.h>

using namespace reprise;
using namespace reprise::testing;
using namespace std::chrono_literals;
using operation = storage_operation;
using fault = storage_fault;
using test::now;

TEST_SUITE_BEGIN("faulty_storage");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

struct fixture
{
    std::shared_ptr<memory_storage> inner = memory_storage::make();
    std::shared_ptr<faulty_storage> faulty = faulty_storage::make(inner);
    time_point later = std::chrono::system_clock::now() + 60s;
};

template <class T>
error_code error_of(asio::awaitable<T> operation)
{
    try
    {
        (void)now(std::move(operation));
    }
    catch (system_error const& e)
    {
        return e.code();
    }
    return {};
}

} // namespace

TEST_CASE("the nth operation fails, before it is done or after, and no other")
{
    fixture f;
    f.faulty->set_plan(nth_operation(1, fault::fail));
    now(f.faulty->put("a", bytes("one"), f.later));
    CHECK(error_of(f.faulty->take("a")) == asio::error::connection_refused);
    CHECK(now(f.inner->get("a")) == bytes("one"));
    f.faulty->set_plan(nth_operation(0, fault::fail_after));
    CHECK(error_of(f.faulty->take("a")) == asio::error::connection_reset);
    CHECK_FALSE(now(f.inner->get("a")).has_value());
    CHECK(f.faulty->operations() == 1);
    CHECK(error_of(f.faulty->erase("a")) == error_code{});
}

TEST_CASE("a value is corrupt on its way in or out")
{
    fixture f;
    f.faulty->set_plan(each(operation::put, fault::corrupt));
    now(f.faulty->put("a", bytes("one"), f.later));
    CHECK(now(f.faulty->get("a")) == bytes("ooe"));
    now(f.inner->put("a", bytes("one"), f.later));
    f.faulty->set_plan(each(operation::get, fault::corrupt));
    CHECK(now(f.faulty->get("a")) == bytes("ooe"));
    CHECK(now(f.faulty->take("a")) == bytes("one"));
}

TEST_CASE("what is lost was confirmed")
{
    fixture f;
    f.faulty->set_plan([](auto, auto) { return fault::lose; });
    now(f.faulty->put("a", bytes("one"), f.later));
    CHECK(now(f.faulty->put_if_absent("b", bytes("one"), f.later)));
    CHECK(f.inner->stats().entries == 0);
    now(f.inner->put("a", bytes("one"), f.later));
    CHECK_FALSE(now(f.faulty->get("a")).has_value());
    CHECK_FALSE(now(f.faulty->take("a")).has_value());
    CHECK(now(f.faulty->erase("a")));
    CHECK(f.inner->stats().entries == 1);
}

TEST_CASE("what is held waits for its release, before it is done or after")
{
    for (auto const when : {fault::hold, fault::hold_after})
    {
        fixture f;
        f.faulty->set_plan(each(operation::put, when));
        asio::io_context io;
        bool done = false;
        asio::co_spawn(io, f.faulty->put("a", bytes("one"), f.later), [&](std::exception_ptr) { done = true; });
        io.poll();
        CHECK_FALSE(done);
        CHECK(f.faulty->waiting() == 1);
        CHECK(now(f.inner->get("a")).has_value() == (when == fault::hold_after));
        f.faulty->release();
        io.run();
        CHECK(done);
        CHECK(f.faulty->waiting() == 0);
        CHECK(now(f.inner->get("a")).has_value());
    }
}

TEST_CASE("what hangs can be cancelled, and can be abandoned with its io_context")
{
    for (bool const cancelled : {true, false})
    {
        fixture f;
        f.faulty->set_plan(each(operation::take, fault::hang));
        now(f.inner->put("a", bytes("one"), f.later));
        asio::cancellation_signal cancel;
        {
            asio::io_context io;
            std::exception_ptr failure;
            asio::co_spawn(
                io, f.faulty->take("a"),
                asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, auto) { failure = e; }));
            io.poll();
            f.faulty->release(); // does not help
            io.poll();
            CHECK(f.faulty->waiting() == 1);
            if (cancelled)
            {
                cancel.emit(asio::cancellation_type::terminal);
                io.run();
                CHECK_THROWS_AS(std::rethrow_exception(failure), system_error);
            }
        }
        CHECK(f.faulty->waiting() == 0);
        CHECK(now(f.inner->get("a")).has_value());
    }
}

TEST_SUITE_END();
