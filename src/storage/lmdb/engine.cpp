// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/engine.hpp"

#include "base/signals_blocked.hpp"
#include "storage/lmdb/error.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <new>
#include <numeric>
#include <random>
#include <utility>

#include <pthread.h>

namespace reprise::detail {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t reads_at_once = 64; // answered in one transaction
constexpr std::size_t slice = 64;         // entries to drop at a time, at least
constexpr std::size_t flush_slice = 256;
constexpr std::size_t batch_bytes = 1u << 20; // a quarter of the least room of a transaction
constexpr int attempts_at_room = 32;          // dropped pages become free two transactions later
constexpr auto house_keeping = std::chrono::minutes{1};
constexpr std::uint64_t largest_value = 16u << 20;

// Run a function and return its error: LMDB's, no_memory, or clock_failed if the caller's clock throws.
template <class F>
error_code result_of(F f) noexcept
{
    try
    {
        f();
        return {};
    }
    catch (system_error const& e)
    {
        return e.code();
    }
    catch (std::bad_alloc const&)
    {
        return asio::error::no_memory;
    }
    catch (...)
    {
        return lmdb_errc::clock_failed;
    }
}

// Whether fewer operations at a time may succeed where all together failed.
bool depends_on_size(error_code ec)
{
    return ec == asio::error::no_memory || (ec.category() == lmdb_category() && ec.value() != MDB_PANIC);
}

} // namespace

/// A task in an executor that passes operations on when it runs, or when it is destroyed without having run.
class lmdb_departure
{
public:
    lmdb_departure(std::shared_ptr<lmdb_engine> engine, asio::any_io_executor from)
        : engine_(std::move(engine)), from_(std::move(from))
    {
        std::lock_guard const lock{engine_->leaving_mutex_};
        engine_->departure_ = this;
    }
    lmdb_departure(lmdb_departure const&) = delete;
    lmdb_departure& operator=(lmdb_departure const&) = delete;

    ~lmdb_departure()
    {
        {
            std::lock_guard const lock{engine_->leaving_mutex_};
            if (engine_->departure_ == this)
                engine_->departure_ = nullptr;
        }
        engine_->pass_on();
    }

    [[nodiscard]] bool is_from(asio::any_io_executor const& executor) const { return from_ == executor; }

private:
    std::shared_ptr<lmdb_engine> const engine_;
    asio::any_io_executor const from_;
};

lmdb_reservation::lmdb_reservation(std::shared_ptr<lmdb_engine> engine, std::size_t bytes)
    : engine_(std::move(engine)), bytes_(bytes)
{
    if (!engine_->reserve(bytes))
        throw system_error{lmdb_errc::queue_full, engine_->path()};
}

lmdb_reservation::~lmdb_reservation()
{
    if (engine_)
        engine_->release(bytes_);
}

lmdb_engine::lmdb_engine(lmdb_storage_options options)
    : options_(std::move(options)), largest_value_(std::min(options_.max_bytes / 8, largest_value)),
      env_(std::make_unique<lmdb_environment>(options_)), incarnation_(env_->incarnation()),
      unique_(std::mt19937_64{std::random_device{}()}())
{
    lmdb_write txn{*env_};
    lmdb_table const table{txn.get(), *env_};
    entries_ = table.size();
    bytes_ = table.bytes();
}

void lmdb_engine::start()
{
    signals_blocked const blocked;
    threads_.reserve(options_.read_threads + 1);
    running_ = options_.read_threads + 1;
    try
    {
        for (std::size_t i = 0; i < options_.read_threads; ++i)
            launch("lmdb read", &lmdb_engine::read, reads_at_once);
        launch("lmdb write", &lmdb_engine::write, options_.max_batch);
    }
    catch (...) // no more threads can be started
    {
        running_ -= options_.read_threads + 1 - threads_.size();
        stop();
        throw;
    }
}

void lmdb_engine::launch(char const* name, void (lmdb_engine::*work)(batch&), std::size_t most)
{
    batch all_it_needs; // now, because here a lack of memory can be reported
    all_it_needs.reserve(most);
    threads_.emplace_back(
        [self = shared_from_this(), name, work, ops = std::move(all_it_needs)]() mutable
        {
            ::pthread_setname_np(::pthread_self(), name); // shown by top and gdb
            (*self.*work)(ops);
            if (--self->running_ == 0)
                self->env_.reset();
        });
}

void lmdb_engine::stop() noexcept
{
    reads_.close();
    writes_.close();
    bool const is_own =
        std::ranges::any_of(threads_, [](auto const& t) { return t.get_id() == std::this_thread::get_id(); });
    for (auto& thread : threads_)
        is_own ? thread.detach() : thread.join();
    threads_.clear();
}

bool lmdb_engine::reserve(std::size_t bytes) noexcept
{
    if (queued_bytes_.fetch_add(bytes) + bytes <= options_.max_queued_bytes)
        return true;
    release(bytes);
    ++queue_full_;
    return false;
}

