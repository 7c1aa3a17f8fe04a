// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "net/name_lookup.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>

namespace reprise::detail {

/// A connection to the server, over TCP, TLS or a unix socket. Call its functions within one strand. The socket must
/// outlive the operations that it started.
class redis_socket
{
public:
    redis_socket() = default;
    redis_socket(redis_socket const&) = delete;
    redis_socket& operator=(redis_socket const&) = delete;
    virtual ~redis_socket() = default;

    /// Resolve, connect, and do the TLS handshake. Throws system_error, as the other operations do;
    /// `redis_errc::plain_text_expected` if the answer to the ClientHello is not TLS.
    virtual asio::awaitable<void> connect() = 0;

    /// Whether the transport is connected, even without TLS yet: a failure from now on is not the network's.
    [[nodiscard]] virtual bool has_peer() const noexcept = 0;

    virtual asio::awaitable<std::size_t> read_some(asio::mutable_buffer into) = 0;

    /// Write all bytes.
    virtual asio::awaitable<void> write(asio::const_buffer bytes) = 0;

    /// End all pending operations with an error. The socket cannot be opened again.
    virtual void close() noexcept = 0;
};

/// Make a socket. Uses only the server's address and TLS of `options`. `names` resolves the host's name.
[[nodiscard]] std::shared_ptr<redis_socket> make_redis_socket(asio::any_io_executor const& executor,
                                                              redis_storage_options const& options,
                                                              std::shared_ptr<name_lookup> names);

} // namespace reprise::detail
