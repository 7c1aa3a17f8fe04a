// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "reconnect/clients.hpp"
#include "stopwatch.hpp"

#include <openssl/ssl.h>

#include <curl/curl.h>

#include <stdexcept>

namespace bench {

namespace {

std::size_t take(char*, std::size_t size, std::size_t count, void* total)
{
    *static_cast<std::size_t*>(total) += size * count;
    return size * count;
}

// Asked when the answer has come: then the SSL is still there.
struct resumption
{
    CURL* handle = nullptr;
    bool resumed = false;
};

std::size_t look(char*, std::size_t size, std::size_t count, void* to)
{
    auto& seen = *static_cast<resumption*>(to);
    curl_tlssessioninfo* info = nullptr;
    if (::curl_easy_getinfo(seen.handle, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK && info->internals != nullptr)
        seen.resumed = ::SSL_session_reused(static_cast<SSL*>(info->internals)) == 1;
    return size * count;
}

class curl_client final : public client
{
public:
    curl_client(nginx const& server, bool tls13, bool keeps_handle)
        : url_("https://localhost:" + server.port() + "/"), ca_file_(server.ca_file()), tls13_(tls13),
          keeps_handle_(keeps_handle), share_(::curl_share_init())
    {
        if (share_ == nullptr)
            throw std::bad_alloc{};
        ::curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        ::curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    }
    ~curl_client() override
    {
        close();
        ::curl_share_cleanup(share_);
    }

    cost fetch(std::size_t count) override
    {
        cost result{.count = count};
        auto const cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
        auto const time = cpu_time(CLOCK_MONOTONIC);
        for (std::size_t i = 0; i < count; ++i)
        {
            if (seen_.handle == nullptr)
                open();
            body_ = 0;
            seen_.resumed = false;
            if (auto const code = ::curl_easy_perform(seen_.handle); code != CURLE_OK || body_ != 2)
                throw std::runtime_error{std::string{"libcurl: "} + ::curl_easy_strerror(code)};
            result.resumed += seen_.resumed ? 1u : 0u;
            if (!keeps_handle_)
                close();
        }
        result.cpu_us = static_cast<double>((cpu_time(CLOCK_PROCESS_CPUTIME_ID) - cpu).count()) / 1e3;
        result.time_us = static_cast<double>((cpu_time(CLOCK_MONOTONIC) - time).count()) / 1e3;
        return result;
    }

private:
    void open()
    {
        CURL* const easy = ::curl_easy_init();
        if (easy == nullptr)
            throw std::bad_alloc{};
        seen_.handle = easy;
        // The highest version is in the upper half (CURLOPT_SSLVERSION(3)).
        long const version = tls13_ ? 7L | 7L << 16 : 6L | 6L << 16;
        static_assert(CURL_SSLVERSION_TLSv1_3 == 7 && CURL_SSLVERSION_TLSv1_2 == 6);
        ::curl_easy_setopt(easy, CURLOPT_SHARE, share_);
        ::curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
        ::curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file_.c_str());
        if (keeps_handle_) // with a directory beside it, libcurl does not keep what it has read from the file
            ::curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
        ::curl_easy_setopt(easy, CURLOPT_SSLVERSION, version);
        ::curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        ::curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        ::curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
        ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
        ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body_);
        ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, look);
        ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, &seen_);
    }

    void close()
    {
        if (seen_.handle != nullptr)
            ::curl_easy_cleanup(seen_.handle);
        seen_.handle = nullptr;
    }

    std::string const url_;
    std::string const ca_file_;
    bool const tls13_;
    bool const keeps_handle_;
    CURLSH* const share_;
    std::size_t body_ = 0;
    resumption seen_;
};

} // namespace

std::unique_ptr<client> make_curl(nginx const& server, bool tls13)
{
    return std::make_unique<curl_client>(server, tls13, false);
}

std::unique_ptr<client> make_kept_curl(nginx const& server, bool tls13)
{
    return std::make_unique<curl_client>(server, tls13, true);
}

} // namespace bench
