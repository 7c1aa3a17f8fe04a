// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "async/handoff.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace reprise::detail {

/** Resolves one host with getaddrinfo(3); results are not cached.

    getaddrinfo cannot be cancelled, and may take half a minute. Asio's resolver runs it on a thread that the io_context
    waits for. Here the thread is detached, so that nothing waits for it. At most one thread runs: a `find` during a
    search gets the result of that search.

    @par Thread Safety
    Shared objects: unsafe; use one strand.
*/
class name_lookup
{
public:
    name_lookup(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    /// Return the host's addresses, at least one. Throws system_error; `operation_aborted` after `cancel`.
    [[nodiscard]] asio::awaitable<std::vector<asio::ip::tcp::endpoint>> find();

    /// Complete a pending `find` with `operation_aborted`. The search goes on.
    void cancel() noexcept;

private:
    struct search;

    std::string const host_;
    std::uint16_t const port_;
    std::shared_ptr<search> search_; // the last one begun
    std::shared_ptr<handoff> waiting_;
};

} // namespace reprise::detail
