// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/verify_failure.hpp"

#include "base/openssl.hpp"

#include <reprise/ssl_handles.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace reprise::detail {

namespace {

constexpr std::size_t longest_name = 256;

// Return the name as text; empty if there is none, or if it is too long for a log line.
std::string text_of(X509_NAME const* name)
{
    bio_ptr const out{::BIO_new(::BIO_s_mem())};
    if (!out || ::X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0)
        return {};
    char* data = nullptr;
    auto const size = BIO_get_mem_data(out.get(), &data);
    return size > 0 && static_cast<std::size_t>(size) <= longest_name
               ? std::string(data, static_cast<std::size_t>(size))
               : std::string{};
}

// The peer's own certificate, from the chain that the peer sent: the session has its certificate only after
// verification.
X509* sent_by_peer(SSL* ssl)
{
    STACK_OF(X509)* const sent = ::SSL_get_peer_cert_chain(ssl);
    return sk_X509_num(sent) > 0 ? sk_X509_value(sent, 0) : nullptr;
}

std::string expected_by(SSL* ssl, long result)
{
    X509_VERIFY_PARAM* const param = ::SSL_get0_param(ssl);
    std::string expected;
    if (result == X509_V_ERR_HOSTNAME_MISMATCH)
        for (int i = 0; char const* const name = ::X509_VERIFY_PARAM_get0_host(param, i); ++i)
            expected.append(i == 0 ? "" : " or ").append(name);
    else if (result == X509_V_ERR_IP_ADDRESS_MISMATCH)
    {
        openssl_text const address{::X509_VERIFY_PARAM_get1_ip_asc(param)};
        expected = address ? address.get() : "";
    }
    return expected;
}

} // namespace

std::string why_not_verified(SSL* ssl, unsigned long error)
{
    bool const is_verification =
        ERR_GET_LIB(error) == ERR_LIB_SSL && (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED ||
                                              ERR_GET_REASON(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
    if (!is_verification)
        return {};
    if (ERR_GET_REASON(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return "the peer sent no certificate, and the verify mode demands one";
    long const result = ::SSL_get_verify_result(ssl);
    std::string text = "the peer's certificate was not verified: ";
    text += ::X509_verify_cert_error_string(result);
    text += " (" + std::to_string(result) + ")";
    if (auto const expected = expected_by(ssl, result); !expected.empty())
        text += ", expected: " + expected;
    X509 const* const own = sent_by_peer(ssl);
    if (auto const subject = own != nullptr ? text_of(::X509_get_subject_name(own)) : ""; !subject.empty())
        text += ", subject: " + subject;
    if (auto const issuer = own != nullptr ? text_of(::X509_get_issuer_name(own)) : ""; !issuer.empty())
        text += ", issuer: " + issuer;
    ::ERR_clear_error();
    return text;
}

} // namespace reprise::detail
