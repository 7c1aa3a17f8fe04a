// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/io/gate.hpp>
#include <reprise/io/initiation.hpp>
#include <reprise/tls/tls_engine.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

/// What an operation on a stream completes with.
[[nodiscard]] inline error_code error_of(tls_result const& result)
{
    switch (result.status)
    {
    case tls_status::closed: return asio::error::eof;
    case tls_status::failed:
        if (result.error == 0) // the SSL ran out of memory, or somebody else has used it up
            return asio::ssl::error::unspecified_system_error;
        return {static_cast<int>(result.error), asio::error::get_ssl_category()};
    default: return {};
    }
}

/// The first buffer of a sequence that is not empty.
template <class Buffer, class Sequence>
[[nodiscard]] Buffer first_of(Sequence const& buffers)
{
    auto const end = asio::buffer_sequence_end(buffers);
    for (auto it = asio::buffer_sequence_begin(buffers); it != end; ++it)
        if (Buffer const buffer{*it}; buffer.size() > 0)
            return buffer;
    return {};
}

[[nodiscard]] inline std::span<unsigned char> to_span(asio::mutable_buffer b) noexcept
{
    return {static_cast<unsigned char*>(b.data()), b.size()};
}

[[nodiscard]] inline byte_view to_span(asio::const_buffer b) noexcept
{
    return {static_cast<unsigned char const*>(b.data()), b.size()};
}

/** TLS on top of a next layer: moves the ciphertext of an engine.

    One read and one write may be under way at the same time, with a shutdown beside them; each direction of the next layer
    is used by one of them at a time.

    @par Object Lifetimes
    The next layer and this object must outlive the operations.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe.
*/
template <class NextLayer>
class tls_stream
{
public:
    tls_stream(NextLayer& next, ssl_ptr ssl) : engine(std::move(ssl)), next_(next) {}
    tls_stream(tls_stream const&) = delete;
    tls_stream& operator=(tls_stream const&) = delete;

    tls_engine engine;

    /** Call `step`, again and again, until it has what it needs.

        @param step Called as `tls_result(tls_engine&)`; all output that it leaves is written before the operation
            completes or reads.
        @param filter Which types of cancellation are let through: `asio::enable_terminal_cancellation`, or
            `asio::enable_total_cancellation` for a step that changes nothing until it is done. Ciphertext that was not
            written yet goes with the next operation.

        @par Completion Signature
        @code void(error_code, std::size_t) @endcode, with the size that the step reported.
    */
    template <class Step, class Filter, class Token>
    auto async_perform(Step step, Filter filter, Token&& token)
    {
        auto start = [this](auto handler, Step s, Filter f)
        { operation<Step, Filter, decltype(handler)>{*this, std::move(s), f, std::move(handler)}.start(); };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            initiation{next_.get_executor(), std::move(start)}, token, std::move(step), filter);
    }

    /** Take in what has come from the peer, without waiting. Nothing, while a read is under way.

        @param receive Called as `std::size_t(std::span<unsigned char>)`: fills it with what there is, 0 bytes if nothing.
        @return `done` if there is plaintext to be read, which stays; `needs_input`, `closed` or `failed`.
    */
    template <class Receive>
    [[nodiscard]] tls_status hear(Receive receive)
    {
        if (reading_.is_shut())
            return tls_status::needs_input;
        for (;;)
        {
            auto const status = engine.peek().status;
            if (status != tls_status::needs_input)
                return status;
            auto const size = receive(engine.room());
            if (size == 0)
                return status;
            engine.feed(size);
        }
    }

    /// As AsyncReadStream. Any type of cancellation: what it does not deliver stays for the next read.
    template <class MutableBufferSequence, class Token>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token)
    {
        auto const into = first_of<asio::mutable_buffer>(buffers);
        return async_perform([into](tls_engine& e) { return e.read(to_span(into)); }, asio::enable_total_cancellation{},
                             std::forward<Token>(token));
    }

    /// As AsyncWriteStream.
    template <class ConstBufferSequence, class Token>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token)
    {
        auto const from = first_of<asio::const_buffer>(buffers);
        return async_perform([from](tls_engine& e) { return e.write(to_span(from)); },
                             asio::enable_terminal_cancellation{}, std::forward<Token>(token));
    }

