// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What it costs to seal a ticket and to open one: with reprise's keys, with OpenSSL's built-in ones, and with one fixed
// key in a callback as it is usually written. In rounds, so that what disturbs the machine disturbs all alike.

#include "contexts.hpp"
#include "goal_table.hpp"
#include "stopwatch.hpp"

#include <reprise/session_cache.hpp>
#include <reprise/ssl_handles.hpp>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using key_callback = int (*)(SSL*, unsigned char*, unsigned char*, EVP_CIPHER_CTX*, EVP_MAC_CTX*, int);

// OpenSSL does not tell which callback was set, so the linker sends the setter's callers here (ld --wrap).
extern "C" int __real_SSL_CTX_set_tlsext_ticket_key_evp_cb(SSL_CTX* context, key_callback callback);

static key_callback last_set = nullptr;

extern "C" int __wrap_SSL_CTX_set_tlsext_ticket_key_evp_cb(SSL_CTX* context, key_callback callback)
{
    last_set = callback;
    return __real_SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback);
}

namespace bench {

namespace {

constexpr std::size_t rounds = 101;
constexpr std::size_t tickets = 200; // of one round

void require(bool ok, char const* what)
{
    if (!ok)
        throw std::logic_error{what};
}

struct deleter
{
    void operator()(EVP_MAC* p) const noexcept { EVP_MAC_free(p); }
    void operator()(EVP_MAC_CTX* p) const noexcept { EVP_MAC_CTX_free(p); }
    void operator()(EVP_CIPHER* p) const noexcept { EVP_CIPHER_free(p); }
    void operator()(EVP_CIPHER_CTX* p) const noexcept { EVP_CIPHER_CTX_free(p); }
};

template <class T>
using owned = std::unique_ptr<T, deleter>;

struct fixed_key
{
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> encryption;
    std::array<unsigned char, 32> integrity;

    static fixed_key& instance()
    {
        static fixed_key the = []
        {
            fixed_key made;
            require(RAND_bytes(reinterpret_cast<unsigned char*>(&made), sizeof made) == 1, "RAND_bytes");
            return made;
        }();
        return the;
    }
};

EVP_CIPHER const* fetched_once()
{
    static owned<EVP_CIPHER> const the{EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)};
    return the.get();
}

template <EVP_CIPHER const* (*aes)()>
int use_fixed_key(SSL*, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int seal)
{
    auto& key = fixed_key::instance();
    if (seal != 0)
    {
        std::ranges::copy(key.name, name);
        if (RAND_bytes(iv, 16) != 1)
            return -1;
    }
    else if (!std::equal(key.name.begin(), key.name.end(), name))
        return 0;
    char digest[] = "SHA256";
    OSSL_PARAM const params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.integrity.data(), key.integrity.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    bool const ok = EVP_CipherInit_ex(cipher, aes(), nullptr, key.encryption.data(), iv, seal) == 1 &&
                    EVP_MAC_CTX_set_params(mac, params) == 1;
    return ok ? 1 : -1;
}

// Whose keys.
enum class maker
{
    openssl, // built in: no callback
    naive,   // one fixed key; its cipher is looked up each time
    cached,  // the same, looked up once
    reprise,
};
constexpr std::array makers = {maker::openssl, maker::naive, maker::cached, maker::reprise};

// Servers are alike but for the keys of their tickets: each has a session_cache, with all its other callbacks.
class server
{
public:
    server(kind const& k, maker m)
        : tls_(server_context(k)),
          cache_(tls_,
                 {.id_context = "bench", .session_lifetime = std::chrono::hours{24}, .mode = reprise::cache_mode::off})
    {
        auto* const context = tls_.native_handle();
        switch (m)
        {
        case maker::openssl: SSL_CTX_set_tlsext_ticket_key_evp_cb(context, nullptr); break;
        case maker::naive: SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_fixed_key<EVP_aes_256_cbc>); break;
        case maker::cached: SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_fixed_key<fetched_once>); break;
        case maker::reprise: break;
        }
        callback_ = last_set;
    }

    [[nodiscard]] reprise::ssl_ptr make_ssl()
    {
        reprise::ssl_ptr ssl{SSL_new(tls_.native_handle())};
        require(ssl != nullptr, "SSL_new");
        SSL_set_accept_state(ssl.get());
        return ssl;
    }

    [[nodiscard]] key_callback callback() const { return callback_; }
    [[nodiscard]] bool uses_keys_of_reprise() const { return cache_.tickets().issued > 0; }

private:
    asio::ssl::context tls_;
    reprise::session_cache cache_;
    key_callback callback_ = nullptr;
};

