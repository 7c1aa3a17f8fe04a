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

/** The writes that a storage has not answered yet: bounded, found by name, and waited for.

    Safe from many threads.
*/
class pending_writes : public std::enable_shared_from_this<pending_writes>
{
public:
    /// @param bytes Most memory for the records of all of them.
    pending_writes(std::size_t limit, std::size_t bytes) : limit_(limit), max_bytes_(bytes) {}

    /// One write. It has ended when this goes, be it with a coroutine that is not resumed any more.
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

    /// Null, if there are as many as there may be. An empty name is not found.
    [[nodiscard]] std::unique_ptr<entry> begin(std::string name, secret_bytes record);

    /// What is being written under this name.
    [[nodiscard]] std::optional<secret_bytes> find(std::string const& name) const;

    /// The end of a write of this name; null, if there is none.
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
    std::shared_ptr<event> idle_; // if anybody waits for it
};

} // namespace reprise::detail
