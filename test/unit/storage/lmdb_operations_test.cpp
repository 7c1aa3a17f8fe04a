// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// How operations of an lmdb_storage begin and end: queues, cancellation, and what goes before them.
#include "support/child.hpp"
#include "support/counted_executor.hpp"
#include "support/lmdb.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/lmdb_error.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

using namespace reprise;
using namespace std::chrono_literals;
using test::completed;
using test::secret;

TEST_SUITE_BEGIN("lmdb_storage, operations");

namespace {

auto later()
{
    return std::chrono::system_clock::now() + 1h;
}

/// A clock that keeps those who ask for the time: so that a test can hold the storage's threads within an operation.
class gate
{
public:
    void close() { set(false); }
    void open() { set(true); }

    /// Until somebody is kept.
    void wait_for_visitor()
    {
        std::unique_lock lock{state_->mutex};
        REQUIRE(state_->changed.wait_for(lock, 20s, [this] { return state_->kept > 0; }));
    }

    operator reprise::clock() const
    {
        return [s = state_]
        {
            std::unique_lock lock{s->mutex};
            ++s->kept;
            s->changed.notify_all();
            s->changed.wait(lock, [&] { return s->is_open; });
            --s->kept;
            return std::chrono::system_clock::now();
        };
    }

private:
    struct state
    {
        std::mutex mutex;
        std::condition_variable changed;
        bool is_open = true;
        int kept = 0;
    };

    void set(bool open)
    {
        std::lock_guard const lock{state_->mutex};
        state_->is_open = open;
        state_->changed.notify_all();
    }

    std::shared_ptr<state> state_ = std::make_shared<state>();
};

struct fixture
{
    std::shared_ptr<lmdb_storage> make() const
    {
        lmdb_storage_options options;
        options.path = directory / "storage";
        options.max_bytes = 4 << 20;
        options.durability = lmdb_durability::unsynced;
        options.max_queued_bytes = max_queued_bytes;
        options.max_batch = 4;
        options.now = doors;
        return lmdb_storage::make(std::move(options));
    }

    test::temporary_directory const directory;
    gate doors;
    std::size_t max_queued_bytes = 1 << 20;
};

error_code code_of(std::exception_ptr e)
{
    try
    {
        if (e)
            std::rethrow_exception(e);
    }
    catch (system_error const& error)
    {
        return error.code();
    }
    return {};
}

/// An operation on its way, and how it ended.
template <class T>
struct started
{
    started(boost::asio::io_context& io, boost::asio::awaitable<T> operation)
    {
        boost::asio::co_spawn(io, std::move(operation),
                              boost::asio::bind_cancellation_slot(cancel.slot(),
                                                                  [e = end](std::exception_ptr failure, auto&&...)
                                                                  {
                                                                      e->code = code_of(failure);
                                                                      e->done = true;
                                                                  }));
        io.poll();
    }

    struct result
    {
        bool done = false;
        error_code code;
    };
    boost::asio::cancellation_signal cancel;
    std::shared_ptr<result> end = std::make_shared<result>();
};

template <class T>
started(boost::asio::io_context&, boost::asio::awaitable<T>) -> started<T>;

} // namespace

TEST_CASE_FIXTURE(fixture, "a full queue refuses at once, and is open again when it is empty")
{
    max_queued_bytes = 4096;
    auto const storage = make();
    boost::asio::io_context io;
    std::size_t refused = 0;
    std::size_t unchanged = 0;
    std::size_t kept = 0;
    doors.close();
    auto const put = [&](int i)
    {
        boost::asio::co_spawn(io, storage->put("name" + std::to_string(i), secret("one"), later()),
                              [&](std::exception_ptr e)
                              {
                                  refused += code_of(e) == lmdb_errc::queue_full ? 1 : 0;
                                  unchanged += code_of(e) == storage_condition::unchanged ? 1 : 0;
                                  kept += e ? 0 : 1;
                              });
    };
    for (int i = 0; i < 100; ++i)
        put(i);
    io.poll();
    CHECK(refused == 100 - 4096 / 264);
    CHECK(unchanged == refused);
    CHECK(storage->more_stats().queue_full == refused);
    doors.open();
    io.run();
    CHECK(kept == 100 - refused);
    io.restart();
    put(100);
    io.run();
    CHECK(kept == 101 - refused);
}

TEST_CASE_FIXTURE(fixture, "a cancelled operation ends at once; one that was waiting is not carried out")
{
    auto const storage = make();
    completed(storage->put("a", secret("one"), later()));
    completed(storage->put("b", secret("one"), later()));
    boost::asio::io_context io;
    doors.close();
    started first{io, storage->take("a")};
    doors.wait_for_visitor();
    started second{io, storage->take("b")};
    started third{io, storage->take("b")};

    third.cancel.emit(boost::asio::cancellation_type::terminal);
    first.cancel.emit(boost::asio::cancellation_type::terminal);
    io.poll();
    CHECK(third.end->code == boost::asio::error::operation_aborted);
    CHECK(first.end->code == boost::asio::error::operation_aborted);
    CHECK_FALSE(second.end->done);
    second.cancel.emit(boost::asio::cancellation_type::terminal);
    io.poll();
    CHECK(second.end->code == boost::asio::error::operation_aborted);

    doors.open();
    CHECK_FALSE(completed(storage->take("a"))); // it had begun
    CHECK(completed(storage->take("b")) == secret("one"));
    io.run(); // nothing is left, and nothing completes twice
}

