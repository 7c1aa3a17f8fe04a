// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "caches.hpp"

#include "contexts.hpp"
#include "stopwatch.hpp"

#include <reprise/session.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <vector>

namespace bench {

namespace {

void require(bool ok, char const* what)
{
    if (!ok)
        throw std::runtime_error{what};
}

// splitmix64: a good mix of a counter
std::uint64_t mixed(std::uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

template <class F>
nanoseconds time_of(F f)
{
    auto const start = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    f();
    return cpu_time(CLOCK_THREAD_CPUTIME_ID) - start;
}

class openssl_table final : public subject
{
public:
    openssl_table() : context_(SSL_CTX_new(TLS_server_method()))
    {
        SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR);
        SSL_CTX_sess_set_cache_size(context_.get(), 0); // without a bound
    }

    nanoseconds put(sessions which, lifetime lives) override
    {
        std::vector<reprise::ssl_session_ptr> made;
        made.reserve(which.count);
        for (std::size_t i = 0; i < which.count; ++i)
            made.push_back(make(which.at(i), lives(which.at(i))));
        return time_of([&] { add(made); });
    }

    nanoseconds hit(sessions which) override { return look_up(which, 1); }
    nanoseconds miss(sessions which) override { return look_up(which, 0); }

    void remove(sessions which) override
    {
        // It compares by id and protocol, so a stand-in does.
        for (std::size_t i = 0; i < which.count; ++i)
            require(SSL_CTX_remove_session(context_.get(), make(which.at(i), seconds{1}).get()) == 1, "remove");
    }

    void fill(std::size_t count) override
    {
        // They are made in the order in which they come, and put in the order in which they expire, which OpenSSL does
        // at once; in the order in which they come it would take hours.
        std::vector<reprise::ssl_session_ptr> made;
        made.reserve(count);
        for (std::size_t n = 0; n < count; ++n)
            made.push_back(make(n, mixed_lifetime(n)));
        std::ranges::sort(made, {}, [](auto const& session) { return SSL_SESSION_get_timeout(session.get()); });
        add(made);
    }

    [[nodiscard]] std::size_t size() const override
    {
        return static_cast<std::size_t>(SSL_CTX_sess_number(context_.get()));
    }

    nanoseconds longest_pause_of_expiry() override
    {
#if OPENSSL_VERSION_NUMBER >= 0x30400000L // whose times are no longer `long`
        auto const later = SSL_SESSION_get_time_ex(example_.native.get()) + 2 * longest_lifetime.count();
        return time_of([&] { SSL_CTX_flush_sessions_ex(context_.get(), later); });
#else
        auto const later = SSL_SESSION_get_time(example_.native.get()) + 2 * longest_lifetime.count();
        return time_of([&] { SSL_CTX_flush_sessions(context_.get(), later); });
#endif
    }

private:
    reprise::ssl_session_ptr make(std::size_t n, seconds lives)
    {
        auto const id = id_of(n);
        reprise::ssl_session_ptr made{SSL_SESSION_dup(example_.native.get())};
        require(made && SSL_SESSION_set1_id(made.get(), reinterpret_cast<unsigned char const*>(id.data()),
                                            static_cast<unsigned>(id.size())) == 1,
                "dup");
        SSL_SESSION_set_timeout(made.get(), lives.count());
        // A lookup by SSL_has_matching_session_id also compares the version, of an SSL that has not shaken hands.
        SSL_SESSION_set_protocol_version(made.get(), version_);
        return made;
    }

    void add(std::vector<reprise::ssl_session_ptr> const& made)
    {
        for (auto const& session : made)
            require(SSL_CTX_add_session(context_.get(), session.get()) == 1, "put");
    }

    // What a handshake asks the table, under the same lock, and the reference that it holds meanwhile: here always to
    // the same session, which is in the cache of the CPU.
    nanoseconds look_up(sessions which, int expected)
    {
        reprise::ssl_ptr const ssl{SSL_new(context_.get())};
        return time_of(
            [&]
            {
                for (std::size_t i = 0; i < which.count; ++i)
                {
                    auto const id = id_of(which.at(i));
                    auto const* const bytes = reinterpret_cast<unsigned char const*>(id.data());
                    auto const size = static_cast<unsigned>(id.size());
                    require(SSL_has_matching_session_id(ssl.get(), bytes, size) == expected, "look up");
                    if (expected == 1)
                    {
                        SSL_SESSION_up_ref(example_.native.get());
                        SSL_SESSION_free(example_.native.get());
                    }
                }
            });
    }

    server_session const example_ = make_server_session();
    reprise::ssl_ctx_ptr context_;
    int version_ = SSL_version(reprise::ssl_ptr{SSL_new(context_.get())}.get());
};

// As a session_cache asks it in a handshake.
class reprise_storage final : public subject
{
public:
    nanoseconds put(sessions which, lifetime lives) override
    {
        return time_of(
            [&]
            {
                for (std::size_t i = 0; i < which.count; ++i)
                    put_one(which.at(i), lives(which.at(i)));
            });
    }