void lmdb_engine::start(lmdb_operation_ptr op, asio::any_io_executor const& executor) noexcept
{
    {
        std::lock_guard const lock{leaving_mutex_};
        leaving_.push_back(std::move(op));
        // Only on the same executor is it certain that this operation's coroutine could not resume sooner.
        if (departure_ != nullptr && departure_->is_from(executor))
            return;
    }
    try
    {
        auto departure = std::make_unique<lmdb_departure>(shared_from_this(), executor);
        asio::post(executor, [d = std::move(departure)]() mutable { d.reset(); });
    }
    catch (...) // no memory: pass them on now
    {
        pass_on();
    }
}

void lmdb_engine::pass_on() noexcept
{
    lmdb_operations reads;
    lmdb_operations writes;
    bool is_urgent = false;
    {
        std::lock_guard const lock{leaving_mutex_};
        while (!leaving_.empty())
        {
            auto op = leaving_.pop_front();
            bool const is_read = op->request.is_read();
            is_urgent = is_urgent || (!is_read && op->request.command != lmdb_command::put);
            (is_read ? reads : writes).push_back(std::move(op));
        }
    }
    queue(reads_, reads, true);
    queue(writes_, writes, is_urgent);
}

void lmdb_engine::queue(operation_queue& to, lmdb_operations& ops, bool urgent) noexcept
{
    if (ops.empty() || to.push(ops, urgent))
        return;
    while (!ops.empty())
    {
        auto const op = ops.pop_front();
        op->answer.ec = lmdb_errc::closed;
        op->complete();
    }
}

void lmdb_engine::read(batch& ops)
{
    lmdb_read txn{*env_};
    while (reads_.pop(ops, batch_bytes, steady_clock::time_point::max()))
    {
        std::erase_if(ops, [](auto const& op) { return !op->begin(); });
        answer_reads(txn, ops);
        handoff::complete_all(ops);
        ops.clear();
    }
}

void lmdb_engine::answer_reads(lmdb_read& txn, ops_span ops) noexcept
{
    if (ops.empty())
        return;
    time_point now;
    auto const began = result_of(
        [&]
        {
            now = options_.now();
            txn.begin();
        });
    if (began)
        return fail(ops, began);
    for (auto const& op : ops)
    {
        auto const ec = result_of(
            [&]
            {
                lmdb_table const table{txn.get(), *env_};
                if (op->request.command == lmdb_command::epoch)
                {
                    op->answer.evicted = table.evicted();
                    return;
                }
                auto const found = table.find(index_key{op->request.name});
                if (found && found->expiry > now)
                    op->answer.value.emplace(found->value);
            });
        if (!ec)
            continue;
        op->answer.ec = ec;
        ++failed_;
        txn.end(); // after an error the transaction is of no use to the rest
        auto const rest = ops.subspan(static_cast<std::size_t>(&op - ops.data()) + 1);
        return answer_reads(txn, rest);
    }
    txn.end();
}

void lmdb_engine::write(batch& ops)
{
    auto next_house_keeping = steady_clock::now() + house_keeping;
    for (;;)
    {
        auto const deadline = flushing_.empty() ? next_house_keeping : steady_clock::time_point{};
        if (!writes_.pop(ops, batch_bytes, deadline) && flushing_.empty())
            return;
        std::erase_if(ops, [](auto const& op) { return !op->begin(); });
        std::erase_if(ops,
                      [this](auto& op)
                      {
                          bool const is_flush = op->request.command == lmdb_command::flush;
                          if (is_flush)
                              flushing_.push_back(op);
                          return is_flush;
                      });
        write_all(ops);
        handoff::complete_all(ops);
        ops.clear();
        if (!flushing_.empty())
            expire_slice();
        if (steady_clock::now() >= next_house_keeping)
        {
            keep_house();
            next_house_keeping = steady_clock::now() + house_keeping;
        }
    }
}

void lmdb_engine::write_all(ops_span ops) noexcept
{
    if (ops.empty())
        return;
    auto ec = result_of([&] { write_at_once(ops); });
    if (ec && depends_on_size(ec) && ops.size() > 1)
    {
        write_all(ops.first(ops.size() / 2));
        write_all(ops.subspan(ops.size() / 2));
        return;
    }
    auto entries = slice;
    for (int i = 0; ec == error_code{MDB_MAP_FULL, lmdb_category()} && i < attempts_at_room && entries > 0; ++i)
    {
        if (make_room(entries))
            ec = result_of([&] { write_at_once(ops); });
        else
            entries /= 4; // dropping entries takes room, too
    }
    if (ec)
        fail(ops, ec);
}

