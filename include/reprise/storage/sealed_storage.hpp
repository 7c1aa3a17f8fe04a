// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise {

/// Options of a sealed_storage. A key is 32 bytes from a random generator: RAND_bytes(3), or `head -c 32 /dev/urandom`.
/// A key with fewer than 16 different bytes is refused. That finds zeros, repeated bytes and hexadecimal text.
struct sealed_storage_options
{
    /// Storage for the sealed records. Mandatory.
    storage_ptr inner{};

    /** 1 to 16 different keys. The first key seals, all keys open. To rotate keys in a fleet:

        @li append the new key on all servers;
        @li move the new key to the front on all servers;
        @li remove the old key when the longest expiry has passed.

        A server that lacks a key only misses: it counts the records as `rejected`.
    */
    std::vector<secret_bytes> keys{};

    /** Key that hides the names. Equal on all servers, and not rotated with `keys`. So a name has one place in the
        inner storage whatever the keys are, and `take` and `put_if_absent` stay atomic while keys are rotated.

        An attacker with this key learns which records belong to sessions that the attacker has seen, but opens none. A
        change of this key loses all records.
    */
    secret_bytes name_key{};

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/** Encrypts the records of another storage: for a disk, a network or a Redis that others can read or write.

    Names are keyed hashes (HMAC-SHA-256). Values are encrypted and authenticated (AES-256-GCM, a new key for each
    record), and bound to their name and expiry. A record that was changed, moved to another name or kept past its
    expiry is a miss and counts in `storage_stats::rejected`.

    `get` leaves a rejected record in place, because it may come from another server with a newer key. The record stays
    until it is replaced, taken or expires. Until then `put_if_absent` finds its place taken.

    An attacker who controls the inner storage can still:

    @li drop records or answer slowly;
    @li see how many records there are, when each is used, how long it is and when it expires;
    @li break single use: serve a replaced or taken record again before its expiry, or claim that an entry was absent.

    A record is 49 bytes longer than its value. A lookup costs about 4 us, a write about 6 us.
*/
class sealed_storage final : public storage
{
public:
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<sealed_storage> make(sealed_storage_options options);

    ~sealed_storage() override;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;

    /// @name With the epoch of the inner storage
    /// @{
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) override;
    asio::awaitable<storage_epoch> epoch() override;
    /// @}

    [[nodiscard]] bool is_process_local() const noexcept override;

    /// Checks the inner storage.
    asio::awaitable<void> check() override;

    asio::awaitable<std::size_t> flush() override;

    /// Counters of the inner storage, plus the records that were rejected here.
    [[nodiscard]] storage_stats stats() const override;

    /// Number of records that were rejected here, without those of the inner storage.
    [[nodiscard]] std::uint64_t rejected() const noexcept;

private:
    class impl;

    explicit sealed_storage(sealed_storage_options options);

    std::shared_ptr<impl> const impl_; // shared with operations that go on after this object
};

} // namespace reprise
