// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client_offer.hpp"

#include "base/byte_codec.hpp"
#include "base/digest_input.hpp"
#include "base/openssl.hpp"
#include "tls/ticket_request.hpp"

#include <reprise/ssl_handles.hpp>

#include <openssl/bio.h>

#include <cstddef>
#include <vector>

namespace reprise::detail {

namespace {

// The header of a handshake record, and the header of the ClientHello message.
constexpr std::size_t header_size = 5 + 4;
constexpr std::size_t random_size = 32;

// Add only the groups of the key shares: the keys differ in every ClientHello.
void add_groups(digest_input& to, byte_view key_share)
{
    auto const shares = field_reader{key_share}.prefixed(2);
    for (field_reader rest{shares.value_or(byte_view{})}; auto const group = rest.number(2);)
    {
        to.add(std::uint64_t{*group});
        rest.prefixed(2);
    }
}

// OpenSSL's default security callback, which has no public name.
auto* usual_security_callback()
{
    static auto* const usual = []
    {
        ssl_ctx_ptr const fresh{::SSL_CTX_new(::TLS_method())};
        return fresh ? ::SSL_CTX_get_security_callback(fresh.get()) : nullptr;
    }();
    return usual;
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

namespace {

// Make the ClientHello that this SSL would send, from its `legacy_version` on. The SSL's settings are unchanged
// afterwards. Returns nothing on failure.
std::optional<std::vector<unsigned char>> make_client_hello(SSL* ssl)
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
    // Observers must not be told, because this is no handshake. Without a callback of its own, an SSL calls its
    // context's.
    auto* const observer = ::SSL_get_info_callback(ssl);
    ::SSL_set_info_callback(ssl, ignore_event);
    ::SSL_do_handshake(ssl); // stops to wait for the peer's answer, which never comes
    char* bytes = nullptr;
    long const size = BIO_get_mem_data(out, &bytes);
    std::optional<std::vector<unsigned char>> result;
    if (size > static_cast<long>(header_size))
        result.emplace(bytes + header_size, bytes + size);
    ::SSL_clear(ssl); // resets the handshake, not the settings: SSL_clear(3)
    ::SSL_set_connect_state(ssl);
    ::SSL_set_info_callback(ssl, observer);
    ::SSL_set_bio(ssl, nullptr, nullptr);
    return result;
}

// Make a ClientHello of this context, which is not sent, without calling the caller's callbacks.
std::optional<std::vector<unsigned char>> make_client_hello(SSL_CTX* context)
{
    if (has_foreign_extension(context))
        return std::nullopt;
    ssl_ptr const probe{::SSL_new(context)};
    if (!probe)
        return std::nullopt;
    ::SSL_set_msg_callback(probe.get(), nullptr);
    ::SSL_set_security_callback(probe.get(), usual_security_callback());
    ::SSL_set_psk_client_callback(probe.get(), nullptr);
    ::SSL_set_psk_use_session_callback(probe.get(), nullptr);
    if (::SSL_is_server(probe.get()) == 1) // the context's method may be a server's
        ::SSL_set_ssl_method(probe.get(), ::TLS_client_method());
    ::SSL_set_connect_state(probe.get());
    return make_client_hello(probe.get());
}

std::optional<byte_view> find_extension(byte_view client_hello, unsigned wanted)
{
    field_reader hello{client_hello};
    hello.take(2 + random_size);
    hello.prefixed(1);
    hello.prefixed(2);
    hello.prefixed(1);
    for (field_reader extensions{hello.prefixed(2).value_or(byte_view{})}; !extensions.empty();)
    {
        auto const type = extensions.number(2);
        auto const body = extensions.prefixed(2);
        if (!type || !body || *type == wanted)
            return body;
    }
    return std::nullopt;
}

} // namespace

std::optional<sha256_digest> read_offer(SSL_CTX* context)
{
    // A security callback decides what is offered. Do not call it for a connection that does not exist.
    if (::SSL_CTX_get_security_callback(context) != usual_security_callback())
        return std::nullopt;
    auto const client_hello = make_client_hello(context);
    return client_hello ? digest_offer(*client_hello) : std::nullopt;
}

std::optional<sha256_digest> read_offer(SSL* ssl)
{
    errors_put_back const errors;
    auto const client_hello = make_client_hello(ssl);
    return client_hello ? digest_offer(*client_hello) : std::nullopt;
}

std::string read_groups(SSL_CTX* context)
{
    errors_put_back const errors;
    auto const client_hello = make_client_hello(context);
    auto const extension = client_hello ? find_extension(*client_hello, TLSEXT_TYPE_supported_groups) : std::nullopt;
    auto const groups = extension ? field_reader{*extension}.prefixed(2) : std::nullopt;
    ssl_ptr const names{::SSL_new(context)};
    std::string result;
    for (field_reader rest{groups.value_or(byte_view{})}; auto const group = rest.number(2);)
        if (char const* const name =
                names ? ::SSL_group_to_name(names.get(), static_cast<int>(TLSEXT_nid_unknown | *group)) : nullptr)
            result.append(result.empty() ? "" : ":").append(name);
    return result;
}

} // namespace reprise::detail