void lmdb_engine::write_at_once(ops_span ops)
{
    lmdb_write txn{*env_};
    lmdb_table table{txn.get(), *env_};
    lmdb_dropped dropped;
    auto const now = options_.now();
    // Drop more entries than are added, and more for a large value, so that any bound is reached in the end.
    auto const weight = [](std::size_t sum, auto const& op) { return sum + 2 + op->request.value.size() / 64; };
    auto const most = std::accumulate(ops.begin(), ops.end(), slice, weight);
    dropped.expired += drop_until(table, now, most, dropped);
    for (auto const& op : ops)
        write_one(table, *op, now, dropped);
    for (std::size_t i = 0; i < most && table.bytes() > options_.max_bytes; ++i)
        dropped.evicted += drop_until(table, time_point::max(), 1, dropped);
    auto const evicted = table.evicted() + dropped.evicted;
    for (auto const& op : ops)
        op->answer.evicted = evicted;
    finish(txn, table, dropped);
}

void lmdb_engine::write_one(lmdb_table& table, lmdb_operation& op, time_point now, lmdb_dropped& dropped)
{
    index_key const name{op.request.name};
    auto found = table.find(name);
    if (found && found->expiry <= now)
    {
        ++dropped.expired;
        table.erase(name);
        found.reset();
    }
    op.answer = {};
    switch (op.request.command)
    {
    case lmdb_command::put: keep(table, name, op.request, now, dropped); break;
    case lmdb_command::put_if_absent:
        op.answer.yes = !found;
        if (!found)
            keep(table, name, op.request, now, dropped);
        break;
    case lmdb_command::take:
        if (found)
            op.answer.value.emplace(found->value);
        table.erase(name);
        break;
    case lmdb_command::erase:
        op.answer.yes = found.has_value();
        table.erase(name);
        break;
    case lmdb_command::get:
    case lmdb_command::flush:
    case lmdb_command::epoch: break; // not handled here
    }
}

void lmdb_engine::keep(lmdb_table& table, index_key const& name, lmdb_request const& r, time_point now,
                       lmdb_dropped& dropped)
{
    bool const fits = r.value.size() <= largest_value_;
    if (fits && r.expiry > now)
        return table.put(name, r.value, r.expiry, unique_);
    table.erase(name);
    dropped.evicted += fits ? 0 : 1;
}

void lmdb_engine::finish(lmdb_write& txn, lmdb_table& table, lmdb_dropped const& dropped)
{
    if (dropped.evicted != 0)
        table.add_evicted(dropped.evicted);
    auto const entries = table.size();
    auto const bytes = table.bytes();
    txn.commit();
    entries_ = entries;
    bytes_ = bytes;
    expired_ += dropped.expired;
    evicted_ += dropped.evicted;
    unreadable_ += dropped.unreadable;
    ++batches_;
}

void lmdb_engine::fail(ops_span ops, error_code ec) noexcept
{
    failed_ += ops.size();
    for (auto const& op : ops)
    {
        op->answer = {};
        op->answer.ec = ec;
    }
}

bool lmdb_engine::make_room(std::size_t entries) noexcept
{
    (void)env_->check_readers();
    return !result_of(
        [&]
        {
            lmdb_write txn{*env_};
            lmdb_table table{txn.get(), *env_};
            lmdb_dropped dropped;
            dropped.evicted = drop_until(table, time_point::max(), entries, dropped);
            finish(txn, table, dropped);
        });
}

// One transaction for all pending flushes. They complete when no expired entry is left.
void lmdb_engine::expire_slice() noexcept
{
    std::size_t count = 0;
    auto const ec = result_of(
        [&]
        {
            lmdb_write txn{*env_};
            lmdb_table table{txn.get(), *env_};
            lmdb_dropped dropped;
            count = drop_until(table, options_.now(), flush_slice, dropped);
            dropped.expired = count;
            finish(txn, table, dropped);
        });
    for (auto& op : flushing_)
        op.answer.count += count;
    if (!ec && count == flush_slice)
        return;
    while (!flushing_.empty())
    {
        auto op = flushing_.pop_front();
        if (ec)
            fail({&op, 1}, ec);
        op->complete();
    }
}

void lmdb_engine::keep_house() noexcept
{
    (void)env_->check_readers();
    expire_slice();
}

std::size_t lmdb_engine::drop_until(lmdb_table& table, time_point not_after, std::size_t most, lmdb_dropped& dropped)
{
    std::size_t count = 0;
    while (count < most && table.drop_first(not_after, dropped))
        ++count;
    return count;
}

storage_stats lmdb_engine::stats() const noexcept
{
    storage_stats s;
    s.entries = entries_;
    s.bytes = bytes_;
    s.expired = expired_;
    s.evicted = evicted_;
    return s;
}

lmdb_stats lmdb_engine::more_stats() const noexcept
{
    lmdb_stats s;
    s.batches = batches_;
    s.queue_full = queue_full_;
    s.failed = failed_;
    s.unreadable = unreadable_;
    return s;
}

} // namespace reprise::detail
