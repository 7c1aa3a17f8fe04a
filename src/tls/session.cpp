// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/error.hpp>
#include <reprise/tls/session.hpp>

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>

namespace reprise {

namespace {

// version, verified_at, chain_expiry (seconds), verify_result, then the DER; numbers are big-endian
constexpr unsigned char format_version = 1;
constexpr std::size_t header_size = 1 + 8 + 8 + 8;

constexpr std::chrono::seconds longest_lifetime = std::chrono::hours{24 * 7};

std::int64_t to_seconds(time_point t) noexcept
{
    return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
}

time_point from_seconds(std::int64_t s) noexcept
{
    // Beyond what the clock can hold is the same as for ever (and a hostile record must not overflow it).
    auto const limit = std::chrono::floor<std::chrono::seconds>(time_point::max().time_since_epoch()).count();
    if (s >= limit)
        return time_point::max();
    return time_point{std::chrono::seconds{std::max<std::int64_t>(s, 0)}};
}

void write_number(unsigned char* out, std::int64_t value) noexcept
{
    for (int i = 0; i < 8; ++i)
        out[i] = static_cast<unsigned char>(static_cast<std::uint64_t>(value) >> (56 - 8 * i));
}

std::int64_t read_number(unsigned char const* in) noexcept
{
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
        value = value << 8 | in[i];
    return static_cast<std::int64_t>(value);
}

time_point not_after(X509 const* certificate)
{
    std::tm tm{};
    if (::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &tm) != 1)
        return time_point{}; // a date that nobody can read has passed
    return from_seconds(::timegm(&tm));
}

} // namespace

session_origin session_origin::of_full_handshake(SSL const* ssl, time_point now)
{
    session_origin result{now, time_point::max(), ::SSL_get_verify_result(ssl)};
    STACK_OF(X509) const* chain = ::SSL_get0_verified_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain); ++i)
        result.chain_expiry = std::min(result.chain_expiry, not_after(sk_X509_value(chain, i)));
    return result;
}

struct session::state
{
    ssl_session_ptr native;
    session_origin origin;
};

std::optional<session> session::snapshot(SSL_SESSION const* live, session_origin origin)
{
    if (live == nullptr || ::SSL_SESSION_is_resumable(live) != 1)
        return std::nullopt;
    ssl_session_ptr copy{::SSL_SESSION_dup(live)};
    if (!copy)
        return std::nullopt;
    return session{std::make_shared<state const>(state{std::move(copy), origin})};
}

boost::system::result<session> session::parse(byte_view bytes)
{
    if (bytes.size() <= header_size || bytes[0] != format_version)
        return errc::session_corrupt;
    session_origin const origin{from_seconds(read_number(&bytes[1])), from_seconds(read_number(&bytes[9])),
                                static_cast<long>(read_number(&bytes[17]))};

    unsigned char const* der = bytes.data() + header_size;
    unsigned char const* const end = bytes.data() + bytes.size();
    ssl_session_ptr native{::d2i_SSL_SESSION(nullptr, &der, static_cast<long>(end - der))};
    ::ERR_clear_error();
    if (!native || der != end || ::SSL_SESSION_is_resumable(native.get()) != 1)
        return errc::session_corrupt;
    auto const version = ::SSL_SESSION_get_protocol_version(native.get());
    if (version != TLS1_2_VERSION && version != TLS1_3_VERSION)
        return errc::session_corrupt;
    return session{std::make_shared<state const>(state{std::move(native), origin})};
}

secret_bytes session::serialize() const
{
    int const length = ::i2d_SSL_SESSION(state_->native.get(), nullptr);
    if (length <= 0)
        throw system_error{errc::session_corrupt, "i2d_SSL_SESSION"};
    secret_bytes out{header_size + static_cast<std::size_t>(length)};
    out.data()[0] = format_version;
    write_number(out.data() + 1, to_seconds(state_->origin.verified_at));
    write_number(out.data() + 9, to_seconds(state_->origin.chain_expiry));
    write_number(out.data() + 17, state_->origin.verify_result);
    unsigned char* der = out.data() + header_size;
    ::i2d_SSL_SESSION(state_->native.get(), &der);
    return out;
}

tls_version session::protocol() const noexcept
{
    return static_cast<tls_version>(::SSL_SESSION_get_protocol_version(state_->native.get()));
}

time_point session::issued_at() const noexcept
{
    return from_seconds(::SSL_SESSION_get_time(state_->native.get()));
}

std::chrono::seconds session::lifetime() const noexcept
{
    // On a client OpenSSL keeps what the server said of a ticket apart from what the context assumes. Zero is
    // "unspecified" in TLS 1.2 (RFC 5077, 3.3) and "discard it" in TLS 1.3 (RFC 8446, 4.6.1).
    auto const hint = ::SSL_SESSION_get_ticket_lifetime_hint(state_->native.get());
    bool const has_hint = hint > 0 || (has_ticket() && protocol() == tls_version::tls13);
    std::chrono::seconds const lifetime{has_hint ? static_cast<long>(hint)
                                                 : ::SSL_SESSION_get_timeout(state_->native.get())};
    return std::clamp(lifetime, std::chrono::seconds{0}, longest_lifetime);
}

session_origin const& session::origin() const noexcept
{
    return state_->origin;
}

std::string session::alpn() const
{
    unsigned char const* name = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_alpn_selected(state_->native.get(), &name, &size);
    return {reinterpret_cast<char const*>(name), size};
}

std::string session::server_name() const
{
    char const* const name = ::SSL_SESSION_get0_hostname(state_->native.get());
    return name != nullptr ? name : "";
}

std::string session::cipher() const
{
    SSL_CIPHER const* cipher = ::SSL_SESSION_get0_cipher(state_->native.get());
    char const* name = cipher != nullptr ? ::SSL_CIPHER_standard_name(cipher) : nullptr;
    return name != nullptr ? name : "";
}

std::uint32_t session::max_early_data() const noexcept
{
    return ::SSL_SESSION_get_max_early_data(state_->native.get());
}

bool session::has_ticket() const noexcept
{
    return ::SSL_SESSION_has_ticket(state_->native.get()) == 1;
}

std::size_t session::size() const noexcept
{
    unsigned char const* ticket = nullptr;
    std::size_t ticket_size = 0;
    ::SSL_SESSION_get0_ticket(state_->native.get(), &ticket, &ticket_size);
    // The struct and the peer's certificate are opaque; this is what they take in OpenSSL 3.0, rounded up. Sessions of
    // one connection share the certificate, so a pool of tickets takes less than the sum.
    constexpr std::size_t struct_and_certificate = 4096;
    return struct_and_certificate + ticket_size;
}

ssl_session_ptr session::copy() const
{
    return ssl_session_ptr{::SSL_SESSION_dup(state_->native.get())};
}

SSL_SESSION const* session::native_handle() const noexcept
{
    return state_->native.get();
}

} // namespace reprise
