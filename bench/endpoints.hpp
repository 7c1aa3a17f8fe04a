// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "contexts.hpp"
#include "memory_layer.hpp"

#include <memory>
#include <string_view>

namespace bench {

/** One end of connections in memory, one after the other.

    Each connection is: handshake, one byte from the server, close_notify both ways. A client keeps its session. A
    client that is to resume offers the session to the next connection.
*/
class end
{
public:
    end() = default;
    end(end const&) = delete;
    end& operator=(end const&) = delete;
    virtual ~end() = default;

    virtual void start() = 0;
    virtual void step() = 0; ///< as far as the input goes
    virtual void finish() = 0;
    [[nodiscard]] virtual bool done() const = 0;
    [[nodiscard]] virtual bool resumed() const = 0;

    pipe wire;
};

/// What an end is made of.
enum class maker
{
    raw,     ///< OpenSSL with memory BIOs
    cache,   ///< the same with reprise's session_cache, which drives the handshake; servers only
    asio,    ///< asio::ssl::stream with what a careful user adds by hand
    reprise, ///< a stream of reprise
};
inline constexpr maker makers[] = {maker::raw, maker::cache, maker::asio, maker::reprise};

[[nodiscard]] std::string_view to_string(maker m);
[[nodiscard]] std::unique_ptr<end> make_server(maker m, kind const& k);
[[nodiscard]] std::unique_ptr<end> make_client(maker m, kind const& k, bool resume);

} // namespace bench
