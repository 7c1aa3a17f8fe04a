// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/redis_socket.hpp"

#include <reprise/detail/net/connect_result.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <string>
#include <utility>
#include <vector>

namespace reprise::detail {

namespace {

using asio::ip::tcp;

// Whether the error says that the peer's first bytes are no TLS record.
bool is_no_tls(error_code ec)
{
    if (ec.category() != asio::error::get_ssl_category())
        return false;
    auto const reason = ERR_GET_REASON(static_cast<unsigned long>(ec.value()));
    return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_BAD_RECORD_TYPE;
}

// Common to the three kinds of socket. Reads and writes go through `Stream`.
template <class Stream>
class redis_socket_on : public redis_socket
{
public:
    asio::awaitable<std::size_t> read_some(asio::mutable_buffer into) final
    {
        return stream_.async_read_some(into, asio::use_awaitable);
    }

    asio::awaitable<void> write(asio::const_buffer bytes) final
    {
        co_await asio::async_write(stream_, bytes, asio::use_awaitable);
    }

    void close() noexcept override
    {
        is_closed_ = true;
        error_code ignored;
        stream_.lowest_layer().close(ignored);
    }

    [[nodiscard]] bool has_peer() const noexcept final { return has_peer_; }

protected:
    template <class... Args>
    explicit redis_socket_on(Args&&... args) : stream_(std::forward<Args>(args)...)
    {
    }

    void found_peer() noexcept { has_peer_ = true; }

    // Call after each step of connecting, because the next step would open the socket again.
    void throw_if_closed() const
    {
        if (is_closed_)
            throw system_error{asio::error::operation_aborted};
    }

    Stream stream_;

private:
    bool is_closed_ = false;
    bool has_peer_ = false;
};

class unix_socket final : public redis_socket_on<asio::local::stream_protocol::socket>
{
public:
    unix_socket(asio::any_io_executor const& executor, std::string const& path)
        : redis_socket_on(executor), endpoint_(path)
    {
    }

    asio::awaitable<void> connect() override
    {
        throw_if_closed();
        co_await stream_.async_connect(endpoint_, asio::use_awaitable);
        found_peer();
    }

private:
    asio::local::stream_protocol::endpoint const endpoint_;
};

template <class Stream>
class ip_socket : public redis_socket_on<Stream>
{
public:
    void close() noexcept final
    {
        redis_socket_on<Stream>::close();
        names_->cancel();
    }

protected:
    template <class... Args>
    ip_socket(redis_storage_options const& options, std::shared_ptr<name_lookup> names,
              asio::any_io_executor const& executor, Args&&... args)
        : redis_socket_on<Stream>(executor, std::forward<Args>(args)...), names_(std::move(names)), host_(options.host),
          port_(options.port)
    {
    }

    asio::awaitable<void> connect_tcp()
    {
        auto& socket = this->stream_.lowest_layer();
        this->throw_if_closed();
        error_code not_an_address;
        auto const address = asio::ip::make_address(host_, not_an_address);
        std::vector<tcp::endpoint> endpoints;
        if (!not_an_address)
            endpoints.emplace_back(address, port_);
        else
            endpoints = co_await names_->find();
        co_await connect_to_one(endpoints);
        this->found_peer();
        socket.set_option(tcp::no_delay{true});
    }

private:
    // Connect to the first endpoint that accepts.
    asio::awaitable<void> connect_to_one(std::vector<tcp::endpoint> const& endpoints)
    {
        auto& socket = this->stream_.lowest_layer();
        error_code failure = asio::error::host_not_found;
        for (auto const& endpoint : endpoints)
        {
            this->throw_if_closed();
            error_code ignored;
            socket.close(ignored);
            auto const [ended] = co_await socket.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
            this->throw_if_closed();
            failure = connect_result(socket, ended);
            if (!failure)
                co_return;
        }
        throw system_error{failure};
    }

    std::shared_ptr<name_lookup> const names_;
    std::string const host_;
    std::uint16_t const port_;
};

class tcp_socket final : public ip_socket<tcp::socket>
{
public:
    tcp_socket(asio::any_io_executor const& executor, redis_storage_options const& options,
               std::shared_ptr<name_lookup> names)
        : ip_socket(options, std::move(names), executor)
    {
    }

    asio::awaitable<void> connect() override { return connect_tcp(); }
};

class tls_socket final : public ip_socket<asio::ssl::stream<tcp::socket>>
{
public:
    tls_socket(asio::any_io_executor const& executor, redis_storage_options const& options,
               std::shared_ptr<name_lookup> names)
        : ip_socket(options, std::move(names), executor, *options.tls), context_(options.tls),
          name_(options.tls_server_name.empty() ? options.host : options.tls_server_name)
    {
        stream_.set_verify_mode(asio::ssl::verify_peer);
        stream_.set_verify_callback(asio::ssl::host_name_verification{name_});
        error_code not_an_address;
        (void)asio::ip::make_address(name_, not_an_address);
        if (not_an_address && SSL_set_tlsext_host_name(stream_.native_handle(), name_.c_str()) != 1) // RFC 6066, 3
            throw std::bad_alloc{};
    }

    asio::awaitable<void> connect() override
    {
        co_await connect_tcp();
        try
        {
            co_await stream_.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
        }
        catch (system_error const& e)
        {
            if (is_no_tls(e.code()))
                throw system_error{redis_errc::plain_text_expected};
            throw;
        }
    }

private:
    std::shared_ptr<asio::ssl::context> const context_;
    std::string const name_;
};

} // namespace

std::shared_ptr<redis_socket> make_redis_socket(asio::any_io_executor const& executor,
                                                redis_storage_options const& options,
                                                std::shared_ptr<name_lookup> names)
{
    if (!options.socket_path.empty())
        return std::make_shared<unix_socket>(executor, options.socket_path);
    if (options.tls)
        return std::make_shared<tls_socket>(executor, options, std::move(names));
    return std::make_shared<tcp_socket>(executor, options, std::move(names));
}

} // namespace reprise::detail
