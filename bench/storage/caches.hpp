// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/ssl_handles.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace bench {

using std::chrono::nanoseconds;
using std::chrono::seconds;

/// The id of the n-th session: 32 bytes that look random and are the same each time.
[[nodiscard]] std::string id_of(std::size_t n);

/// `count` sessions of the `circle` that follow `first`, each `step` after the one before.
struct sessions
{
    std::size_t first;
    std::size_t count;
    std::size_t circle = static_cast<std::size_t>(-1);
    std::size_t step = 1;

    [[nodiscard]] std::size_t at(std::size_t i) const { return first + i * step % circle; }
};

inline constexpr seconds shortest_lifetime{300};
inline constexpr seconds longest_lifetime{7200};

/// How long each of the sessions lives.
using lifetime = seconds (*)(std::size_t n);
[[nodiscard]] seconds same_lifetime(std::size_t n);
[[nodiscard]] seconds mixed_lifetime(std::size_t n);

/// One real TLS 1.2 session of a server with session ids, made by a handshake in memory, in both forms.
struct server_session
{
    reprise::ssl_session_ptr native; ///< what OpenSSL's cache keeps
    reprise::secret_bytes record;    ///< what reprise stores
};
[[nodiscard]] server_session make_server_session();

/** A cache of server sessions to be measured.

    Each call runs its sessions one after the other on the calling thread, and throws if a session was wrong. Times
    are CPU time of that thread, so other work of the machine does not count.
*/
class subject
{
public:
    subject() = default;
    subject(subject const&) = delete;
    subject& operator=(subject const&) = delete;
    virtual ~subject() = default;

    /// Time of the puts alone: what OpenSSL makes a session object for anyway is ready before.
    virtual nanoseconds put(sessions which, lifetime lives) = 0;
    virtual nanoseconds hit(sessions which) = 0;
    virtual nanoseconds miss(sessions which) = 0;
    virtual void remove(sessions which) = 0;

    /// Fill an empty cache with sessions 0 to `count`, of mixed lifetimes.
    virtual void fill(std::size_t count) = 0;
    [[nodiscard]] virtual std::size_t size() const = 0;

    /// Let everything expire and be dropped; the longest time that this keeps a thread from doing anything else.
    virtual nanoseconds longest_pause_of_expiry() = 0;
};

[[nodiscard]] std::unique_ptr<subject> make_openssl();
[[nodiscard]] std::unique_ptr<subject> make_reprise();

} // namespace bench
