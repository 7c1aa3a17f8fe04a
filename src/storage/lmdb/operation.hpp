// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "async/handoff.hpp"

#include <reprise/clock.hpp>
#include <reprise/error.hpp>
#include <reprise/secret_bytes.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace reprise::detail {

class lmdb_engine;

enum class lmdb_command
{
    get,
    put,
    take,
    put_if_absent,
    erase,
    flush,
    epoch,
};

struct lmdb_request
{
    lmdb_command command = lmdb_command::get;
    std::string name{};
    secret_bytes value{};
    time_point expiry{};

    [[nodiscard]] bool is_read() const noexcept
    {
        return command == lmdb_command::get || command == lmdb_command::epoch;
    }

    /// Memory that the request takes until it is done, in bytes.
    [[nodiscard]] std::size_t cost() const noexcept { return 256 + name.size() + value.size(); }
};

struct lmdb_answer
{
    error_code ec{};
    std::optional<secret_bytes> value{}; // get, take
    bool yes = false;                    // put_if_absent, erase
    std::size_t count = 0;               // flush
    std::uint64_t evicted = 0;           // all but get and flush: entries evicted so far
};

/// Room in the engine's queues, given back on destruction.
class lmdb_reservation
{
public:
    /// @throws system_error `lmdb_errc::queue_full`.
    lmdb_reservation(std::shared_ptr<lmdb_engine> engine, std::size_t bytes);
    lmdb_reservation(lmdb_reservation&&) = default;
    lmdb_reservation& operator=(lmdb_reservation&&) = delete;
    ~lmdb_reservation();

private:
    std::shared_ptr<lmdb_engine> engine_;
    std::size_t bytes_;
};

using lmdb_queue_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<struct lmdb_queue_tag>>;

/** An operation that goes from the caller's context to the engine's threads and back.

    It ends with the engine's answer, with a cancellation, or with the end of the caller's context.
*/
class lmdb_operation final : public handoff, public lmdb_queue_hook
{
public:
    lmdb_operation(lmdb_reservation room, lmdb_request r, asio::any_io_executor const& executor)
        : handoff(executor), request(std::move(r)), room_(std::move(room))
    {
    }

    /// Claim the operation for the engine. Returns false if no coroutine waits any more.
    [[nodiscard]] bool begin() noexcept { return !is_over() && advance(stage::begun); }

    lmdb_request const request;
    lmdb_answer answer{}; // owned by the engine between `begin` and `complete`

private:
    friend class lmdb_operations;

    enum class stage
    {
        waiting,
        begun,
        abandoned,
    };

    bool advance(stage to) noexcept
    {
        auto expected = stage::waiting;
        return stage_.compare_exchange_strong(expected, to);
    }

    // An operation that has begun may change something. Only `terminal` allows to leave open whether it does.
    bool may_cancel(asio::cancellation_type type) noexcept override
    {
        bool const may_have_effects = (type & asio::cancellation_type::terminal) != asio::cancellation_type::none;
        return advance(stage::abandoned) || may_have_effects || request.is_read();
    }

    lmdb_reservation const room_;
    std::shared_ptr<lmdb_operation> self_; // set while in a list
    std::atomic<stage> stage_{stage::waiting};
};

using lmdb_operation_ptr = std::shared_ptr<lmdb_operation>;

/// A list of operations. It allocates nothing, so that a lack of memory loses no operation.
class lmdb_operations
{
public:
    lmdb_operations() = default;
    lmdb_operations(lmdb_operations const&) = delete;
    lmdb_operations& operator=(lmdb_operations const&) = delete;
    ~lmdb_operations() { clear(); }

    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    [[nodiscard]] lmdb_operation& front() noexcept { return list_.front(); }
    [[nodiscard]] auto begin() noexcept { return list_.begin(); }
    [[nodiscard]] auto end() noexcept { return list_.end(); }

    void push_back(lmdb_operation_ptr op) noexcept
    {
        auto& added = *op;
        added.self_ = std::move(op);
        list_.push_back(added);
    }

    [[nodiscard]] lmdb_operation_ptr pop_front() noexcept
    {
        auto op = std::move(list_.front().self_);
        list_.pop_front();
        return op;
    }

    /// Move all operations of `others` to the end.
    void append(lmdb_operations& others) noexcept { list_.splice(list_.end(), others.list_); }

    void clear() noexcept
    {
        while (!empty())
            (void)pop_front();
    }

private:
    boost::intrusive::list<lmdb_operation, boost::intrusive::base_hook<lmdb_queue_hook>,
                           boost::intrusive::constant_time_size<false>>
        list_;
};

} // namespace reprise::detail
