// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace example {

/// The parts of an https URL that a client needs (RFC 9110, 4.2.2).
struct url
{
    std::string host;      ///< name or address to connect to; an IPv6 address without brackets, and with its zone
    std::string port;      ///< decimal; 443 if the URL has none
    std::string authority; ///< for the field Host: IPv6 in brackets, without zone and default port
    std::string target;    ///< path and query as written, at least "/"; without the fragment
};

/// Parse an https URL. @throws std::runtime_error with the text and the reason.
[[nodiscard]] url parse_https_url(std::string_view text);

/// The percent-decoded path of a request target in origin-form or absolute-form (RFC 9112, 3.2). Empty for other forms.
[[nodiscard]] std::optional<std::string> path_of(std::string_view target);

/// Whether the text is a valid, non-empty value of the field Host (RFC 9110, 7.2).
[[nodiscard]] bool is_authority(std::string_view text);

/// Parse a port from 0 to 65535 in decimal digits. Empty for other text.
[[nodiscard]] std::optional<unsigned short> parse_port(std::string_view text);

} // namespace example
