// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/byte_codec.hpp"
#include "tls/session_time.hpp"
#include "tls/ticket_appdata.hpp"

#include <reprise/error.hpp>
#include <reprise/session.hpp>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <span>
#include <utility>

namespace reprise {

namespace {

// Format: version, verified_at, chain_expiry (seconds), verify_result, number of certificates; each certificate with
// its length; the session's DER. Numbers are big-endian. The peer's own certificate is in the session.
constexpr unsigned char format_version = 2;
constexpr std::size_t header_size = 1 + 8 + 8 + 8 + 1;
constexpr std::size_t length_size = 3;

constexpr std::size_t most_certificates = 16; // OpenSSL accepts 10 by default (SSL_CTX_set_max_cert_list(3))

constexpr std::chrono::seconds longest_lifetime = std::chrono::hours{24 * 7};

std::int64_t to_seconds(time_point t) noexcept
{
    return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
}

time_point from_seconds(std::int64_t s) noexcept
{
    // A time beyond the clock's range means for ever. A hostile record must not overflow the clock.
    auto const limit = std::chrono::floor<std::chrono::seconds>(time_point::max().time_since_epoch()).count();
    if (s >= limit)
        return time_point::max();
    return time_point{std::chrono::seconds{std::max<std::int64_t>(s, 0)}};
}

// Return the certificates that the peer sent, on a client; null on a server.
std::shared_ptr<certificate_chain const> chain_of(SSL const* ssl)
{
    STACK_OF(X509)* const sent = ::SSL_is_server(ssl) == 1 ? nullptr : ::SSL_get_peer_cert_chain(ssl);
    if (sk_X509_num(sent) <= 0)
        return nullptr;
    auto chain = std::make_shared<certificate_chain>();
    for (int i = 0; i < sk_X509_num(sent); ++i)
        chain->push_back(share(sk_X509_value(sent, i)));
    return chain;
}

// Read the certificates behind the peer's own from the front of `bytes`. Returns false if they do not parse.
bool read_certificates(byte_view& bytes, std::size_t count, certificate_chain& chain)
{
    for (; count > 0; --count)
    {
        if (bytes.size() < length_size)
            return false;
        auto const size = static_cast<std::size_t>(detail::read_number(bytes.first(length_size)));
        if (bytes.size() - length_size < size)
            return false;
        auto const der = bytes.subspan(length_size, size);
        unsigned char const* at = der.data();
        x509_ptr certificate{::d2i_X509(nullptr, &at, static_cast<long>(der.size()))};
        if (!certificate || at != der.data() + der.size())
            return false;
        chain.push_back(std::move(certificate));
        bytes = bytes.subspan(length_size + der.size());
    }
    return true;
}

int der_size(X509 const* certificate)
{
    return std::max(0, ::i2d_X509(certificate, nullptr));
}

// Estimate of what OpenSSL 3.0 and 3.5 hold: the parsed form, DER, public key, and cached results of a verification.
std::size_t memory_of(X509 const* certificate)
{
    constexpr std::size_t fixed = 5 * 1024;
    constexpr std::size_t of_each_byte = 4;
    return certificate != nullptr ? fixed + of_each_byte * static_cast<std::size_t>(der_size(certificate)) : 0;
}

// The memory of a session without its certificates.
std::size_t memory_of(SSL_SESSION const* session)
{
    constexpr std::size_t fixed = 2048; // the structs of OpenSSL and of reprise
    unsigned char const* bytes = nullptr;
    std::size_t ticket = 0;
    std::size_t alpn = 0;
    ::SSL_SESSION_get0_ticket(session, &bytes, &ticket);
    ::SSL_SESSION_get0_alpn_selected(session, &bytes, &alpn);
    char const* const name = ::SSL_SESSION_get0_hostname(session);
    return fixed + ticket + alpn + detail::ticket_appdata_of(session).size() +
           (name != nullptr ? std::strlen(name) : 0);
}

time_point not_after(X509 const* certificate)
{
    std::tm tm{};
    if (::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &tm) != 1)
        return time_point{}; // an unreadable date counts as past
    return from_seconds(::timegm(&tm));
}

} // namespace

