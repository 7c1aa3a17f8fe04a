// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "context_policy.hpp"

#include "base/digest_input.hpp"
#include "base/openssl.hpp"
#include "tls/client_offer.hpp"
#include "tls/policy_stamp.hpp"
#include "tls/store_lock.hpp"

#include <openssl/x509_vfy.h>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

namespace reprise::detail {

namespace {

// These options concern only tickets, which are reprise's own, and the transport.
constexpr std::uint64_t beside_the_point = SSL_OP_NO_TICKET | SSL_OP_NO_ANTI_REPLAY | SSL_OP_ENABLE_KTLS |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT;

sha256_digest digest_of(X509 const* certificate)
{
    sha256_digest digest;
    check_openssl(::X509_digest(certificate, ::EVP_sha256(), digest.data(), nullptr) == 1);
    return digest;
}

// The settings, each named once. A walker is a policy_stamp's recorder or comparer, or a content_reader. So a setting
// that a walk reads is in the stamp and in the fingerprint.

template <class Walker>
void walk_text(Walker& to, char const* text)
{
    to.number(text != nullptr ? 1 : 0);
    if (text != nullptr)
        to.bytes(as_bytes(text));
}

// The purpose, trust and policies of the parameters have no getters.
template <class Walker>
void walk_params(Walker& to, X509_VERIFY_PARAM* param)
{
    to.number(param != nullptr ? 1 : 0);
    if (param == nullptr)
        return;
    auto const flags = ::X509_VERIFY_PARAM_get_flags(param);
    to.number(flags);
    to.number(::X509_VERIFY_PARAM_get_inh_flags(param));
    to.number(static_cast<std::uint64_t>(::X509_VERIFY_PARAM_get_depth(param)));
    to.number(static_cast<std::uint64_t>(::X509_VERIFY_PARAM_get_auth_level(param)));
    to.number(::X509_VERIFY_PARAM_get_hostflags(param));
    bool const has_time = (flags & X509_V_FLAG_USE_CHECK_TIME) != 0;
    to.number(has_time ? static_cast<std::uint64_t>(::X509_VERIFY_PARAM_get_time(param)) : 0);
    int hosts = 0;
    for (; char const* const host = ::X509_VERIFY_PARAM_get0_host(param, hosts); ++hosts)
        walk_text(to, host);
    to.number(static_cast<std::uint64_t>(hosts));
    walk_text(to, ::X509_VERIFY_PARAM_get0_email(param));
    openssl_text const address{::X509_VERIFY_PARAM_get1_ip_asc(param)};
    walk_text(to, address.get());
}

template <class Walker>
void walk_store(Walker& to, X509_STORE* store)
{
    to.store(store);
    if (store == nullptr)
        return;
    walk_params(to, ::X509_STORE_get0_param(store));
    to.judge(::X509_STORE_get_verify(store));
    to.judge(::X509_STORE_get_verify_cb(store));
    to.judge(::X509_STORE_get_get_issuer(store));
    to.judge(::X509_STORE_get_check_issued(store));
    to.judge(::X509_STORE_get_check_revocation(store));
    to.judge(::X509_STORE_get_get_crl(store));
    to.judge(::X509_STORE_get_check_crl(store));
    to.judge(::X509_STORE_get_cert_crl(store));
    to.judge(::X509_STORE_get_check_policy(store));
    to.judge(::X509_STORE_get_lookup_certs(store));
    to.judge(::X509_STORE_get_lookup_crls(store));
}

template <class Walker>
void walk_names(Walker& to, STACK_OF(X509_NAME) const* names)
{
    auto const count = std::max(0, sk_X509_NAME_num(names));
    to.number(static_cast<std::uint64_t>(count));
    for (int i = 0; i < count; ++i)
    {
        unsigned char const* der = nullptr;
        std::size_t size = 0;
        check_openssl(::X509_NAME_get0_der(sk_X509_NAME_value(names, i), &der, &size) == 1);
        to.bytes({der, size});
    }
}

X509_STORE* verify_store(SSL* ssl)
{
    X509_STORE* store = nullptr;
    SSL_get0_verify_cert_store(ssl, &store);
    return store;
}

/// Which authorities are trusted.
template <class Walker>
void walk_trust(Walker& to, SSL* ssl, tls_end end)
{
    SSL_CTX* const context = ::SSL_get_SSL_CTX(ssl);
    walk_store(to, ::SSL_CTX_get_cert_store(context));
    walk_store(to, verify_store(ssl));
    walk_names(to, ::SSL_get0_CA_list(ssl));
    // On a client's SSL, SSL_get_client_CA_list returns the list that the server sent.
    walk_names(to, end == tls_end::server ? ::SSL_get_client_CA_list(ssl) : ::SSL_CTX_get_client_CA_list(context));
}

/// How to verify.
template <class Walker>
void walk_checks(Walker& to, SSL* ssl)
{
    SSL_CTX* const context = ::SSL_get_SSL_CTX(ssl);
    to.number(static_cast<std::uint64_t>(::SSL_get_verify_mode(ssl)));
    walk_params(to, ::SSL_get0_param(ssl));
    auto* const callback = ::SSL_CTX_get_verify_callback(context);
    to.judge(callback);
    to.borrowed(callback != nullptr ? SSL_CTX_get_app_data(context) : nullptr); // Asio's callback calls this object
    // A callback of the SSL itself may differ from SSL to SSL, so only the caller's policy tag can identify it.
    auto* const own = ::SSL_get_verify_callback(ssl);
    to.number(own == callback ? 0 : own == nullptr ? 1 : 2);
    int (*status)(SSL*, void*) = nullptr;
    SSL_CTX_get_tlsext_status_cb(context, &status);
    to.callback(status);
    to.number(static_cast<std::uint64_t>(SSL_get_tlsext_status_type(ssl)));
    to.number(static_cast<std::uint64_t>(::SSL_ct_is_enabled(ssl)));
}

/// Versions and ciphers.
template <class Walker>
void walk_protocol(Walker& to, SSL* ssl)
{
    SSL_CTX* const context = ::SSL_get_SSL_CTX(ssl);
    to.method(context);
    to.number(::SSL_get_options(ssl) & ~beside_the_point);
    to.number(static_cast<std::uint64_t>(SSL_get_min_proto_version(ssl)));
    to.number(static_cast<std::uint64_t>(SSL_get_max_proto_version(ssl)));
    to.number(static_cast<std::uint64_t>(::SSL_get_security_level(ssl)));
    to.callback(::SSL_CTX_get_security_callback(context));
    to.ciphers(::SSL_get_ciphers(ssl));
}

template <class Walker>
void walk_chain(Walker& to, STACK_OF(X509) const* chain)
{
    auto const count = std::max(0, sk_X509_num(chain));
    to.number(static_cast<std::uint64_t>(count));
    for (int i = 0; i < count; ++i)
        to.certificate(sk_X509_value(chain, i));
}

// Visit each certificate that has a key, of whatever type, as the SSL's current certificate. Then restore the current
// one.
template <class Function>
void for_each_certificate(SSL* ssl, Function visit)
{
    X509* const current = ::SSL_get_certificate(ssl);
    for (long more = SSL_set_current_cert(ssl, SSL_CERT_SET_FIRST); more == 1;
         more = SSL_set_current_cert(ssl, SSL_CERT_SET_NEXT))
        visit();
    if (current != nullptr)
        SSL_select_current_cert(ssl, current);
}

/// What a client is identified by.
template <class Walker>
void walk_identity(Walker& to, SSL* ssl)
{
    auto const walk_current = [&]
    {
        STACK_OF(X509)* chain = nullptr;
        SSL_get0_chain_certs(ssl, &chain);
        to.certificate(::SSL_get_certificate(ssl));
        to.key(::SSL_get_privatekey(ssl));
        walk_chain(to, chain);
    };
    SSL_CTX* const context = ::SSL_get_SSL_CTX(ssl);
    walk_current(); // the only pair that may lack its key or its certificate
    for_each_certificate(ssl, walk_current);
    STACK_OF(X509)* extra = nullptr; // sent with certificates that have no chain of their own
    SSL_CTX_get_extra_chain_certs_only(context, &extra);
    walk_chain(to, extra);
    to.callback(::SSL_CTX_get_client_cert_cb(context));
}

/// What a server is identified by: a certificate stands for its key.
template <class Walker>
void walk_certificates(Walker& to, SSL* ssl)
{
    for_each_certificate(ssl, [&] { to.certificate(::SSL_get_certificate(ssl)); });
}

/// A walker that reads content, for a fingerprint.
class content_reader
{
public:
    explicit content_reader(std::string_view purpose) : to_(purpose) {}

