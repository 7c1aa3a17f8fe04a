// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/session_store.hpp>

#include <deque>
#include <memory>
#include <utility>

namespace test {

/// A store that does not ask whose session it is, so that a test can carry it to where it does not belong.
class any_key_store final : public reprise::session_store
{
public:
    [[nodiscard]] static std::shared_ptr<any_key_store> make()
    {
        return std::shared_ptr<any_key_store>{new any_key_store};
    }

    void capture(reprise::session_scope const&, reprise::session ticket) noexcept override
    {
        if (!repeats)
            sessions.push_front(std::move(ticket));
    }

    reprise::asio::awaitable<reprise::take_result> take(reprise::session_scope) override
    {
        reprise::take_result result;
        if (sessions.empty())
            co_return result;
        result.ticket = sessions.front();
        if (!repeats)
            sessions.pop_front();
        co_return result;
    }

    reprise::asio::awaitable<std::size_t> remove(reprise::session_scope) override
    {
        auto const count = sessions.size();
        sessions.clear();
        co_return count;
    }

    reprise::asio::awaitable<void> clear() override
    {
        sessions.clear();
        co_return;
    }

    reprise::asio::awaitable<void> drain() override { co_return; }
    [[nodiscard]] std::size_t size() const override { return sessions.size(); }
    [[nodiscard]] bool is_immediate() const noexcept override { return true; }

    std::deque<reprise::session> sessions; ///< newest first
    bool repeats = false;                  ///< the newest is handed out again and again, and no other is kept
};

} // namespace test