BIO* give(SSL* reader, SSL* writer)
{
    BIO* const pipe = BIO_new(BIO_s_mem());
    require(pipe != nullptr && BIO_up_ref(pipe) == 1, "BIO_new");
    SSL_set0_rbio(reader, pipe);
    SSL_set0_wbio(writer, pipe);
    return pipe;
}

// A client and a server that have shaken hands in full.
struct connection
{
    connection(kind const& k, server& with) : client_tls(client_context(k)), server_ssl(with.make_ssl())
    {
        client_ssl.reset(SSL_new(client_tls.native_handle()));
        SSL_set_connect_state(client_ssl.get());
        name_peer(client_ssl.get());
        give(server_ssl.get(), client_ssl.get());
        to_client = give(client_ssl.get(), server_ssl.get());
        for (int turn = 0; turn < 10; ++turn)
        {
            SSL_do_handshake(client_ssl.get());
            SSL_do_handshake(server_ssl.get());
        }
        require(SSL_is_init_finished(server_ssl.get()) == 1, "a handshake failed");
    }

    asio::ssl::context client_tls;
    reprise::ssl_ptr client_ssl;
    reprise::ssl_ptr server_ssl;
    BIO* to_client = nullptr; // the SSLs'
};

double to_ns(stopwatch const& watch)
{
    return watch.seconds() * 1e9 / tickets;
}

// Tickets on a TLS 1.3 connection, one after the other: each is a message of its own.
class sealing
{
public:
    explicit sealing(maker m) : server_(kinds[2], m), connection_(kinds[2], server_)
    {
        require(server_.uses_keys_of_reprise() == (m == maker::reprise), "these are not the keys that were meant");
    }

    double operator()()
    {
        stopwatch watch;
        watch.measure(
            [ssl = connection_.server_ssl.get(), out = connection_.to_client]
            {
                for (std::size_t i = 0; i < tickets; ++i)
                {
                    (void)BIO_reset(out);
                    require(SSL_new_session_ticket(ssl) == 1 && SSL_do_handshake(ssl) == 1 && BIO_pending(out) > 0,
                            "a ticket was not sent");
                }
            });
        return to_ns(watch);
    }

private:
    server server_;
    connection connection_;
};

// TLS 1.2: from a ClientHello with a ticket to the server's Finished, for which no ticket is renewed.
class opening
{
public:
    explicit opening(maker m) : server_(kinds[1], m)
    {
        connection first{kinds[1], server_};
        require(server_.uses_keys_of_reprise() == (m == maker::reprise), "these are not the keys that were meant");
        reprise::ssl_session_ptr const session{SSL_get1_session(first.client_ssl.get())};
        reprise::ssl_ptr const client{SSL_new(first.client_tls.native_handle())};
        BIO* const out = BIO_new(BIO_s_mem());
        SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), out);
        SSL_set_connect_state(client.get());
        name_peer(client.get());
        SSL_set_session(client.get(), session.get());
        SSL_do_handshake(client.get());
        char* data = nullptr;
        auto const size = BIO_get_mem_data(out, &data);
        client_hello_.assign(data, static_cast<std::size_t>(size));
    }

    double operator()()
    {
        std::vector<reprise::ssl_ptr> fresh;
        for (std::size_t i = 0; i < tickets; ++i)
        {
            fresh.push_back(server_.make_ssl());
            BIO* const in = BIO_new(BIO_s_mem());
            BIO_write(in, client_hello_.data(), static_cast<int>(client_hello_.size()));
            SSL_set_bio(fresh.back().get(), in, BIO_new(BIO_s_mem()));
        }
        stopwatch watch;
        watch.measure(
            [&]
            {
                for (auto const& ssl : fresh)
                    SSL_accept(ssl.get());
            });
        for (auto const& ssl : fresh)
            require(SSL_session_reused(ssl.get()) == 1, "a connection did not resume");
        return to_ns(watch);
    }

private:
    server server_;
    std::string client_hello_;
};

// The callback alone, with fresh contexts as OpenSSL gives them to it.
class callback_alone
{
public:
    callback_alone(maker m, bool seal) : server_(kinds[2], m), ssl_(server_.make_ssl()), seal_(seal)
    {
        call({owned<EVP_CIPHER_CTX>{EVP_CIPHER_CTX_new()}, new_mac()}, true); // so that there is a name to open
    }

