// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/http/early_methods.hpp>
#include <reprise/io/initiate.hpp>
#include <reprise/server/server_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>

#include <functional>
#include <utility>

namespace reprise {

/// What a server does with requests that come as early data.
struct early_request_policy
{
    /// Which methods may be processed before it is known that the client is there. Never empty.
    std::function<bool(boost::beast::http::verb)> allows = is_safe_method;

    /// The others wait for the handshake, a round trip. False: they are answered with 425, and the client sends them again.
    bool waits = true;
};

/// How a request came.
enum class request_arrival
{
    on_time,  ///< the client is known to be there
    early,    ///< it may be a copy that somebody sends; the policy allows it, and it is marked `Early-Data: 1`
    too_early ///< the policy does not allow it: answer with `too_early_response`
};

namespace detail {

template <class NextLayer, class DynamicBuffer, class Body, class Fields>
asio::awaitable<outcome<request_arrival>> read_request(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
                                                       boost::beast::http::request<Body, Fields>& request,
                                                       early_request_policy const& policy)
{
    auto const no_throw = asio::as_tuple(asio::use_awaitable);
    auto const [ec, size] = co_await boost::beast::http::async_read(stream, buffer, request, no_throw);
    if (ec)
        co_return outcome<request_arrival>{ec};
    bool const is_allowed = policy.allows(request.method());
    if (request[early_data_field] == "1") // of a server in front: its handshake cannot be waited for here
        co_return outcome<request_arrival>{{}, is_allowed ? request_arrival::early : request_arrival::too_early};
    if (!stream.is_early())
        co_return outcome<request_arrival>{{}, request_arrival::on_time};
    if (is_allowed)
    {
        request.set(early_data_field, "1");
        co_return outcome<request_arrival>{{}, request_arrival::early};
    }
    if (!policy.waits)
        co_return outcome<request_arrival>{{}, request_arrival::too_early};
    auto const [finish_error] = co_await stream.async_finish_handshake(no_throw);
    co_return outcome<request_arrival>{finish_error, request_arrival::on_time};
}

} // namespace detail

/** Read a request of which some may have come as early data (RFC 8470).

    As `boost::beast::http::async_read`, and then: a request that is complete before the handshake is processed early if the
    policy allows its method. It is marked with the field `Early-Data: 1`, so that it can be handed on as it is; a request
    that a server in front has marked is taken for early as well.

    @par Completion Signature
    @code void(error_code, request_arrival) @endcode

    @par Object Lifetimes
    All arguments but the policy must outlive the operation.

    @par Errors
    Those of reading, and of `async_finish_handshake`.
*/
template <class NextLayer, class DynamicBuffer, class Body, class Fields,
          asio::completion_token_for<void(error_code, request_arrival)> Token = asio::use_awaitable_t<>>
auto async_read_request(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
                        boost::beast::http::request<Body, Fields>& request, early_request_policy policy,
                        Token&& token = {})
{
    return detail::initiate<request_arrival>(
        stream.get_executor(), [&stream, &buffer, &request, policy = std::move(policy)]
        { return detail::read_request(stream, buffer, request, policy); }, std::forward<Token>(token));
}

/// 425 Too Early, for a request that is to be sent again after the handshake (RFC 8470, 5.2).
template <class Body, class Fields>
[[nodiscard]] boost::beast::http::response<boost::beast::http::empty_body>
too_early_response(boost::beast::http::request<Body, Fields> const& request)
{
    boost::beast::http::response<boost::beast::http::empty_body> response;
    response.version(request.version());
    response.result(too_early_status);
    response.reason("Too Early");
    response.keep_alive(request.keep_alive());
    response.prepare_payload();
    return response;
}

} // namespace reprise
