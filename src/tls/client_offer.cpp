// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client_offer.hpp"

#include "base/digest_input.hpp"

#include <reprise/tls/ssl_handles.hpp>

#include <openssl/bio.h>

#include <cstddef>

namespace reprise::detail {

namespace {

// Of bytes that OpenSSL has just written, yet no length is believed (design rule 8).
class reader
{
public:
    explicit reader(byte_view bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

    byte_view bytes(std::size_t count)
    {
        if (count > rest_.size())
        {
            failed_ = true;
            count = rest_.size();
        }
        auto const result = rest_.first(count);
        rest_ = rest_.subspan(count);
        return result;
    }

    std::size_t number(std::size_t size)
    {
        std::size_t result = 0;
        for (auto const byte : bytes(size))
            result = result << 8 | byte;
        return result;
    }

    /// What follows a length of so many bytes.
    byte_view vector(std::size_t length_size) { return bytes(number(length_size)); }

private:
    byte_view rest_;
    bool failed_ = false;
};

// A record of the handshake protocol, with the ClientHello's own header.
constexpr std::size_t header_size = 5 + 4;

bool has_foreign_extension(SSL_CTX* context)
{
    for (unsigned type = 0; type <= 0xffff; ++type)
        if (type != ticket_request_extension && ::SSL_CTX_has_client_custom_ext(context, type) == 1)
            return true;
    return false;
}

} // namespace

std::optional<sha256_digest> digest_offer(byte_view client_hello)
{
    digest_input in{"reprise offer 1"};
    reader hello{client_hello};
    in.add(hello.bytes(2));  // legacy_version
    hello.bytes(32);         // random
    hello.vector(1);         // legacy_session_id
    in.add(hello.vector(2)); // cipher_suites
    in.add(hello.vector(1)); // legacy_compression_methods
    reader extensions{hello.vector(2)};
    while (!extensions.empty() && !extensions.failed())
    {
        auto const type = extensions.number(2);
        auto const body = extensions.vector(2);
        if (type == TLSEXT_TYPE_padding || type == TLSEXT_TYPE_psk || type == ticket_request_extension)
            continue;
        in.add(std::uint64_t{type});
        if (type != TLSEXT_TYPE_key_share)
        {
            in.add(body);
            continue;
        }
        reader shares{reader{body}.vector(2)};
        while (!shares.empty() && !shares.failed())
        {
            in.add(std::uint64_t{shares.number(2)});
            shares.vector(2); // a key made for once
        }
    }
    if (hello.failed() || extensions.failed())
        return std::nullopt;
    return in.digest();
}

std::optional<sha256_digest> read_offer(SSL_CTX* context)
{
    if (has_foreign_extension(context))
        return std::nullopt;
    ssl_ptr const probe{::SSL_new(context)};
    BIO* const in = ::BIO_new(::BIO_s_mem());
    BIO* const out = ::BIO_new(::BIO_s_mem());
    if (!probe || in == nullptr || out == nullptr)
    {
        ::BIO_free(in);
        ::BIO_free(out);
        return std::nullopt;
    }
    ::SSL_set_bio(probe.get(), in, out);
    // The caller's observers are told of connections, and this is none.
    ::SSL_set_info_callback(probe.get(), nullptr);
    ::SSL_set_msg_callback(probe.get(), nullptr);
    ::SSL_set_psk_client_callback(probe.get(), nullptr);
    ::SSL_set_psk_use_session_callback(probe.get(), nullptr);
    ::SSL_set_connect_state(probe.get());
    ::SSL_do_handshake(probe.get()); // as far as the peer's answer, which never comes
    char* bytes = nullptr;
    long const size = BIO_get_mem_data(out, &bytes);
    if (size <= static_cast<long>(header_size))
        return std::nullopt;
    byte_view const record{reinterpret_cast<unsigned char const*>(bytes), static_cast<std::size_t>(size)};
    return digest_offer(record.subspan(header_size));
}

} // namespace reprise::detail
