// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/key_source.hpp"
#include "server/tickets/rcu_cell.hpp"
#include "server/tickets/ticket_cipher.hpp"
#include "server/tickets/ticket_ring.hpp"

#include <reprise/detail/async/event.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace reprise::detail {

/// What a server does about tickets in one handshake.
enum class ticket_step
{
    use,        ///< a key opens what the client offers, or issues
    ask,        ///< ask the source first: the key is unknown, or none issues
    do_without, ///< go on without tickets
};

struct ticket_situation
{
    bool offered = false;   ///< the client offers a ticket that a key must open
    bool known = false;     ///< there is a key that opens this ticket
    bool can_issue = false; ///< a key issues now
    bool may_ask = false;   ///< the source was not asked just now
};

[[nodiscard]] ticket_step plan_tickets(ticket_situation const& s) noexcept;

/// The ticket keys of one cache. Holds the ring, keeps it up to date, and seals and opens tickets with it.
class ticket_keeper : public std::enable_shared_from_this<ticket_keeper>
{
public:
    /// @throws as `ticket_keys::make`.
    ticket_keeper(ticket_keys const& keys, key_source_context const& context);

    /// Whether its tickets can be opened only here.
    [[nodiscard]] bool is_private() const { return source_->is_private(); }

    [[nodiscard]] bool can_issue(time_point now);

    /// Return until when tickets that are issued now can be opened. Returns nothing if no key issues.
    [[nodiscard]] std::optional<time_point> issued_until(time_point now);

    /// Whether a ticket that begins with these bytes can be opened.
    [[nodiscard]] bool knows(byte_view ticket, time_point now);

    /// @name The two halves of SSL_CTX_set_tlsext_ticket_key_evp_cb(3). They return what its callback returns.
    /// @{
    int seal(policy_tag const& policy, ticket_name& name, ticket_iv& iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
             time_point now) noexcept;
    int open(policy_tag const& policy, ticket_name const& name, ticket_iv const& iv, EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac, time_point now) noexcept;
    /// @}

    /// Count a handshake that goes on without tickets.
    void count_without_issuer() noexcept { without_issuer_.fetch_add(1, std::memory_order_relaxed); }

    /// Whether the source may be asked because of what a client has sent.
    [[nodiscard]] bool may_ask(time_point now) const noexcept;

    /// Begin a refresh, in the background of `ex`, if one is due and none is in progress.
    void begin_refresh(asio::any_io_executor const& ex) noexcept;

    /// Join the refresh in progress or begin one, and wait for its end. Throws the error of the refresh. If the wait is
    /// abandoned, the refresh goes on.
    static asio::awaitable<void> refresh(std::shared_ptr<ticket_keeper> self);

    [[nodiscard]] ticket_stats stats() const;

    /// Return the error of the last refresh or change of keys; empty if there was none.
    [[nodiscard]] std::string last_error() const;

private:
    struct refresh_operation : event
    {
        std::exception_ptr error;
    };

    class refresh_end;

    static asio::awaitable<void> run_refresh(std::shared_ptr<ticket_keeper> self, std::unique_ptr<refresh_end> end);
    std::shared_ptr<refresh_operation> join_or_begin(asio::any_io_executor const& ex);
    void end_refresh(std::shared_ptr<refresh_operation> const& f, std::exception_ptr error) noexcept;
    [[nodiscard]] bool is_due(time_point now) const noexcept;
    void keep_up(time_point now) noexcept;
    void step_to(ticket_key_set next, time_point now); // call with the lock
    void count(std::exception_ptr const& error);

    key_source_context const context_;
    std::unique_ptr<key_source> const source_;
    rcu_cell<ticket_ring> ring_;

    mutable std::mutex mutex_; // guards refresh_, last_error_ and publishing
    std::shared_ptr<refresh_operation> refresh_;
    std::string last_error_;

    std::atomic<bool> is_refreshing_{false};
    std::atomic<time_point> next_refresh_{time_point::min()};
    std::atomic<time_point> last_refresh_{time_point::min()};
    std::atomic<std::uint64_t> issued_{0};
    std::atomic<std::uint64_t> opened_{0};
    std::atomic<std::uint64_t> unknown_{0};
    std::atomic<std::uint64_t> without_issuer_{0};
    std::atomic<std::uint64_t> steps_{0};
    std::atomic<std::uint64_t> refused_steps_{0};
    std::atomic<std::uint64_t> failed_refreshes_{0};
};

} // namespace reprise::detail
