// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::detail {

/// The host that a caller named, validated and split into its uses.
struct host_name
{
    /// Name in lower case, without the final dot of an absolute name. An address in its usual form, with its zone.
    std::string name{};

    /// Name for the resolver: `name`, with the final dot if there was one.
    std::string query{};

    /// Name that a certificate must be valid for: `name`, but an address without its zone.
    std::string identity{};

    /// The address, if the host is an address. The scope id is that of the zone.
    std::optional<boost::asio::ip::address> address{};
};

/** Validate a host. Accepted are:

    @li names of letters, digits, hyphens and underscores; labels of 1 to 63 bytes, 253 in all (RFC 952; RFC 1123, 2.1;
        getaddrinfo(3));
    @li a final dot, for an absolute name (RFC 1034, 3.1); the dot is not part of SNI (RFC 6066, 3) or of a
        certificate's names;
    @li IPv4 addresses, also as getaddrinfo(3) reads them: `127.1`, `0x7f000001` (RFC 1123, 2.1; inet_aton(3));
    @li IPv6 addresses, also in brackets, with a zone that is the name or the number of an interface (RFC 3986, 3.2.2;
        RFC 4007, 11).

    Names in other scripts are accepted only as their A-labels (RFC 5890; `xn--...`).

    @throws system_error `errc::bad_host`; `what()` names the host and says what is wrong and what to do.
*/
[[nodiscard]] host_name read_host(std::string_view host);

/** Validate a name for SNI and for the certificate check: a DNS name, as read_host accepts it.

    @return The name in lower case, without a final dot.
    @throws system_error `errc::bad_host`; also for an address, which SNI does not allow (RFC 6066, 3).
*/
[[nodiscard]] std::string read_server_name_option(std::string_view name);

/** Validate a service: a port number from 1 to 65535, or a name that getaddrinfo(3) may know.

    @return The service; a number without leading zeros.
    @throws system_error `errc::bad_service`; `what()` names the service and says what is wrong.
*/
[[nodiscard]] std::string read_service(std::string_view service);

/// The port number of a service from read_service. Empty if the service is a name.
[[nodiscard]] std::optional<std::uint16_t> port_number(std::string_view service) noexcept;

} // namespace reprise::detail
