// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_stream.hpp>
#include <reprise/detail/client/response_head.hpp>
#include <reprise/detail/http/read_message.hpp>
#include <reprise/error.hpp>
#include <reprise/http/response_limits.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

namespace reprise::detail {

/// Writes a request from its message.
template <class NextLayer, class Body, class Fields>
class message_writer
{
public:
    message_writer(client_stream<NextLayer>& stream, boost::beast::http::request<Body, Fields> const& request)
        : stream_(stream), serializer_(request)
    {
    }

    [[nodiscard]] bool is_done() { return serializer_.is_done(); }

    asio::awaitable<error_code> write_some()
    {
        auto const [ec, size] =
            co_await boost::beast::http::async_write_some(stream_, serializer_, asio::as_tuple(asio::use_awaitable));
        co_return ec;
    }

private:
    client_stream<NextLayer>& stream_;
    boost::beast::http::request_serializer<Body, Fields> serializer_;
};

/// Writes the rest of a serialised request.
template <class NextLayer>
class bytes_writer
{
public:
    bytes_writer(client_stream<NextLayer>& stream, asio::const_buffer rest) : stream_(stream), rest_(rest) {}

    [[nodiscard]] bool is_done() const { return rest_.size() == 0; }

    asio::awaitable<error_code> write_some()
    {
        if (is_done())
            co_return error_code{};
        auto const [ec, size] = co_await stream_.async_write_some(rest_, asio::as_tuple(asio::use_awaitable));
        rest_ += size;
        co_return ec;
    }

private:
    client_stream<NextLayer>& stream_;
    asio::const_buffer rest_;
};

template <class Parser>
void set_default_limits(Parser& parser)
{
    parser.body_limit(response_body_limit);
    parser.header_limit(response_header_limit);
}

/// Whether the transport failed, not TLS or the operation. A response that arrived before may still be readable.
[[nodiscard]] inline bool is_broken_connection(error_code ec)
{
    return ec.category() == asio::error::get_system_category() && ec != asio::error::operation_aborted;
}

/// Await an exchange. After a failure the stream is closed, because the rest of this response must not be read as the
/// response to another request. A full buffer of a `buffer_body` parser is no failure.
template <class NextLayer>
asio::awaitable<error_code> close_if_failed(client_stream<NextLayer>& stream, asio::awaitable<error_code> exchange)
{
    try
    {
        auto const ec = co_await std::move(exchange);
        if (ec && !is_http_error(ec, boost::beast::http::error::need_buffer))
            stream.close();
        co_return ec;
    }
    catch (...)
    {
        stream.close();
        throw;
    }
}

/** Sends one request and reads its final response on a connected stream.

    A server may respond before it has read the whole request (RFC 9112, 9.5). So the first write is one record, and the
    remaining records are written while the response is read. When the response is complete, the rest of the request is
    not sent and the stream is closed.
*/
template <class NextLayer, class Request, class DynamicBuffer, class Parser>
class http_exchange
{
public:
    http_exchange(client_stream<NextLayer>& stream, Request const& request, DynamicBuffer& buffer, Parser& parser)
        : stream_(stream), request_(request), buffer_(buffer), parser_(parser)
    {
    }

    /// A response of this status stays in the buffer, because the request will be retried. 0 for none.
    unsigned retry_status = 0;

    [[nodiscard]] bool must_retry() const { return retry_status != 0 && status_ == retry_status; }

    /// Whether a byte of a response has arrived.
    [[nodiscard]] bool is_answered() const { return has_interim_ || buffer_.size() != 0 || parser_.got_some(); }

    /// Whether the connection can carry another request, or the protocol that it has switched to.
    [[nodiscard]] bool can_go_on() const
    {
        return is_tunnel() || status_ == 101 || (parser_.keep_alive() && persists(parser_.get().base()));
    }

    asio::awaitable<error_code> run()
    {
        message_writer<NextLayer, typename Request::body_type, typename Request::fields_type> writer{stream_, request_};
        co_return co_await send_and_receive(writer);
    }

    /// @param rest The bytes of the request that have not been sent.
    asio::awaitable<error_code> run(asio::const_buffer rest)
    {
        bytes_writer<NextLayer> writer{stream_, rest};
        co_return co_await send_and_receive(writer);
    }

    /// Read the final response into the parser.
    asio::awaitable<error_code> read_final()
    {
        if (request_.method() == boost::beast::http::verb::head || is_tunnel())
            parser_.skip(true); // no body, whatever the fields say (RFC 9112, 6.3)
        auto ec = co_await read_message(stream_, buffer_, parser_, message_part::head);
        if (!ec && !is_framed(parser_.get().base(), parser_.chunked()))
            ec = boost::beast::http::error::bad_transfer_encoding;
        if (!ec)
            ec = co_await read_message(stream_, buffer_, parser_, message_part::all);
        co_return ec;
    }

private:
    struct sent
    {
        error_code ec;
    };

