// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/harness.hpp"

#include <ostream>
#include <string>
#include <vector>

namespace test {

/** An HTTP server on loopback for the far side of a TLS proxy; it notes what it is asked.

    A target that begins with "/fresh" must not come early: the server answers 425 if the proxy says that the request
    was early (RFC 8470, 5.2), else 200.
*/
class upstream
{
public:
    /// What was asked, and the field "Early-Data" that came with it, empty if none did.
    struct request
    {
        std::string target;
        std::string early_data;

        friend bool operator==(request const&, request const&) = default;
        friend std::ostream& operator<<(std::ostream& out, request const& r)
        {
            return out << r.target << (r.early_data.empty() ? "" : " Early-Data: ") << r.early_data;
        }
    };

    explicit upstream(asio::io_context& io);

    [[nodiscard]] unsigned short port() const { return acceptor_.local_endpoint().port(); }

    std::vector<request> requests;

private:
    asio::awaitable<void> serve();
    asio::awaitable<void> answer(tcp::socket socket);

    tcp::acceptor acceptor_;
};

} // namespace test
