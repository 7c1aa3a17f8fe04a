// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/storage.hpp>

#include <utility>

namespace reprise {

namespace {

asio::awaitable<void> in_turn(asio::awaitable<void> put, asio::awaitable<std::optional<secret_bytes>> take)
{
    co_await std::move(put);
    (void)co_await std::move(take); // it may be gone: any entry may be dropped
}

} // namespace

asio::awaitable<void> storage::check()
{
    using namespace std::chrono_literals;
    constexpr auto name = "reprise storage check";
    // Both own what they use, so that the check may go on after this object.
    return in_turn(put(name, secret_bytes{as_bytes("works")}, std::chrono::system_clock::now() + 1min), take(name));
}

} // namespace reprise
