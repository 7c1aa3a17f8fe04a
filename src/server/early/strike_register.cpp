// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/strike_register.hpp"

#include "storage/expiry_field.hpp"

#include <reprise/io/within.hpp>

#include <span>
#include <string_view>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::string_view prefix = "reprise early data ";
constexpr std::string_view begin_name = "reprise replay guard begin";
constexpr std::chrono::hours begin_life{24 * 365};

// Rounded up: it may be later than it was, never sooner.
secret_bytes to_record(time_point begin)
{
    secret_bytes record{expiry_field_size};
    write_expiry(std::span<unsigned char, expiry_field_size>{record.data(), expiry_field_size},
                 std::chrono::ceil<std::chrono::microseconds>(begin));
    return record;
}

std::optional<time_point> from_record(byte_view record)
{
    if (record.size() != expiry_field_size)
        return std::nullopt;
    return read_expiry(record.first<expiry_field_size>());
}

} // namespace

early_data_reason strike_rules::judge(strike const& s, time_point issued_at, time_point now,
                                      bool keys_are_private) const noexcept
{
    if (s.reason != early_data_reason::none)
        return s.reason;
    // No flight is older than its ticket, and none that was accepted longer ago than a life is accepted again.
    bool const reaches_back = s.complete_since <= now - life() || issued_at - skew > s.complete_since ||
                              (s.is_complete && is_private && keys_are_private);
    return reaches_back ? early_data_reason::none : early_data_reason::guard_starting;
}

bool strike_budget::spend(time_point now) noexcept
{
    if (now < begin_ || now - begin_ >= 2 * life_)
    {
        begin_ = now;
        current_ = previous_ = 0;
    }
    else if (now - begin_ >= life_)
    {
        begin_ += life_;
        previous_ = std::exchange(current_, 0);
    }
    if (previous_ + current_ >= most_)
        return false;
    ++current_;
    return true;
}

strike_register::strike_register(storage_ptr storage, replay_guard_options options, bool is_private)
    : storage_(std::move(storage)), options_(std::move(options)),
      rules_{is_private ? std::chrono::milliseconds{0} : options_.max_clock_skew, is_private}, made_at_(options_.now()),
      budget_(options_.max_entries, rules_.life()), evicted_(storage_->stats().evicted)
{
}

asio::awaitable<strike> strike_register::hit(std::shared_ptr<strike_register> self, std::string binder)
{
    {
        std::lock_guard const lock{self->mutex_};
        if (!self->budget_.spend(self->options_.now()))
            co_return strike{early_data_reason::guard_full};
    }
    auto answer = co_await within(self->options_.deadline, ask(self, std::move(binder)));
    if (answer.status == lookup_status::answered)
        co_return *answer.value;
    co_return strike{answer.status == lookup_status::late ? early_data_reason::guard_late
                                                          : early_data_reason::guard_failed};
}

asio::awaitable<strike> strike_register::ask(std::shared_ptr<strike_register> self, std::string binder)
{
    auto const name = std::string{prefix}.append(binder);
    auto const now = self->options_.now();
    bool const is_first = co_await self->storage_->put_if_absent(name, secret_bytes{1}, now + self->rules_.life());
    if (!is_first)
        co_return strike{early_data_reason::replayed};
    // In this order: a storage that was emptied before the strike is seen to be.
    auto const begin = co_await self->begin_of_storage();
    if (!begin)
        co_return strike{early_data_reason::guard_starting};
    co_return strike{early_data_reason::none, *begin, *begin == self->made_at_};
}

bool strike_register::has_lost_entries()
{
    auto const evicted = storage_->stats().evicted;
    std::lock_guard const lock{mutex_};
    return std::exchange(evicted_, evicted) < evicted;
}

// Since when the storage has forgotten nothing before its time. Nothing if that is only now.
asio::awaitable<std::optional<time_point>> strike_register::begin_of_storage()
{
    bool const lost = has_lost_entries();
    auto const now = options_.now();
    if (rules_.is_private)
    {
        std::lock_guard const lock{mutex_};
        if (lost)
            began_anew_ = now;
        co_return began_anew_.value_or(made_at_);
    }
    std::string const name{begin_name};
    if (!lost)
        if (auto const record = co_await storage_->get(name))
            if (auto const begin = from_record(*record))
                co_return begin;
    co_await storage_->put(name, to_record(now), now + begin_life);
    co_return std::nullopt;
}

} // namespace reprise::detail
