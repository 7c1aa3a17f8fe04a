// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "endpoints.hpp"

#include <string>
#include <vector>

namespace bench {

/// Whole connections in memory.
void register_handshakes();
[[nodiscard]] std::string handshake_name(bool is_server, maker m, kind const& k, bool resume);

/// HTTPS over loopback, with real sockets: a GET and its answer, connection closed. One end against another.
struct http_duel
{
    enum subject
    {
        server,         ///< reprise against plain Beast
        client,         ///< reprise against sessions kept by hand
        resumed_client, ///< reprise resuming against plain Asio with full handshakes
    };
    subject what;
    kind of;
};
void register_http();
[[nodiscard]] std::vector<http_duel> http_duels();
[[nodiscard]] std::string name_of(http_duel const& duel);

/// Taking a session from the client's store against decoding it.
void register_store();
inline constexpr char const* take_name = "store/take";
inline constexpr char const* parse_name = "store/parse";

} // namespace bench