    void number(std::uint64_t value) { to_.add(value); }
    void bytes(byte_view part) { to_.add(part); }

    void certificate(X509 const* object)
    {
        number(object != nullptr ? 1 : 0);
        if (object != nullptr)
            bytes(digest_of(object));
    }

    // Read the public half, because the private half may be held elsewhere, for example in a hardware module.
    void key(EVP_PKEY const* object)
    {
        unsigned char* der = nullptr;
        int const size = object != nullptr ? ::i2d_PUBKEY(object, &der) : 0;
        openssl_text const owner{reinterpret_cast<char*>(der)};
        bytes({der, static_cast<std::size_t>(std::max(0, size))});
    }

    // Sorted, because a store has an order of its own.
    void store(X509_STORE* object)
    {
        number(object != nullptr ? 1 : 0);
        if (object == nullptr)
            return;
        std::vector<sha256_digest> anchors;
        {
            store_lock const lock{object};
            STACK_OF(X509_OBJECT) const* const all = ::X509_STORE_get0_objects(object);
            for (int i = 0; i < sk_X509_OBJECT_num(all); ++i)
            {
                X509_OBJECT const* const one = sk_X509_OBJECT_value(all, i);
                if (X509 const* const certificate = ::X509_OBJECT_get0_X509(one))
                    anchors.push_back(digest_of(certificate));
                else if (X509_CRL const* const list = ::X509_OBJECT_get0_X509_CRL(one))
                    check_openssl(::X509_CRL_digest(list, ::EVP_sha256(), anchors.emplace_back().data(), nullptr) == 1);
            }
        }
        std::ranges::sort(anchors);
        number(anchors.size());
        for (auto const& anchor : anchors)
            bytes(anchor);
    }

