// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/ticket_key.hpp>
#include <reprise/ticket_keys.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>

namespace reprise::detail {

/// What a source has to know of the cache that it works for.
struct key_source_context
{
    std::chrono::seconds ticket_life; ///< the session lifetime
    clock now;
};

/** Where one cache's keys come from. It keeps no ring: it is told what there is, and says what there should be.

    Object lifetimes: `fetch` may be abandoned and go on after the source, so it owns what it uses.
*/
class key_source
{
public:
    key_source() = default;
    key_source(key_source const&) = delete;
    key_source& operator=(key_source const&) = delete;
    virtual ~key_source() = default;

    /// The keys that there should be. At most one call at a time, unless one was abandoned. Throws if they cannot be had.
    virtual asio::awaitable<ticket_key_set> fetch(ticket_key_set current) = 0;

    /// How often to ask.
    [[nodiscard]] virtual std::chrono::milliseconds refresh_every() const = 0;

    /// Longest wait for an answer.
    [[nodiscard]] virtual std::chrono::milliseconds fetch_timeout() const = 0;

    /// Whether a set may leave a key out whose tickets are still alive.
    [[nodiscard]] virtual bool may_orphan_tickets() const { return false; }

    /// For a source that has nothing to await: the next set, or nothing if `current` is right at `now`. It is then asked
    /// instead of `fetch`, in a handshake.
    [[nodiscard]] virtual std::optional<ticket_key_set> next(ticket_key_set const&, time_point) { return std::nullopt; }
    [[nodiscard]] virtual bool is_immediate() const { return false; }

    /// Whether nobody else has its keys.
    [[nodiscard]] virtual bool is_private() const { return false; }

    /// When it will be right no longer.
    [[nodiscard]] virtual time_point due(ticket_key_set const&, time_point now) const { return now + refresh_every(); }
};

/// What makes them. @throws system_error `errc::bad_option`, `errc::weak_ticket_key`.
[[nodiscard]] std::unique_ptr<key_source> make_rotating_source(rotating_keys_options const& options,
                                                               key_source_context const& context);
[[nodiscard]] std::unique_ptr<key_source> make_file_source(file_keys_options const& options,
                                                           key_source_context const& context);
[[nodiscard]] std::unique_ptr<key_source> make_shared_source(storage_ptr storage, shared_keys_options options,
                                                             key_source_context const& context);
[[nodiscard]] std::unique_ptr<key_source>
make_callback_source(ticket_keys::callback fetch, callback_keys_options options, key_source_context const& context);

} // namespace reprise::detail
