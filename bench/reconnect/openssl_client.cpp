// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "reconnect/clients.hpp"
#include "stopwatch.hpp"

#include <reprise/ssl_handles.hpp>

#include <openssl/ssl.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

namespace {

void require(bool ok, char const* what)
{
    if (!ok)
        throw std::runtime_error{std::string{"OpenSSL by hand: "} + what};
}

class descriptor
{
public:
    explicit descriptor(int value) : value_(value) { require(value_ != -1, "socket"); }
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor() { ::close(value_); }

    [[nodiscard]] int get() const noexcept { return value_; }

private:
    int value_;
};

// Blocking, no name, no coroutine, no check of the session: what is left is OpenSSL's and the kernel's.
class openssl_client final : public client
{
public:
    openssl_client(nginx const& server, bool tls13) : context_(::SSL_CTX_new(::TLS_client_method()))
    {
        auto* const tls = context_.get();
        auto const version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
        SSL_CTX_set_min_proto_version(tls, version);
        SSL_CTX_set_max_proto_version(tls, version);
        require(::SSL_CTX_load_verify_file(tls, server.ca_file().c_str()) == 1, "CA file");
        ::SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(tls, this);
        ::SSL_CTX_sess_set_new_cb(tls,
                                  [](SSL* ssl, SSL_SESSION* session)
                                  {
                                      auto* const self = SSL_CTX_get_app_data(::SSL_get_SSL_CTX(ssl));
                                      static_cast<openssl_client*>(self)->session_.reset(session);
                                      return 1;
                                  });
        to_.sin_family = AF_INET;
        to_.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server.port())));
        to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }

    cost fetch(std::size_t count) override
    {
        cost result{.count = count};
        auto const cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
        auto const time = cpu_time(CLOCK_MONOTONIC);
        for (std::size_t i = 0; i < count; ++i)
            result.resumed += fetch_one() ? 1u : 0u;
        result.cpu_us = static_cast<double>((cpu_time(CLOCK_PROCESS_CPUTIME_ID) - cpu).count()) / 1e3;
        result.time_us = static_cast<double>((cpu_time(CLOCK_MONOTONIC) - time).count()) / 1e3;
        return result;
    }

private:
    bool fetch_one()
    {
        descriptor const socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        require(::connect(socket.get(), reinterpret_cast<sockaddr const*>(&to_), sizeof to_) == 0, "connect");
        int const on = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        reprise::ssl_ptr const ssl{::SSL_new(context_.get())};
        require(ssl != nullptr && ::SSL_set_fd(ssl.get(), socket.get()) == 1 &&
                    SSL_set_tlsext_host_name(ssl.get(), "localhost") == 1 &&
                    ::SSL_set1_host(ssl.get(), "localhost") == 1,
                "SSL");
        if (auto const last = std::move(session_))
            require(::SSL_set_session(ssl.get(), last.get()) == 1, "session");
        require(::SSL_connect(ssl.get()) == 1, "handshake");
        if (!session_) // TLS 1.2 keeps its own
            session_.reset(::SSL_get1_session(ssl.get()));
        constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        require(::SSL_write(ssl.get(), request.data(), static_cast<int>(request.size())) > 0, "request");
        std::array<char, 4096> answer;
        int const size = ::SSL_read(ssl.get(), answer.data(), static_cast<int>(answer.size()));
        require(size > 0 && std::string_view{answer.data(), static_cast<std::size_t>(size)}.ends_with("\r\n\r\nok"),
                "answer");
        ::SSL_shutdown(ssl.get());
        return ::SSL_session_reused(ssl.get()) == 1;
    }

    reprise::ssl_ctx_ptr context_;
    reprise::ssl_session_ptr session_;
    sockaddr_in to_{};
};

} // namespace

std::unique_ptr<client> make_openssl(nginx const& server, bool tls13)
{
    return std::make_unique<openssl_client>(server, tls13);
}

} // namespace bench
