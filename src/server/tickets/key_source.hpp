// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/ticket_key.hpp>
#include <reprise/ticket_keys.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>

namespace reprise::detail {

/// What a source has to know of its cache.
struct key_source_context
{
    std::chrono::seconds ticket_life; ///< the session lifetime
    clock now;
};

/** The source of one cache's keys. It keeps no ring: `fetch` gets the current keys and returns the keys that there
    should be.

    @par Object Lifetimes
    An abandoned `fetch` may outlive the source, so it must own what it uses.
*/
class key_source
{
public:
    key_source() = default;
    key_source(key_source const&) = delete;
    key_source& operator=(key_source const&) = delete;
    virtual ~key_source() = default;

    /// Return the keys that there should be. At most one call is pending, unless another was abandoned. Throws if the
    /// keys cannot be obtained.
    virtual asio::awaitable<ticket_key_set> fetch(ticket_key_set current) = 0;

    /// Time between two fetches.
    [[nodiscard]] virtual std::chrono::milliseconds refresh_every() const = 0;

    /// Longest wait for `fetch`.
    [[nodiscard]] virtual std::chrono::milliseconds fetch_timeout() const = 0;

    /// Whether a set may lack a key whose tickets are still alive.
    [[nodiscard]] virtual bool may_orphan_tickets() const { return false; }

    /// For an immediate source: return the next set, or nothing if `current` is right at `now`. Called instead of
    /// `fetch`, within a handshake.
    [[nodiscard]] virtual std::optional<ticket_key_set> next(ticket_key_set const&, time_point) { return std::nullopt; }
    [[nodiscard]] virtual bool is_immediate() const { return false; }

    /// Whether only this source has its keys.
    [[nodiscard]] virtual bool is_private() const { return false; }

    /// Return until when the current keys are right.
    [[nodiscard]] virtual time_point due(ticket_key_set const&, time_point now) const { return now + refresh_every(); }
};

/// Make a source. @throws system_error `errc::bad_option`, `errc::weak_ticket_key`.
[[nodiscard]] std::unique_ptr<key_source> make_rotating_source(rotating_keys_options const& options,
                                                               key_source_context const& context);
[[nodiscard]] std::unique_ptr<key_source> make_file_source(file_keys_options const& options,
                                                           key_source_context const& context);
[[nodiscard]] std::unique_ptr<key_source> make_shared_source(storage_ptr storage, shared_keys_options options,
                                                             key_source_context const& context);
[[nodiscard]] std::unique_ptr<key_source>
make_callback_source(ticket_keys::callback fetch, callback_keys_options options, key_source_context const& context);

} // namespace reprise::detail
