// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/pipeline.hpp"

#include <reprise/storage/storage_condition.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace reprise::detail {

pipeline::pipeline(std::chrono::milliseconds request_timeout, std::size_t max_pending,
                   std::shared_ptr<redis_counters> counters)
    : request_timeout_(request_timeout), max_pending_(max_pending), counters_(std::move(counters))
{
}

error_code pipeline::submit(std::initializer_list<std::shared_ptr<redis_request>> requests, steady_time now)
{
    request_queue added{requests};
    if (needs_link_.exchange(false))
    {
        work.notify();
        attention.notify();
    }
    bool is_first = false;
    bool needs_attention = false;
    {
        std::lock_guard const lock{mutex_};
        if (is_stopped_ || is_abandoned_)
            return asio::error::operation_aborted;
        if (state_ == redis_state::open)
        {
            ++counters_->rejected;
            return redis_errc::circuit_open;
        }
        if (queued_.size() + written_.size() + added.size() > max_pending_)
        {
            ++counters_->queue_full;
            return redis_errc::queue_full;
        }
        for (auto const& request : added)
            request->deadline = now + request_timeout_;
        is_first = queued_.empty(); // the link takes all requests, so only the first needs a notification
        counters_->requests += added.size();
        queued_.splice(queued_.end(), added);
        needs_attention = !std::exchange(is_watched_, true);
    }
    if (is_first)
        work.notify();
    if (needs_attention)
        attention.notify();
    return {};
}

error_code pipeline::last_error() const
{
    std::lock_guard const lock{mutex_};
    return last_error_;
}

char const* pipeline::hint() const
{
    std::lock_guard const lock{mutex_};
    return hint_;
}

void pipeline::tell_when_settled(std::shared_ptr<handoff> settled)
{
    {
        std::lock_guard const lock{mutex_};
        if (!is_settled_ && !is_stopped_ && !is_abandoned_)
        {
            std::erase_if(settling_, [](auto const& other) { return other->is_over(); });
            settling_.push_back(std::move(settled));
            return;
        }
    }
    settled->complete();
}

void pipeline::stop() noexcept
{
    is_stopped_ = true;
    abandon();
    work.notify();
    attention.notify();
}

void pipeline::serve() noexcept
{
    is_abandoned_ = false;
}

void pipeline::abandon() noexcept
{
    std::lock_guard const lock{mutex_};
    is_abandoned_ = true;
    fail(queued_, asio::error::operation_aborted);
    fail(written_, asio::error::operation_aborted);
    settle();
}

void pipeline::settle() noexcept
{
    for (auto const& settled : settling_)
        settled->complete();
    settling_.clear();
}

bool pipeline::take(std::vector<unsigned char>& out, steady_time now)
{
    std::lock_guard const lock{mutex_};
    std::erase_if(queued_, [](auto const& request) { return request->is_over(); });
    if (queued_.empty())
        return false;
    auto size = out.size();
    for (auto const& request : queued_)
        size += request->command.bytes().size();
    out.reserve(size); // growing would leave copies of secrets behind
    if (written_.empty())
        quiet_since_ = now;
    for (auto const& request : queued_)
    {
        auto const bytes = request->command.bytes();
        out.insert(out.end(), bytes.begin(), bytes.end());
    }
    if (timely_ == written_.end())
        timely_ = queued_.begin();
    written_.splice(written_.end(), queued_);
    return true;
}

bool pipeline::is_owed() const
{
    std::lock_guard const lock{mutex_};
    return !written_.empty();
}

pipeline::reply_kind pipeline::answer(redis_reply reply, steady_time now)
{
    std::lock_guard const lock{mutex_};
    if (written_.empty())
        return reply_kind::garbage;
    if (reply.type != redis_reply::kind::error && !answers(reply, written_.front()->wanted))
        return reply_kind::garbage;
    auto const request = std::move(written_.front());
    if (timely_ == written_.begin())
        ++timely_;
    written_.pop_front();
    quiet_since_ = now;
    if (reply.type != redis_reply::kind::error)
    {
        if (!request->is_over())
            request->reply = std::move(reply);
        request->complete();
        return request->effect == redis_effect::writes ? reply_kind::wrote : reply_kind::answered;
    }
    ++counters_->error_replies;
    auto const meaning = error_of(reply);
    request->complete(meaning);
    switch (meaning)
    {
    case redis_errc::server_loading: return reply_kind::not_ready;
    case redis_errc::server_read_only: return reply_kind::read_only;
    default: return reply_kind::answered;
    }
}

pipeline::upkeep pipeline::expire(steady_time now)
{
    std::lock_guard const lock{mutex_};
    upkeep result;
    auto const end = [&](redis_request& request)
    {
        if (request.complete(redis_errc::timed_out))
            ++result.timed_out;
    };
    for (; timely_ != written_.end() && (*timely_)->deadline <= now; ++timely_)
        end(**timely_);
    for (; !queued_.empty() && queued_.front()->deadline <= now; queued_.pop_front())
        end(*queued_.front());
    counters_->timeouts += result.timed_out;
    if (timely_ != written_.end())
        result.next = (*timely_)->deadline;
    else if (!queued_.empty())
        result.next = queued_.front()->deadline;
    if (!written_.empty())
    {
        auto const hung_at = quiet_since_ + request_timeout_;
        result.is_hung = hung_at <= now;
        result.next = std::min(result.next, hung_at);
    }
    is_watched_ = result.next != steady_time::max();
    return result;
}

void pipeline::connected()
{
    std::lock_guard const lock{mutex_};
    state_ = redis_state::connected;
    ++counters_->connects;
    is_settled_ = true;
    settle();
}

void pipeline::disconnected(redis_state state, error_code why, char const* hint) noexcept
{
    std::lock_guard const lock{mutex_};
    state_ = state;
    last_error_ = why;
    hint_ = hint;
    // The server may have carried out the written requests, although it refused others for this reason.
    fail(written_, why == storage_condition::unchanged ? redis_errc::connection_lost : why);
    if (state == redis_state::open)
        fail(queued_, why);
    is_settled_ = true;
    settle();
}

void pipeline::fail(request_queue& requests, error_code why) noexcept
{
    for (auto const& request : requests)
        if (request->complete(why) && why != asio::error::operation_aborted)
            ++counters_->lost;
    requests.clear();
    if (&requests == &written_)
        timely_ = written_.end();
}

} // namespace reprise::detail
