// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_options.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/memory_session_store.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <array>
#include <memory>
#include <string>

namespace bench {

namespace asio = boost::asio;

/// Where the request travels, and when the server answers it.
enum class sending
{
    after_handshake,
    early_answered_late, ///< in the first flight; the server waits for the client's Finished
    early_answered_at_once,
};

/// One way to connect.
struct way
{
    char const* name;
    reprise::tls_version protocol;
    bool resumes;
    sending how;
    bool fast_open;

    [[nodiscard]] bool is_early() const { return how != sending::after_handshake; }
};

inline constexpr way tls12_full{"TLS 1.2 full", reprise::tls_version::tls12, false, sending::after_handshake, false};
inline constexpr way tls12_resumed{"TLS 1.2 resumed", reprise::tls_version::tls12, true, sending::after_handshake,
                                   false};
inline constexpr way tls13_full{"TLS 1.3 full", reprise::tls_version::tls13, false, sending::after_handshake, false};
inline constexpr way tls13_resumed{"TLS 1.3 resumed", reprise::tls_version::tls13, true, sending::after_handshake,
                                   false};
inline constexpr way early_late{"0-RTT, answered after Finished", reprise::tls_version::tls13, true,
                                sending::early_answered_late, false};
inline constexpr way early_at_once{"0-RTT, answered at once", reprise::tls_version::tls13, true,
                                   sending::early_answered_at_once, false};
inline constexpr way early_fast_open{"0-RTT, answered at once, Fast Open", reprise::tls_version::tls13, true,
                                     sending::early_answered_at_once, true};
inline constexpr way tls13_fast_open{"TLS 1.3 resumed, Fast Open", reprise::tls_version::tls13, true,
                                     sending::after_handshake, true};

inline constexpr std::array ways = {tls12_full, tls12_resumed, tls13_full,      tls13_resumed,
                                    early_late, early_at_once, tls13_fast_open, early_fast_open};

/// Connects in one way, again and again; it keeps its sessions for itself.
class visitor
{
public:
    visitor(way const& w, asio::ip::tcp::endpoint server);

    /// Connect until it goes as the way says: the first times there is no session yet, or no cookie of Fast Open.
    /// @throws std::runtime_error, if that does not happen.
    asio::awaitable<void> warm_up();

    /// Connect, ask, hear the answer. The time from the start of connecting to the first byte of the answer, in ms.
    /// @throws std::runtime_error, if it did not go as the way says.
    asio::awaitable<double> visit();

private:
    struct outcome
    {
        double ms;
        std::string deviation; // from what the way says; empty if there is none
    };

    asio::awaitable<outcome> attempt();
    [[nodiscard]] std::string deviation(reprise::handshake_info const& info, std::string const& answer,
                                        bool in_syn) const;

    way way_;
    std::array<asio::ip::tcp::endpoint, 1> server_;
    asio::ssl::context tls_;
    reprise::client_options options_;
    std::shared_ptr<reprise::session_store> store_; // null if it is not to resume
    std::string request_;
};

} // namespace bench