namespace {

/* Whether the certificates' dates were checked against the clock. If not, the dates must not forbid a resumption
   either, because a full handshake would succeed. */
bool checks_dates(SSL const* ssl)
{
    auto const flags = ::X509_VERIFY_PARAM_get_flags(::SSL_get0_param(const_cast<SSL*>(ssl)));
    return (::SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0 &&
           (flags & (X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_USE_CHECK_TIME)) == 0;
}

bool may_be_kept(SSL_SESSION const* s)
{
    auto const version = ::SSL_SESSION_get_protocol_version(s);
    return ::SSL_SESSION_is_resumable(s) == 1 && (version == TLS1_2_VERSION || version == TLS1_3_VERSION);
}

} // namespace

session_origin session_origin::of_full_handshake(SSL const* ssl, time_point now)
{
    session_origin result{now, time_point::max(), ::SSL_get_verify_result(ssl), chain_of(ssl)};
    // A client's list begins with the server's own certificate; a server's list lacks the client's own.
    STACK_OF(X509) const* const sent = ::SSL_get_peer_cert_chain(ssl);
    for (int i = ::SSL_is_server(ssl) == 1 ? 0 : 1; i < sk_X509_num(sent); ++i)
        result.chain_bytes += memory_of(sk_X509_value(sent, i));
    STACK_OF(X509) const* chain = checks_dates(ssl) ? ::SSL_get0_verified_chain(ssl) : nullptr;
    for (int i = 0; i < sk_X509_num(chain); ++i)
        result.chain_expiry = std::min(result.chain_expiry, not_after(sk_X509_value(chain, i)));
    return result;
}

struct session::impl
{
    impl(ssl_session_ptr s, session_origin o)
        : native(std::move(s)), origin(std::move(o)),
          size(memory_of(native.get()) + memory_of(::SSL_SESSION_get0_peer(native.get())) + origin.chain_bytes)
    {
    }