    // A fresh SSL reports the version of a method that has only one.
    void method(SSL_CTX* context)
    {
        ssl_ptr const probe{::SSL_new(context)};
        check_openssl(probe != nullptr);
        number(static_cast<std::uint64_t>(::SSL_version(probe.get())));
    }

    void ciphers(STACK_OF(SSL_CIPHER) const* list)
    {
        auto const count = std::max(0, sk_SSL_CIPHER_num(list));
        number(static_cast<std::uint64_t>(count));
        for (int i = 0; i < count; ++i)
            number(::SSL_CIPHER_get_id(sk_SSL_CIPHER_value(list, i)));
    }

    template <class Callback>
    void callback(Callback* function)
    {
        number(function != nullptr ? 1 : 0);
    }

    template <class Callback>
    void judge(Callback* function)
    {
        callback(function);
        has_judge_ = has_judge_ || function != nullptr;
    }

    void borrowed(void const*) {}

    [[nodiscard]] sha256_digest digest() const { return to_.digest(); }
    [[nodiscard]] bool has_judge() const noexcept { return has_judge_; }

private:
    digest_input to_;
    bool has_judge_ = false;
};

// A part of a policy groups settings that change for the same reasons.
struct trust_part
{
    sha256_digest digest{};
    bool has_judge = false;

    template <class Walker>
    static void walk(Walker& to, SSL* ssl, tls_end end)
    {
        walk_trust(to, ssl, end);
    }

    static trust_part read(SSL* ssl, tls_end end)
    {
        content_reader in{"reprise policy 2, trust"};
        walk(in, ssl, end);
        return {in.digest(), in.has_judge()};
    }
};

struct checks_part
{
    sha256_digest digest{};
    bool has_judge = false;
    bool wants_evidence = false;

