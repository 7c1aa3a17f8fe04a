// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"
#include "support/keys.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>

using namespace reprise;
using namespace std::chrono_literals;
using test::key_of;
using test::now;

TEST_SUITE_BEGIN("sealed_storage");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

// Whoever runs it can read and change everything, and keeps what has expired.
struct open_storage final : storage
{
    std::map<std::string, secret_bytes> records;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override
    {
        auto const at = records.find(name);
        co_return at == records.end() ? std::nullopt : std::optional{at->second};
    }
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point) override
    {
        records[name] = std::move(value);
        co_return;
    }
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override
    {
        auto const node = records.extract(name);
        co_return node ? std::optional{std::move(node.mapped())} : std::nullopt;
    }
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point) override
    {
        co_return records.try_emplace(name, std::move(value)).second;
    }
    asio::awaitable<bool> erase(std::string name) override { co_return records.erase(name) > 0; }
    asio::awaitable<std::size_t> flush() override { co_return 0; }
    [[nodiscard]] storage_stats stats() const override { return {.entries = records.size()}; }
};

struct fixture
{
    [[nodiscard]] std::shared_ptr<sealed_storage> with(std::vector<secret_bytes> keys,
                                                       unsigned char name_key = 100) const
    {
        return sealed_storage::make(
            {.inner = inner, .keys = std::move(keys), .name_key = key_of(name_key), .now = time});
    }

    testing::manual_clock time;
    time_point later = time.now() + 60s;
    std::shared_ptr<open_storage> inner = std::make_shared<open_storage>();
    std::shared_ptr<sealed_storage> sealed = with({key_of(1)});
};

bool contains(byte_view where, std::string_view what)
{
    return !std::ranges::search(where, as_bytes(what)).empty();
}

} // namespace

TEST_CASE("the inner storage sees neither names nor values, and equal values do not look equal")
{
    fixture f;
    now(f.sealed->put("session id one", bytes("secret"), f.later));
    now(f.sealed->put("session id two", bytes("secret"), f.later));
    REQUIRE(f.inner->records.size() == 2);
    for (auto const& [name, record] : f.inner->records)
    {
        CHECK(name.size() == 32);
        CHECK_FALSE(contains(as_bytes(name), "session"));
        CHECK_FALSE(contains(record, "secret"));
        CHECK_FALSE(contains(record, "session"));
        CHECK(record.size() == std::string_view{"secret"}.size() + 49);
    }
    CHECK(f.inner->records.begin()->second != f.inner->records.rbegin()->second);
    CHECK(now(f.sealed->get("session id one")) == bytes("secret"));
}

