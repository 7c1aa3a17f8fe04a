// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_keeper.hpp"

#include "async/handoff.hpp"

#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/error.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace reprise::detail {

namespace {

// Shortest pause between two refreshes that clients cause, and after a failed refresh.
constexpr std::chrono::seconds shortest_pause{1};

// Results of a ticket callback (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)). A negative result would end the handshake.
constexpr int no_key = 0;
constexpr int sealed = 1;
constexpr int opened = 1;
constexpr int opened_renew = 2;

bool same(ticket_key const& a, ticket_key const& b)
{
    return a.name == b.name && a.secret == b.secret && a.not_before == b.not_before && a.issue_until == b.issue_until &&
           a.accept_until == b.accept_until;
}

struct fetched
{
    ticket_key_set keys;
    std::exception_ptr error;
};

asio::awaitable<fetched> ask(asio::awaitable<ticket_key_set> question)
{
    fetched result;
    try
    {
        result.keys = co_await std::move(question);
    }
    catch (...)
    {
        result.error = std::current_exception();
    }
    co_return result;
}

std::string text_of(std::exception_ptr const& error) noexcept
try
{
    if (error)
        std::rethrow_exception(error);
    return {};
}
catch (std::exception const& e)
{
    try
    {
        return e.what();
    }
    catch (std::bad_alloc const&)
    {
        return "out of memory"; // short enough to need no allocation
    }
}
catch (...)
{
    return "unknown error";
}

bool is_refusal(std::exception_ptr const& error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (system_error const& e)
    {
        return e.code() == errc::weak_ticket_key || e.code() == errc::bad_ticket_keys ||
               e.code() == errc::tickets_orphaned;
    }
    catch (...)
    {
        return false;
    }
}

} // namespace

// Ends a refresh on destruction: also if the io_context is destroyed before the refresh has begun, or if there is no
// memory to begin it.
class ticket_keeper::refresh_end
{
public:
    refresh_end(std::shared_ptr<ticket_keeper> keeper, std::shared_ptr<refresh_operation> f)
        : error(std::make_exception_ptr(system_error{asio::error::operation_aborted})), keeper_(std::move(keeper)),
          refresh_(std::move(f))
    {
    }
    refresh_end(refresh_end const&) = delete;
    refresh_end& operator=(refresh_end const&) = delete;
    ~refresh_end() { keeper_->end_refresh(refresh_, std::move(error)); }

    std::exception_ptr error;

private:
    std::shared_ptr<ticket_keeper> const keeper_;
    std::shared_ptr<refresh_operation> const refresh_;
};

ticket_step plan_tickets(ticket_situation const& s) noexcept
{
    if (s.offered && s.known)
        return ticket_step::use;
    bool const wants_news = s.offered || !s.can_issue;
    if (wants_news && s.may_ask)
        return ticket_step::ask;
    return s.can_issue ? ticket_step::use : ticket_step::do_without;
}

ticket_keeper::ticket_keeper(ticket_keys const& keys, key_source_context const& context)
    : context_(context), source_(keys.make(context)), ring_(std::make_unique<ticket_ring const>())
{
    keep_up(context_.now());
}

bool ticket_keeper::can_issue(time_point now)
{
    keep_up(now);
    return ring_.read()->issuer(now) != nullptr;
}

std::optional<time_point> ticket_keeper::issued_until(time_point now)
{
    keep_up(now);
    auto const ring = ring_.read();
    auto const* const issuer = ring->issuer(now);
    return issuer != nullptr ? std::optional{issuer->key.accept_until} : std::nullopt;
}

bool ticket_keeper::knows(byte_view ticket, time_point now)
{
    key_id id;
    if (ticket.size() < id.size())
        return false;
    std::ranges::copy(ticket.first(id.size()), id.begin());
    return ring_.read()->opener(id, now) != nullptr;
}

int ticket_keeper::seal(policy_tag const& policy, ticket_name& name, ticket_iv& iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, time_point now) noexcept
try
{
    keep_up(now);
    auto const ring = ring_.read();
    auto const* const issuer = ring->issuer(now);
    if (issuer == nullptr)
        return no_key;
    begin_sealing(*issuer, policy, name, iv, cipher, mac);
    issued_.fetch_add(1, std::memory_order_relaxed);
    return sealed;
}
catch (...) // no ticket, and the handshake goes on
{
    return no_key;
}

int ticket_keeper::open(policy_tag const& policy, ticket_name const& name, ticket_iv const& iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, time_point now) noexcept
try
{
    keep_up(now);
    auto const ring = ring_.read();
    auto const* const opener = ring->opener(name.id, now);
    if (opener == nullptr)
    {
        unknown_.fetch_add(1, std::memory_order_relaxed);
        return no_key;
    }
    begin_opening(*opener, policy, name, iv, cipher, mac);
    opened_.fetch_add(1, std::memory_order_relaxed);
    auto const* const issuer = ring->issuer(now);
    return issuer == nullptr || issuer == opener ? opened : opened_renew;
}
catch (...) // as if the key did not exist
{
    return no_key;
}

bool ticket_keeper::is_due(time_point now) const noexcept
{
    // Also due if the clock was set back, but not because another thread read the clock a moment later.
    return now >= next_refresh_.load(std::memory_order_relaxed) ||
           now + shortest_pause < last_refresh_.load(std::memory_order_relaxed);
}

