// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/handshake/retry_plan.hpp"

#include <reprise/detail/client/connect_plan.hpp>

#include <boost/asio/error.hpp>

#include <utility>

namespace reprise::detail {

namespace {

namespace error = boost::asio::error;

// With Fast Open, writing the first flight connects the socket. If that is refused, the flight did not arrive.
bool is_refused(error_code ec)
{
    return ec == error::connection_refused || ec == error::host_unreachable || ec == error::network_unreachable;
}

} // namespace

connect_plan::connect_plan(connect_task task) : task_(std::move(task))
{
    begin_attempt();
}

void connect_plan::begin_attempt()
{
    ++attempt_;
    begins_attempt_ = true;
    early_ = task_.sends_early;
    fast_open_ = task_.fast_open && !task_.has_connector && !task_.is_proxied && !task_.is_connected;
    begin_connection();
}

void connect_plan::begin_connection()
{
    proxy_request_ = 0;
    step_ = task_.is_connected    ? connect_step::shake_hands
            : task_.has_connector ? connect_step::call_connector
                                  : connect_step::resolve;
}

void connect_plan::ended(connect_progress const& how)
{
    begins_attempt_ = false;
    error_code const ec = how.is_stopped ? error_code{error::operation_aborted}
                          : how.is_late  ? error_code{error::timed_out}
                                         : how.ec;
    bool const may_go_on = !how.is_stopped && !how.is_late;
    switch (std::exchange(step_, connect_step::failed))
    {
    case connect_step::resolve:
        if (ec)
            return fail(ec, how);
        step_ = fast_open_ ? connect_step::connect_fast : connect_step::connect;
        return;
    case connect_step::connect:
        if (ec)
            return fail(ec, how);
        step_ = task_.is_proxied ? connect_step::ask_proxy : connect_step::shake_hands;
        return;
    case connect_step::connect_fast:
    case connect_step::call_connector:
        if (ec)
            return fail(ec, how);
        step_ = connect_step::shake_hands;
        return;
    case connect_step::ask_proxy:
        if (!ec)
            step_ = connect_step::shake_hands;
        else if ((ec == errc::proxy_failed || ec == errc::proxy_refused) && ++proxy_request_ < task_.proxy_requests)
            step_ = connect_step::connect; // to ask for the next address
        else
            fail(ec, how);
        return;
    case connect_step::shake_hands:
        error_ = ec;
        if (!ec)
            step_ = task_.sends_rest ? connect_step::send_rest : connect_step::done;
        else if (may_go_on && fast_open_ && is_refused(ec))
        {
            fast_open_ = false;
            begin_connection();
        }
        else if (may_go_on && early_ && !task_.is_connected && !how.has_thrown && ec != error::operation_aborted)
            step_ = connect_step::drain;
        else
            fail(ec, how);
        return;
    case connect_step::drain:
        if (may_go_on && how.may_go_without_early)
        {
            early_ = false;
            begin_connection();
        }
        else
            fail(may_go_on ? error_ : ec, how);
        return;
    case connect_step::send_rest:
        if (ec)
            return fail(ec, how);
        step_ = connect_step::done;
        return;
    case connect_step::pause:
        if (ec)
            error_ = ec; // the step stays `failed`
        else
            begin_attempt();
        return;
    case connect_step::done:
    case connect_step::failed: return; // excluded by the precondition
    }
}

// End the attempt with an error, and plan a retry. A request that the server may have processed is not sent again.
void connect_plan::fail(error_code ec, connect_progress const& how)
{
    error_ = ec;
    if (task_.is_only_attempt || how.may_be_processed)
        return;
    auto const elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(how.elapsed);
    if (auto const delay = plan_retry(task_.retry, attempt_, ec, elapsed, how.random))
    {
        delay_ = *delay;
        step_ = connect_step::pause;
    }
}

} // namespace reprise::detail
