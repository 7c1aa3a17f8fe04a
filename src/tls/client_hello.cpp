// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/byte_codec.hpp"
#include "tls/host_name.hpp"
#include "tls/ticket_request.hpp"

#include <reprise/client_hello.hpp>

#include <openssl/tls1.h>

#include <algorithm>

namespace reprise {

namespace {

using reader = detail::field_reader;

std::string text(byte_view bytes)
{
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

std::optional<byte_view> extension(SSL* ssl, unsigned type)
{
    unsigned char const* data = nullptr;
    std::size_t size = 0;
    if (::SSL_client_hello_get0_ext(ssl, type, &data, &size) != 1)
        return std::nullopt;
    return byte_view{data, size};
}

} // namespace

std::string read_server_name(byte_view extension)
{
    constexpr unsigned host_name = 0;
    auto const list = reader{extension}.prefixed(2);
    if (!list)
        return {};
    reader names{*list};
    auto const type = names.number(1);
    auto const name = names.prefixed(2);
    if (type != host_name || !name)
        return {};
    return detail::normal_host_name(text(*name));
}

bool read_offers_tls13(byte_view extension)
{
    auto const list = reader{extension}.prefixed(1);
    if (!list)
        return false;
    for (reader versions{*list}; auto const version = versions.number(2);)
        if (*version == TLS1_3_VERSION)
            return true;
    return false;
}

std::vector<std::string> read_psk_identities(byte_view extension)
{
    std::vector<std::string> result;
    auto const list = reader{extension}.prefixed(2);
    if (!list)
        return result;
    for (reader identities{*list}; result.size() < client_hello::max_identities;)
    {
        auto const identity = identities.prefixed(2);
        auto const age = identities.number(4);
        if (!identity || !age)
            break;
        result.push_back(text(*identity));
    }
    return result;
}

std::string read_first_binder(byte_view extension)
{
    constexpr std::size_t shortest = 32; // SHA-256 (RFC 8446, 4.2.11)
    reader psk{extension};
    auto const identities = psk.prefixed(2);
    auto const binders = psk.prefixed(2);
    if (!identities || !binders)
        return {};
    auto const first = reader{*binders}.prefixed(1);
    return first && first->size() >= shortest ? text(*first) : std::string{};
}

client_hello read_client_hello(SSL* ssl)
{
    client_hello result;
    unsigned char const* id = nullptr;
    auto const id_size = ::SSL_client_hello_get0_session_id(ssl, &id);
    result.session_id = text({id, id_size});
    if (auto const name = extension(ssl, TLSEXT_TYPE_server_name))
        result.server_name = read_server_name(*name);
    if (auto const versions = extension(ssl, TLSEXT_TYPE_supported_versions))
        result.offers_tls13 = read_offers_tls13(*versions);
    if (auto const ticket = extension(ssl, TLSEXT_TYPE_session_ticket))
    {
        result.takes_tickets = true;
        result.offers_ticket = !ticket->empty();
        constexpr std::size_t name_size = 16;
        result.ticket_name = text(ticket->first(std::min(ticket->size(), name_size)));
    }
    if (auto const psk = extension(ssl, TLSEXT_TYPE_psk))
    {
        result.psk_identities = read_psk_identities(*psk);
        result.first_binder = read_first_binder(*psk);
    }
    if (auto const request = extension(ssl, detail::ticket_request_extension))
        result.tickets_wanted = reader{*request}.number(1);
    result.offers_early_data = extension(ssl, TLSEXT_TYPE_early_data).has_value();
    return result;
}

} // namespace reprise
