// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_core.hpp"

#include <reprise/base/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

namespace reprise::detail {

namespace {

// Everything is hashed with its length in front, so that no two inputs run into one.
class hasher
{
public:
    hasher() : context_(::EVP_MD_CTX_new())
    {
        check(context_ != nullptr && ::EVP_DigestInit_ex(context_.get(), ::EVP_sha256(), nullptr) == 1);
    }

    void add(byte_view bytes)
    {
        std::uint64_t const size = bytes.size();
        check(::EVP_DigestUpdate(context_.get(), &size, sizeof size) == 1 &&
              ::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
    }

    void add(std::string_view text) { add(as_bytes(text)); }

    std::array<unsigned char, 32> finish()
    {
        std::array<unsigned char, 32> digest{};
        check(::EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
        return digest;
    }

private:
    static void check(bool ok)
    {
        if (!ok)
            throw std::bad_alloc{};
    }

    struct deleter
    {
        void operator()(EVP_MD_CTX* c) const noexcept { ::EVP_MD_CTX_free(c); }
    };
    std::unique_ptr<EVP_MD_CTX, deleter> context_;
};

} // namespace

std::array<unsigned char, 32> cache_core::policy_of(SSL* ssl)
{
    int const mode = ::SSL_get_verify_mode(ssl);
    X509* const certificate = ::SSL_get_certificate(ssl);
    STACK_OF(X509_NAME) const* cas = ::SSL_CTX_get_client_CA_list(::SSL_get_SSL_CTX(ssl));
    auto const ca_count = static_cast<std::size_t>(std::max(0, sk_X509_NAME_num(cas)));

    std::lock_guard const lock{policy_mutex_};
    if (mode == last_.verify_mode && certificate == last_.certificate.get() && cas == last_.ca_list &&
        ca_count == last_.ca_count)
        return last_.digest;

    hasher hash;
    hash.add("reprise session id context 1");
    hash.add(options.id_context);
    hash.add(std::to_string(mode));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (certificate != nullptr && ::X509_digest(certificate, ::EVP_sha256(), digest, &size) != 1)
        throw std::bad_alloc{};
    hash.add(byte_view{digest, size});
    hash.add(std::to_string(ca_count));
    for (std::size_t i = 0; i < ca_count; ++i)
    {
        unsigned char const* der = nullptr;
        std::size_t der_size = 0;
        if (::X509_NAME_get0_der(sk_X509_NAME_value(cas, static_cast<int>(i)), &der, &der_size) != 1)
            throw std::bad_alloc{};
        hash.add(byte_view{der, der_size});
    }
    if (certificate != nullptr)
        ::X509_up_ref(certificate); // so that its address is not used again while it is compared with
    last_ = {mode, x509_ptr{certificate}, ca_count, cas, hash.finish()};
    return last_.digest;
}

full_reason cache_core::judge(SSL_SESSION const* candidate, session_origin const& origin) const
{
    auto const now = options.now();
    auto const issued = std::chrono::system_clock::from_time_t(::SSL_SESSION_get_time(candidate));
    if (now - issued >= std::chrono::seconds{::SSL_SESSION_get_timeout(candidate)})
        return full_reason::expired;
    return check_age(origin, now, options.max_session_age);
}

std::chrono::seconds cache_core::lifetime(session_origin const& origin) const
{
    using std::chrono::floor;
    using std::chrono::seconds;
    auto const now = options.now();
    auto const until_cap = options.max_session_age - floor<seconds>(now - origin.verified_at);
    auto const until_expiry = floor<seconds>(origin.chain_expiry - now);
    return std::max(seconds{0}, std::min({options.timeout, until_cap, until_expiry}));
}

std::optional<session> cache_core::decode(byte_view record)
{
    if (auto known = decoded_.find(record))
        return known;
    auto const parsed = session::parse(record);
    if (!parsed)
        return std::nullopt;
    decoded_.keep(record, *parsed);
    return *parsed;
}

void cache_core::write_behind(asio::any_io_executor const& ex, session const& made)
{
    {
        std::lock_guard const lock{writes_mutex_};
        if (pending_writes_ >= options.max_pending_writes)
        {
            dropped.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        ++pending_writes_;
    }
    auto record = made.serialize();
    decoded_.keep(record, made);
    unsigned id_size = 0;
    auto const* id = ::SSL_SESSION_get_id(made.native_handle(), &id_size);
    asio::co_spawn(
        ex,
        [](std::shared_ptr<cache_core> self, std::string name, secret_bytes value,
           time_point expiry) -> asio::awaitable<void>
        {
            try
            {
                co_await self->options.storage->put(std::move(name), std::move(value), expiry);
                self->stored.fetch_add(1, std::memory_order_relaxed);
            }
            catch (...)
            {
                self->storage_errors.fetch_add(1, std::memory_order_relaxed);
            }
            self->write_ended();
        }(shared_from_this(), std::string{reinterpret_cast<char const*>(id), id_size}, std::move(record),
          options.now() + lifetime(made.origin())),
        asio::detached);
}

void cache_core::write_ended()
{
    std::vector<std::shared_ptr<asio::steady_timer>> done;
    {
        std::lock_guard const lock{writes_mutex_};
        if (--pending_writes_ == 0)
            done.swap(drains_);
    }
    for (auto const& timer : done)
        asio::post(timer->get_executor(), [timer] { timer->expires_at(asio::steady_timer::time_point::min()); });
}

asio::awaitable<void> cache_core::drain()
{
    // The timer is an event that other threads set; the strand keeps them from touching it at the same time.
    auto const strand = asio::make_strand(co_await asio::this_coro::executor);
    co_await asio::co_spawn(
        strand,
        [](cache_core* self, asio::any_io_executor on) -> asio::awaitable<void>
        {
            auto const timer = std::make_shared<asio::steady_timer>(on, asio::steady_timer::time_point::max());
            {
                std::lock_guard const lock{self->writes_mutex_};
                if (self->pending_writes_ == 0)
                    co_return;
                self->drains_.push_back(timer);
            }
            (void)co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
        }(this, strand),
        asio::use_awaitable);
}

void cache_core::count(handshake_info const& info) noexcept
{
    auto& counter = info.resumed() ? resumed_by_kind[static_cast<std::size_t>(info.resumption)]
                                   : full_by_reason[static_cast<std::size_t>(info.reason)];
    counter.fetch_add(1, std::memory_order_relaxed);
}

} // namespace reprise::detail