    ssl_session_ptr const native;
    session_origin const origin;
    std::size_t const size;
};

std::optional<session> session::snapshot(SSL_SESSION const* live, session_origin origin)
{
    if (live == nullptr || !may_be_kept(live))
        return std::nullopt;
    ssl_session_ptr copy{::SSL_SESSION_dup(live)};
    if (!copy)
        return std::nullopt;
    return session{std::make_shared<impl const>(std::move(copy), std::move(origin))};
}

boost::system::result<session> session::parse(byte_view bytes)
{
    if (bytes.size() <= header_size || bytes[0] != format_version)
        return errc::session_corrupt;
    auto const number_at = [&](std::size_t at)
    { return static_cast<std::int64_t>(detail::read_number(bytes.subspan(at, 8))); };
    session_origin origin{from_seconds(number_at(1)), from_seconds(number_at(9)), static_cast<long>(number_at(17))};
    std::size_t const certificates = bytes[25];
    auto rest = bytes.subspan(header_size);
    certificate_chain chain;
    bool const is_chain = certificates <= most_certificates && read_certificates(rest, certificates, chain);

    unsigned char const* der = rest.data();
    unsigned char const* const end = rest.data() + rest.size();
    ssl_session_ptr native{is_chain ? ::d2i_SSL_SESSION(nullptr, &der, static_cast<long>(end - der)) : nullptr};
    ::ERR_clear_error();
    if (!native || der != end || !may_be_kept(native.get()))
        return errc::session_corrupt;
    if (X509* const own = ::SSL_SESSION_get0_peer(native.get()))
    {
        for (auto const& other : chain)
            origin.chain_bytes += memory_of(other.get());
        chain.insert(chain.begin(), share(own));
        origin.chain = std::make_shared<certificate_chain const>(std::move(chain));
    }
    return session{std::make_shared<impl const>(std::move(native), std::move(origin))};
}

secret_bytes session::serialize() const
{
    int const length = ::i2d_SSL_SESSION(impl_->native.get(), nullptr);
    if (length <= 0)
        throw system_error{errc::session_corrupt, "i2d_SSL_SESSION"};
    std::span<x509_ptr const> others;
    if (auto const& chain = impl_->origin.chain; chain && chain->size() <= most_certificates)
        others = std::span{*chain}.subspan(1);
    std::size_t size = header_size + static_cast<std::size_t>(length);
    for (auto const& certificate : others)
        size += length_size + static_cast<std::size_t>(der_size(certificate.get()));

    secret_bytes out{size};
    unsigned char* at = out.data();
    *at++ = format_version;
    for (auto const number : {to_seconds(impl_->origin.verified_at), to_seconds(impl_->origin.chain_expiry),
                              std::int64_t{impl_->origin.verify_result}})
    {
        detail::write_number({at, 8}, static_cast<std::uint64_t>(number));
        at += 8;
    }
    *at++ = static_cast<unsigned char>(others.size());
    for (auto const& certificate : others)
    {
        auto const certificate_size = der_size(certificate.get());
        detail::write_number({at, length_size}, static_cast<std::uint64_t>(certificate_size));
        at += length_size;
        ::i2d_X509(certificate.get(), &at);
    }
    ::i2d_SSL_SESSION(impl_->native.get(), &at);
    return out;
}

tls_version session::protocol() const noexcept
{
    return static_cast<tls_version>(::SSL_SESSION_get_protocol_version(impl_->native.get()));
}

time_point session::issued_at() const noexcept
{
    return from_seconds(detail::issued_at(impl_->native.get()));
}

std::chrono::seconds session::lifetime() const noexcept
{
    // On a client, OpenSSL keeps the server's lifetime hint apart from the context's timeout. A hint of zero means
    // "unspecified" in TLS 1.2 (RFC 5077, 3.3) and "discard the ticket" in TLS 1.3 (RFC 8446, 4.6.1).
    auto const hint = ::SSL_SESSION_get_ticket_lifetime_hint(impl_->native.get());
    bool const has_hint = hint > 0 || (has_ticket() && protocol() == tls_version::tls13);
    std::chrono::seconds const lifetime{has_hint ? static_cast<long>(hint)
                                                 : ::SSL_SESSION_get_timeout(impl_->native.get())};
    return std::clamp(lifetime, std::chrono::seconds{0}, longest_lifetime);
}

session_origin const& session::origin() const noexcept
{
    return impl_->origin;
}

std::string session::alpn() const
{
    unsigned char const* name = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_alpn_selected(impl_->native.get(), &name, &size);
    return {reinterpret_cast<char const*>(name), size};
}

std::string session::server_name() const
{
    char const* const name = ::SSL_SESSION_get0_hostname(impl_->native.get());
    return name != nullptr ? name : "";
}

std::string session::cipher() const
{
    SSL_CIPHER const* cipher = ::SSL_SESSION_get0_cipher(impl_->native.get());
    char const* name = cipher != nullptr ? ::SSL_CIPHER_standard_name(cipher) : nullptr;
    return name != nullptr ? name : "";
}

std::uint32_t session::max_early_data() const noexcept
{
    return ::SSL_SESSION_get_max_early_data(impl_->native.get());
}

bool session::has_ticket() const noexcept
{
    return ::SSL_SESSION_has_ticket(impl_->native.get()) == 1;
}

std::size_t session::size() const noexcept
{
    return impl_->size;
}

ssl_session_ptr session::copy() const
{
    return ssl_session_ptr{::SSL_SESSION_dup(impl_->native.get())};
}

SSL_SESSION const* session::native_handle() const noexcept
{
    return impl_->native.get();
}

} // namespace reprise
