// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/ssl_handles.hpp>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace reprise::detail {

struct policy_object_deleter
{
    void operator()(X509_STORE* store) const noexcept { ::X509_STORE_free(store); }
    void operator()(EVP_PKEY* key) const noexcept { ::EVP_PKEY_free(key); }
};

/// How many objects a trust store holds.
struct store_count
{
    int objects = 0;
    int lists = 0; ///< of these, revocation lists
};

[[nodiscard]] store_count count_objects(X509_STORE* store);

/// Count all objects, without a walk.
[[nodiscard]] int count_all(X509_STORE* store);

/** Records what a walk over settings reads, in order, to tell whether another walk reads the same.

    Numbers and texts are copied. Certificates, keys and trust stores are held by a reference, so that no other object
    can take their address. A walk calls the same members of a `recorder` and of a `comparer`.
*/
class policy_stamp
{
public:
    class recorder;
    class comparer;

    /// The addresses of the callbacks.
    [[nodiscard]] std::vector<std::uint64_t> const& callbacks() const noexcept { return callbacks_; }

    /// The addresses of objects that could not be held: an equal address may be another object.
    [[nodiscard]] std::vector<std::uint64_t> const& borrowed() const noexcept { return borrowed_; }

private:
    template <class Object>
    using held = std::vector<std::unique_ptr<Object, policy_object_deleter>>;

    std::vector<std::uint64_t> words_;
    std::string bytes_;
    std::vector<x509_ptr> certificates_;
    held<EVP_PKEY> keys_;
    held<X509_STORE> stores_;
    std::vector<std::uint64_t> callbacks_;
    std::vector<std::uint64_t> borrowed_;
};

template <class T>
[[nodiscard]] std::uint64_t address_of(T* object) noexcept
{
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(object));
}

class policy_stamp::recorder
{
public:
    explicit recorder(policy_stamp& into) noexcept : into_(into) {}

    void number(std::uint64_t value) { into_.words_.push_back(value); }

    void bytes(byte_view part)
    {
        number(part.size());
        into_.bytes_.append(part.begin(), part.end());
    }

    void certificate(X509* object)
    {
        number(address_of(object));
        if (object != nullptr)
            into_.certificates_.push_back(share(object));
    }

    void key(EVP_PKEY* object)
    {
        number(address_of(object));
        if (object != nullptr && ::EVP_PKEY_up_ref(object) == 1)
            into_.keys_.push_back(held<EVP_PKEY>::value_type{object}); // owned before push_back can throw
    }

    void store(X509_STORE* object)
    {
        number(address_of(object));
        if (object == nullptr)
            return;
        if (::X509_STORE_up_ref(object) == 1)
            into_.stores_.push_back(held<X509_STORE>::value_type{object});
        auto const count = count_objects(object);
        number(static_cast<std::uint64_t>(count.objects));
        number(static_cast<std::uint64_t>(count.lists));
    }

    void method(SSL_CTX* context) { number(address_of(::SSL_CTX_get_ssl_method(context))); }

    // Ciphers are static objects of OpenSSL.
    void ciphers(STACK_OF(SSL_CIPHER) const* list)
    {
        auto const count = std::max(0, sk_SSL_CIPHER_num(list));
        number(static_cast<std::uint64_t>(count));
        for (int i = 0; i < count; ++i)
            number(address_of(sk_SSL_CIPHER_value(list, i)));
    }

    template <class Callback>
    void callback(Callback* function)
    {
        number(address_of(function));
        into_.callbacks_.push_back(address_of(function));
    }

    template <class Callback>
    void judge(Callback* function)
    {
        callback(function);
    }

    void borrowed(void const* object)
    {
        number(address_of(object));
        into_.borrowed_.push_back(address_of(object));
    }

private:
    policy_stamp& into_;
};

class policy_stamp::comparer
{
public:
    explicit comparer(policy_stamp& with) noexcept
        : at_(with.words_.data()), end_(at_ + with.words_.size()), bytes_(with.bytes_.data())
    {
    }

    /// Whether the walk read what was recorded. Call after the walk.
    [[nodiscard]] bool is_equal() const noexcept { return equal_ && at_ == end_; }

    void number(std::uint64_t value) noexcept { equal_ = equal_ && at_ != end_ && *at_++ == value; }

    void bytes(byte_view part) noexcept
    {
        number(part.size());
        if (!equal_)
            return;
        equal_ = std::equal(part.begin(), part.end(), reinterpret_cast<unsigned char const*>(bytes_));
        bytes_ += part.size();
    }

    void certificate(X509* object) noexcept { number(address_of(object)); }
    void key(EVP_PKEY* object) noexcept { number(address_of(object)); }

    void store(X509_STORE* object)
    {
        number(address_of(object));
        if (object == nullptr || !equal_)
            return;
        // More certificates are no change. Update the count, so that the next comparison needs no walk.
        if (auto const all = static_cast<std::uint64_t>(count_all(object)); all != at_[0])
        {
            equal_ = static_cast<std::uint64_t>(count_objects(object).lists) == at_[1];
            if (equal_)
                at_[0] = all;
        }
        at_ += 2;
    }

    void method(SSL_CTX* context) noexcept { number(address_of(::SSL_CTX_get_ssl_method(context))); }

    void ciphers(STACK_OF(SSL_CIPHER) const* list) noexcept
    {
        auto const count = std::max(0, sk_SSL_CIPHER_num(list));
        number(static_cast<std::uint64_t>(count));
        for (int i = 0; i < count && equal_; ++i)
            number(address_of(sk_SSL_CIPHER_value(list, i)));
    }

    template <class Callback>
    void callback(Callback* function) noexcept
    {
        number(address_of(function));
    }

    template <class Callback>
    void judge(Callback* function) noexcept
    {
        number(address_of(function));
    }

    void borrowed(void const* object) noexcept { number(address_of(object)); }

private:
    std::uint64_t* at_; // next word of the stamp
    std::uint64_t const* const end_;
    char const* bytes_; // next bytes of the stamp
    bool equal_ = true;
};

} // namespace reprise::detail
