// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/key_source.hpp"

#include "base/require_option.hpp"

#include <utility>

namespace reprise::detail {

namespace {

// The callback is copied into the coroutine, for it may go on after the source.
asio::awaitable<ticket_key_set> call(ticket_keys::callback fetch)
{
    co_return co_await fetch();
}

class callback_source final : public key_source
{
public:
    callback_source(ticket_keys::callback fetch, callback_keys_options const& options)
        : fetch_(std::move(fetch)), options_(options)
    {
    }

    asio::awaitable<ticket_key_set> fetch(ticket_key_set) override { return call(fetch_); }
    [[nodiscard]] std::chrono::milliseconds refresh_every() const override { return options_.refresh_every; }
    [[nodiscard]] std::chrono::milliseconds deadline() const override { return options_.deadline; }
    [[nodiscard]] bool may_orphan_tickets() const override { return options_.may_orphan_tickets; }

private:
    ticket_keys::callback const fetch_;
    callback_keys_options const options_;
};

} // namespace

std::unique_ptr<key_source> make_callback_source(ticket_keys::callback fetch, callback_keys_options const& options,
                                                 key_source_context const&)
{
    using std::chrono::milliseconds;
    require_option(fetch != nullptr, "ticket_keys::from_callback: a callback");
    require_option(options.refresh_every >= milliseconds{10}, "callback_keys_options::refresh_every: at least 10 ms");
    require_option(options.deadline >= milliseconds{1}, "callback_keys_options::deadline: at least 1 ms");
    return std::make_unique<callback_source>(std::move(fetch), options);
}

} // namespace reprise::detail
