// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "loopback_server.hpp"

#include <reprise/session_cache.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace bench {

/// Answers one small request per connection, over TLS 1.2 and 1.3, with tickets and early data.
class answering_server final : public loopback_server
{
public:
    static constexpr std::size_t request_size = 100;

    /// Whether a request that comes early is answered at once, or when the handshake is complete.
    [[nodiscard]] static std::string request(bool answer_at_once);

    /// What the server says to one that it answered at once, as early data; to others, it says `late_answer`.
    static constexpr std::string_view early_answer = "early";
    static constexpr std::string_view late_answer = "late";

    /// Serves from here on, until it is destroyed.
    answering_server();
    ~answering_server() override;

private:
    asio::awaitable<void> connection(asio::ip::tcp::socket socket) override;

    reprise::session_cache cache_;
};

} // namespace bench
