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
    /// A new key after this long. 1 s to 7 days.
    std::chrono::seconds every = std::chrono::hours{12};

    /// How long a key opens tickets after it has issued the last one; 0 s for the session lifetime, which is also the least.
    std::chrono::seconds accept_for{0};
};

struct file_keys_options
{
    /** nginx: one or more files of 48 or 80 bytes, of which the first issues and all open (ssl_session_ticket_key). Or
        HAProxy: one file of at least three lines, each such a key in base64, of which the last but one issues
        (tls-ticket-keys). Files of 80 bytes hold twice the secret. The tickets themselves are ours and open nowhere else.

        Change them step by step, each step a session lifetime or more after the last: a step that leaves out a key whose
        tickets are alive is refused until they are not, and one that leaves out the key that issues, until it is back.
    */
    std::vector<std::filesystem::path> paths{};

    /// How often they are looked at, by a thread of its own, while there are handshakes. At least 10 ms.
    std::chrono::milliseconds check_every{5000};

    /// Take new files even if tickets that are still alive can then no longer be opened: after a theft.
    bool may_orphan_tickets = false;
};

struct shared_keys_options
{
    /// 32 random bytes, equal on all servers: what the storage holds is sealed under it (AES-256-GCM), so that who reads the
    /// storage learns no key and who writes to it can plant none.
    secret_bytes fleet_secret{};

    /// Whose keys these are: fleets of different names share nothing. 1 to 64 bytes.
    std::string fleet = "reprise";

    /// A new generation after this long; equal on all servers. 1 s to 7 days, and at least a 58th of the session lifetime and
    /// three max_clock_skew together, so that there are not too many keys.
    std::chrono::seconds every = std::chrono::hours{12};

    /// How often a server asks for news, while there are handshakes; and in between, at most once a second, when it is
    /// shown a ticket of a key that it does not know. 10 ms to every / 4.
    std::chrono::milliseconds refresh_every{60'000};

    /// How far the servers' clocks may be from the true time. 0 s to every / 4.
    std::chrono::milliseconds max_clock_skew{60'000};

    /// Longest wait for the storage. At least 1 ms. No handshake waits that long: they have session_cache's lookup_timeout.
    std::chrono::milliseconds storage_timeout{5000};

    [[deprecated("storage_timeout")]] std::optional<std::chrono::milliseconds> deadline{};
};

struct callback_keys_options
{
    /// How often it is called, while there are handshakes. At least 10 ms.
    std::chrono::milliseconds refresh_every{60'000};

    /// Longest wait for it. At least 1 ms.
    std::chrono::milliseconds fetch_timeout{5000};

    [[deprecated("fetch_timeout")]] std::optional<std::chrono::milliseconds> deadline{};

    /// Take sets that leave a key out whose tickets are still alive.
    bool may_orphan_tickets = false;
};

/** Where a session_cache gets the keys from that seal its tickets (RFC 5077; RFC 8446, 4.6.1; RFC 9325, 3.4).

    This is a description; each cache makes keys from it for itself. So two caches that are configured from one copy never
    share keys that were made automatically, while files, a storage or a callback give the same ones to all who ask.

    A set of keys that cannot be right is refused, whoever it comes from: weak secrets, names that occur twice, times that
    run backwards, a key left out while its tickets are alive. Then, and when the source fails, the old keys go on and a
    counter tells (`ticket_stats`). Where no key can issue any more, a handshake goes on without tickets: by session id or
    stateful ticket if there is a storage.

    Keys are renewed by handshakes, which ask for news behind their back and for at most the lookup deadline where they
    cannot go on without. There is no task in the background that would have to be ended.
*/
class ticket_keys
{
public:
    /// What a secret manager says: the keys that there should be now. It may fail; it is abandoned after the deadline, so it
    /// owns what it uses.
    using callback = std::function<asio::awaitable<ticket_key_set>()>;

    /// True: `rotating({})`. False: no tickets. A session is then remembered, under a TLS 1.2 session id, or under the name
    /// that a TLS 1.3 ticket is, good for one use.
    template <std::same_as<bool> B>
    ticket_keys(B on) : ticket_keys(on ? rotating({}) : ticket_keys{source{}})
    {
    }

    /// Random keys in this process, and nowhere else.
    [[nodiscard]] static ticket_keys rotating(rotating_keys_options options);

    /// Keys in files, read again when they change.
    [[nodiscard]] static ticket_keys from_files(file_keys_options options);

    /** Keys that all servers with one storage share, without a coordinator.

        Time is cut into generations of `every`. The key of the next one is made a whole generation ahead, by whichever server
        comes first (`put_if_absent`), so that all have learned it when it issues. A storage that is down is not missed until
        the generation after the next one. A storage that has lost its data is filled again by those who remember. The first
        key of a fleet issues after refresh_every and twice max_clock_skew; until then there are no tickets.

        Give all servers the same session lifetime, for each key opens for as long as the tickets of the server live that has
        made it. A record that somebody has changed is replaced and reported. Where a storage has lost its data, and the first
        to ask is a server that has just started, tickets of the current key do not open there.
    */
    [[nodiscard]] static ticket_keys shared(storage_ptr storage, shared_keys_options options);

    /// Keys from elsewhere.
    [[nodiscard]] static ticket_keys from_callback(callback fetch, callback_keys_options options = {});

    [[nodiscard]] bool enabled() const noexcept { return make_ != nullptr; }

    /// For session_cache. @throws system_error `errc::bad_option`, `errc::weak_ticket_key`.
    [[nodiscard]] std::unique_ptr<detail::key_source> make(detail::key_source_context const& context) const;

private:
    using source = std::function<std::unique_ptr<detail::key_source>(detail::key_source_context const&)>;

    explicit ticket_keys(source make) : make_(std::move(make)) {}

    source make_;
};

/// Counters of one cache's ticket keys. Each is exact; together they are not one snapshot.
struct ticket_stats
{
    std::size_t keys = 0;               ///< held now
    bool can_issue = false;             ///< one of them issues now
    std::uint64_t issued = 0;           ///< tickets sealed
    std::uint64_t opened = 0;           ///< tickets whose key was found, and which were then checked
    std::uint64_t unknown = 0;          ///< tickets of no key that there is
    std::uint64_t without_issuer = 0;   ///< handshakes that went on without tickets, because no key could issue
    std::uint64_t steps = 0;            ///< times that the keys have changed
    std::uint64_t refused_steps = 0;    ///< changes that were refused
    std::uint64_t failed_refreshes = 0; ///< times that the source failed or was late
    bool memory_locked = false;         ///< the system has allowed to lock their memory (RLIMIT_MEMLOCK)
};

} // namespace reprise