    template <class Walker>
    static void walk(Walker& to, SSL* ssl, tls_end)
    {
        walk_checks(to, ssl);
    }

    static checks_part read(SSL* ssl, tls_end end)
    {
        content_reader in{"reprise policy 2, checks"};
        walk(in, ssl, end);
        int (*status)(SSL*, void*) = nullptr;
        SSL_CTX_get_tlsext_status_cb(::SSL_get_SSL_CTX(ssl), &status);
        bool const is_stapled = status != nullptr && SSL_get_tlsext_status_type(ssl) != -1;
        bool const has_judge = in.has_judge() || ::SSL_get_verify_callback(ssl) != nullptr;
        return {in.digest(), has_judge, is_stapled || ::SSL_ct_is_enabled(ssl) == 1};
    }
};

struct own_part
{
    sha256_digest digest{};
    std::string identity{};
    std::vector<x509_ptr> certificates{};
    bool chooses_identity = false;
    std::optional<sha256_digest> offer{};

    template <class Walker>
    static void walk(Walker& to, SSL* ssl, tls_end end)
    {
        walk_protocol(to, ssl);
        if (end == tls_end::client)
            walk_identity(to, ssl);
        else
            walk_certificates(to, ssl);
    }

    static own_part read(SSL* ssl, tls_end end)
    {
        own_part result;
        content_reader in{"reprise policy 2, own"};
        walk_protocol(in, ssl);
        if (end == tls_end::server)
            walk_certificates(in, ssl);
        result.digest = in.digest();
        if (end == tls_end::server)
            return result;
        if (::SSL_get_certificate(ssl) != nullptr || ::SSL_get_privatekey(ssl) != nullptr)
        {
            content_reader of_identity{"reprise identity 2"};
            walk_identity(of_identity, ssl);
            auto const digest = of_identity.digest();
            result.identity.assign(digest.begin(), digest.end());
        }
        auto const add = [&]
        {
            if (X509* const certificate = ::SSL_get_certificate(ssl))
                result.certificates.push_back(share(certificate));
        };
        add();
        for_each_certificate(ssl, add);
        result.chooses_identity = ::SSL_CTX_get_client_cert_cb(::SSL_get_SSL_CTX(ssl)) != nullptr;
        result.offer = read_offer(::SSL_get_SSL_CTX(ssl));
        return result;
    }
};

/// The most recent readings of one part.
template <class Part, std::size_t Capacity>
class part_reader
{
public:
    struct reading
    {
        Part part;
        std::string replaced; ///< digest of the callbacks, if they differ from those of the first reading; else empty
    };

    std::shared_ptr<reading const> read(SSL* ssl, tls_end end)
    {
        for (std::size_t i = 0; i < Capacity && known_[i].result; ++i)
        {
            policy_stamp::comparer with{known_[i].stamp};
            Part::walk(with, ssl, end);
            if (!with.is_equal())
                continue;
            std::rotate(known_.begin(), known_.begin() + i, known_.begin() + i + 1);
            return known_.front().result;
        }
        entry made;
        policy_stamp::recorder into{made.stamp};
        Part::walk(into, ssl, end);
        note_borrowed(made.stamp);
        made.result = std::make_shared<reading const>(reading{Part::read(ssl, end), replaced(made.stamp)});
        std::ranges::rotate(known_, known_.end() - 1);
        known_.front() = std::move(made);
        return known_.front().result;
    }

    void forget() noexcept { known_ = {}; }

private:
    struct entry
    {
        policy_stamp stamp;
        std::shared_ptr<reading const> result;
    };

    // A new object may lie at the address of an old one, so after a change all readings are discarded.
    void note_borrowed(policy_stamp const& stamp)
    {
        if (has_begun_ && borrowed_ == stamp.borrowed())
            return;
        borrowed_ = stamp.borrowed();
        if (has_begun_)
        {
            ++changes_;
            forget();
        }
    }

