// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>

namespace reprise::detail {

/** A connection to the server, over TCP, TLS or a unix socket. Its functions are called within one strand, and it outlives
    what it started.
*/
class transport
{
public:
    transport() = default;
    transport(transport const&) = delete;
    transport& operator=(transport const&) = delete;
    virtual ~transport() = default;

    /// Resolve, connect, TLS. Throws system_error, as the others do.
    virtual asio::awaitable<void> connect() = 0;

    virtual asio::awaitable<std::size_t> read_some(asio::mutable_buffer into) = 0;

    /// All of it.
    virtual asio::awaitable<void> write(asio::const_buffer bytes) = 0;

    /// Ends whatever is under way, with an error. For good.
    virtual void close() noexcept = 0;
};

/// Of the options it uses the server's address and TLS.
[[nodiscard]] std::shared_ptr<transport> make_transport(asio::any_io_executor const& executor,
                                                        redis_storage_options const& options);

} // namespace reprise::detail
