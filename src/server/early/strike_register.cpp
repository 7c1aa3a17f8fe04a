// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/strike_register.hpp"

#include "storage/expiry_field.hpp"

#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/error.hpp>
#include <reprise/storage/immediate_storage.hpp>

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::string_view prefix = "reprise early data ";
constexpr std::string_view begin_name = "reprise replay guard begin";
constexpr std::chrono::hours begin_life{24 * 365};

} // namespace

// Format: the time; the number of evictions, if it is known; a space; the incarnation.
secret_bytes register_begin::to_record() const
{
    std::string const evicted = epoch.evicted ? std::to_string(*epoch.evicted) : std::string{};
    auto const text = evicted + " " + epoch.incarnation;
    secret_bytes record{expiry_field_size + text.size()};
    write_expiry(std::span<unsigned char, expiry_field_size>{record.data(), expiry_field_size},
                 std::chrono::ceil<std::chrono::microseconds>(at));
    std::ranges::copy(text, record.data() + expiry_field_size);
    return record;
}

std::optional<register_begin> register_begin::from_record(byte_view record)
{
    if (record.size() < expiry_field_size)
        return std::nullopt;
    auto const rest = record.subspan(expiry_field_size);
    std::string_view const text{reinterpret_cast<char const*>(rest.data()), rest.size()};
    auto const space = text.find(' ');
    if (space == std::string_view::npos)
        return std::nullopt;
    register_begin result;
    result.at = read_expiry(record.first<expiry_field_size>());
    result.epoch.incarnation = text.substr(space + 1);
    std::uint64_t evicted = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + space, evicted);
    if (ec == std::errc{} && end == text.data() + space)
        result.epoch.evicted = evicted;
    return result;
}

begin_step plan_begin(std::optional<register_begin> const& found, storage_epoch const& now) noexcept
{
    if (now.incarnation.empty() || !now.evicted)
        return begin_step::refuse;
    return found && found->epoch == now ? begin_step::rely_on_it : begin_step::begin_anew;
}

early_data_reason strike_rules::judge(strike const& s, time_point issued_at, time_point now,
                                      bool keys_are_private) const noexcept
{
    if (s.reason != early_data_reason::none)
        return s.reason;
    // No flight is older than its ticket. A flight that was accepted more than one life ago is not accepted again.
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
      rules_{is_private ? std::chrono::milliseconds{0} : options_.max_clock_skew, is_private},
      budget_(options_.max_entries, rules_.life())
{
    auto const own = is_private ? std::dynamic_pointer_cast<immediate_storage>(storage_) : nullptr;
    if (!own)
        return;
    auto const now = options_.now();
    auto const record = register_begin{now, own->epoch_now()}.to_record();
    own->put_now(begin_name, record, now + begin_life);
    first_ = register_begin::from_record(record);
}

asio::awaitable<strike> strike_register::hit(std::shared_ptr<strike_register> self, std::string binder)
{
    {
        std::lock_guard const lock{self->mutex_};
        if (!self->budget_.spend(self->options_.now()))
            co_return strike{early_data_reason::guard_full};
    }
    auto answer = co_await with_timeout(self->options_.storage_timeout, ask(self, std::move(binder)));
    if (answer.status == timed_status::answered)
        co_return *answer.value;
    co_return strike{answer.status == timed_status::late ? early_data_reason::guard_late
                                                         : early_data_reason::guard_failed};
}

asio::awaitable<strike> strike_register::ask(std::shared_ptr<strike_register> self, std::string binder)
{
    auto const name = std::string{prefix}.append(binder);
    auto const now = self->options_.now();
    auto const answer =
        co_await self->storage_->put_if_absent_with_epoch(name, secret_bytes{1}, now + self->rules_.life());
    if (!answer.value)
        co_return strike{early_data_reason::replayed};
    // The begin is read after the strike, so that a storage that was emptied before the strike is noticed.
    std::string const at{begin_name};
    auto const record = co_await self->storage_->get(at);
    auto const begin = record ? register_begin::from_record(*record) : std::nullopt;
    switch (plan_begin(begin, answer.epoch))
    {
    case begin_step::refuse: co_return strike{early_data_reason::guard_unsure};
    case begin_step::rely_on_it: co_return strike{early_data_reason::none, begin->at, begin == self->first_};
    case begin_step::begin_anew: break;
    }
    // This time is not before the epoch was read. If this write fails, the next strike finds the old begin and tries
    // again.
    register_begin const anew{self->options_.now(), answer.epoch};
    co_await self->storage_->put(at, anew.to_record(), anew.at + begin_life);
    co_return strike{early_data_reason::guard_starting};
}

asio::awaitable<void> strike_register::check(std::shared_ptr<strike_register> self)
{
    co_await self->storage_->check();
    auto const epoch = co_await self->storage_->epoch();
    if (epoch.incarnation.empty() || !epoch.evicted)
        throw system_error{errc::guard_unsure, "the storage does not override storage::epoch; use a storage that does"};
}

} // namespace reprise::detail
