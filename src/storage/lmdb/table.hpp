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

/// A name as LMDB's key, which has 1 to 511 bytes. A name of more than 128 bytes is replaced by its SHA-256.
class index_key
{
public:
    explicit index_key(std::string_view name);

    /// Read a stored key. Returns nothing if the bytes cannot be a key.
    [[nodiscard]] static std::optional<index_key> stored(byte_view bytes);

    [[nodiscard]] byte_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    static constexpr std::size_t longest_name = 128;

    index_key() = default;

    std::array<unsigned char, 1 + longest_name> bytes_; // kind of name, then the name or its digest
    std::size_t size_ = 0;
};

/// An entry's place in the order of expiry: its time, in LMDB's sort order, and a number that no other entry of that
/// time has.
using expiry_key = std::array<unsigned char, 16>;

/// Counts of what a transaction dropped, added to the statistics after its commit.
struct lmdb_dropped
{
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;
    std::uint64_t unreadable = 0;
};

/** The entries as one transaction sees them.

    All functions throw system_error if LMDB fails; the transaction is then unusable.
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
        byte_view value; // in the file; valid until the transaction changes something or ends
    };

    /// Find an entry, even an expired one.
    [[nodiscard]] std::optional<entry> find(index_key const& name) const;

    /// Insert or replace an entry. The search for a free number begins at `unique`, which is advanced.
    void put(index_key const& name, byte_view value, time_point expiry, std::uint64_t& unique);

    void erase(index_key const& name);

    /// Drop the entry that expires first, if it expires no later than `not_after`. Returns false if there is none.
    bool drop_first(time_point not_after, lmdb_dropped& dropped);

    /// Number of entries that all processes evicted.
    [[nodiscard]] std::uint64_t evicted() const;
    void add_evicted(std::uint64_t count);

    [[nodiscard]] std::uint64_t size() const;
    [[nodiscard]] std::uint64_t bytes() const; ///< size of the pages in use

private:
    [[nodiscard]] std::optional<byte_view> record_of(index_key const& name) const;

    MDB_txn* txn_;
    MDB_dbi root_;
    MDB_dbi entries_;
    MDB_dbi expiry_;
};

} // namespace reprise::detail
