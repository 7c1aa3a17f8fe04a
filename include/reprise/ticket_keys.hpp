// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/storage/storage.hpp>
#include <reprise/ticket_key.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reprise {

namespace asio = boost::asio;

namespace detail {
class key_source;
struct key_source_context;
} // namespace detail

struct rotating_keys_options
{
    /// Time between new keys. 1 s to 7 days.
    std::chrono::seconds every = std::chrono::hours{12};

    /// How long a key opens tickets after it issued the last one. 0 s to 7 days. The session lifetime is the minimum:
    /// smaller values, and 0 s, mean the session lifetime.
    std::chrono::seconds accept_for{0};
};

struct file_keys_options
{
    /** The key files, 1 to 64.

        @li nginx: one or more files of 48 or 80 bytes. The first file issues, all files open (ssl_session_ticket_key).
        @li HAProxy: one file of at least three lines, each one key in base64. The last but one line issues
            (tls-ticket-keys).

        Files of 80 bytes contain twice the secret. The tickets have reprise's own format: neither nginx nor HAProxy
        opens them.

        Change the files in steps, at least a session lifetime apart. A step that removes a key with valid tickets is
        refused until those tickets have expired. A step that removes the issuing key is refused until that key is back.
    */
    std::vector<std::filesystem::path> paths{};

    /// How often the files are read, while there are handshakes. At least 10 ms. A separate thread reads them.
    std::chrono::milliseconds check_every{5000};

    /// Accept new files even if valid tickets can then no longer be opened: after a theft of keys.
    bool may_orphan_tickets = false;
};

struct shared_keys_options
{
    /// 32 random bytes, equal on all servers. The keys in the storage are sealed under this secret (AES-256-GCM). So an
    /// attacker who reads the storage learns no key, and one who writes to it cannot plant a key.
    secret_bytes fleet_secret{};

    /// Name of the fleet: fleets with different names share nothing. 1 to 64 bytes.
    std::string fleet = "reprise";

    /// Time between generations of keys; equal on all servers. 1 s to 7 days, and at least (session lifetime + 3 *
    /// `max_clock_skew`) / 58, which limits the number of keys.
    std::chrono::seconds every = std::chrono::hours{12};

    /// How often a server reads the keys from the storage, while there are handshakes. 10 ms to every / 4. A ticket of
    /// an unknown key causes an extra read, at most once a second.
    std::chrono::milliseconds refresh_every{60'000};

    /// Largest difference between a server's clock and the true time. 0 s to every / 4.
    std::chrono::milliseconds max_clock_skew{60'000};

    /// Longest wait for the storage. At least 1 ms. Handshakes do not wait that long:
    /// `session_cache_options::lookup_timeout` bounds them.
    std::chrono::milliseconds storage_timeout{5000};

    /// The name of `storage_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> deadline{};
};

struct callback_keys_options
{
    /// How often the callback is called, while there are handshakes. At least 10 ms.
    std::chrono::milliseconds refresh_every{60'000};

    /// Longest wait for the callback. At least 1 ms.
    std::chrono::milliseconds fetch_timeout{5000};

    /// The name of `fetch_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> deadline{};

    /// Accept a set without a key whose tickets are still valid.
    bool may_orphan_tickets = false;
};

/** Source of the keys that seal the tickets of a session_cache (RFC 5077; RFC 8446, 4.6.1; RFC 9325, 3.4).

    A ticket_keys is a description; each cache creates its own source from it. So two caches that are configured from
    one copy never share keys that were made automatically. Files, a storage or a callback give equal keys to all
    caches.

    An invalid set of keys is refused, from any source: weak secrets, duplicate names, times out of order, or a missing
    key whose tickets are still valid. After a refusal, and when the source fails, the old keys stay in use and a
    counter says so (`ticket_stats`). If no key can issue any more, a handshake goes on without tickets: by session id
    or stateful ticket, if there is a storage.

    Handshakes refresh the keys in the background. A handshake that needs a new key waits for at most
    `session_cache_options::lookup_timeout`. There is no background task that would have to be stopped.
*/
class ticket_keys
{
public:
    /// Returns the keys that are valid now, for example from a secret manager. The callback may fail. After
    /// `fetch_timeout` the callback is abandoned, so it must own what it uses.
    using callback = std::function<asio::awaitable<ticket_key_set>()>;

    /// True: `rotating({})`. False: no stateless tickets. Sessions are then stored, under a TLS 1.2 session id or under
    /// the name in a single-use TLS 1.3 ticket.
    template <std::same_as<bool> B>
    ticket_keys(B on) : ticket_keys(on ? rotating({}) : ticket_keys{source{}})
    {
    }

    /// Random keys that exist only in this process.
    [[nodiscard]] static ticket_keys rotating(rotating_keys_options options);

    /// Keys in files, which are read again regularly.
    [[nodiscard]] static ticket_keys from_files(file_keys_options options);

    /** Keys that all servers share through one storage, without a coordinator.

        Time is divided into generations of `every`. The key of the next generation is made a whole generation ahead, by
        the first server that needs it (`put_if_absent`). So all servers know the key before it issues. A storage outage
        has no effect until the generation after the next one. Servers refill a storage that has lost its data with the
        keys that they remember. The first key of a fleet issues after `refresh_every` plus twice `max_clock_skew`;
        until then there are no tickets.

        Use the same session lifetime on all servers: a key accepts tickets for the lifetime configured on the server
        that created it. A record that was changed by others is replaced and reported. If a storage has lost its data
        and the first server to read it has just started, tickets of the current key do not open there.
    */
    [[nodiscard]] static ticket_keys shared(storage_ptr storage, shared_keys_options options);

    /// Keys from a callback, for example from a secret manager.
    [[nodiscard]] static ticket_keys from_callback(callback fetch, callback_keys_options options = {});

    [[nodiscard]] bool enabled() const noexcept { return make_ != nullptr; }

    /// Create the source, for session_cache. @throws system_error `errc::bad_option`, `errc::weak_ticket_key`.
    [[nodiscard]] std::unique_ptr<detail::key_source> make(detail::key_source_context const& context) const;

private:
    using source = std::function<std::unique_ptr<detail::key_source>(detail::key_source_context const&)>;

    explicit ticket_keys(source make) : make_(std::move(make)) {}

    source make_;
};

/// Counters of one cache's ticket keys. Each counter is exact; together they are not one snapshot.
struct ticket_stats
{
    std::size_t keys = 0;               ///< keys in memory now
    bool can_issue = false;             ///< whether a key issues now
    std::uint64_t issued = 0;           ///< tickets sealed
    std::uint64_t opened = 0;           ///< tickets whose key was found, and which were then checked
    std::uint64_t unknown = 0;          ///< tickets whose key was not found
    std::uint64_t without_issuer = 0;   ///< handshakes without tickets, because no key could issue
    std::uint64_t steps = 0;            ///< changes of the keys
    std::uint64_t refused_steps = 0;    ///< changes that were refused
    std::uint64_t failed_refreshes = 0; ///< refreshes that failed or timed out
    bool memory_locked = false;         ///< whether the memory of the keys is locked (RLIMIT_MEMLOCK)
};

} // namespace reprise
