// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"
#include "support/keys.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>
#include <reprise/storage/tiered_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>
#include <reprise/testing/manual_clock.hpp>
#include <reprise/testing/storage_contract.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>

using namespace reprise;
using namespace reprise::testing;
using test::key_of;

TEST_SUITE_BEGIN("storage contract");

namespace {

void check_contract(std::function<storage_ptr(manual_clock)> const& make)
{
    auto const results = check_storage_contract(
        [&make]() -> storage_under_test
        {
            manual_clock time;
            return {make(time), [time](auto by) mutable { time.advance(by); }};
        });
    CHECK(results.size() >= 27);
    for (auto const& row : results)
        CHECK_MESSAGE(row.holds(), row.expectation, ": ", row.failure);
}

std::shared_ptr<memory_storage> memory(manual_clock const& time)
{
    return memory_storage::make({.now = time});
}

storage_ptr sealed(storage_ptr inner, manual_clock const& time)
{
    return sealed_storage::make({.inner = std::move(inner), .keys = {key_of(1)}, .name_key = key_of(2), .now = time});
}

storage_ptr tiered(storage_ptr far, manual_clock const& time)
{
    return tiered_storage::make({.near = memory(time), .far = std::move(far), .now = time});
}

// Suspends before it asks and after it was answered, as something on another thread does.
class distant_storage final : public storage
{
public:
    explicit distant_storage(storage_ptr inner) : inner_(std::move(inner)) {}

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override
    {
        return there_and_back(inner_, inner_->get(std::move(name)));
    }
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override
    {
        co_await there_and_back(inner_, done(inner_, std::move(name), std::move(value), expiry));
    }
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override
    {
        return there_and_back(inner_, inner_->take(std::move(name)));
    }
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override
    {
        return there_and_back(inner_, inner_->put_if_absent(std::move(name), std::move(value), expiry));
    }
    asio::awaitable<bool> erase(std::string name) override
    {
        return there_and_back(inner_, inner_->erase(std::move(name)));
    }
    asio::awaitable<std::size_t> flush() override { return there_and_back(inner_, inner_->flush()); }
    [[nodiscard]] storage_stats stats() const override { return inner_->stats(); }

private:
    static asio::awaitable<bool> done(storage_ptr inner, std::string name, secret_bytes value, time_point expiry)
    {
        co_await inner->put(std::move(name), std::move(value), expiry);
        co_return true;
    }

    template <class T>
    static asio::awaitable<T> there_and_back(storage_ptr, asio::awaitable<T> operation)
    {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        auto result = co_await std::move(operation);
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return result;
    }

    storage_ptr const inner_;
};

storage_ptr distant(storage_ptr inner)
{
    return std::make_shared<distant_storage>(std::move(inner));
}

} // namespace

TEST_CASE("memory_storage keeps the contract")
{
    check_contract([](manual_clock time) { return memory(time); });
}

TEST_CASE("sealed_storage keeps the contract")
{
    check_contract([](manual_clock time) { return sealed(memory(time), time); });
}

TEST_CASE("tiered_storage keeps the contract")
{
    check_contract([](manual_clock time) { return tiered(memory(time), time); });
}

TEST_CASE("a storage in front of another has the other's epoch, and is where the other is")
{
    manual_clock const time;
    auto const inner = memory_storage::make({.max_bytes = 1 << 16, .shards = 1, .now = time});
    for (int i = 0; inner->stats().evicted == 0; ++i)
        inner->put_now(std::to_string(i), secret_bytes{100}, time.now() + std::chrono::hours{1});
    auto const expected = inner->epoch_now();
    CHECK_FALSE(expected.incarnation.empty());
    CHECK(expected.evicted == inner->stats().evicted);
    for (storage_ptr const& s : {storage_ptr{inner}, sealed(inner, time), tiered(inner, time),
                                 storage_ptr{faulty_storage::make(inner)}, sealed(tiered(inner, time), time)})
    {
        CHECK(test::now(s->epoch()) == expected);
        CHECK(test::now(s->take_with_epoch("nothing")).epoch == expected);
        CHECK(s->is_process_local());
    }
    auto const elsewhere = distant(inner); // does not say
    for (auto const& s : {elsewhere, sealed(elsewhere, time), tiered(elsewhere, time)})
    {
        CHECK(test::now(s->epoch()) == storage_epoch{});
        CHECK_FALSE(s->is_process_local());
    }
}

TEST_CASE("storages in front of one another keep the contract, at once or not")
{
    check_contract([](manual_clock time) { return sealed(tiered(memory(time), time), time); });
    check_contract([](manual_clock time) { return tiered(sealed(memory(time), time), time); });
    check_contract([](manual_clock time) { return distant(memory(time)); });
    check_contract([](manual_clock time) { return tiered(distant(memory(time)), time); });
    check_contract([](manual_clock time) { return sealed(tiered(distant(sealed(memory(time), time)), time), time); });
}

TEST_CASE("faulty_storage keeps the contract, as long as there are no faults")
{
    check_contract([](manual_clock time) { return faulty_storage::make(distant(memory(time))); });
}

