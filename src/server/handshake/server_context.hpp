// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/cache/pending_writes.hpp"
#include "server/handshake/id_context.hpp"
#include "server/tickets/ticket_keeper.hpp"
#include "tls/context_policy.hpp"
#include "tls/decoded_sessions.hpp"

#include <reprise/session.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/storage/immediate_storage.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <array>
#include <atomic>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::detail {

class server_handshake;

/// The issue time of a ticket. OpenSSL's clock may lag by some milliseconds (time(2)). A ticket from the future by that
/// clock would carry no early data. So a lead of one second is removed.
[[nodiscard]] std::time_t issue_time(time_point ours, std::time_t openssl) noexcept;

/// The part of a session_cache that the context's callbacks need. Lives as long as the context.
class server_context : public std::enable_shared_from_this<server_context>
{
public:
    explicit server_context(session_cache_options o);

    session_cache_options const options;
    std::shared_ptr<ticket_keeper> const tickets; // null: no tickets
    std::shared_ptr<pending_writes> const writes; // shared with writes that outlive this object

    [[nodiscard]] bool uses_storage() const noexcept { return options.storage != nullptr; }

    /// The storage, if it is an immediate_storage; else null.
    [[nodiscard]] immediate_storage* immediate() const noexcept { return immediate_.get(); }

    /// Identifies who may resume which sessions.
    struct policy
    {
        policy_tag tag{};     ///< digest of the settings; the keys of tickets are derived from it
        id_context context{}; ///< of the settings and the server name; a part of sessions
    };

    /// The policy of an SSL of this cache whose client asks for this server name.
    [[nodiscard]] policy policy_of(SSL* ssl, std::string_view server_name);

    /// The groups that the context of this cache accepts, as `read_groups` reads them.
    [[nodiscard]] std::string groups(SSL_CTX* context);

    /// Check whether a session of this origin may be resumed now, by the rules that OpenSSL does not apply. @return
    /// `full_handshake_reason::none`, or why not.
    [[nodiscard]] full_handshake_reason judge(SSL_SESSION const* candidate, session_origin const& origin) const;

    /// How long a session that is issued now may be resumed.
    [[nodiscard]] std::chrono::seconds lifetime(session_origin const& origin) const;

    /// The session in a record, if it is known without decoding.
    [[nodiscard]] std::optional<session> known(byte_view record) const { return decoded_.find(record); }

    /// Decode a record from the storage. Returns nothing if the record is not a session.
    [[nodiscard]] std::optional<session> decode(byte_view record);

    /// Encode a session into a record. The record needs no decoding as long as it is known.
    [[nodiscard]] secret_bytes encode(session const& made);

    /// Write a session to the storage, without waiting for the write. Lookups find the session from now on, unless it
    /// is dropped.
    void store(asio::any_io_executor const& ex, session const& made);

    /// Look up a session that may be used again. A session whose write is pending is served from memory.
    static asio::awaitable<with_epoch<std::optional<secret_bytes>>> get(std::shared_ptr<server_context> self,
                                                                        std::string name);

    /// Look up and remove a session for a single use. Waits for a pending write of the session, because only the
    /// storage can tell that no other process has taken it.
    static asio::awaitable<with_epoch<std::optional<secret_bytes>>> take(std::shared_ptr<server_context> self,
                                                                         std::string name);

    /// Take a session together with the storage's epoch, for a client that offers early data.
    static asio::awaitable<with_epoch<std::optional<secret_bytes>>>
    take_for_early_data(std::shared_ptr<server_context> self, std::string name);

    /// Whether early data relies on the storage to hand out a session once.
    [[nodiscard]] bool relies_on_take() const noexcept
    {
        return options.early_data.max_bytes != 0 && options.early_data.guard.is_single_use();
    }

    /// Whether the session is stored bound to the storage's incarnation.
    [[nodiscard]] bool binds(session const& made) const noexcept
    {
        return relies_on_take() && made.protocol() == tls_version::tls13;
    }

    /// The session, bound to the incarnation; unchanged if the incarnation is empty or memory is missing.
    [[nodiscard]] session bound(session const& made, std::string const& incarnation) const;

    /// The incarnation that the storage had when it was last asked. Asks the storage if the incarnation is not known.
    /// With an outdated incarnation, as with none, sessions carry no early data.
    static asio::awaitable<std::string> last_incarnation(std::shared_ptr<server_context> self);

    void count(handshake_info const& info) noexcept;
    void count_failure(error_code why) noexcept;
    void count_early_rejection(early_data_reason reason) noexcept;

    std::atomic<std::uint64_t> early_accepted{0};
    std::array<std::atomic<std::uint64_t>, early_data_reason_count> early_rejected_by_reason{};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> lookups{0};
    std::atomic<std::uint64_t> stored{0};
    std::atomic<std::uint64_t> dropped{0};
    std::atomic<std::uint64_t> storage_errors{0};
    std::array<std::atomic<std::uint64_t>, resumption_kind_count> resumed_by_kind{};
    std::array<std::atomic<std::uint64_t>, full_reason_count> full_by_reason{};

private:
    void store_now(std::string_view name, session const& made, time_point expiry) noexcept;
    void note_incarnation(std::string const& incarnation);
    void write_behind(asio::any_io_executor const& ex, std::string name, session const& made, time_point expiry);

    // The last policy, and what it was made from.
    struct fingerprint
    {
        std::shared_ptr<context_policy const> read;
        std::string server_name;
        policy made{};
    };

    std::shared_ptr<immediate_storage> const immediate_;
    decoded_sessions decoded_;

    policy_reader policy_{tls_end::server};
    std::mutex policy_mutex_;
    fingerprint last_;
    std::shared_ptr<context_policy const> groups_of_; // policy when groups_ was read
    std::optional<std::string> groups_;

    std::mutex incarnation_mutex_;
    std::string incarnation_; // of the storage, as last seen
};

/// Whether a session comes from a ticket or a record of this library.
[[nodiscard]] bool carries_origin(SSL_SESSION* session) noexcept;

/// The server_handshake of a connection; null if the connection is not that of a server_stream.
[[nodiscard]] server_handshake* handshake_of(SSL const* ssl) noexcept;
void set_handshake(SSL* ssl, server_handshake* a);

/// The server that is attached to a context; null if there is none.
[[nodiscard]] server_context* server_of(SSL_CTX const* context) noexcept;

/// Attach the server to the context, which shares its ownership and calls it. @throws system_error
/// `errc::already_attached`, `errc::callback_taken`.
void attach(SSL_CTX* context, std::shared_ptr<server_context> const& server);

} // namespace reprise::detail
