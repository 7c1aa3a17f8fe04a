// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/buffer.hpp>

namespace reprise {

namespace asio = boost::asio;

struct connect_options;

struct early_data_send_options
{
    /// What to do with more than the server allows: false, send nothing early; true, send early what fits.
    bool split = false;

    /// Send after the handshake what the server has not accepted early, so that all of it is sent once. False leaves that to
    /// the caller, who finds in `handshake_info::early_size` how much was accepted.
    bool send_rest = true;
};

/** Bytes for the first flight of a connection (RFC 8446, 2.3): `stream.async_reconnect(early_data(asio::buffer(request)))`.

    They go out with the ClientHello if the session allows, which saves a round trip. Somebody who records them can send
    them again, to this server or another one, and they have no forward secrecy: use it for what may be done twice (RFC 8446,
    8; for HTTP, RFC 8470). Where early data is not possible the same bytes follow the handshake. If the operation fails, the
    server may have processed them all the same.

    @par Object Lifetimes
    It refers to the bytes, which must outlive the operation.
*/
class early_data
{
public:
    explicit early_data(asio::const_buffer bytes, early_data_send_options options = {})
        : bytes_(bytes), options_(options)
    {
    }

    [[nodiscard]] asio::const_buffer bytes() const noexcept { return bytes_; }
    [[nodiscard]] early_data_send_options const& options() const noexcept { return options_; }

    /// Where an operation takes connect_options: these, with this early data.
    operator connect_options() const noexcept;

private:
    asio::const_buffer bytes_;
    early_data_send_options options_;
};

} // namespace reprise
