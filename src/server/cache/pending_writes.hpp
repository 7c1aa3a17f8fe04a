// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/async/event.hpp>
#include <reprise/secret_bytes.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace reprise::detail {

/** The writes that a storage has not answered yet: bounded, found by name, awaited.

    @par Thread Safety
    Shared objects: safe.
*/
class pending_writes : public std::enable_shared_from_this<pending_writes>
{
public:
    /// @param bytes Most memory of all writes, in bytes.
    pending_writes(std::size_t limit, std::size_t bytes) : limit_(limit), max_bytes_(bytes) {}

    /// One pending write. It ends with this object, also if its coroutine is destroyed instead of resumed.
    class entry
    {
    public:
        entry(std::shared_ptr<pending_writes> table, std::string name, secret_bytes record);
        entry(entry const&) = delete;
        entry& operator=(entry const&) = delete;
        ~entry();

    private:
        friend class pending_writes;

        std::shared_ptr<pending_writes> const table_;
        std::string const name_;
        secret_bytes const record_;
        std::shared_ptr<event> const ended_ = std::make_shared<event>();
        bool is_pending_ = false;

        [[nodiscard]] std::size_t size() const noexcept;
    };

    /// Begin a write. Returns null if a bound would be exceeded. A write with an empty name is not found.
    [[nodiscard]] std::unique_ptr<entry> begin(std::string name, secret_bytes record);

    /// Return the record that is being written under this name.
    [[nodiscard]] std::optional<secret_bytes> find(std::string const& name) const;

    /// Return the event that a write of this name sets when it ends; null if there is none.
    [[nodiscard]] std::shared_ptr<event> end_of(std::string const& name) const;

    /// Wait until no write is pending.
    static asio::awaitable<void> drain(std::shared_ptr<pending_writes> self);

private:
    std::size_t const limit_;
    std::size_t const max_bytes_;
    mutable std::mutex mutex_;
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
    std::unordered_multimap<std::string, entry const*> by_name_;
    std::shared_ptr<event> idle_; // set while drain() waits
};

} // namespace reprise::detail
