// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "net/name_lookup.hpp"

#include "base/signals_blocked.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>
#include <pthread.h>

namespace reprise::detail {

namespace {

using asio::ip::tcp;

error_code meaning_of(int eai) noexcept
{
    switch (eai)
    {
    case EAI_AGAIN: return asio::error::host_not_found_try_again;
    case EAI_FAIL: return asio::error::no_recovery;
    case EAI_MEMORY: return asio::error::no_memory;
    case EAI_SYSTEM: return {errno, boost::system::system_category()};
    default: return asio::error::host_not_found;
    }
}

struct address_list_deleter
{
    void operator()(::addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

} // namespace

// Shared with the thread, which touches nothing else: the thread may outlive main().
struct name_lookup::search
{
    search(std::string h, std::uint16_t p) : host(std::move(h)), port(p) {}

    std::string const host;
    std::uint16_t const port;

    std::mutex mutex; // guards the members below
    bool is_done = false;
    error_code ec;
    std::vector<tcp::endpoint> found;
    std::shared_ptr<handoff> waiting;

    void run() noexcept
    {
        ::pthread_setname_np(::pthread_self(), "redis name"); // shown by top and gdb
        ::addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        ::addrinfo* list = nullptr;
        int const returned = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
        std::unique_ptr<::addrinfo, address_list_deleter> const owner{list};
        auto const failure = returned != 0 ? meaning_of(returned) : take(list);
        std::shared_ptr<handoff> ended;
        {
            std::lock_guard const lock{mutex};
            is_done = true;
            ec = failure;
            ended.swap(waiting);
        }
        if (ended)
            ended->complete();
    }

private:
    error_code take(::addrinfo const* list) noexcept
    try
    {
        for (; list != nullptr; list = list->ai_next)
        {
            tcp::endpoint endpoint;
            if (list->ai_addrlen > endpoint.capacity())
                continue;
            std::memcpy(endpoint.data(), list->ai_addr, list->ai_addrlen);
            endpoint.resize(list->ai_addrlen);
            endpoint.port(port);
            found.push_back(endpoint);
        }
        return found.empty() ? error_code{asio::error::host_not_found} : error_code{};
    }
    catch (std::bad_alloc const&)
    {
        return asio::error::no_memory;
    }
};

asio::awaitable<std::vector<tcp::endpoint>> name_lookup::find()
{
    waiting_ = std::make_shared<handoff>(co_await asio::this_coro::executor);
    if (!search_)
    {
        auto begun = std::make_shared<search>(host_, port_);
        signals_blocked const blocked;
        try
        {
            std::thread{[begun] { begun->run(); }}.detach();
        }
        catch (std::system_error const& e)
        {
            throw system_error{e.code().value(), boost::system::generic_category(),
                               "cannot start a thread that resolves a name"};
        }
        search_ = std::move(begun);
    }
    auto const asked = search_;
    {
        std::lock_guard const lock{asked->mutex};
        if (asked->is_done)
            waiting_->complete();
        else
            asked->waiting = waiting_;
    }
    co_await waiting_->wait();
    search_.reset(); // the next find() searches anew
    if (asked->ec)
        throw system_error{asked->ec};
    co_return asked->found;
}

void name_lookup::cancel() noexcept
{
    if (waiting_)
        waiting_->complete(asio::error::operation_aborted);
}

} // namespace reprise::detail
