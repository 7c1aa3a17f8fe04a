// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/engine.hpp"

#include "base/signals_blocked.hpp"
#include "storage/lmdb/completion_port.hpp"
#include "storage/lmdb/error.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <new>
#include <numeric>
#include <random>
#include <utility>

#include <pthread.h>

namespace reprise::detail {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t reads_at_once = 64; // answered together
constexpr std::size_t slice = 64;         // entries that are dropped at a time, at least
constexpr std::size_t flush_slice = 256;
constexpr std::size_t batch_bytes = 1u << 20; // a quarter of the room that a transaction has at least
constexpr int attempts_at_room = 32;          // pages become free two transactions after they were dropped
constexpr auto house_keeping = std::chrono::minutes{1};
constexpr std::uint64_t largest_value = 16u << 20;

// Run something that throws where LMDB fails.
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
}

// Whether fewer operations at a time may do what all together did not.
bool depends_on_size(error_code ec)
{
    return ec.category() == lmdb_category() && ec.value() != MDB_PANIC;
}

} // namespace

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
      env_(std::make_unique<lmdb_environment>(options_)), unique_(std::mt19937_64{std::random_device{}()}())
{
    lmdb_write txn{*env_};
    lmdb_table const table{txn.get(), *env_};
    entries_ = table.size();
    bytes_ = table.bytes();
}

void lmdb_engine::start()
{
    signals_blocked const blocked;
    running_ = options_.read_threads + 1;
    try
    {
        for (std::size_t i = 0; i < options_.read_threads; ++i)
            launch("lmdb read", &lmdb_engine::read);
        launch("lmdb write", &lmdb_engine::write);
    }
    catch (...) // no more threads
    {
        running_ -= options_.read_threads + 1 - threads_.size();
        stop();
        throw;
    }
}

void lmdb_engine::launch(char const* name, void (lmdb_engine::*work)())
{
    threads_.emplace_back(
        [self = shared_from_this(), name, work]
        {
            ::pthread_setname_np(::pthread_self(), name); // for those who look with top or gdb
            (*self.*work)();
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

void lmdb_engine::enqueue(ops_span ops)
{
    // Runs of each kind, in order.
    while (!ops.empty())
    {
        auto const is_read = [](auto const& op) { return op->request.command == lmdb_command::get; };
        bool const reading = is_read(ops.front());
        auto const other =
            std::ranges::find_if(ops, [&](auto const& op) { return is_read(op) != reading; }) - ops.begin();
        auto const same = ops.first(static_cast<std::size_t>(other));
        bool const urgent =
            std::ranges::any_of(same, [](auto const& op) { return op->request.command != lmdb_command::put; });
        if (!(reading ? reads_ : writes_).push(same, urgent))
        {
            for (auto const& op : same)
                op->answer.ec = lmdb_errc::closed;
            completion_port::complete(same);
        }
        ops = ops.subspan(same.size());
    }
}

void lmdb_engine::read()
{
    lmdb_read txn{*env_};
    std::vector<lmdb_operation_ptr> batch;
    while (reads_.pop(batch, reads_at_once, batch_bytes, steady_clock::time_point::max()))
    {
        std::erase_if(batch, [](auto const& op) { return !op->begin(); });
        answer_reads(txn, batch);
        completion_port::complete(batch);
        batch.clear();
    }
}

void lmdb_engine::answer_reads(lmdb_read& txn, ops_span ops)
{
    if (ops.empty())
        return;
    auto const began = result_of([&] { txn.begin(); });
    if (began)
        return fail(ops, began);
    auto const now = options_.now();
    for (auto const& op : ops)
    {
        auto const ec = result_of(
            [&]
            {
                lmdb_table const table{txn.get(), *env_};
                auto const found = table.find(index_key{op->request.name});
                if (found && found->expiry > now)
                    op->answer.value.emplace(found->value);
            });
        if (!ec)
            continue;
        op->answer.ec = ec;
        ++failed_;
        txn.end(); // an error spoils the transaction for those that follow
        auto const rest = ops.subspan(static_cast<std::size_t>(&op - ops.data()) + 1);
        return answer_reads(txn, rest);
    }
    txn.end();
}

void lmdb_engine::write()
{
    std::vector<lmdb_operation_ptr> batch;
    auto next_house_keeping = steady_clock::now() + house_keeping;
    for (;;)
    {
        auto const deadline = flushing_.empty() ? next_house_keeping : steady_clock::time_point{};
        if (!writes_.pop(batch, options_.max_batch, batch_bytes, deadline) && flushing_.empty())
            return;
        std::erase_if(batch, [](auto const& op) { return !op->begin(); });
        auto const flushes = std::ranges::stable_partition(batch, [](auto const& op)
                                                           { return op->request.command != lmdb_command::flush; });
        std::ranges::move(flushes, std::back_inserter(flushing_));
        batch.erase(flushes.begin(), flushes.end());
        answer_writes(batch);
        batch.clear();
        if (!flushing_.empty())
            expire_slice();
        if (steady_clock::now() >= next_house_keeping)
        {
            keep_house();
            next_house_keeping = steady_clock::now() + house_keeping;
        }
    }
}

void lmdb_engine::answer_writes(ops_span ops)
{
    write_all(ops);
    completion_port::complete(ops);
}

void lmdb_engine::write_all(ops_span ops)
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
            entries /= 4; // to drop them takes room, too
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
    // More than come, and more of them for a large value, so that whatever the bound was, it is reached in the end.
    auto const weight = [](std::size_t sum, auto const& op) { return sum + 2 + op->request.value.size() / 64; };
    auto const most = std::accumulate(ops.begin(), ops.end(), slice, weight);
    dropped.expired += drop_until(table, now, most, dropped);
    for (auto const& op : ops)
        write_one(table, *op, now, dropped);
    for (std::size_t i = 0; i < most && table.bytes() > options_.max_bytes; ++i)
        dropped.evicted += drop_until(table, time_point::max(), 1, dropped);
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
    case lmdb_command::flush: break; // not here
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

void lmdb_engine::finish(lmdb_write& txn, lmdb_table const& table, lmdb_dropped const& dropped)
{
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

// One transaction for all flushes that are waiting; they are done when it finds nothing more.
void lmdb_engine::expire_slice()
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
    for (auto const& op : flushing_)
        op->answer.count += count;
    if (ec)
        fail(flushing_, ec);
    if (ec || count < flush_slice)
    {
        completion_port::complete(flushing_);
        flushing_.clear();
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
