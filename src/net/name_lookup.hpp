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

/** The addresses of one host, by getaddrinfo(3), each time anew.

    Nothing can end getaddrinfo, which may take half a minute. Asio's resolver has a thread for it that its io_context waits
    for; this one's thread is detached and waits alone. There is one at most: who asks while it is at work gets what it
    finds.

    @par Thread Safety
    Shared objects: unsafe. They are used in one strand.
*/
class name_lookup
{
public:
    name_lookup(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    /// The host's addresses, at least one. Throws system_error; `operation_aborted` after `cancel`.
    [[nodiscard]] asio::awaitable<std::vector<asio::ip::tcp::endpoint>> find();

    /// Let `find` wait no longer.
    void cancel() noexcept;

private:
    struct search;

    std::string const host_;
    std::uint16_t const port_;
    std::shared_ptr<search> search_; // that was begun last
    std::shared_ptr<handoff> waiting_;
};

} // namespace reprise::detail