TEST_CASE("a record with any bit changed, or cut anywhere, is a miss and counted")
{
    fixture f;
    now(f.sealed->put("a", bytes("one"), f.later));
    auto& record = f.inner->records.begin()->second;
    auto const original = record;
    std::uint64_t rejected = 0;
    for (std::size_t bit = 0; bit < original.size() * 8; ++bit)
    {
        record.data()[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
        CHECK_FALSE(now(f.sealed->get("a")).has_value());
        CHECK(f.sealed->stats().rejected == ++rejected);
        record = original;
    }
    for (std::size_t size = 0; size < original.size(); ++size)
    {
        record = secret_bytes{original.view().first(size)};
        CHECK_FALSE(now(f.sealed->get("a")).has_value());
        CHECK(f.sealed->stats().rejected == ++rejected);
    }
    record = original;
    CHECK(now(f.sealed->get("a")) == bytes("one"));
    CHECK_FALSE(now(f.sealed->get("b")).has_value()); // an ordinary miss
    CHECK(f.sealed->stats().rejected == rejected);
}

TEST_CASE("a record of another version is refused, although it was sealed with the key")
{
    fixture f;
    now(f.sealed->put("a", bytes("one"), f.later));
    auto& [name, record] = *f.inner->records.begin();
    detail::aead const cipher{detail::keyed_hash{key_of(1)}.derive("reprise sealed record")};
    for (int const version : {1, 2})
    {
        secret_bytes header{record.view().first(17)};
        *header.data() = static_cast<unsigned char>(version);
        record = cipher.seal(header, as_bytes("another"), as_bytes(name));
        CHECK(now(f.sealed->get("a")).has_value() == (version == 1));
    }
}

TEST_CASE("a record that was moved to another name does not open")
{
    fixture f;
    now(f.sealed->put("a", bytes("one"), f.later));
    auto const record = f.inner->records.begin()->second;
    now(f.sealed->put("b", bytes("two"), f.later));
    for (auto& [name, other] : f.inner->records)
        other = record;
    CHECK(now(f.sealed->get("a")) == bytes("one"));
    CHECK_FALSE(now(f.sealed->take("b")).has_value());
    CHECK(f.sealed->stats().rejected == 1);
}

TEST_CASE("a record that the inner storage keeps for too long is refused by the expiry inside")
{
    fixture f;
    now(f.sealed->put("a", bytes("one"), f.later));
    f.time.advance(59s);
    CHECK(now(f.sealed->get("a")).has_value());
    f.time.advance(1s);
    CHECK_FALSE(now(f.sealed->get("a")).has_value());
    CHECK_FALSE(now(f.sealed->take("a")).has_value());
    CHECK(f.sealed->stats().rejected == 2);
}

TEST_CASE("what is refused stays for those who have its key, and stands in the way of put_if_absent until it is taken")
{
    fixture f;
    auto const newer = f.with({key_of(2)});
    now(newer->put("a", bytes("one"), f.later));
    CHECK_FALSE(now(f.sealed->get("a")).has_value());
    CHECK(now(newer->get("a")) == bytes("one"));
    CHECK_FALSE(now(f.sealed->put_if_absent("a", bytes("two"), f.later)));
    CHECK_FALSE(now(f.sealed->take("a")).has_value());
    CHECK(now(f.sealed->put_if_absent("a", bytes("two"), f.later)));
}

TEST_CASE("the first key seals and all of them open")
{
    fixture f;
    auto const old = f.sealed;
    auto const prepared = f.with({key_of(1), key_of(2)});
    auto const changed = f.with({key_of(2), key_of(1)});
    auto const after = f.with({key_of(2)});

    now(prepared->put("by prepared", bytes("1"), f.later));
    now(changed->put("by changed", bytes("2"), f.later));
    CHECK(now(old->get("by prepared")) == bytes("1"));
    CHECK(now(changed->get("by prepared")) == bytes("1"));
    CHECK_FALSE(now(after->get("by prepared")).has_value());
    CHECK(now(prepared->get("by changed")) == bytes("2"));
    CHECK(now(after->get("by changed")) == bytes("2"));
    CHECK_FALSE(now(old->get("by changed")).has_value());
    CHECK(old->stats().rejected == 1);
    CHECK(after->stats().rejected == 1);
    CHECK(changed->stats().rejected == 0);
}

TEST_CASE("single use holds while keys change: a name has one place")
{
    fixture f;
    auto const prepared = f.with({key_of(1), key_of(2)});
    auto const changed = f.with({key_of(2), key_of(1)});

    now(prepared->put("a", bytes("old"), f.later));
    now(changed->put("a", bytes("new"), f.later));
    CHECK(now(prepared->take("a")) == bytes("new"));
    CHECK_FALSE(now(changed->take("a")).has_value());
    CHECK_FALSE(now(prepared->take("a")).has_value());

    CHECK(now(prepared->put_if_absent("b", bytes("one"), f.later)));
    CHECK_FALSE(now(changed->put_if_absent("b", bytes("two"), f.later)));
    CHECK(now(changed->erase("b")));
    CHECK_FALSE(now(prepared->erase("b")));
}

TEST_CASE("another name key is another place")
{
    fixture f;
    auto const other = f.with({key_of(1)}, 101);
    now(f.sealed->put("a", bytes("one"), f.later));
    CHECK_FALSE(now(other->get("a")).has_value());
    CHECK(other->stats().rejected == 0);
}

TEST_CASE("an option out of bounds is refused and named")
{
    auto const refused = [](std::function<void(sealed_storage_options&)> const& change, std::string const& naming)
    {
        sealed_storage_options options{.inner = memory_storage::make(), .keys = {key_of(1)}, .name_key = key_of(100)};
        change(options);
        try
        {
            (void)sealed_storage::make(options);
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string{e.what()}.find(naming) != std::string::npos;
        }
        return false;
    };
    CHECK_FALSE(refused([](auto&) {}, ""));
    CHECK(refused([](auto& o) { o.inner = nullptr; }, "inner"));
    CHECK(refused([](auto& o) { o.keys.clear(); }, "keys"));
    CHECK(refused([](auto& o) { o.keys.push_back(key_of(1)); }, "different"));
    CHECK(refused([](auto& o) { o.keys.emplace_back(std::size_t{32}); }, "keys"));
    CHECK(refused([](auto& o) { o.keys.emplace_back(key_of(2).view().first(16)); }, "keys"));
    CHECK(refused([](auto& o) { o.keys.push_back(bytes("0123456789abcdef0123456789abcde")); }, "keys"));
    CHECK(refused([](auto& o) { o.keys.push_back(bytes("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")); }, "keys"));
    CHECK(refused(
        [](auto& o)
        {
            o.keys.clear();
            for (unsigned char i = 0; i < 17; ++i)
                o.keys.push_back(key_of(i));
        },
        "keys"));
    CHECK(refused([](auto& o) { o.name_key = {}; }, "name_key"));
    CHECK(refused([](auto& o) { o.name_key = secret_bytes{std::size_t{32}}; }, "name_key"));
    CHECK(refused([](auto& o) { o.now = nullptr; }, "now"));
}

TEST_SUITE_END();
