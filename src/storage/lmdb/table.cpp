// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/table.hpp"

#include "base/byte_codec.hpp"
#include "base/sha256.hpp"
#include "storage/lmdb/error.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <tuple>

namespace reprise::detail {

namespace {

/* A record: version, place in the order of expiry, value. A record of another version, or a malformed one, is
   unreadable and counts as a miss. */
constexpr unsigned char record_version = 1;
constexpr std::size_t record_header = 1 + std::tuple_size_v<expiry_key>;

constexpr std::string_view evicted_key = "reprise evicted entries";

struct record
{
    expiry_key at;
    byte_view value;
};

std::optional<record> decode(byte_view bytes)
{
    if (bytes.size() < record_header || bytes[0] != record_version)
        return std::nullopt;
    record r;
    std::ranges::copy(bytes.subspan(1, r.at.size()), r.at.begin());
    r.value = bytes.subspan(record_header);
    return r;
}

secret_bytes encode(expiry_key const& at, byte_view value)
{
    secret_bytes bytes{record_header + value.size()};
    bytes.data()[0] = record_version;
    std::ranges::copy(at, bytes.data() + 1);
    std::ranges::copy(value, bytes.data() + record_header);
    return bytes;
}

constexpr std::uint64_t sign = std::uint64_t{1} << 63; // so that times before the epoch sort first

expiry_key make_key(time_point expiry, std::uint64_t unique)
{
    auto const ticks = std::chrono::floor<std::chrono::microseconds>(expiry.time_since_epoch()).count();
    expiry_key key;
    write_number(std::span{key}.first(8), static_cast<std::uint64_t>(ticks) ^ sign);
    write_number(std::span{key}.subspan(8), unique);
    return key;
}

// Untrusted: a time beyond the clock's range becomes the nearest in range.
time_point expiry_of(expiry_key const& key)
{
    using microseconds = std::chrono::microseconds;
    auto const ticks = microseconds{static_cast<std::int64_t>(read_number(std::span{key}.first(8)) ^ sign)};
    constexpr auto last = std::chrono::floor<microseconds>(time_point::max().time_since_epoch());
    constexpr auto first = std::chrono::ceil<microseconds>(time_point::min().time_since_epoch());
    return time_point{std::chrono::duration_cast<time_point::duration>(std::clamp(ticks, first, last))};
}

byte_view to_view(MDB_val const& val)
{
    return {static_cast<unsigned char const*>(val.mv_data), val.mv_size};
}

MDB_val to_val(byte_view bytes)
{
    return {bytes.size(), const_cast<unsigned char*>(bytes.data())}; // LMDB does not write there
}

// Whether there is an entry. @throws system_error for other results of LMDB.
bool found(int returned)
{
    if (returned != MDB_NOTFOUND)
        check_lmdb(returned, "lmdb_storage");
    return returned == MDB_SUCCESS;
}

struct cursor_closer
{
    void operator()(MDB_cursor* cursor) const noexcept { ::mdb_cursor_close(cursor); }
};
using cursor_ptr = std::unique_ptr<MDB_cursor, cursor_closer>;

} // namespace

index_key::index_key(std::string_view name)
{
    auto const fill = [this](unsigned char kind, byte_view bytes)
    {
        bytes_[0] = kind;
        std::ranges::copy(bytes, bytes_.data() + 1);
        size_ = 1 + bytes.size();
    };
    if (name.size() <= longest_name)
        fill(0, as_bytes(name));
    else
        fill(1, sha256(as_bytes(name)));
}

std::optional<index_key> index_key::stored(byte_view bytes)
{
    if (bytes.empty() || bytes.size() > 1 + longest_name)
        return std::nullopt;
    index_key key;
    std::ranges::copy(bytes, key.bytes_.data());
    key.size_ = bytes.size();
    return key;
}

std::optional<byte_view> lmdb_table::record_of(index_key const& name) const
{
    auto key = to_val(name.view());
    MDB_val value = {};
    if (!found(::mdb_get(txn_, entries_, &key, &value)))
        return std::nullopt;
    return to_view(value);
}

std::optional<lmdb_table::entry> lmdb_table::find(index_key const& name) const
{
    auto const bytes = record_of(name);
    auto const r = bytes ? decode(*bytes) : std::nullopt;
    if (!r)
        return std::nullopt;
    return entry{expiry_of(r->at), r->value};
}

void lmdb_table::put(index_key const& name, byte_view value, time_point expiry, std::uint64_t& unique)
{
    erase(name);
    auto key = to_val(name.view());
    expiry_key at;
    int returned = MDB_KEYEXIST;
    while (returned == MDB_KEYEXIST)
    {
        at = make_key(expiry, unique++);
        auto at_key = to_val(at);
        auto name_value = key;
        returned = ::mdb_put(txn_, expiry_, &at_key, &name_value, MDB_NOOVERWRITE);
    }
    check_lmdb(returned, "lmdb_storage");
    auto const bytes = encode(at, value);
    auto record_value = to_val(bytes);
    check_lmdb(::mdb_put(txn_, entries_, &key, &record_value, 0), "lmdb_storage");
}

void lmdb_table::erase(index_key const& name)
{
    auto const bytes = record_of(name);
    if (!bytes)
        return;
    if (auto const r = decode(*bytes))
    {
        auto at_key = to_val(r->at);
        found(::mdb_del(txn_, expiry_, &at_key, nullptr));
    }
    auto key = to_val(name.view());
    check_lmdb(::mdb_del(txn_, entries_, &key, nullptr), "lmdb_storage");
}

bool lmdb_table::drop_first(time_point not_after, lmdb_dropped& dropped)
{
    MDB_cursor* opened = nullptr;
    check_lmdb(::mdb_cursor_open(txn_, expiry_, &opened), "lmdb_storage");
    cursor_ptr const cursor{opened};
    MDB_val key = {};
    MDB_val value = {};
    if (!found(::mdb_cursor_get(opened, &key, &value, MDB_FIRST)))
        return false;
    expiry_key at{};
    std::ranges::copy(to_view(key).first(std::min(key.mv_size, at.size())), at.begin());
    if (expiry_of(at) > not_after)
        return false;
    auto const name = index_key::stored(to_view(value));
    check_lmdb(::mdb_cursor_del(opened, 0), "lmdb_storage");
    auto const bytes = name ? record_of(*name) : std::nullopt;
    auto const r = bytes ? decode(*bytes) : std::nullopt;
    if (r && r->at == at)
    {
        auto name_key = to_val(name->view());
        check_lmdb(::mdb_del(txn_, entries_, &name_key, nullptr), "lmdb_storage");
    }
    else
        ++dropped.unreadable; // a place in the order that no record has
    return true;
}

std::uint64_t lmdb_table::evicted() const
{
    auto key = to_val(as_bytes(evicted_key));
    MDB_val value = {};
    if (!found(::mdb_get(txn_, root_, &key, &value)) || value.mv_size != sizeof(std::uint64_t))
        return 0;
    return read_number(to_view(value).first(8));
}

void lmdb_table::add_evicted(std::uint64_t count)
{
    std::array<unsigned char, sizeof(std::uint64_t)> total{};
    write_number(total, evicted() + count);
    auto key = to_val(as_bytes(evicted_key));
    auto value = to_val(total);
    check_lmdb(::mdb_put(txn_, root_, &key, &value, 0), "lmdb_storage");
}

std::uint64_t lmdb_table::size() const
{
    MDB_stat s = {};
    check_lmdb(::mdb_stat(txn_, entries_, &s), "lmdb_storage");
    return s.ms_entries;
}

std::uint64_t lmdb_table::bytes() const
{
    std::uint64_t pages = 3; // two pages of the file's head, one that names the databases
    std::uint64_t page = 0;
    for (auto const dbi : {entries_, expiry_})
    {
        MDB_stat s = {};
        check_lmdb(::mdb_stat(txn_, dbi, &s), "lmdb_storage");
        pages += s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages;
        page = s.ms_psize;
    }
    return pages * page;
}

} // namespace reprise::detail
