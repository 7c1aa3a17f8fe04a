// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reprise {

/** @name Limits of a response
    `async_request`, `async_connect_and_request` and `async_reconnect_and_request` read a response message with these
    limits, because the server decides how much it sends. A longer response fails with `http::error::body_limit` or
    `http::error::header_limit`. For other limits pass a parser: `parser.body_limit(...)`, `parser.header_limit(...)`.
    @{
*/

/// Longest body, in bytes.
inline constexpr std::uint64_t response_body_limit = std::uint64_t{64} * 1024 * 1024;

/// Longest head, in bytes: status line and fields.
inline constexpr std::uint32_t response_header_limit = std::uint32_t{64} * 1024;
/// @}

/// Most bytes of all interim responses (1xx) before one final response together. Applies with a parser, too.
inline constexpr std::size_t interim_responses_limit = std::size_t{64} * 1024;

/// Longest size line of a chunk, and longest trailer section, in bytes, of requests and responses. Applies with a
/// parser, too, because Beast's parser does not limit them.
inline constexpr std::size_t chunk_line_limit = std::size_t{64} * 1024;

} // namespace reprise
