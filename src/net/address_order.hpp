// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <vector>

namespace reprise::detail {

/// Keep the resolver's order, but alternate between address families (RFC 8305, 4): if one family is broken, the other
/// is tried soon.
[[nodiscard]] inline std::vector<boost::asio::ip::tcp::endpoint>
in_turns(std::vector<boost::asio::ip::tcp::endpoint> const& found)
{
    std::vector<boost::asio::ip::tcp::endpoint> first;
    std::vector<boost::asio::ip::tcp::endpoint> second;
    for (auto const& endpoint : found)
        (endpoint.protocol() == found.front().protocol() ? first : second).push_back(endpoint);
    std::vector<boost::asio::ip::tcp::endpoint> result;
    for (std::size_t i = 0; result.size() < found.size(); ++i)
    {
        if (i < first.size())
            result.push_back(first[i]);
        if (i < second.size())
            result.push_back(second[i]);
    }
    return result;
}

} // namespace reprise::detail
