// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/pipeline.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace reprise::detail {

pipeline::pipeline(std::chrono::milliseconds request_timeout, std::size_t max_pending,
                   std::shared_ptr<redis_counters> counters)
    : request_timeout_(request_timeout), max_pending_(max_pending), counters_(std::move(counters))
{
}

void pipeline::submit(std::shared_ptr<redis_request> const& request, steady_time now)
{
    bool is_first = false;
    bool needs_attention = false;
    {
        std::lock_guard const lock{mutex_};
        if (is_stopped_)
            throw system_error{asio::error::operation_aborted};
        if (state_ == redis_state::open)
        {
            ++counters_->rejected;
            throw system_error{redis_errc::circuit_open, last_error_.message()};
        }
        if (queued_.size() + written_.size() >= max_pending_)
        {
            ++counters_->queue_full;
            throw system_error{redis_errc::queue_full};
        }
        request->deadline = now + request_timeout_;
        is_first = queued_.empty(); // the link takes all: it is told of the first only
        queued_.push_back(request);
        ++counters_->requests;
        needs_attention = !std::exchange(is_watched_, true);
    }
    if (is_first)
        work.notify();
    if (needs_attention)
        attention.notify();
}

error_code pipeline::last_error() const
{
    std::lock_guard const lock{mutex_};
    return last_error_;
}

void pipeline::stop()
{
    {
        std::lock_guard const lock{mutex_};
        is_stopped_ = true;
        fail(queued_, asio::error::operation_aborted);
        fail(written_, asio::error::operation_aborted);
    }
    work.notify();
    attention.notify();
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
    for (auto& request : queued_)
    {
        auto const bytes = request->command.bytes();
        out.insert(out.end(), bytes.begin(), bytes.end());
        written_.push_back(std::move(request));
    }
    queued_.clear();
    return true;
}

pipeline::outcome pipeline::answer(redis_reply reply, steady_time now)
{
    std::lock_guard const lock{mutex_};
    if (written_.empty())
        return outcome::garbage;
    if (reply.type != redis_reply::kind::error && !answers(reply, written_.front()->wanted))
        return outcome::garbage;
    auto const request = std::move(written_.front());
    written_.pop_front();
    late_ -= late_ > 0 ? 1 : 0;
    quiet_since_ = now;
    if (reply.type != redis_reply::kind::error)
    {
        if (!request->is_over())
            request->reply = std::move(reply);
        request->complete();
        return outcome::answered;
    }
    ++counters_->error_replies;
    auto const meaning = error_of(reply);
    request->complete(meaning);
    return meaning == redis_errc::server_loading ? outcome::not_ready : outcome::answered;
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
    for (; late_ < written_.size() && written_[late_]->deadline <= now; ++late_)
        end(*written_[late_]);
    for (; !queued_.empty() && queued_.front()->deadline <= now; queued_.pop_front())
        end(*queued_.front());
    counters_->timeouts += result.timed_out;
    if (late_ < written_.size())
        result.next = written_[late_]->deadline;
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
}

void pipeline::disconnected(redis_state state, error_code why)
{
    std::lock_guard const lock{mutex_};
    state_ = state;
    last_error_ = why;
    fail(written_, why);
    if (state == redis_state::open)
        fail(queued_, why);
}

void pipeline::fail(request_queue& requests, error_code why)
{
    for (auto const& request : requests)
        if (request->complete(why) && why != asio::error::operation_aborted)
            ++counters_->lost;
    requests.clear();
    if (&requests == &written_)
        late_ = 0;
}

} // namespace reprise::detail
