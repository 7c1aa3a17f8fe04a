// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/async/direction_lock.hpp>
#include <reprise/detail/async/initiation.hpp>
#include <reprise/detail/stream/tls_engine.hpp>
#include <reprise/error.hpp>

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

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

/// The error_code with which an operation on a stream completes.
[[nodiscard]] inline error_code error_of(tls_result const& result)
{
    switch (result.status)
    {
    case tls_status::closed: return asio::error::eof;
    case tls_status::failed:
        if (result.no_memory)
            return asio::error::no_memory;
        if (result.error == 0) // an earlier failure has made the SSL unusable
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

    One read, one write and one shutdown may be pending at the same time. Only one of them at a time uses each direction
    of the next layer.

    Operations keep this object, and the owner that they are given, until their handlers are called.

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

    /// Objects that an operation keeps alive: the stream, and the owner of the next layer.
    struct holder
    {
        std::shared_ptr<void> owner;
        std::shared_ptr<tls_stream> stream;
    };

    /// Close the stream: pending and later operations complete with `operation_aborted`. Operations in the next layer
    /// complete when the next layer completes them.
    void close()
    {
        is_closed_ = true;
        reading_.wake();
        writing_.wake();
    }

    /** Call `step` repeatedly until it has what it needs.

        @param held Kept until the handler is called.
        @param step Called as `tls_result(tls_engine&)`. All output of the step is written before the operation
            completes or reads.
        @param filter The cancellation types to let through: `asio::enable_terminal_cancellation`, or
            `asio::enable_total_cancellation` for a step that changes nothing until it is done. The next operation
            writes ciphertext that was not written yet.

        @par Completion Signature
        @code void(error_code, std::size_t) @endcode, with the size that the step reported.
    */
    template <class Step, class Filter, class Token>
    static auto async_perform(holder held, Step step, Filter filter, Token&& token)
    {
        auto const ex = held.stream->next_.get_executor();
        auto start = [](auto handler, holder h, Step s, Filter f)
        { operation<Step, Filter, decltype(handler)>{std::move(h), std::move(s), f, std::move(handler)}.start(); };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiation{ex, std::move(start)}, token, std::move(held), std::move(step), filter);
    }

    /** Process the data that has arrived from the peer, without waiting. Does nothing while a read is pending.

        @param receive Called as `std::size_t(std::span<unsigned char>)`: fills the span with the data that has arrived;
            returns 0 if there is none.
        @param budget About how many bytes to process, so that a peer that sends forever does not keep the caller.
        @return `needs_input` if nothing more has arrived, `closed` or `failed`; `done` if there is plaintext to read,
            which stays, or if the peer has sent more than the budget.
    */
    template <class Receive>
    [[nodiscard]] tls_status poll(Receive receive, std::size_t budget)
    {
        if (reading_.is_locked())
            return tls_status::needs_input;
        for (;;)
        {
            auto const status = engine.peek().status;
            if (status == tls_status::needs_output)
                return tls_status::done;
            if (status != tls_status::needs_input)
                return status;
            if (budget == 0)
                return tls_status::done;
            auto const size = receive(engine.room());
            if (size == 0)
                return status;
            engine.feed(size);
            budget -= std::min(budget, size);
        }
    }

    /// Read some data, as AsyncReadStream requires. Supports all cancellation types: the next read delivers what a
    /// cancelled read did not deliver.
    template <class MutableBufferSequence, class Token>
    static auto async_read_some(holder held, MutableBufferSequence const& buffers, Token&& token)
    {
        auto const into = first_of<asio::mutable_buffer>(buffers);
        return async_perform(
            std::move(held), [into](tls_engine& e) { return e.read(to_span(into)); }, asio::enable_total_cancellation{},
            std::forward<Token>(token));
    }

    /// Write some data, as AsyncWriteStream requires.
    template <class ConstBufferSequence, class Token>
    static auto async_write_some(holder held, ConstBufferSequence const& buffers, Token&& token)
    {
        auto const from = first_of<asio::const_buffer>(buffers);
        return async_perform(
            std::move(held), [from](tls_engine& e) { return e.write(to_span(from)); },
            asio::enable_terminal_cancellation{}, std::forward<Token>(token));
    }

private:
    template <class Step, class Filter, class Handler>
    class operation
    {
    public:
        // Associated properties of the handler, for the operations of the next layer.
        using executor_type = asio::associated_executor_t<Handler, typename NextLayer::executor_type>;
        using allocator_type = asio::associated_allocator_t<Handler>;
        using cancellation_slot_type = asio::cancellation_slot;

        operation(holder held, Step step, Filter filter, Handler handler)
            : held_(std::move(held)), cancelled_(asio::get_associated_cancellation_slot(handler), filter, filter),
              step_(std::move(step)), handler_(std::move(handler))
        {
        }

        [[nodiscard]] executor_type get_executor() const noexcept
        {
            return asio::get_associated_executor(handler_, stream().next_.get_executor());
        }
        [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler_); }
        [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return cancelled_.slot(); }

        /// @pre The stream is not closed.
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
                stream().engine.sent(size);
                stream().writing_.unlock();
                if (ec)
                    return stop(ec);
            }
            else
            {
                if (!ec)
                    stream().engine.feed(size);
                stream().reading_.unlock();
                if (ec)
                    return stop(ec == asio::error::eof ? error_code{asio::ssl::error::stream_truncated} : ec);
            }
            go_on(false);
        }

        // The direction that the operation waited for may be unlocked.
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
            reading, // or waiting until the direction is unlocked
            writing,
        };

        [[nodiscard]] tls_stream& stream() const noexcept { return *held_.stream; }

        void call_step()
        {
            auto& e = stream().engine;
            auto const produced = e.produced();
            fed_ = e.fed();
            result_ = step_(e);
            owes_ |= e.produced() != produced;
        }

        // Whether the step can continue now: another operation may have fed the engine, or written its output.
        [[nodiscard]] bool may_go_on() const
        {
            auto const& e = stream().engine;
            return (result_.status == tls_status::needs_input && fed_ != e.fed()) ||
                   (result_.status == tls_status::needs_output && !e.is_full());
        }

        [[nodiscard]] bool is_waiting() const noexcept
        {
            return result_.status == tls_status::needs_input || result_.status == tls_status::needs_output;
        }

        /* Do not wait for output of another operation: the peer may be waiting for us to read, and both ends would
           deadlock. A read leaves its own output (the answer to a KeyUpdate) to a pending write, until there is so much
           output that the engine stops reading. */
        [[nodiscard]] bool must_write(byte_view output)
        {
            if (result_.status == tls_status::needs_output)
                return true;
            owes_ = owes_ && !output.empty() && !(is_total && stream().writing_.is_locked());
            return owes_;
        }

        void go_on(bool is_first)
        {
            auto& s = stream();
            if (s.is_closed_)
                return stop(asio::error::operation_aborted);
            if (may_go_on())
                call_step();
            auto const output = s.engine.output();
            bool const writes = must_write(output);
            bool const is_over = !writes && !is_waiting();
            if (is_over && is_first) // the handler must not run within the initiating function
                return asio::post(s.next_.get_executor(),
                                  asio::append(std::move(handler_), error_of(result_), result_.size));
            if (is_over)
                return complete(error_of(result_));
            if (cancelled_.cancelled() != asio::cancellation_type::none)
                return stop(asio::error::operation_aborted);
            doing_ = writes ? activity::writing : activity::reading;
            direction_lock& way = writes ? s.writing_ : s.reading_;
            if (way.is_locked())
                return way.async_wait(s.next_.get_executor(), std::move(*this));
            way.lock();
            if (writes)
                return s.next_.async_write_some(asio::buffer(output.data(), output.size()), std::move(*this));
            auto const room = s.engine.room();
            s.next_.async_read_some(asio::buffer(room.data(), room.size()), std::move(*this));
        }

        // End early, with this reason unless the step has a result of its own. Data that was read is delivered
        // nevertheless.
        void stop(error_code reason)
        {
            bool const has_result = is_total && !is_waiting();
            complete(has_result || result_.status == tls_status::failed ? error_of(result_) : reason);
        }

        void complete(error_code ec)
        {
            held_ = {}; // released before the handler is called, like everything that an operation holds
            std::move(handler_)(ec, ec ? 0 : result_.size);
        }

        holder held_;
        asio::cancellation_state cancelled_;
        Step step_;
        Handler handler_;
        tls_result result_;
        std::size_t fed_ = 0;
        bool owes_ = false; // the step has left output to write
        activity doing_ = activity::starting;
    };

    NextLayer& next_;
    direction_lock reading_;
    direction_lock writing_;
    bool is_closed_ = false;
};

} // namespace reprise::detail
