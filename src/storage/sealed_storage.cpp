// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/require_option.hpp"
#include "expiry_field.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/error.hpp>
#include <reprise/storage/sealed_storage.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <utility>

namespace reprise {

namespace {

/* A record: version, key id, expiry, then the value sealed by aead. The readable fields and the entry's name are
   authenticated too. */
constexpr unsigned char record_version = 1;
constexpr std::size_t key_id_size = 8;
using key_id = std::array<unsigned char, key_id_size>;

struct header
{
    static constexpr std::size_t size = 1 + key_id_size + detail::expiry_field_size;

    key_id key{};
    time_point expiry;

    [[nodiscard]] std::array<unsigned char, size> write() const
    {
        std::array<unsigned char, size> bytes{record_version};
        std::ranges::copy(key, bytes.begin() + 1);
        detail::write_expiry(std::span{bytes}.last<detail::expiry_field_size>(), expiry);
        return bytes;
    }

    [[nodiscard]] static std::optional<header> read(byte_view record)
    {
        if (record.size() < size || record.front() != record_version)
            return std::nullopt;
        header result;
        std::ranges::copy(record.subspan(1, key_id_size), result.key.begin());
        result.expiry = detail::read_expiry(record.subspan<1 + key_id_size, detail::expiry_field_size>());
        return result;
    }
};

struct sealing_key
{
    explicit sealing_key(secret_bytes const& key) : sealing_key(detail::keyed_hash{key}) {}
    explicit sealing_key(detail::keyed_hash const& master) : cipher(master.derive("reprise sealed record"))
    {
        auto const hash = master(as_bytes("reprise key id"));
        std::copy_n(hash.begin(), id.size(), id.begin());
    }

    detail::aead cipher;
    key_id id{};
};

} // namespace

class sealed_storage::impl
{
public:
    explicit impl(sealed_storage_options o)
        : inner(std::move(o.inner)), now_(std::move(o.now)),
          names_(detail::keyed_hash{o.name_key}.derive("reprise sealed name")), keys_(o.keys.begin(), o.keys.end())
    {
        for (auto key = keys_.begin(); key != keys_.end(); ++key)
            detail::require_option(
                std::none_of(keys_.begin(), key, [&](auto const& other) { return other.id == key->id; }),
                "sealed_storage_options::keys must all be different");
    }

    [[nodiscard]] std::string hide(std::string const& name) const
    {
        auto const hash = names_(as_bytes(name));
        return {hash.begin(), hash.end()};
    }

    [[nodiscard]] secret_bytes seal(std::string const& hidden_name, secret_bytes const& value, time_point expiry) const
    {
        auto const& key = keys_.front();
        auto const head = header{key.id, expiry}.write();
        return key.cipher.seal(head, value, as_bytes(hidden_name));
    }

    [[nodiscard]] std::optional<secret_bytes> open(std::string const& hidden_name,
                                                   std::optional<secret_bytes> const& record)
    {
        if (!record)
            return std::nullopt;
        auto value = open_record(hidden_name, *record);
        if (!value)
            rejected.fetch_add(1, std::memory_order_relaxed);
        return value;
    }

    storage_ptr const inner;
    std::atomic<std::uint64_t> rejected{0};

private:
    [[nodiscard]] std::optional<secret_bytes> open_record(std::string const& hidden_name, byte_view record) const
    {
        auto const head = header::read(record);
        if (!head || head->expiry <= now_())
            return std::nullopt;
        auto const key = std::ranges::find(keys_, head->key, &sealing_key::id);
        if (key == keys_.end())
            return std::nullopt;
        return key->cipher.open(record, header::size, as_bytes(hidden_name));
    }

    clock const now_;
    detail::keyed_hash const names_;
    std::vector<sealing_key> const keys_;
};

std::shared_ptr<sealed_storage> sealed_storage::make(sealed_storage_options options)
{
    detail::require_option(options.inner != nullptr, "sealed_storage_options::inner must not be null");
    detail::require_option(!options.keys.empty() && options.keys.size() <= 16,
                           "sealed_storage_options::keys must be 1 to 16 keys");
    detail::require_option(std::ranges::all_of(options.keys, detail::is_plausible_key),
                           "sealed_storage_options::keys must each be 32 random bytes, at least 16 of them different");
    detail::require_option(detail::is_plausible_key(options.name_key),
                           "sealed_storage_options::name_key must be 32 random bytes, at least 16 of them different");
    detail::require_option(options.now != nullptr, "sealed_storage_options::now must not be empty");
    return std::shared_ptr<sealed_storage>{new sealed_storage{std::move(options)}};
}

sealed_storage::sealed_storage(sealed_storage_options options) : impl_(std::make_shared<impl>(std::move(options))) {}

sealed_storage::~sealed_storage() = default;

asio::awaitable<std::optional<secret_bytes>> sealed_storage::get(std::string name)
{
    auto const self = impl_;
    auto const hidden = self->hide(name);
    auto const record = co_await self->inner->get(hidden);
    co_return self->open(hidden, record);
}

asio::awaitable<void> sealed_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    auto const self = impl_;
    auto const hidden = self->hide(name);
    co_await self->inner->put(hidden, self->seal(hidden, value, expiry), expiry);
}

asio::awaitable<std::optional<secret_bytes>> sealed_storage::take(std::string name)
{
    auto const self = impl_;
    auto const hidden = self->hide(name);
    auto const record = co_await self->inner->take(hidden);
    co_return self->open(hidden, record);
}

asio::awaitable<bool> sealed_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    auto const self = impl_;
    auto const hidden = self->hide(name);
    co_return co_await self->inner->put_if_absent(hidden, self->seal(hidden, value, expiry), expiry);
}

asio::awaitable<bool> sealed_storage::erase(std::string name)
{
    auto const self = impl_;
    co_return co_await self->inner->erase(self->hide(name));
}

asio::awaitable<with_epoch<bool>> sealed_storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                           time_point expiry)
{
    auto const self = impl_;
    auto const hidden = self->hide(name);
    co_return co_await self->inner->put_if_absent_with_epoch(hidden, self->seal(hidden, value, expiry), expiry);
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> sealed_storage::take_with_epoch(std::string name)
{
    auto const self = impl_;
    auto const hidden = self->hide(name);
    auto taken = co_await self->inner->take_with_epoch(hidden);
    taken.value = self->open(hidden, taken.value);
    co_return taken;
}

asio::awaitable<storage_epoch> sealed_storage::epoch()
{
    return impl_->inner->epoch();
}

bool sealed_storage::is_process_local() const noexcept
{
    return impl_->inner->is_process_local();
}

asio::awaitable<void> sealed_storage::check()
{
    return impl_->inner->check();
}

asio::awaitable<std::size_t> sealed_storage::flush()
{
    auto const self = impl_;
    co_return co_await self->inner->flush();
}

storage_stats sealed_storage::stats() const
{
    auto result = impl_->inner->stats();
    result.rejected += rejected();
    return result;
}

std::uint64_t sealed_storage::rejected() const noexcept
{
    return impl_->rejected.load(std::memory_order_relaxed);
}

} // namespace reprise