    // Neither the address of a callback nor its behaviour can be told to another process. The process secret keeps
    // sessions under exchanged callbacks in this process.
    std::string replaced(policy_stamp const& stamp)
    {
        if (!std::exchange(has_begun_, true))
            first_callbacks_ = stamp.callbacks();
        if (changes_ == 0 && stamp.callbacks() == first_callbacks_)
            return {};
        digest_input in{"reprise callbacks 1"};
        in.add(byte_view{process_secret()});
        in.add(changes_);
        for (auto const address : stamp.callbacks())
            in.add(address);
        auto const digest = in.digest();
        return {digest.begin(), digest.end()};
    }

    static std::array<unsigned char, 16> const& process_secret()
    {
        static auto const made = []
        {
            std::array<unsigned char, 16> random{};
            fill_random(random);
            return random;
        }();
        return made;
    }

    std::array<entry, Capacity> known_{}; // most recent first
    bool has_begun_ = false;
    std::vector<std::uint64_t> first_callbacks_;
    std::vector<std::uint64_t> borrowed_;
    std::uint64_t changes_ = 0;
};

} // namespace

struct policy_reader::state
{
    explicit state(tls_end e) noexcept : end(e) {}

    template <class Trust, class Checks, class Own>
    [[nodiscard]] std::shared_ptr<context_policy const> combine(Trust const& t, Checks const& c, Own const& o) const
    {
        auto result = std::make_shared<context_policy>();
        digest_input in{"reprise policy 2"};
        in.add(std::uint64_t{end == tls_end::server});
        for (auto const& digest : {t.part.digest, c.part.digest, o.part.digest})
            in.add(byte_view{digest});
        for (auto const& replaced : {t.replaced, c.replaced, o.replaced})
            in.add(std::string_view{replaced});
        result->verification = in.digest();
        result->offer = o.part.offer;
        result->identity = o.part.identity;
        result->judges_peer = t.part.has_judge || c.part.has_judge;
        result->chooses_identity = o.part.chooses_identity;
        result->wants_evidence = c.part.wants_evidence;
        result->revision = revision;
        for (auto const& certificate : o.part.certificates)
            result->certificates.push_back(share(certificate.get()));
        return result;
    }

    tls_end const end;
    std::mutex mutex;
    // A trust store may be large, so few replaced ones are held.
    part_reader<trust_part, 2> trust;
    part_reader<checks_part, 4> checks;
    part_reader<own_part, 4> own;
    std::uint64_t revision = 0;

    // The last result, and the readings that it was made of.
    std::shared_ptr<void const> made_of[3];
    std::shared_ptr<context_policy const> last;
};

policy_reader::policy_reader(tls_end end) : state_(std::make_unique<state>(end)) {}

policy_reader::~policy_reader() = default;

std::shared_ptr<context_policy const> policy_reader::read(SSL* ssl)
{
    // This may run in the middle of a handshake, and OpenSSL would take errors left in the queue for a failure of the
    // handshake.
    errors_put_back const errors;
    auto& s = *state_;
    std::lock_guard const lock{s.mutex};
    auto const trust = s.trust.read(ssl, s.end);
    auto const checks = s.checks.read(ssl, s.end);
    auto const own = s.own.read(ssl, s.end);
    if (!s.last || s.made_of[0] != trust || s.made_of[1] != checks || s.made_of[2] != own)
    {
        s.last = s.combine(*trust, *checks, *own);
        s.made_of[0] = trust;
        s.made_of[1] = checks;
        s.made_of[2] = own;
    }
    return s.last;
}

void policy_reader::forget() noexcept
{
    auto& s = *state_;
    std::lock_guard const lock{s.mutex};
    s.trust.forget();
    s.checks.forget();
    s.own.forget();
    s.last.reset();
    ++s.revision;
}

bool shows_own_certificate(context_policy const& began_with, SSL const* ssl)
{
    X509 const* const shown = ::SSL_get_certificate(ssl);
    if (shown == nullptr)
        return began_with.certificates.empty();
    return std::ranges::any_of(began_with.certificates, [shown](x509_ptr const& own)
                               { return own.get() == shown || ::X509_cmp(own.get(), shown) == 0; });
}

} // namespace reprise::detail
