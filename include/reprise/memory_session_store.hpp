// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/session_store.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace reprise {

struct memory_session_store_options
{
    /// Maximum number of sessions in the store. When it is full, the least recently used scope loses sessions first. At
    /// least 1. The default suits a program that talks to hundreds of hosts.
    std::size_t max_sessions = 4096;

    /// Maximum memory of all sessions, in bytes, as `session::size` counts it. A session with a chain of two
    /// certificates takes about 16 KB. At least 1.
    std::size_t max_bytes = 64u << 20;

    /// Maximum number of TLS 1.3 sessions under one scope; the oldest is dropped first. At least 1. The number of
    /// connections that the program opens to one host at once is enough (RFC 8446, 4.6.1). Servers seldom send more
    /// than two tickets per connection.
    std::size_t max_tickets_per_key = 8;

    /// Ask servers for tickets (RFC 9149) until a scope has this many, for a program that opens as many connections to
    /// one host at once. At most max_tickets_per_key and 255. 0 asks for none. Few servers know the extension; a
    /// reprise server does.
    unsigned request_tickets = 0;

    /// Clock that supplies the current time. An expired session is not handed out.
    clock now = system_clock();
};

/// A session_store in memory. Its operations complete without suspending. It holds snapshots of `SSL_SESSION`, not
/// bytes, so that taking a session costs about a microsecond.
class memory_session_store final : public session_store
{
public:
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<memory_session_store> make(memory_session_store_options options = {});

    ~memory_session_store() override;

    void capture(session_scope const& key, session ticket) noexcept override;
    asio::awaitable<take_result> take(session_scope key) override;
    void note(session_scope const& key, full_handshake_reason why) noexcept override;
    [[nodiscard]] unsigned tickets_wanted(session_scope const& key) const noexcept override;
    asio::awaitable<std::size_t> remove(session_scope key) override;
    asio::awaitable<void> clear() override;
    asio::awaitable<void> drain() override;
    asio::awaitable<std::vector<kept_session>> release(session_filter wanted) override;
    [[nodiscard]] bool is_immediate() const noexcept override { return true; }
    [[nodiscard]] std::size_t size() const override;

    /// Memory of the sessions in the store, in bytes, as `max_bytes` counts it.
    [[nodiscard]] std::size_t bytes() const;

private:
    struct impl;
    explicit memory_session_store(std::unique_ptr<impl> s);

    std::unique_ptr<impl> impl_;
};

} // namespace reprise
