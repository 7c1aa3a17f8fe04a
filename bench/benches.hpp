// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "ends.hpp"

#include <string>

namespace bench {

/// Whole connections in memory.
void register_handshakes();
[[nodiscard]] std::string handshake_name(bool is_server, maker m, kind const& k, bool resume);

/// HTTPS over loopback, with real sockets: a GET and its answer, connection closed.
void register_http();
[[nodiscard]] std::string http_server_name(maker m, kind const& k);
[[nodiscard]] std::string http_client_name(maker m, kind const& k, bool resume);

/// Taking a session from the client's store against decoding it.
void register_store();
inline constexpr char const* take_name = "store/take";
inline constexpr char const* parse_name = "store/parse";

} // namespace bench
