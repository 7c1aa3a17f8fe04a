// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace reprise {

/** A storage in the memory of this process, which answers without waiting.

    A session_cache calls it inside the handshake: without a coroutine, a timeout or a queue of writes. The `_now`
    functions do what their namesakes in `storage` do; the operations of `storage` call them. They may throw: an
    exception costs only the resumption.

    @par Thread Safety
    Distinct and shared objects: safe. No operation may block: a lock is held for microseconds.
*/
class immediate_storage : public storage
{
public:
    /// Reads a value in place, and keeps no reference to it. Called at most once, within `read_now`, perhaps under a
    /// lock. So the reader must return within about a microsecond and must not call this storage.
    using reader = std::function<void(byte_view value)>;

    /// Show the value under `name` to `read`, without a copy. @return Whether there was a value.
    virtual bool read_now(std::string_view name, reader const& read) = 0;

    /// A copy of the value under `name`, or nothing.
    std::optional<secret_bytes> get_now(std::string_view name);

    virtual void put_now(std::string_view name, byte_view value, time_point expiry) = 0;
    virtual std::optional<secret_bytes> take_now(std::string_view name) = 0;
    virtual bool put_if_absent_now(std::string_view name, byte_view value, time_point expiry) = 0;
    virtual bool erase_now(std::string_view name) = 0;

    /// The current epoch. By default the memory of this process is one incarnation, and `stats` counts the evictions.
    /// In a process that was forked after this object was made, the epoch is unknown, because the child has its own
    /// copy of the memory.
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
