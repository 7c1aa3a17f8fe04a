// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/session_record.hpp"

#include "support/keys.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <set>

using namespace reprise;
using detail::name_of;
using detail::session_record;
using detail::write_record;
using test::make_session;

TEST_SUITE_BEGIN("session_record");

namespace {

constexpr std::size_t first_length = 1 + 8 + 2; // of the host: behind version, time and protocol

secret_bytes with_length(secret_bytes record, std::size_t at, std::uint32_t length)
{
    for (int i = 0; i < 4; ++i)
        record.data()[at + static_cast<std::size_t>(i)] = static_cast<unsigned char>(length >> (24 - 8 * i));
    return record;
}

} // namespace

TEST_CASE("what is written is read again")
{
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
        for (auto const& key : {test::full_key(), session_scope{}, test::key_of_host("a")})
        {
            auto const ticket = make_session({.version = version});
            auto const bytes = write_record(key, ticket, 0x0102030405060708);
            CHECK(bytes.view().front() == 1);
            auto const record = session_record::read(bytes);
            REQUIRE(record);
            CHECK(record->key == key);
            CHECK(record->kept_at == 0x0102030405060708);
            CHECK(record->protocol == ticket.protocol());
            auto const decoded = record->decode();
            REQUIRE(decoded);
            CHECK(decoded->serialize() == ticket.serialize());
        }
}

TEST_CASE("a record of another version is none")
{
    auto bytes = write_record(test::full_key(), make_session(), 0);
    for (int version = 0; version < 256; ++version)
    {
        *bytes.data() = static_cast<unsigned char>(version);
        CHECK(session_record::read(bytes).has_value() == (version == 1));
    }
}

TEST_CASE("a record that was cut anywhere holds no session, nor one with something behind it")
{
    auto const bytes = write_record(test::full_key(), make_session(), 7);
    auto const decodes = [](byte_view b)
    {
        auto const record = session_record::read(b);
        return record && record->decode();
    };
    CHECK(decodes(bytes));
    for (std::size_t size = 0; size < bytes.size(); ++size)
    {
        secret_bytes const exact{bytes.view().first(size)}; // so that a sanitizer sees a read beyond
        CHECK_FALSE(decodes(exact));
    }
    secret_bytes longer{bytes.size() + 1};
    std::memcpy(longer.data(), bytes.data(), bytes.size());
    CHECK_FALSE(decodes(longer));
}

TEST_CASE("no byte that is changed breaks the reader, and the protocol has to be that of the session")
{
    auto const original = write_record(test::full_key(), make_session(), 7);
    for (std::size_t at = 0; at < original.size(); ++at)
        for (unsigned const bit : {0x01u, 0x80u})
        {
            auto bytes = original;
            bytes.data()[at] ^= static_cast<unsigned char>(bit);
            if (auto const record = session_record::read(bytes))
                (void)record->decode();
        }
    auto bytes = original;
    bytes.data()[10] = 3; // TLS 1.2, 0x0303
    auto record = session_record::read(bytes);
    REQUIRE(record);
    CHECK(record->protocol == tls_version::tls12);
    CHECK_FALSE(record->decode());
    bytes.data()[10] = 2; // TLS 1.1
    CHECK_FALSE(session_record::read(bytes));
}

TEST_CASE("hostile lengths and numbers are refused and take no memory")
{
    auto const key = test::full_key();
    auto const bytes = write_record(key, make_session(), 7);
    auto const alpn = first_length + 3 * 4 + key.host.size() + key.service.size() + key.server_name.size();
    for (std::uint32_t const length :
         {std::numeric_limits<std::uint32_t>::max(), 0x80000000u, 0x7fffffffu, static_cast<std::uint32_t>(bytes.size()),
          static_cast<std::uint32_t>(bytes.size() - first_length - 3)})
        for (auto const at : {first_length, alpn})
            CHECK_FALSE(session_record::read(with_length(bytes, at, length)));
    CHECK(session_record::read(with_length(bytes, alpn, 2)).has_value()); // what it is
}

TEST_CASE("names are hashes: one for each key and slot, and others under another hash key")
{
    detail::keyed_hash const hash{test::key_of(1)};
    detail::keyed_hash const other{test::key_of(2)};
    std::set<std::string> names;
    std::size_t count = 0;
    auto keys = test::differing_keys();
    keys.push_back(test::full_key());
    for (auto const& key : keys)
        for (std::size_t slot = 0; slot < 3; ++slot)
            for (auto const* h : {&hash, &other})
            {
                auto const name = name_of(*h, key, slot);
                CHECK(name.size() == 32);
                CHECK(name == name_of(*h, key, slot));
                names.insert(name);
                ++count;
            }
    CHECK(names.size() == count);
}

TEST_SUITE_END();
