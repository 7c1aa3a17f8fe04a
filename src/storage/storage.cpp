// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/storage.hpp>

#include <utility>

namespace reprise {

namespace {

asio::awaitable<void> in_turn(asio::awaitable<void> put, asio::awaitable<std::optional<secret_bytes>> take)
{
    co_await std::move(put);
    (void)co_await std::move(take); // absence is no error: any entry may be dropped
}

template <class T>
asio::awaitable<with_epoch<T>> without_epoch(asio::awaitable<T> operation)
{
    with_epoch<T> result;
    result.value = co_await std::move(operation);
    co_return result;
}

asio::awaitable<storage_epoch> unknown()
{
    co_return storage_epoch{};
}

} // namespace

asio::awaitable<with_epoch<bool>> storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                    time_point expiry)
{
    return without_epoch(put_if_absent(std::move(name), std::move(value), expiry));
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> storage::take_with_epoch(std::string name)
{
    return without_epoch(take(std::move(name)));
}

asio::awaitable<storage_epoch> storage::epoch()
{
    return unknown();
}

asio::awaitable<void> storage::check()
{
    using namespace std::chrono_literals;
    constexpr auto name = "reprise storage check";
    // Both operations own what they use, so that the check may outlive this object.
    return in_turn(put(name, secret_bytes{as_bytes("works")}, std::chrono::system_clock::now() + 1min), take(name));
}

} // namespace reprise
