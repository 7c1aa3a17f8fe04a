// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/key_source.hpp"

#include "base/openssl.hpp"
#include "base/require_option.hpp"
#include "server/tickets/ticket_ring.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::size_t secret_size = 32;

// A key may issue a little longer than it should, while another thread, whose time is a little later, makes the next
// key.
constexpr std::chrono::seconds grace{1};

class rotating_source final : public key_source
{
public:
    explicit rotating_source(rotating_keys_options const& options, key_source_context const& context)
        : every_(options.every), accept_for_(std::max({options.accept_for, context.ticket_life, grace}))
    {
    }

    [[nodiscard]] bool is_immediate() const override { return true; }
    [[nodiscard]] bool is_private() const override { return true; }
    [[nodiscard]] std::chrono::milliseconds refresh_every() const override { return every_; }
    [[nodiscard]] std::chrono::milliseconds fetch_timeout() const override { return std::chrono::milliseconds{0}; }

    asio::awaitable<ticket_key_set> fetch(ticket_key_set current) override { co_return current; }

    std::optional<ticket_key_set> next(ticket_key_set const& current, time_point now) override
    {
        ticket_key_set keys;
        std::ranges::copy_if(current, std::back_inserter(keys),
                             [&](ticket_key const& k) { return role_at(k, now) != key_role::over; });
        auto const is_current = [&](ticket_key const& k)
        { return k.not_before <= now + grace && now < k.not_before + every_; };
        if (std::ranges::none_of(keys, is_current))
            keys.push_back(make(now));
        else if (keys.size() == current.size())
            return std::nullopt;
        return keys;
    }

    [[nodiscard]] time_point due(ticket_key_set const& current, time_point now) const override
    {
        auto first = now + every_;
        for (auto const& key : current)
        {
            if (role_at(key, now) == key_role::issuing && key.not_before + every_ > now)
                first = std::min(first, key.not_before + every_);
            first = std::min(first, key.accept_until);
        }
        return first;
    }

private:
    ticket_key make(time_point now)
    {
        auto const last = now + every_;
        return {random_secret(secret_size), "rotating " + std::to_string(++count_), now, last + grace,
                last + accept_for_};
    }

    std::chrono::seconds const every_;
    std::chrono::seconds const accept_for_;
    std::uint64_t count_ = 0;
};

} // namespace

std::unique_ptr<key_source> make_rotating_source(rotating_keys_options const& options,
                                                 key_source_context const& context)
{
    constexpr std::chrono::seconds week = std::chrono::hours{24 * 7};
    require_option(options.every >= std::chrono::seconds{1} && options.every <= week,
                   "rotating_keys_options::every must be 1 s to 7 days");
    require_option(options.accept_for >= std::chrono::seconds{0} && options.accept_for <= week,
                   "rotating_keys_options::accept_for must be 0 s to 7 days");
    auto const accept_for = std::max(options.accept_for, context.ticket_life);
    require_option(accept_for / options.every < static_cast<long>(max_ticket_keys) - 1,
                   "rotating_keys_options::every is too short: more than 64 keys would be alive at once");
    return std::make_unique<rotating_source>(options, context);
}

} // namespace reprise::detail