    double operator()()
    {
        std::vector<contexts> fresh;
        for (std::size_t i = 0; i < tickets; ++i)
            fresh.push_back({owned<EVP_CIPHER_CTX>{EVP_CIPHER_CTX_new()}, new_mac()});
        stopwatch watch;
        watch.measure(
            [&]
            {
                for (auto const& c : fresh)
                    call(c, seal_);
            });
        return to_ns(watch);
    }

private:
    struct contexts
    {
        owned<EVP_CIPHER_CTX> cipher;
        owned<EVP_MAC_CTX> mac;
    };

    static owned<EVP_MAC_CTX> new_mac()
    {
        static owned<EVP_MAC> const hmac{EVP_MAC_fetch(nullptr, "HMAC", nullptr)};
        return owned<EVP_MAC_CTX>{EVP_MAC_CTX_new(hmac.get())};
    }

    void call(contexts const& c, bool seal)
    {
        require(server_.callback()(ssl_.get(), name_.data(), iv_.data(), c.cipher.get(), c.mac.get(), seal ? 1 : 0) ==
                    1,
                "a callback failed");
    }

    server server_;
    reprise::ssl_ptr ssl_;
    bool seal_;
    std::array<unsigned char, 16> name_{};
    std::array<unsigned char, 16> iv_{};
};

// One operation with the keys of each maker.
class row
{
public:
    explicit row(char const* what) : what_(what) {}

    template <class Operation, class... Arguments>
    void add(maker m, Arguments... arguments)
    {
        columns_.push_back({m, [op = std::make_shared<Operation>(m, arguments...)] { return (*op)(); }, {}});
    }

    // Who begins changes, for what was cached before the round is not of these.
    void measure(std::size_t round)
    {
        for (std::size_t i = 0; i < columns_.size(); ++i)
        {
            auto& c = columns_[(round + i) % columns_.size()];
            c.times.push_back(c.operation());
        }
    }

    void print() const
    {
        std::printf("%-24s", what_);
        for (auto const m : makers)
            print_number(0, has(m) ? median_of(times(m)) : NAN);
        for (auto const m : {maker::openssl, maker::naive, maker::cached})
            print_number(3, has(m) ? ratio_to(m) : NAN);
        std::printf("\n");
    }

private:
    struct column
    {
        maker of;
        std::function<double()> operation; // ns
        std::vector<double> times;
    };

    [[nodiscard]] auto find(maker m) const { return std::ranges::find(columns_, m, &column::of); }
    [[nodiscard]] bool has(maker m) const { return find(m) != columns_.end(); }
    [[nodiscard]] std::vector<double> const& times(maker m) const { return find(m)->times; }

    [[nodiscard]] double ratio_to(maker m) const
    {
        std::vector<double> ratios;
        std::ranges::transform(times(maker::reprise), times(m), std::back_inserter(ratios), std::divides{});
        return median_of(std::move(ratios));
    }

    static void print_number(int digits, double number)
    {
        if (std::isnan(number))
            std::printf("%9s", "-");
        else
            std::printf("%9.*f", digits, number);
    }

    char const* what_;
    std::vector<column> columns_;
};

int run()
{
    row sealed{"ticket sealed, TLS 1.3"};
    row opened{"ticket opened, TLS 1.2"};
    row sealing_call{"callback alone, sealing"};
    row opening_call{"callback alone, opening"};
    for (auto const m : makers)
    {
        sealed.add<sealing>(m);
        opened.add<opening>(m);
        if (m == maker::openssl)
            continue;
        sealing_call.add<callback_alone>(m, true);
        opening_call.add<callback_alone>(m, false);
    }
    std::array const rows = {&sealed, &opened, &sealing_call, &opening_call};
    for (std::size_t round = 0; round < rounds; ++round)
        for (auto* const r : rows)
            r->measure(round);

    std::printf(
        "CPU time of the server for one ticket, ns, and reprise / each of the others. Medians of %zu rounds.\n"
        "sealed: SSL_new_session_ticket until the message is written; opened: SSL_accept from a ClientHello with\n"
        "a ticket to the server's Finished; both with what OpenSSL does beside, which is the same for all.\n"
        "naive: a callback with one fixed key that looks its cipher up each time; cached: looked up once.\n"
        "callback alone: called with fresh contexts, without a handshake; OpenSSL's own has none.\n\n"
        "%-24s%9s%9s%9s%9s%9s%9s%9s\n",
        rounds, "", "OpenSSL", "naive", "cached", "reprise", "/OpenSSL", "/naive", "/cached");
    for (auto const* const r : rows)
        r->print();
    return 0;
}

} // namespace
} // namespace bench

int main()
{
    return bench::exit_status(bench::run);
}