TEST_CASE_FIXTURE(fixture, "total cancellation does not end what has begun to write, but what has not")
{
    auto const storage = make();
    boost::asio::io_context io;
    auto const cancellable = [](std::shared_ptr<lmdb_storage> s, std::string name) -> boost::asio::awaitable<void>
    {
        co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::enable_total_cancellation());
        co_await s->put(std::move(name), secret("one"), later());
    };
    doors.close();
    started first{io, cancellable(storage, "a")};
    doors.wait_for_visitor();
    started second{io, cancellable(storage, "b")};
    first.cancel.emit(boost::asio::cancellation_type::total);
    second.cancel.emit(boost::asio::cancellation_type::total);
    io.poll();
    CHECK_FALSE(first.end->done);
    CHECK(second.end->code == boost::asio::error::operation_aborted);
    doors.open();
    io.run();
    CHECK_FALSE(first.end->code);
    CHECK(completed(storage->get("a")).has_value());
    CHECK_FALSE(completed(storage->get("b")).has_value());
}

TEST_CASE_FIXTURE(fixture, "an io_context may end before the operations that it started, and before the storage")
{
    auto const storage = make();
    auto const owned = std::make_shared<int>(0);
    {
        boost::asio::io_context io;
        doors.close();
        auto const use = [](std::shared_ptr<lmdb_storage> s, std::shared_ptr<int> o) -> boost::asio::awaitable<void>
        {
            co_await s->put("a", secret("one"), later());
            ++*o;
        };
        boost::asio::co_spawn(io, use(storage, owned), boost::asio::detached);
        io.poll();
        doors.wait_for_visitor();
        boost::asio::co_spawn(io, use(storage, owned), boost::asio::detached); // this one has not left yet
        io.poll_one();
    }
    CHECK(owned.use_count() == 1); // the coroutines went with it
    CHECK(storage.use_count() == 1);
    doors.open();
    completed(storage->flush());                          // comes after it
    CHECK(completed(storage->get("a")) == secret("one")); // what had begun was done
}

TEST_CASE_FIXTURE(fixture, "an operation that outlives its io_context keeps nothing of it, whether it has begun or not")
{
    auto const storage = make();
    std::weak_ptr<int> copies;
    {
        boost::asio::io_context io;
        test::counted_executor const executor{io};
        copies = executor.copies();
        auto const use = [](std::shared_ptr<lmdb_storage> s) -> boost::asio::awaitable<void> { co_await s->get("a"); };
        doors.close();
        boost::asio::co_spawn(boost::asio::make_strand(io), use(storage), boost::asio::detached);
        boost::asio::co_spawn(executor, use(storage), boost::asio::detached);
        io.poll();
        doors.wait_for_visitor();
        boost::asio::co_spawn(executor, use(storage), boost::asio::detached);
        boost::asio::co_spawn(boost::asio::make_strand(io), use(storage), boost::asio::detached);
        io.poll(); // these wait behind those that have begun
        boost::asio::co_spawn(executor, use(storage), boost::asio::detached);
        io.restart();
        io.poll_one(); // this one has not left yet
    }
    CHECK(copies.use_count() == 0);
    doors.open();
    CHECK_FALSE(completed(storage->get("a")));
}

TEST_CASE_FIXTURE(fixture, "a strand that is busy holds up its own operations alone")
{
    auto const storage = make();
    boost::asio::io_context io;
    auto const busy = boost::asio::make_strand(io);
    auto const other = boost::asio::make_strand(io);
    std::atomic<bool> own_done = false;
    std::atomic<bool> other_done = false;
    auto const get = [](std::shared_ptr<lmdb_storage> s) -> boost::asio::awaitable<void> { co_await s->get("a"); };
    boost::asio::post(busy,
                      [&]
                      {
                          boost::asio::co_spawn(busy, get(storage), [&](std::exception_ptr) { own_done = true; });
                          boost::asio::co_spawn(other, get(storage), [&](std::exception_ptr) { other_done = true; });
                          auto const deadline = std::chrono::steady_clock::now() + 20s;
                          while (!other_done && std::chrono::steady_clock::now() < deadline)
                              std::this_thread::yield();
                          CHECK(other_done);
                          CHECK_FALSE(own_done);
                      });
    std::jthread const second{[&] { io.run(); }};
    io.run();
}

