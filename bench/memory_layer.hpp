// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace bench {

namespace asio = boost::asio;

/// What a stream reads and has written, without a network.
struct pipe
{
    std::string in;
    std::string out;

    /// Completes a read that found nothing, now that there is something.
    struct reader
    {
        virtual ~reader() = default;
        virtual void go_on() = 0;
    };
    std::unique_ptr<reader> waiting{};

    void deliver()
    {
        if (waiting && !in.empty())
            std::exchange(waiting, nullptr)->go_on();
    }
};

/// The least that a TLS stream can stand on: an Asio stream on a pipe.
class memory_layer
{
public:
    using executor_type = asio::any_io_executor;
    using lowest_layer_type = memory_layer;

    memory_layer(asio::any_io_executor ex, pipe& p) : executor_(std::move(ex)), pipe_(&p) {}

    executor_type get_executor() const { return executor_; }
    lowest_layer_type& lowest_layer() { return *this; }
    lowest_layer_type const& lowest_layer() const { return *this; }

    template <class Option>
    void set_option(Option const&, boost::system::error_code&)
    {
    }
    void close(boost::system::error_code&) {}

    template <class Buffers, class Token>
    auto async_read_some(Buffers const& buffers, Token&& token)
    {
        return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
            [this](auto handler, Buffers const& to)
            {
                using op = read_op<Buffers, decltype(handler)>;
                auto read = std::make_unique<op>(*pipe_, executor_, to, std::move(handler));
                if (pipe_->in.empty() && asio::buffer_size(to) > 0) // reading nothing is how asio::ssl posts
                    pipe_->waiting = std::move(read);
                else
                    read->go_on();
            },
            token, buffers);
    }

    template <class Buffers, class Token>
    auto async_write_some(Buffers const& buffers, Token&& token)
    {
        return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
            [this](auto handler, Buffers const& from)
            {
                auto const old = pipe_->out.size();
                pipe_->out.resize(old + asio::buffer_size(from));
                complete(executor_, std::move(handler), asio::buffer_copy(asio::buffer(pipe_->out) + old, from));
            },
            token, buffers);
    }

private:
    template <class Handler>
    static void complete(asio::any_io_executor const& ex, Handler handler, std::size_t size)
    {
        auto const on = asio::get_associated_executor(handler, ex);
        asio::post(on, [h = std::move(handler), size]() mutable { std::move(h)(boost::system::error_code{}, size); });
    }

    template <class Buffers, class Handler>
    struct read_op final : pipe::reader
    {
        read_op(pipe& p, asio::any_io_executor e, Buffers const& b, Handler h)
            : from(p), ex(std::move(e)), to(b), handler(std::move(h))
        {
        }

        void go_on() override
        {
            auto const size = asio::buffer_copy(to, asio::buffer(from.in));
            from.in.erase(0, size);
            complete(ex, std::move(handler), size);
        }

        pipe& from;
        asio::any_io_executor ex;
        Buffers to;
        Handler handler;
    };

    asio::any_io_executor executor_;
    pipe* pipe_;
};

} // namespace bench
