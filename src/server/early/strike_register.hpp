// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/server/replay_guard.hpp>
#include <reprise/server/strike.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace reprise::detail {

/// How long OpenSSL accepts one first flight: it allows ten seconds in the ticket's age, and counts in whole ones.
inline constexpr std::chrono::seconds ticket_age_window{12};

/// Whether a strike settles it.
struct strike_rules
{
    std::chrono::milliseconds skew;
    bool is_private; ///< in the memory of this process

    /// How long a first flight can be accepted somewhere, and therefore how long it is remembered.
    [[nodiscard]] std::chrono::milliseconds life() const { return ticket_age_window + 2 * skew; }

    /// @param keys_are_private The ticket was issued by the cache that asks, and is of no use elsewhere.
    [[nodiscard]] early_data_reason judge(strike const& s, time_point issued_at, time_point now,
                                          bool keys_are_private) const noexcept;
};

/// How many strikes there may be in one life, without remembering when each one was.
class strike_budget
{
public:
    strike_budget(std::size_t most, std::chrono::milliseconds life) : most_(most), life_(life) {}

    /// False if there have been too many.
    [[nodiscard]] bool spend(time_point now) noexcept;

private:
    std::size_t const most_;
    std::chrono::milliseconds const life_;
    time_point begin_{};      // of the current life
    std::size_t current_ = 0; // strikes in it
    std::size_t previous_ = 0;
};

/// The first flights that were seen, in a storage.
class strike_register
{
public:
    /// Takes options that were checked.
    strike_register(storage_ptr storage, replay_guard_options options, bool is_private);

    /// Note this first flight, within the deadline. It may be abandoned.
    static asio::awaitable<strike> hit(std::shared_ptr<strike_register> self, std::string binder);

    [[nodiscard]] replay_guard_options const& options() const noexcept { return options_; }
    [[nodiscard]] strike_rules const& rules() const noexcept { return rules_; }

private:
    static asio::awaitable<strike> ask(std::shared_ptr<strike_register> self, std::string binder);
    [[nodiscard]] bool has_lost_entries();
    asio::awaitable<std::optional<time_point>> begin_of_storage();

    storage_ptr const storage_;
    replay_guard_options const options_;
    strike_rules const rules_;
    time_point const made_at_;

    std::mutex mutex_; // of what follows
    strike_budget budget_;
    std::uint64_t evicted_;
    std::optional<time_point> began_anew_;
};

} // namespace reprise::detail