private:
    template <class Step, class Filter, class Handler>
    class operation
    {
    public:
        // What the next layer's operations are to know of the handler.
        using executor_type = asio::associated_executor_t<Handler, typename NextLayer::executor_type>;
        using allocator_type = asio::associated_allocator_t<Handler>;
        using cancellation_slot_type = asio::cancellation_slot;

        operation(tls_stream& s, Step step, Filter filter, Handler handler)
            : stream_(&s), cancelled_(asio::get_associated_cancellation_slot(handler), filter, filter),
              step_(std::move(step)), handler_(std::move(handler))
        {
        }

        [[nodiscard]] executor_type get_executor() const noexcept
        {
            return asio::get_associated_executor(handler_, stream_->next_.get_executor());
        }
        [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler_); }
        [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return cancelled_.slot(); }

        void start()
        {
            call_step();
            go_on(true);
        }

        // A read or a write of the next layer has ended.
        void operator()(error_code ec, std::size_t size)
        {
            if (doing_ == activity::writing)
            {
                stream_->engine.sent(size);
                stream_->writing_.open();
                if (ec)
                    return stop(ec);
            }
            else
            {
                if (!ec)
                    stream_->engine.feed(size);
                stream_->reading_.open();
                if (ec)
                    return stop(ec == asio::error::eof ? error_code{asio::ssl::error::stream_truncated} : ec);
            }
            go_on(false);
        }

        // The gate that it waited at may be open.
        void operator()(error_code) { go_on(false); }

        friend bool asio_handler_is_continuation(operation* self) noexcept
        {
            return self->doing_ != activity::starting;
        }

    private:
        static constexpr bool is_total = std::is_same_v<Filter, asio::enable_total_cancellation>;

        enum class activity
        {
            starting,
            reading, // or waiting until it may
            writing,
        };

        void call_step()
        {
            auto& engine = stream_->engine;
            auto const produced = engine.produced();
            fed_ = engine.fed();
            result_ = step_(engine);
            owes_ |= engine.produced() != produced;
        }

        /* What another operation has left to be written is that one's business: to wait for it here would keep the peer
           from being read, which may be what the peer waits for. A read leaves its own (the answer to a KeyUpdate) to
           a write that is under way. */
        [[nodiscard]] bool must_write(byte_view output)
        {
            owes_ = owes_ && !output.empty() && !(is_total && stream_->writing_.is_shut());
            return owes_;
        }

        void go_on(bool is_first)
        {
            auto& s = *stream_;
            // Whoever has fed the engine: it may be what this operation waits for.
            if (result_.status == tls_status::needs_input && fed_ != s.engine.fed())
                call_step();
            auto const output = s.engine.output();
            bool const writes = must_write(output);
            bool const is_over = !writes && result_.status != tls_status::needs_input;
            if (is_over && is_first) // not from within the function that starts it
                return asio::post(s.next_.get_executor(),
                                  asio::append(std::move(handler_), error_of(result_), result_.size));
            if (is_over)
                return complete(error_of(result_));
            if (cancelled_.cancelled() != asio::cancellation_type::none)
                return stop(asio::error::operation_aborted);
            doing_ = writes ? activity::writing : activity::reading;
            gate& way = writes ? s.writing_ : s.reading_;
            if (way.is_shut())
                return way.async_wait(s.next_.get_executor(), std::move(*this));
            way.shut();
            if (writes)
                return s.next_.async_write_some(asio::buffer(output.data(), output.size()), std::move(*this));
            auto const room = s.engine.room();
            s.next_.async_read_some(asio::buffer(room.data(), room.size()), std::move(*this));
        }

        // End early, for this reason unless there is a better one. What was read is delivered all the same.
        void stop(error_code reason)
        {
            bool const has_result = is_total && result_.status != tls_status::needs_input;
            complete(has_result || result_.status == tls_status::failed ? error_of(result_) : reason);
        }

        void complete(error_code ec) { std::move(handler_)(ec, ec ? 0 : result_.size); }

        tls_stream* stream_;
        asio::cancellation_state cancelled_;
        Step step_;
        Handler handler_;
        tls_result result_;
        std::size_t fed_ = 0;
        bool owes_ = false; // its step has left something to be written
        activity doing_ = activity::starting;
    };

    NextLayer& next_;
    gate reading_;
    gate writing_;
};

} // namespace reprise::detail
