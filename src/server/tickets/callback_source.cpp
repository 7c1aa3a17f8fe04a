// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/old_name.hpp"
#include "server/tickets/key_source.hpp"

#include "base/require_option.hpp"

#include <utility>

namespace reprise::detail {

namespace {

// The coroutine owns a copy of the callback, because it may outlive the source.
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
    [[nodiscard]] std::chrono::milliseconds fetch_timeout() const override { return options_.fetch_timeout; }
    [[nodiscard]] bool may_orphan_tickets() const override { return options_.may_orphan_tickets; }

private:
    ticket_keys::callback const fetch_;
    callback_keys_options const options_;
};

void use_old_names(callback_keys_options& o)
{
    use_old_name(o.deadline, o.fetch_timeout);
}

} // namespace

std::unique_ptr<key_source> make_callback_source(ticket_keys::callback fetch, callback_keys_options options,
                                                 key_source_context const&)
{
    use_old_names(options);
    using std::chrono::milliseconds;
    require_option(fetch != nullptr, "ticket_keys::from_callback: the callback must not be empty");
    require_option(options.refresh_every >= milliseconds{10},
                   "callback_keys_options::refresh_every must be at least 10 ms");
    require_option(options.fetch_timeout >= milliseconds{1},
                   "callback_keys_options::fetch_timeout must be at least 1 ms");
    return std::make_unique<callback_source>(std::move(fetch), options);
}

} // namespace reprise::detail
