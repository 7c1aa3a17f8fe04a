// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace reprise {

/// A key is 32 bytes from a random generator: RAND_bytes(3), or `head -c 32 /dev/urandom`. One with fewer than 16 different
/// bytes is refused: zeros, repeated bytes, hexadecimal text.
struct sealed_storage_options
{
    /// Where the sealed records go. Mandatory.
    storage_ptr inner{};

    /// 1 to 16 different keys. The first one seals, all of them open. To change keys in a fleet: first add the new one at
    /// the end everywhere, then put it first everywhere, then, when the longest expiry has passed, leave the old one out.
    /// A server that lacks a key only misses: those records are `rejected` there.
    std::vector<secret_bytes> keys{};

    /// Hides the names. Equal on all servers, and not changed with `keys`: a name has one place in the inner storage
    /// whatever the keys are, so that `take` and `put_if_absent` are as single as they are there, during a change too.
    /// Whoever has it learns which records belong to sessions that they have seen, and opens none. Changing it forgets
    /// all records.
    secret_bytes name_key{};

    /// Where "now" comes from.
    clock now = system_clock();
};

/** Seals what another storage keeps: for a disk, a network or a Redis that others can read or write.

    Names are keyed hashes (HMAC-SHA-256) and values are encrypted and authenticated (AES-256-GCM, a key of its own for each
    record), bound to their name and expiry: a record that was changed, moved to another name or kept past its expiry is a
    miss and counted in `storage_stats::rejected`. `get` leaves such a record where it is, for it may be another server's
    with a newer key; it goes when it is replaced, taken or expires, and until then `put_if_absent` finds its place taken.

    What it cannot keep from whoever controls the inner storage: to forget, to be slow, to see how many records there are,
    when each is used, how long it is and when it expires; and to break single use, by serving again, within its expiry,
    a record that was replaced or taken, or by saying that something was absent.

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

    /// Of the inner storage.
    asio::awaitable<void> check() override;

    asio::awaitable<std::size_t> flush() override;

    /// The inner storage's, and what was rejected here.
    [[nodiscard]] storage_stats stats() const override;

    /// What was rejected here alone.
    [[nodiscard]] std::uint64_t rejected() const noexcept;

private:
    class impl;

    explicit sealed_storage(sealed_storage_options options);

    std::shared_ptr<impl> const impl_; // shared with operations that go on after this object
};

} // namespace reprise