namespace {

// Each operation once; what was got and taken, by name. Errors are counted.
asio::awaitable<int> use_once(storage_ptr s, time_point later)
{
    int errors = 0;
    for (int step = 0; step < 7; ++step)
        try
        {
            std::optional<secret_bytes> value;
            switch (step)
            {
            case 0: co_await s->put("a", secret_bytes{as_bytes("one")}, later); break;
            case 1: (void)co_await s->put_if_absent("b", secret_bytes{as_bytes("one")}, later); break;
            case 2: value = co_await s->get("a"); break;
            case 3: value = co_await s->take("a"); break;
            case 4: (void)co_await s->flush(); break;
            case 5: (void)co_await s->erase("b"); break;
            default: value = co_await s->take("a");
            }
            CHECK((!value || *value == secret_bytes{as_bytes("one")}));
        }
        catch (system_error const&)
        {
            ++errors;
        }
    co_return errors;
}

} // namespace

TEST_CASE("whichever step of an inner storage fails, its error comes through, and everything works afterwards")
{
    std::function<storage_ptr(storage_ptr, manual_clock)> const decorators[] = {
        [](storage_ptr inner, manual_clock time) { return sealed(std::move(inner), time); },
        [](storage_ptr inner, manual_clock time) { return tiered(std::move(inner), time); },
        [](storage_ptr inner, manual_clock time) { return sealed(tiered(std::move(inner), time), time); },
    };
    // What is corrupt of a tiered record is a bit of its expiry that hardly matters.
    for (auto const& decorate : decorators)
        for (auto const f :
             {storage_fault::fail, storage_fault::fail_after, storage_fault::lose, storage_fault::corrupt})
        {
            std::size_t steps = 1;
            for (std::size_t n = 0; n < steps; ++n)
            {
                CAPTURE(static_cast<int>(f));
                CAPTURE(n);
                manual_clock time;
                auto const later = time.now() + std::chrono::seconds{60};
                auto const inner = faulty_storage::make(memory(time), nth_operation(n, f));
                auto const subject = decorate(inner, time);
                int const errors = test::now(use_once(subject, later));
                steps = inner->operations();
                CHECK(errors == (f == storage_fault::fail || f == storage_fault::fail_after ? 1 : 0));
                CHECK(test::now(subject->put_if_absent("c", secret_bytes{as_bytes("one")}, later)));
                CHECK(test::now(use_once(subject, later)) == 0);
            }
            CHECK(steps >= 5);
        }
}

namespace {

// A storage with one fault, to see that the contract finds it.
enum class fault
{
    none,
    take_keeps,
    expired_served,
    put_if_absent_replaces,
    errors,
    cancelled_is_another_error,
    abandoned_is_busy,
};

class broken_storage final : public storage, public std::enable_shared_from_this<broken_storage>
{
public:
    broken_storage(fault f, manual_clock time) : fault_(f), time_(time) {}

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override
    {
        if (fault_ == fault::errors)
            throw system_error{asio::error::connection_refused};
        auto const self = shared_from_this();
        if (fault_ == fault::abandoned_is_busy && busy_.exchange(true))
            co_return std::nullopt;
        if (is_slow())
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        busy_ = false;
        auto const state = co_await asio::this_coro::cancellation_state;
        if (fault_ == fault::cancelled_is_another_error && state.cancelled() != asio::cancellation_type::none)
            throw system_error{asio::error::connection_reset};
        std::lock_guard const lock{mutex_};
        co_return find(name);
    }

    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override
    {
        std::lock_guard const lock{mutex_};
        entries_[name] = {std::move(value), expiry};
        co_return;
    }

    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override
    {
        std::lock_guard const lock{mutex_};
        auto value = find(name);
        if (fault_ != fault::take_keeps)
            entries_.erase(name);
        co_return value;
    }

    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override
    {
        std::lock_guard const lock{mutex_};
        if (fault_ != fault::put_if_absent_replaces && find(name))
            co_return false;
        entries_[name] = {std::move(value), expiry};
        co_return true;
    }

    asio::awaitable<bool> erase(std::string name) override
    {
        std::lock_guard const lock{mutex_};
        auto const found = find(name).has_value();
        entries_.erase(name);
        co_return found;
    }

    asio::awaitable<std::size_t> flush() override { co_return 0; }
    storage_stats stats() const override { return {}; }

private:
    [[nodiscard]] bool is_slow() const noexcept
    {
        return fault_ == fault::cancelled_is_another_error || fault_ == fault::abandoned_is_busy;
    }

    std::optional<secret_bytes> find(std::string const& name)
    {
        auto const at = entries_.find(name);
        if (at == entries_.end() || (fault_ != fault::expired_served && at->second.second <= time_.now()))
            return std::nullopt;
        return at->second.first;
    }

    fault fault_;
    manual_clock time_;
    std::atomic<bool> busy_{false};
    std::mutex mutex_;
    std::map<std::string, std::pair<secret_bytes, time_point>> entries_;
};

std::size_t violations(fault f)
{
    auto const results = check_storage_contract(
        [f]() -> storage_under_test
        {
            manual_clock time;
            return {std::make_shared<broken_storage>(f, time), [time](auto by) mutable { time.advance(by); }};
        });
    return static_cast<std::size_t>(
        std::count_if(results.begin(), results.end(), [](auto const& row) { return !row.holds(); }));
}

} // namespace

TEST_CASE("the contract finds a storage that breaks it")
{
    CHECK(violations(fault::none) == 0);
    CHECK(violations(fault::take_keeps) > 0);
    CHECK(violations(fault::expired_served) > 0);
    CHECK(violations(fault::put_if_absent_replaces) > 0);
    CHECK(violations(fault::errors) > 0);
    CHECK(violations(fault::cancelled_is_another_error) == 1);
    CHECK(violations(fault::abandoned_is_busy) == 1);
}

TEST_SUITE_END();
