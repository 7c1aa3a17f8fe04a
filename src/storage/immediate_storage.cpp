// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/fork.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/immediate_storage.hpp>

#include <utility>

namespace reprise {

immediate_storage::immediate_storage() : made_at_(detail::fork_depth()) {}

storage_epoch immediate_storage::epoch_now() const
{
    storage_epoch result;
    if (made_at_ != detail::fork_depth())
        return result;
    result.incarnation = "memory";
    result.evicted = stats().evicted;
    return result;
}

std::optional<secret_bytes> immediate_storage::get_now(std::string_view name)
{
    std::optional<secret_bytes> value;
    (void)read_now(name, [&](byte_view shown) { value.emplace(shown); });
    return value;
}

asio::awaitable<std::optional<secret_bytes>> immediate_storage::get(std::string name)
{
    co_return get_now(name);
}

asio::awaitable<void> immediate_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    put_now(name, value, expiry);
    co_return;
}

asio::awaitable<std::optional<secret_bytes>> immediate_storage::take(std::string name)
{
    co_return take_now(name);
}

asio::awaitable<bool> immediate_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    co_return put_if_absent_now(name, value, expiry);
}

asio::awaitable<bool> immediate_storage::erase(std::string name)
{
    co_return erase_now(name);
}

asio::awaitable<with_epoch<bool>> immediate_storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                              time_point expiry)
{
    with_epoch<bool> result;
    result.value = put_if_absent_now(name, value, expiry);
    result.epoch = epoch_now();
    co_return result;
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> immediate_storage::take_with_epoch(std::string name)
{
    with_epoch<std::optional<secret_bytes>> result;
    result.value = take_now(name);
    result.epoch = epoch_now();
    co_return result;
}

asio::awaitable<storage_epoch> immediate_storage::epoch()
{
    auto now = epoch_now();
    if (now.incarnation.empty() && made_at_ != detail::fork_depth())
        throw system_error{errc::made_before_fork, "an in-memory storage"};
    co_return now;
}

} // namespace reprise