TEST_CASE_FIXTURE(fixture, "a clock that throws fails what asks it, and nothing else")
{
    bool throws = false;
    lmdb_storage_options options;
    options.path = directory / "storage";
    options.now = [&]
    {
        if (throws)
            throw std::logic_error{"no time"};
        return std::chrono::system_clock::now();
    };
    auto const storage = lmdb_storage::make(std::move(options));
    completed(storage->put("a", secret("one"), later()));
    throws = true;
    auto const error_of = [](auto operation) -> error_code
    {
        try
        {
            (void)completed(std::move(operation));
        }
        catch (system_error const& e)
        {
            return e.code();
        }
        return {};
    };
    CHECK(error_of(storage->get("a")) == lmdb_errc::clock_failed);
    CHECK(error_of(storage->take("a")) == lmdb_errc::clock_failed);
    CHECK(error_of(storage->erase("a")) == lmdb_errc::clock_failed);
    throws = false;
    CHECK(completed(storage->take("a")) == secret("one"));
}

TEST_CASE_FIXTURE(fixture, "an operation goes on when its storage has gone; later ones say that it is closed")
{
    auto storage = make();
    boost::asio::io_context io;
    started put{io, storage->put("a", secret("one"), later())};
    auto late = storage->get("a");
    storage.reset();
    io.run();
    CHECK(put.end->done);
    CHECK_FALSE(put.end->code);
    CHECK_THROWS_AS(completed(std::move(late)), system_error);
    CHECK(completed(make()->get("a")) == secret("one"));
}

TEST_CASE_FIXTURE(fixture, "what is queued when the storage goes is finished")
{
    auto storage = make();
    boost::asio::io_context io;
    doors.close();
    std::vector<std::unique_ptr<started<void>>> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(
            std::make_unique<started<void>>(io, storage->put("name" + std::to_string(i), secret("one"), later())));
    doors.wait_for_visitor();
    doors.open();
    storage.reset();
    io.run();
    for (auto const& one : all)
    {
        CHECK(one->end->done);
        CHECK_FALSE(one->end->code);
    }
    CHECK(make()->stats().entries == 20);
}

TEST_CASE_FIXTURE(fixture, "a storage may go in the completion of its own operation")
{
    auto const use = [](std::shared_ptr<lmdb_storage> s) -> boost::asio::awaitable<void>
    {
        co_await s->put("a", secret("one"), later());
        s.reset();
    };
    completed(use(make()));
    CHECK(completed(make()->get("a")) == secret("one"));
}

namespace {

/// Runs everything where it is posted: for a storage, on the storage's own thread.
class inline_executor
{
public:
    explicit inline_executor(boost::asio::execution_context& context) : context_(&context) {}

    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept { return *context_; }
    static constexpr auto query(boost::asio::execution::blocking_t) noexcept
    {
        return boost::asio::execution::blocking.never;
    }
    inline_executor require(boost::asio::execution::blocking_t::never_t) const { return *this; }
    template <class F>
    void execute(F f) const
    {
        f();
    }
    friend bool operator==(inline_executor const&, inline_executor const&) noexcept = default;

private:
    boost::asio::execution_context* context_;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a storage may even go on its own thread")
{
    boost::asio::io_context context;
    std::atomic<bool> done{false};
    auto const use = [](std::shared_ptr<lmdb_storage> s) -> boost::asio::awaitable<void>
    {
        co_await s->put("a", secret("one"), later());
        s.reset();
    };
    boost::asio::co_spawn(inline_executor{context}, use(make()), [&](std::exception_ptr) { done = true; });
    auto const deadline = std::chrono::steady_clock::now() + 20s;
    while (!done && std::chrono::steady_clock::now() < deadline)
        std::this_thread::yield();
    REQUIRE(done);
    // The files are closed when its threads have ended.
    std::shared_ptr<lmdb_storage> again;
    while (!again && std::chrono::steady_clock::now() < deadline)
        try
        {
            again = make();
        }
        catch (system_error const& e)
        {
            REQUIRE(e.code() == lmdb_errc::already_open);
        }
    REQUIRE(again != nullptr);
    CHECK(completed(again->get("a")) == secret("one"));
}

TEST_CASE_FIXTURE(fixture, "strands and thread pools share one storage")
{
    auto const storage = make();
    std::atomic<int> done{0};
    auto const use = [](lmdb_storage& s, std::string prefix) -> boost::asio::awaitable<void>
    {
        for (int i = 0; i < 50; ++i)
        {
            auto const name = prefix + std::to_string(i);
            co_await s.put(name, secret(name), later());
            auto const found = co_await s.get(name);
            if (!found || *found != secret(name))
                throw std::logic_error{"not found"};
        }
    };
    boost::asio::thread_pool pool{3};
    boost::asio::io_context io;
    for (int i = 0; i < 8; ++i)
    {
        auto const count = [&](std::exception_ptr e) { done += e ? 0 : 1; };
        boost::asio::co_spawn(boost::asio::make_strand(pool), use(*storage, "p" + std::to_string(i) + "-"), count);
        boost::asio::co_spawn(io, use(*storage, "i" + std::to_string(i) + "-"), count);
    }
    io.run();
    pool.join();
    CHECK(done == 16);
    CHECK(storage->stats().entries == 800);
}

TEST_SUITE_END();
