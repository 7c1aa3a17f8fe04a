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

/// The issue time of a ticket. OpenSSL reads a clock that lags by some milliseconds (time(2)), and by that one a ticket must not
/// be from the future: it would carry no early data.
[[nodiscard]] std::time_t issue_time(time_point ours, std::time_t openssl) noexcept;

/// The part of a cache that its context's callbacks need, and that therefore lives as long as the context.
class server_context : public std::enable_shared_from_this<server_context>
{
public:
    explicit server_context(session_cache_options o);

    session_cache_options const options;
    std::shared_ptr<ticket_keeper> const tickets; // null: no tickets
    std::shared_ptr<pending_writes> const writes; // shared with those that go on after this object

    [[nodiscard]] bool uses_storage() const noexcept { return options.storage != nullptr; }

    /// The storage, if it answers without being awaited.
    [[nodiscard]] immediate_storage* immediate() const noexcept { return immediate_.get(); }

    /// Who resumes what (design rule 3).
    struct policy
    {
        policy_tag tag{};     ///< of the settings; a part of the keys of tickets
        id_context context{}; ///< of these and the server name; a part of sessions
    };

    /// Of an SSL of this cache whose client asks for this name.
    [[nodiscard]] policy policy_of(SSL* ssl, std::string_view server_name);

    /// The groups that this cache's context takes, as `read_groups` reads them.
    [[nodiscard]] std::string groups(SSL_CTX* context);

    /// Whether a session of these times may be resumed now, by the rules that OpenSSL does not apply.
    [[nodiscard]] full_handshake_reason judge(SSL_SESSION const* candidate, session_origin const& origin) const;

    /// How long a session that is issued now may be resumed.
    [[nodiscard]] std::chrono::seconds lifetime(session_origin const& origin) const;

    /// What a record holds, if that is known without decoding it.
    [[nodiscard]] std::optional<session> known(byte_view record) const { return decoded_.find(record); }

    /// What a record from the storage holds. Nothing if it is no session.
    [[nodiscard]] std::optional<session> decode(byte_view record);

    /// The record of a session, which is decoded no more for as long as it is known.
    [[nodiscard]] secret_bytes encode(session const& made);

    /// Hand a session to the storage, without waiting for it. From here on it is found.
    void store(asio::any_io_executor const& ex, session const& made);

    /// Ask the storage for a session that may be used again. One that is still being written is served from memory.
    static asio::awaitable<with_epoch<std::optional<secret_bytes>>> get(std::shared_ptr<server_context> self,
                                                                        std::string name);

    /// Ask it for one that may not. One that is still being written is waited for: the storage alone can say that nobody
    /// else has taken it.
    static asio::awaitable<with_epoch<std::optional<secret_bytes>>> take(std::shared_ptr<server_context> self,
                                                                         std::string name);

    /// As `take`, with the epoch: for a client that offers early data.
    static asio::awaitable<with_epoch<std::optional<secret_bytes>>>
    take_for_early_data(std::shared_ptr<server_context> self, std::string name);

    /// Whether early data relies on the storage to hand out a session once.
    [[nodiscard]] bool relies_on_take() const noexcept
    {
        return options.early_data.max_bytes != 0 && options.early_data.guard.is_single_use();
    }

    /// Whether a session is stored with the storage's incarnation.
    [[nodiscard]] bool binds(session const& made) const noexcept
    {
        return relies_on_take() && made.protocol() == tls_version::tls13;
    }

    /// The session as it is stored, where the incarnation is known.
    [[nodiscard]] session bound(session const& made, std::string const& incarnation) const;

    /// The incarnation that the storage had when it was asked last. An old one is as good as none: its sessions carry no early
    /// data.
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

    // The last policy, and what it was made of.
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
    std::shared_ptr<context_policy const> groups_of_; // what was the policy when they were read
    std::optional<std::string> groups_;

    std::mutex incarnation_mutex_;
    std::string incarnation_; // of the storage, as it was last seen
};

/// Whether a session has come out of a ticket or a record of this library.
[[nodiscard]] bool carries_origin(SSL_SESSION* session) noexcept;

/// The server_handshake of a connection, or null for one that is not a server_stream's.
[[nodiscard]] server_handshake* handshake_of(SSL const* ssl) noexcept;
void set_handshake(SSL* ssl, server_handshake* a);

/// The cache that is attached to a context, or null.
[[nodiscard]] server_context* server_of(SSL_CTX const* context) noexcept;

/// Let the context own the server and call it. @throws system_error `errc::already_attached`, `errc::callback_taken`.
void attach(SSL_CTX* context, std::shared_ptr<server_context> const& server);

} // namespace reprise::detail
