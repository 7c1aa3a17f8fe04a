// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/server/strike.hpp>
#include <reprise/replay_guard.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace reprise::detail {

/// How long OpenSSL accepts one first flight: it allows ten seconds in the ticket's age, and counts in whole seconds.
inline constexpr std::chrono::seconds ticket_age_window{12};

/// Decides whether a strike rules out a replay.
struct strike_rules
{
    std::chrono::milliseconds skew;
    bool is_private; ///< the register is in the memory of this process

    /// How long some server may accept a first flight, and therefore how long it is remembered.
    [[nodiscard]] std::chrono::milliseconds life() const { return ticket_age_window + 2 * skew; }

    /// Return `none` if the strike rules out a replay; else why early data is refused.
    /// @param keys_are_private Whether the ticket was issued by the cache that asks, and is of no use elsewhere.
    [[nodiscard]] early_data_reason judge(strike const& s, time_point issued_at, time_point now,
                                          bool keys_are_private) const noexcept;
};

/// Limits the strikes in one life, without remembering the time of each.
class strike_budget
{
public:
    strike_budget(std::size_t most, std::chrono::milliseconds life) : most_(most), life_(life) {}

    /// Count a strike. Returns false if there have been too many.
    [[nodiscard]] bool spend(time_point now) noexcept;

private:
    std::size_t const most_;
    std::chrono::milliseconds const life_;
    time_point begin_{};      // of the current life
    std::size_t current_ = 0; // strikes in the current life
    std::size_t previous_ = 0;
};

/// The time since which a register's storage has lost nothing, as far as `epoch` can tell. It is kept in that storage.
struct register_begin
{
    time_point at{};
    storage_epoch epoch{};

    /// The time is rounded up: it may be later than the begin, never sooner.
    [[nodiscard]] secret_bytes to_record() const;
    [[nodiscard]] static std::optional<register_begin> from_record(byte_view record);

    friend bool operator==(register_begin const&, register_begin const&) = default;
};

/// What a register does with the begin that it finds in the storage, after a strike that was answered in the epoch
/// `now`.
enum class begin_step
{
    rely_on_it,
    begin_anew, ///< no begin was found, or the storage may have lost entries since
    refuse,     ///< the storage does not know its epoch
};

[[nodiscard]] begin_step plan_begin(std::optional<register_begin> const& found, storage_epoch const& now) noexcept;

/// The first flights that were seen, in a storage (RFC 8446, 8.2).
class strike_register
{
public:
    /// The options must have been checked. A private register begins now.
    strike_register(storage_ptr storage, replay_guard_options options, bool is_private);

    /// Record this first flight, within `storage_timeout`. The operation may be abandoned.
    static asio::awaitable<strike> hit(std::shared_ptr<strike_register> self, std::string binder);

    /// See `replay_guard::check`.
    static asio::awaitable<void> check(std::shared_ptr<strike_register> self);

    /// Whether the entries are only in the memory of this process.
    [[nodiscard]] bool is_process_local() const noexcept { return storage_->is_process_local(); }

    [[nodiscard]] replay_guard_options const& options() const noexcept { return options_; }
    [[nodiscard]] strike_rules const& rules() const noexcept { return rules_; }

private:
    static asio::awaitable<strike> ask(std::shared_ptr<strike_register> self, std::string binder);

    storage_ptr const storage_;
    replay_guard_options const options_;
    strike_rules const rules_;
    std::optional<register_begin> first_; // set for a private register

    std::mutex mutex_; // guards budget_
    strike_budget budget_;
};

} // namespace reprise::detail
