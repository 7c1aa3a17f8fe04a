// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/old_name.hpp"
#include "base/require_option.hpp"
#include "server/early/strike_register.hpp"

#include <reprise/replay_guard.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <utility>

namespace reprise {

namespace {

void use_old_names(replay_guard_options& o)
{
    detail::use_old_name(o.deadline, o.storage_timeout);
}

void check_options(replay_guard_options& o)
{
    use_old_names(o);
    detail::require_option(o.max_entries >= 1, "replay_guard_options::max_entries must be at least 1");
    detail::require_option(o.storage_timeout.count() >= 1,
                           "replay_guard_options::storage_timeout must be at least 1 ms");
    detail::require_option(o.max_clock_skew.count() >= 0 && o.max_clock_skew <= std::chrono::hours{1},
                           "replay_guard_options::max_clock_skew must be 0 ms to 1 h");
    detail::require_option(o.now != nullptr, "replay_guard_options::now must not be empty");
}

} // namespace

replay_guard replay_guard::in_memory(replay_guard_options options)
{
    check_options(options);
    constexpr std::size_t bytes_per_entry = 512;
    constexpr std::size_t least = 64u << 10;
    auto storage = memory_storage::make(
        {.max_bytes = least + options.max_entries * bytes_per_entry, .shards = 1, .now = options.now});
    replay_guard made;
    made.strikes_ = std::make_shared<detail::strike_register>(std::move(storage), std::move(options), true);
    return made;
}

replay_guard replay_guard::shared(storage_ptr storage, replay_guard_options options)
{
    check_options(options);
    detail::require_option(storage != nullptr, "replay_guard::shared: the storage must not be null");
    replay_guard made;
    made.strikes_ = std::make_shared<detail::strike_register>(std::move(storage), std::move(options), false);
    return made;
}

asio::awaitable<void> replay_guard::check() const
{
    auto const strikes = strikes_;
    if (strikes)
        co_await detail::strike_register::check(strikes);
}

replay_guard replay_guard::single_use_tickets()
{
    replay_guard made;
    made.single_use_ = true;
    return made;
}

} // namespace reprise