    // A complete response makes the rest of the request useless. After a failed write no response is expected, except
    // on a broken connection: the server may have responded before it closed.
    struct stop_early
    {
        asio::cancellation_type operator()(std::exception_ptr const& failure, sent const& s) const
        {
            bool const is_stuck = failure || (s.ec && !is_broken_connection(s.ec));
            return is_stuck ? asio::cancellation_type::terminal : asio::cancellation_type::none;
        }
        asio::cancellation_type operator()(std::exception_ptr const&, error_code) const
        {
            return asio::cancellation_type::terminal;
        }
    };

    template <class Writer>
    asio::awaitable<error_code> send_and_receive(Writer& writer)
    {
        status_ = 0;
        has_interim_ = false;
        auto const write_error = co_await writer.write_some();
        if (!write_error && !writer.is_done())
            co_return co_await send_while_receiving(writer);
        if (write_error && !is_broken_connection(write_error))
            co_return write_error;
        auto const read_error = co_await receive();
        co_return end(writer.is_done(), write_error, read_error);
    }

    template <class Writer>
    asio::awaitable<error_code> send_while_receiving(Writer& writer)
    {
        auto const ex = co_await asio::this_coro::executor;
        auto sending = asio::co_spawn(ex, send_rest(writer), asio::deferred);
        auto receiving = asio::co_spawn(ex, receive(), asio::deferred);
        auto both = asio::experimental::make_parallel_group(std::move(sending), std::move(receiving));
        auto const [order, send_failure, s, receive_failure, read_error] =
            co_await both.async_wait(stop_early{}, asio::use_awaitable);
        if (send_failure)
            std::rethrow_exception(send_failure);
        if (receive_failure)
            std::rethrow_exception(receive_failure);
        co_return end(writer.is_done(), s.ec, read_error);
    }

    template <class Writer>
    static asio::awaitable<sent> send_rest(Writer& writer)
    {
        sent result;
        try
        {
            while (!result.ec && !writer.is_done())
                result.ec = co_await writer.write_some();
        }
        catch (system_error const& e) // cancelled between two writes
        {
            result.ec = e.code();
        }
        co_return result;
    }

    error_code end(bool is_sent, error_code write_error, error_code read_error)
    {
        bool const was_stopped = write_error == asio::error::operation_aborted; // by stop_early, after reading failed
        if (read_error)
            return write_error && !was_stopped ? write_error : read_error;
        if (!is_sent || write_error)
            stream_.close();
        return {};
    }

    asio::awaitable<error_code> receive()
    {
        auto const ec = co_await skip_interim();
        if (ec || must_retry())
            co_return ec;
        co_return co_await read_final();
    }

    // Reads up to the status of the final response, which stays in the buffer. The parser reports a malformed head.
    asio::awaitable<error_code> skip_interim()
    {
        using boost::beast::http::error;
        std::size_t dropped = 0;
        std::size_t scanned = 0;
        response_head head{interim_responses_limit};
        for (;;)
        {
            scanned += scan(head, scanned);
            if (head.is_complete() && head.is_interim())
            {
                buffer_.consume(scanned);
                dropped += std::exchange(scanned, 0);
                head = response_head{interim_responses_limit};
                has_interim_ = true;
                if (dropped > interim_responses_limit)
                    co_return error::header_limit;
                continue;
            }
            status_ = head.status();
            if (head.is_too_long() && (status_ == 0 || head.is_interim()))
                co_return error::header_limit;
            if (head.is_malformed() && head.is_interim())
                co_return error::bad_field;
            if (head.is_malformed() || (status_ != 0 && !head.is_interim()))
                co_return error_code{};
            auto const ec = co_await read_more(stream_, buffer_);
            if (ec == asio::error::eof)
                co_return is_answered() ? error::partial_message : error::end_of_stream;
            if (ec)
                co_return ec;
        }
    }

    // Scan the bytes of the buffer from this offset on. @return How many bytes the scanner has consumed.
    [[nodiscard]] std::size_t scan(response_head& head, std::size_t from) const
    {
        std::size_t taken = 0;
        auto const all = buffer_.data();
        for (asio::const_buffer part : boost::beast::buffers_range_ref(all))
        {
            auto const skipped = std::min(from, part.size());
            from -= skipped;
            part += skipped;
            taken += head.put({static_cast<char const*>(part.data()), part.size()});
        }
        return taken;
    }

    [[nodiscard]] bool is_tunnel() const
    {
        return request_.method() == boost::beast::http::verb::connect && status_ / 100 == 2;
    }

    client_stream<NextLayer>& stream_;
    Request const& request_;
    DynamicBuffer& buffer_;
    Parser& parser_;
    unsigned status_ = 0; // of the final response
    bool has_interim_ = false;
};

} // namespace reprise::detail
