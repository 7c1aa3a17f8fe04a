// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client_offer.hpp"

#include "base/digest_input.hpp"
#include "tls/field_reader.hpp"
#include "tls/ticket_request.hpp"

#include <reprise/tls/ssl_handles.hpp>

#include <openssl/bio.h>

#include <cstddef>

namespace reprise::detail {

namespace {

// A record of the handshake protocol, with the ClientHello's own header.
constexpr std::size_t header_size = 5 + 4;

// Of the key shares only what they are for: the keys are made for once.
void add_groups(digest_input& to, byte_view key_share)
{
    auto const shares = field_reader{key_share}.prefixed(2);
    for (field_reader rest{shares.value_or(byte_view{})}; auto const group = rest.number(2);)
    {
        to.add(std::uint64_t{*group});
        rest.prefixed(2);
    }
}

// Where a caller's callback would be asked about a connection that does not exist. Of a context these are the only ones
// that cannot be put aside for one SSL.
bool decides_what_is_offered(SSL_CTX* context)
{
    // OpenSSL's own has no name.
    static auto* const usual = []
    {
        ssl_ctx_ptr const fresh{::SSL_CTX_new(::TLS_method())};
        return fresh ? ::SSL_CTX_get_security_callback(fresh.get()) : nullptr;
    }();
    return ::SSL_CTX_get_security_callback(context) != usual;
}

void ignore_event(SSL const*, int, int) {}

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
    field_reader hello{client_hello};
    constexpr std::size_t random_size = 32;
    auto const version = hello.take(2);
    hello.take(random_size);
    hello.prefixed(1); // legacy_session_id, random as well
    auto const suites = hello.prefixed(2);
    auto const compression = hello.prefixed(1);
    auto const list = hello.prefixed(2);
    if (!version || !suites || !compression || !list)
        return std::nullopt;
    in.add(*version);
    in.add(*suites);
    in.add(*compression);
    for (field_reader extensions{*list}; !extensions.empty();)
    {
        auto const type = extensions.number(2);
        auto const body = extensions.prefixed(2);
        if (!type || !body)
            return std::nullopt;
        bool const is_of_one_connection = *type == TLSEXT_TYPE_padding || *type == TLSEXT_TYPE_psk ||
                                          *type == TLSEXT_TYPE_server_name || *type == ticket_request_extension;
        if (is_of_one_connection)
            continue;
        in.add(std::uint64_t{*type});
        if (*type == TLSEXT_TYPE_key_share)
            add_groups(in, *body);
        else
            in.add(*body);
    }
    return in.digest();
}

std::optional<sha256_digest> read_offer(SSL_CTX* context)
{
    if (decides_what_is_offered(context) || has_foreign_extension(context))
        return std::nullopt;
    ssl_ptr const probe{::SSL_new(context)};
    if (!probe)
        return std::nullopt;
    ::SSL_set_msg_callback(probe.get(), nullptr);
    ::SSL_set_psk_client_callback(probe.get(), nullptr);
    ::SSL_set_psk_use_session_callback(probe.get(), nullptr);
    return read_offer(probe.get());
}

std::optional<sha256_digest> read_offer(SSL* ssl)
{
    BIO* const in = ::BIO_new(::BIO_s_mem());
    BIO* const out = ::BIO_new(::BIO_s_mem());
    if (in == nullptr || out == nullptr)
    {
        ::BIO_free(in);
        ::BIO_free(out);
        return std::nullopt;
    }
    ::SSL_set_bio(ssl, in, out);
    // The caller's observers are told of handshakes, and this is none. Without a callback of its own an SSL would call that
    // of its context.
    auto* const observed = ::SSL_get_info_callback(ssl);
    ::SSL_set_info_callback(ssl, ignore_event);
    ::SSL_set_connect_state(ssl);
    ::SSL_do_handshake(ssl); // as far as the peer's answer, which never comes
    char* bytes = nullptr;
    long const size = BIO_get_mem_data(out, &bytes);
    std::optional<sha256_digest> result;
    if (size > static_cast<long>(header_size))
        result = digest_offer(
            byte_view{reinterpret_cast<unsigned char const*>(bytes), static_cast<std::size_t>(size)}.subspan(
                header_size));
    ::SSL_clear(ssl); // keeps the settings; SSL_clear(3)
    ::SSL_set_connect_state(ssl);
    ::SSL_set_info_callback(ssl, observed);
    ::SSL_set_bio(ssl, nullptr, nullptr);
    return result;
}

} // namespace reprise::detail
