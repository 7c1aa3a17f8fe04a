// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/table.hpp"

#include "base/sha256.hpp"
#include "storage/lmdb/error.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

namespace reprise::detail {

namespace {

/* A record: version, size of the index key in two bytes, index key, value. What another release wrote, or nobody, is
   unreadable, and that is a miss. */
constexpr unsigned char record_version = 1;
constexpr std::size_t record_header = 3;

struct record
{
    byte_view name;
    byte_view value;
};

std::optional<record> decode(byte_view bytes)
{
    if (bytes.size() < record_header || bytes[0] != record_version)
        return std::nullopt;
    auto const name_size = static_cast<std::size_t>(bytes[1]) << 8 | bytes[2];
    bytes = bytes.subspan(record_header);
    if (name_size == 0 || name_size > bytes.size())
        return std::nullopt;
    return record{bytes.first(name_size), bytes.subspan(name_size)};
}

secret_bytes encode(byte_view name, byte_view value)
{
    secret_bytes bytes{record_header + name.size() + value.size()};
    bytes.data()[0] = record_version;
    bytes.data()[1] = static_cast<unsigned char>(name.size() >> 8);
    bytes.data()[2] = static_cast<unsigned char>(name.size());
    std::ranges::copy(name, bytes.data() + record_header);
    std::ranges::copy(value, bytes.data() + record_header + name.size());
    return bytes;
}

void store(std::uint64_t number, unsigned char* to)
{
    for (int i = 7; i >= 0; --i, number >>= 8)
        to[i] = static_cast<unsigned char>(number);
}

std::uint64_t load(unsigned char const* from)
{
    std::uint64_t number = 0;
    for (int i = 0; i < 8; ++i)
        number = number << 8 | from[i];
    return number;
}

constexpr std::uint64_t sign = std::uint64_t{1} << 63; // so that times before the epoch sort first

entry_key make_key(time_point expiry, std::uint64_t unique)
{
    auto const ticks = std::chrono::floor<std::chrono::microseconds>(expiry.time_since_epoch()).count();
    entry_key key;
    store(static_cast<std::uint64_t>(ticks) ^ sign, key.data());
    store(unique, key.data() + 8);
    return key;
}

// Untrusted: a time beyond what the clock can say is the clock's last.
time_point expiry_of(entry_key const& key)
{
    using microseconds = std::chrono::microseconds;
    auto const ticks = microseconds{static_cast<std::int64_t>(load(key.data()) ^ sign)};
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

std::optional<entry_key> to_entry_key(byte_view bytes)
{
    entry_key key;
    if (bytes.size() != key.size())
        return std::nullopt;
    std::ranges::copy(bytes, key.begin());
    return key;
}

// True if there is something.
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

std::optional<entry_key> lmdb_table::entry_of(index_key const& name) const
{
    auto key = to_val(name.view());
    MDB_val value = {};
    if (!found(::mdb_get(txn_, index_, &key, &value)))
        return std::nullopt;
    return to_entry_key(to_view(value));
}

std::optional<lmdb_table::entry> lmdb_table::find(index_key const& name) const
{
    auto const at = entry_of(name);
    if (!at)
        return std::nullopt;
    auto key = to_val(*at);
    MDB_val value = {};
    if (!found(::mdb_get(txn_, entries_, &key, &value)))
        return std::nullopt;
    auto const r = decode(to_view(value));
    if (!r || !std::ranges::equal(r->name, name.view()))
        return std::nullopt;
    return entry{expiry_of(*at), r->value};
}

void lmdb_table::put(index_key const& name, byte_view value, time_point expiry, std::uint64_t& unique)
{
    erase(name);
    auto const bytes = encode(name.view(), value);
    auto record_value = to_val(bytes);
    entry_key at;
    int returned = MDB_KEYEXIST;
    while (returned == MDB_KEYEXIST)
    {
        at = make_key(expiry, unique++);
        auto key = to_val(at);
        returned = ::mdb_put(txn_, entries_, &key, &record_value, MDB_NOOVERWRITE);
    }
    check_lmdb(returned, "lmdb_storage");
    auto key = to_val(name.view());
    auto at_value = to_val(at);
    check_lmdb(::mdb_put(txn_, index_, &key, &at_value, 0), "lmdb_storage");
}

bool lmdb_table::erase(index_key const& name)
{
    auto const at = entry_of(name);
    if (at)
    {
        auto key = to_val(*at);
        found(::mdb_del(txn_, entries_, &key, nullptr));
    }
    auto key = to_val(name.view());
    return found(::mdb_del(txn_, index_, &key, nullptr));
}

bool lmdb_table::drop_first(time_point not_after, lmdb_dropped& dropped)
{
    MDB_cursor* opened = nullptr;
    check_lmdb(::mdb_cursor_open(txn_, entries_, &opened), "lmdb_storage");
    cursor_ptr const cursor{opened};
    MDB_val key = {};
    MDB_val value = {};
    if (!found(::mdb_cursor_get(opened, &key, &value, MDB_FIRST)))
        return false;
    auto const at = to_entry_key(to_view(key));
    if (at && expiry_of(*at) > not_after)
        return false;
    auto const r = decode(to_view(value));
    auto const name = r ? index_key::stored(r->name) : std::nullopt;
    check_lmdb(::mdb_cursor_del(opened, 0), "lmdb_storage");
    if (!name || !at)
        ++dropped.unreadable;
    else if (entry_of(*name) == at) // it may lead to another entry
    {
        auto name_key = to_val(name->view());
        check_lmdb(::mdb_del(txn_, index_, &name_key, nullptr), "lmdb_storage");
    }
    return true;
}

std::uint64_t lmdb_table::size() const
{
    MDB_stat s = {};
    check_lmdb(::mdb_stat(txn_, entries_, &s), "lmdb_storage");
    return s.ms_entries;
}

std::uint64_t lmdb_table::bytes() const
{
    std::uint64_t pages = 3; // two with the file's head, one that names the databases
    std::uint64_t page = 0;
    for (auto const dbi : {index_, entries_})
    {
        MDB_stat s = {};
        check_lmdb(::mdb_stat(txn_, dbi, &s), "lmdb_storage");
        pages += s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages;
        page = s.ms_psize;
    }
    return pages * page;
}

} // namespace reprise::detail
