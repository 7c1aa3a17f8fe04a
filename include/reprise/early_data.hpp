// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/buffer.hpp>

namespace reprise {

namespace asio = boost::asio;

struct connect_options;

struct early_data_send_options
{
    /// What to do with more data than the server allows: false sends nothing early, true sends early what fits.
    bool split = false;

    /// Send the bytes that the server did not accept early after the handshake, so that all bytes are sent once. False
    /// leaves that to the caller: `handshake_info::early_size` says how many bytes were accepted.
    bool send_rest = true;
};

/** Bytes for the first flight of a connection (RFC 8446, 2.3):
    `stream.async_reconnect(early_data(asio::buffer(request)))`.

    The bytes are sent with the ClientHello if the session allows early data, which saves a round trip. Otherwise the
    same bytes follow the handshake.

    Early data can be replayed: an attacker who recorded it can send it again, to this server or to another one. It also
    has no forward secrecy. Use it only for idempotent requests (RFC 8446, 8; for HTTP, RFC 8470). If the operation
    fails, the server may still have processed the bytes.

    @par Object Lifetimes
    The object refers to the bytes, which must outlive the operation.
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
