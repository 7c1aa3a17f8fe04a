// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/immediate_storage.hpp>

namespace reprise {

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

} // namespace reprise
