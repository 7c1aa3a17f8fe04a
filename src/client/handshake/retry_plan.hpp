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

/// Whether the error may be transient.
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

/** Plan the delay before the next attempt. Returns nothing if there is no next attempt.

    @param attempt Number of the failed attempt, from 1.
    @param elapsed Time since the first attempt began.
    @param random A random number from 0 to 1, for the jitter.
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
