// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace reprise {

/** A storage that keeps everything in this process's memory, and so has nothing to await.

    A session_cache asks it inside the handshake: without a coroutine, a deadline or a queue of writes. The operations mean
    what their namesakes in `storage` do, and those call them. They may throw: that costs a full handshake, no more.

    @par Thread Safety
    Distinct and shared objects: safe. No operation may block: a lock is held for microseconds.
*/
class immediate_storage : public storage
{
public:
    /// Looks at a value where it is, and keeps nothing of it. It is called at most once, within `read_now`, perhaps under a
    /// lock: it has to be done in a microsecond or so and to leave this storage alone.
    using reader = std::function<void(byte_view value)>;

    /// As `get`, without a copy: show the value to `read`. True if there was one.
    virtual bool read_now(std::string_view name, reader const& read) = 0;

    /// A copy of the value, or nothing.
    std::optional<secret_bytes> get_now(std::string_view name);

    virtual void put_now(std::string_view name, byte_view value, time_point expiry) = 0;
    virtual std::optional<secret_bytes> take_now(std::string_view name) = 0;
    virtual bool put_if_absent_now(std::string_view name, byte_view value, time_point expiry) = 0;
    virtual bool erase_now(std::string_view name) = 0;

    /// The epoch of now. By default the memory of this process is one incarnation, and `stats` counts evictions. In a child
    /// that was forked off after this object was made the epoch is unknown, because the child has a copy of its own.
    [[nodiscard]] virtual storage_epoch epoch_now() const;

    [[nodiscard]] bool is_process_local() const noexcept override { return true; }

    /// @name Complete without suspending
    /// @{
    asio::awaitable<std::optional<secret_bytes>> get(std::string name) final;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) final;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) final;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) final;
    asio::awaitable<bool> erase(std::string name) final;
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) final;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) final;
    asio::awaitable<storage_epoch> epoch() final;
    /// @}

protected:
    immediate_storage();

private:
    unsigned made_at_; // fork_depth()
};

} // namespace reprise