    nanoseconds hit(sessions which) override
    {
        time_.advance(seconds{1}); // or what was used before would not count as used now
        return look_up(which, true);
    }

    nanoseconds miss(sessions which) override { return look_up(which, false); }

    void remove(sessions which) override
    {
        for (std::size_t i = 0; i < which.count; ++i)
            require(storage_->erase_now(id_of(which.at(i))), "remove");
    }

    void fill(std::size_t count) override
    {
        for (std::size_t n = 0; n < count; ++n)
            put_one(n, mixed_lifetime(n));
        require(size() == count, "fill");
    }

    [[nodiscard]] std::size_t size() const override { return storage_->stats().entries; }

    nanoseconds longest_pause_of_expiry() override
    {
        auto const before = size();
        auto const expired_before = storage_->stats().expired;
        time_.advance(longest_lifetime + seconds{1});
        auto longest = nanoseconds{0};
        // Puts drop what has expired as they go; whatever is still there is flushed, in turns with other work.
        for (std::size_t n = 0; n < before / 8; ++n)
            longest = std::max(longest, time_of([&] { put_one(before + n, longest_lifetime); }));
        longest = std::max(longest, longest_turn_of_flush());
        require(storage_->stats().expired - expired_before == before, "expiry");
        time_.advance(longest_lifetime + seconds{1});
        (void)longest_turn_of_flush();
        require(size() == 0, "expiry");
        return longest;
    }

private:
    void put_one(std::size_t n, seconds lives) { storage_->put_now(id_of(n), example_.record, time_.now() + lives); }

    // A hit is compared with the record of a session that is kept decoded.
    nanoseconds look_up(sessions which, bool expected)
    {
        auto const known = example_.record.view();
        return time_of(
            [&]
            {
                for (std::size_t i = 0; i < which.count; ++i)
                {
                    bool is_equal = false;
                    bool const is_there = storage_->read_now(id_of(which.at(i)), [&](reprise::byte_view record)
                                                             { is_equal = std::ranges::equal(record, known); });
                    require(is_there == expected && is_equal == expected, "look up");
                }
            });
    }

    nanoseconds longest_turn_of_flush()
    {
        asio::io_context io;
        bool flushed = false;
        auto longest = nanoseconds{0};
        asio::co_spawn(io, storage_->flush(), [&](std::exception_ptr, std::size_t) { flushed = true; });
        while (!flushed)
            longest = std::max(longest, time_of([&] { io.run_one(); }));
        return longest;
    }

    server_session const example_ = make_server_session();
    reprise::testing::manual_clock time_;
    std::shared_ptr<reprise::memory_storage> storage_ =
        reprise::memory_storage::make({.max_bytes = 320u << 20, .now = time_}); // room for a million
};

} // namespace

std::string id_of(std::size_t n)
{
    std::uint64_t const words[] = {mixed(n), mixed(~n), n, 0};
    std::string id(sizeof words, '\0');
    std::memcpy(id.data(), words, sizeof words);
    return id;
}

seconds same_lifetime(std::size_t)
{
    return longest_lifetime;
}

seconds mixed_lifetime(std::size_t n)
{
    auto const range = static_cast<std::uint64_t>((longest_lifetime - shortest_lifetime).count());
    return shortest_lifetime + seconds{static_cast<long>(mixed(n) % range)};
}

server_session make_server_session()
{
    auto const& k = kinds[0];
    auto server_tls = server_context(k);
    auto const cache = resume_with_reprise(server_tls, k);
    auto client_tls = client_context(k);
    reprise::ssl_ptr const server{SSL_new(server_tls.native_handle())};
    reprise::ssl_ptr const client{SSL_new(client_tls.native_handle())};
    BIO* one = nullptr;
    BIO* other = nullptr;
    require(server && client && BIO_new_bio_pair(&one, 0, &other, 0) == 1, "SSL_new");
    SSL_set_bio(server.get(), one, one);
    SSL_set_bio(client.get(), other, other);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    name_peer(client.get());
    for (int turn = 0; turn < 10 && !(SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get())); ++turn)
    {
        SSL_do_handshake(client.get());
        SSL_do_handshake(server.get());
    }
    auto const made = reprise::session::snapshot(
        SSL_get_session(server.get()),
        reprise::session_origin::of_full_handshake(server.get(), std::chrono::system_clock::now()));
    require(made.has_value() && made->protocol() == reprise::tls_version::tls12, "no session was made");
    SSL_set_shutdown(server.get(), SSL_SENT_SHUTDOWN);
    return {made->copy(), made->serialize()};
}

std::unique_ptr<subject> make_openssl()
{
    return std::make_unique<openssl_table>();
}

std::unique_ptr<subject> make_reprise()
{
    return std::make_unique<reprise_storage>();
}

} // namespace bench
