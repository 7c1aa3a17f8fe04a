// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>
#include <reprise/retry_options.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

namespace reprise::detail {

/// Whether what has failed may go well the next time.
[[nodiscard]] inline bool may_pass(error_code ec)
{
    namespace error = boost::asio::error;
    for (error_code const passing :
         {error_code{error::connection_refused}, error_code{error::connection_reset},
          error_code{error::connection_aborted}, error_code{error::broken_pipe}, error_code{error::host_unreachable},
          error_code{error::network_unreachable}, error_code{error::network_down}, error_code{error::timed_out},
          error_code{error::try_again}, error_code{error::host_not_found_try_again}, error_code{error::eof},
          error_code{boost::asio::ssl::error::stream_truncated}, error_code{errc::proxy_failed}})
        if (ec == passing)
            return true;
    return false;
}

/** How long to wait before the next attempt; nothing, if there is none.

    @param attempt The one that has failed, from 1. @param elapsed Since the first began. @param random 0 to 1.
*/
[[nodiscard]] inline std::optional<std::chrono::milliseconds>
plan_retry(retry_options const& o, unsigned attempt, error_code why, std::chrono::milliseconds elapsed, double random)
{
    using std::chrono::milliseconds;
    if (attempt >= o.max_attempts || !may_pass(why))
        return std::nullopt;
    auto most = o.first_delay;
    for (unsigned i = 1; i < attempt && most < o.max_delay; ++i)
        most *= 2;
    most = std::min(most, o.max_delay);
    milliseconds const delay{static_cast<milliseconds::rep>(random * static_cast<double>(most.count()))};
    if (o.total_timeout.count() != 0 && elapsed + delay >= o.total_timeout)
        return std::nullopt;
    return delay;
}

} // namespace reprise::detail
