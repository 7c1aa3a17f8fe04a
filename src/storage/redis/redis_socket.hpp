// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "net/name_lookup.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>

namespace reprise::detail {

/** A connection to the server, over TCP, TLS or a unix socket. Its functions are called within one strand, and it outlives
    what it started.
*/
class redis_socket
{
public:
    redis_socket() = default;
    redis_socket(redis_socket const&) = delete;
    redis_socket& operator=(redis_socket const&) = delete;
    virtual ~redis_socket() = default;

    /// Resolve, connect, TLS. Throws system_error, as the others do; `redis_errc::plain_text_expected`, if the answer to the
    /// ClientHello is not TLS.
    virtual asio::awaitable<void> connect() = 0;

    /// Whether there is a connection, be it without TLS yet: what fails now is not the network.
    [[nodiscard]] virtual bool has_peer() const noexcept = 0;

    virtual asio::awaitable<std::size_t> read_some(asio::mutable_buffer into) = 0;

    /// All of it.
    virtual asio::awaitable<void> write(asio::const_buffer bytes) = 0;

    /// Ends whatever is under way, with an error. For good.
    virtual void close() noexcept = 0;
};

/// Of the options it uses the server's address and TLS. `names` resolves the host's name.
[[nodiscard]] std::shared_ptr<redis_socket> make_redis_socket(asio::any_io_executor const& executor,
                                                              redis_storage_options const& options,
                                                              std::shared_ptr<name_lookup> names);

} // namespace reprise::detail