bool ticket_keeper::may_ask(time_point now) const noexcept
{
    if (source_->is_immediate())
        return false;
    auto const last = last_refresh_.load(std::memory_order_relaxed);
    return is_refreshing_.load(std::memory_order_relaxed) || last == time_point::min() || now < last ||
           now - last >= std::min<std::chrono::milliseconds>(shortest_pause, source_->refresh_every());
}

void ticket_keeper::begin_refresh(asio::any_io_executor const& ex) noexcept
try
{
    if (!source_->is_immediate() && is_due(context_.now()))
        join_or_begin(ex);
}
catch (...) // out of memory: the present keys go on, and the next handshake tries again
{
}

asio::awaitable<void> ticket_keeper::refresh(std::shared_ptr<ticket_keeper> self)
{
    if (self->source_->is_immediate())
        co_return;
    auto const f = self->join_or_begin(co_await asio::this_coro::executor);
    co_await event::wait(f);
    if (f->error)
        std::rethrow_exception(f->error);
}

std::shared_ptr<ticket_keeper::refresh_operation> ticket_keeper::join_or_begin(asio::any_io_executor const& ex)
{
    std::shared_ptr<refresh_operation> f;
    {
        std::lock_guard const lock{mutex_};
        if (refresh_)
            return refresh_;
        f = refresh_ = std::make_shared<refresh_operation>();
        is_refreshing_ = true;
        last_refresh_ = context_.now();
    }
    std::unique_ptr<refresh_end> end;
    try
    {
        end = std::make_unique<refresh_end>(shared_from_this(), f);
    }
    catch (...)
    {
        end_refresh(f, std::current_exception());
        throw;
    }
    // On a strand, because the timeout's timer and the source's answer may come on two threads.
    asio::co_spawn(background_executor(ex), run_refresh(shared_from_this(), std::move(end)), asio::detached);
    return f;
}

asio::awaitable<void> ticket_keeper::run_refresh(std::shared_ptr<ticket_keeper> self, std::unique_ptr<refresh_end> end)
{
    try
    {
        auto answer = co_await with_timeout(self->source_->fetch_timeout(),
                                            ask(self->source_->fetch(self->ring_.read()->keys())));
        if (answer.status == timed_status::late)
            throw system_error{asio::error::timed_out, "the source of the ticket keys"};
        if (answer.status == timed_status::failed)
            throw std::bad_alloc{};
        if (answer.value->error)
            std::rethrow_exception(answer.value->error);
        std::lock_guard const lock{self->mutex_};
        self->step_to(std::move(answer.value->keys), self->context_.now());
        end->error = nullptr;
    }
    catch (...)
    {
        end->error = std::current_exception();
    }
}

void ticket_keeper::end_refresh(std::shared_ptr<refresh_operation> const& f, std::exception_ptr error) noexcept
{
    auto const now = context_.now();
    {
        std::lock_guard const lock{mutex_};
        if (error)
            count(error);
        last_error_ = text_of(error);
        auto const pause = error ? std::min<std::chrono::milliseconds>(shortest_pause, source_->refresh_every())
                                 : source_->refresh_every();
        next_refresh_ = now + pause;
        refresh_ = nullptr;
        is_refreshing_ = false;
        f->error = std::move(error);
        ring_.tidy();
    }
    f->set();
}

// An immediate source is asked where a change is found to be due.
void ticket_keeper::keep_up(time_point now) noexcept
try
{
    if (!source_->is_immediate() || !is_due(now))
        return;
    std::unique_lock lock{mutex_, std::try_to_lock};
    if (!lock)
    {
        // Another thread is at it. The old key may issue meanwhile, if there is one.
        if (ring_.read()->issuer(now) != nullptr)
            return;
        lock.lock();
    }
    auto current = ring_.read()->keys();
    if (auto next = source_->next(current, now))
    {
        step_to(*next, now);
        current = std::move(*next);
    }
    last_refresh_ = now;
    next_refresh_ = source_->due(current, now);
    ring_.tidy();
}
catch (...)
{
    next_refresh_ = now + shortest_pause;
    failed_refreshes_.fetch_add(1, std::memory_order_relaxed);
}

void ticket_keeper::step_to(ticket_key_set next, time_point now)
{
    auto const from = ring_.read()->keys();
    if (std::ranges::is_permutation(from, next, same))
        return;
    auto ring = std::make_unique<ticket_ring const>(next);
    if (!source_->may_orphan_tickets())
        check_step(from, next, now, context_.ticket_life);
    ring_.publish(std::move(ring));
    steps_.fetch_add(1, std::memory_order_relaxed);
}

void ticket_keeper::count(std::exception_ptr const& error)
{
    auto& counter = is_refusal(error) ? refused_steps_ : failed_refreshes_;
    counter.fetch_add(1, std::memory_order_relaxed);
}

ticket_stats ticket_keeper::stats() const
{
    auto const now = context_.now();
    auto const ring = ring_.read();
    return {.keys = ring->size(),
            .can_issue = ring->issuer(now) != nullptr,
            .issued = issued_.load(std::memory_order_relaxed),
            .opened = opened_.load(std::memory_order_relaxed),
            .unknown = unknown_.load(std::memory_order_relaxed),
            .without_issuer = without_issuer_.load(std::memory_order_relaxed),
            .steps = steps_.load(std::memory_order_relaxed),
            .refused_steps = refused_steps_.load(std::memory_order_relaxed),
            .failed_refreshes = failed_refreshes_.load(std::memory_order_relaxed),
            .memory_locked = locked_bytes::all_locked()};
}

std::string ticket_keeper::last_error() const
{
    std::lock_guard const lock{mutex_};
    return last_error_;
}

} // namespace reprise::detail
