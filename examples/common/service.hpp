// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/server/server_stream.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace example {

namespace asio = boost::asio;

/// What the service has done, for the summary at the end.
struct service_counters
{
    std::atomic<std::uint64_t> connections{0};
    std::atomic<std::uint64_t> requests{0};
};

/// A small HTTPS service: a fixed page, or the files below a directory.
class service
{
public:
    service(reprise::session_cache cache, std::optional<std::filesystem::path> docroot,
            reprise::server_options options = {})
        : cache_(std::move(cache)), docroot_(std::move(docroot)), options_(std::move(options))
    {
    }

    /// Accept until the acceptor is closed; each connection gets a strand of its own.
    asio::awaitable<void> serve(asio::ip::tcp::acceptor& acceptor);

    [[nodiscard]] service_counters const& counters() const noexcept { return counters_; }

private:
    using stream = reprise::server_stream<boost::beast::tcp_stream>;

    asio::awaitable<void> connection(boost::beast::tcp_stream socket);
    asio::awaitable<void> answer_requests(stream& tls);

    reprise::session_cache cache_;
    std::optional<std::filesystem::path> docroot_;
    reprise::server_options options_;
    service_counters counters_;
};

} // namespace example
