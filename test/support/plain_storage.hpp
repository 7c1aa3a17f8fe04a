// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

namespace test {

/// A storage that overrides what it must: it keeps nothing, and says nothing of its epoch.
class plain_storage final : public reprise::storage
{
public:
    boost::asio::awaitable<std::optional<reprise::secret_bytes>> get(std::string) override { co_return std::nullopt; }
    boost::asio::awaitable<void> put(std::string, reprise::secret_bytes, reprise::time_point) override { co_return; }
    boost::asio::awaitable<std::optional<reprise::secret_bytes>> take(std::string) override { co_return std::nullopt; }
    boost::asio::awaitable<bool> put_if_absent(std::string, reprise::secret_bytes, reprise::time_point) override
    {
        co_return true;
    }
    boost::asio::awaitable<bool> erase(std::string) override { co_return false; }
    boost::asio::awaitable<std::size_t> flush() override { co_return 0; }
    [[nodiscard]] reprise::storage_stats stats() const override { return {}; }
};

} // namespace test
