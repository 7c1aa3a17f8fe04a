// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/lmdb/environment.hpp"

#include <reprise/clock.hpp>
#include <reprise/secret_bytes.hpp>

#include <lmdb.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace reprise::detail {

/// A name as LMDB's key, which is never empty nor longer than 511 bytes: long names are kept by their SHA-256.
class index_key
{
public:
    explicit index_key(std::string_view name);

    /// One that a record holds. Nothing, if it cannot be one.
    [[nodiscard]] static std::optional<index_key> stored(byte_view bytes);

    [[nodiscard]] byte_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    static constexpr std::size_t longest_name = 128;

    index_key() = default;

    std::array<unsigned char, 1 + longest_name> bytes_; // the kind of name, then the name or its digest
    std::size_t size_ = 0;
};

/// An entry's place in the order of expiry: its time, as LMDB sorts, and something that no other entry of that time has.
using expiry_key = std::array<unsigned char, 16>;

/// What a transaction has dropped, to be counted once it is committed.
struct lmdb_dropped
{
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;
    std::uint64_t unreadable = 0;
};

/** The entries as one transaction sees them.

    Everything throws system_error where LMDB fails; the transaction is then of no more use.
*/
class lmdb_table
{
public:
    lmdb_table(MDB_txn* txn, lmdb_environment const& env) noexcept
        : txn_(txn), root_(env.root()), entries_(env.entries()), expiry_(env.expiry())
    {
    }

    struct entry
    {
        time_point expiry;
        byte_view value; // in the file: until the transaction changes something, or ends
    };

    /// Expired entries too.
    [[nodiscard]] std::optional<entry> find(index_key const& name) const;

    /// In place of what is there. `unique` is where to look for a number that is free; it is advanced.
    void put(index_key const& name, byte_view value, time_point expiry, std::uint64_t& unique);

    void erase(index_key const& name);

    /// Drop the entry that expires first, if that is not later than `not_after`.
    bool drop_first(time_point not_after, lmdb_dropped& dropped);

    /// Entries that all processes have dropped before their time.
    [[nodiscard]] std::uint64_t evicted() const;
    void add_evicted(std::uint64_t count);

    [[nodiscard]] std::uint64_t size() const;
    [[nodiscard]] std::uint64_t bytes() const; ///< pages in use

private:
    [[nodiscard]] std::optional<byte_view> record_of(index_key const& name) const;

    MDB_txn* txn_;
    MDB_dbi root_;
    MDB_dbi entries_;
    MDB_dbi expiry_;
};

} // namespace reprise::detail
