// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/clock.hpp>
#include <reprise/base/error.hpp>
#include <reprise/base/secret_bytes.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/intrusive/list_hook.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

class lmdb_engine;
class completion_port;

enum class lmdb_command
{
    get,
    put,
    take,
    put_if_absent,
    erase,
    flush,
};

struct lmdb_request
{
    lmdb_command command = lmdb_command::get;
    std::string name{};
    secret_bytes value{};
    time_point expiry{};

    /// Memory that it takes while it is not done.
    [[nodiscard]] std::size_t cost() const noexcept { return 256 + name.size() + value.size(); }
};

struct lmdb_answer
{
    error_code ec{};
    std::optional<secret_bytes> value{}; // get, take
    bool yes = false;                    // put_if_absent, erase
    std::size_t count = 0;               // flush
};

/// Room in the engine's queues: it is given back with this object.
class lmdb_reservation
{
public:
    /// @throws system_error `lmdb_errc::queue_full`.
    lmdb_reservation(std::shared_ptr<lmdb_engine> engine, std::size_t bytes);
    lmdb_reservation(lmdb_reservation&&) = default;
    lmdb_reservation& operator=(lmdb_reservation&&) = delete;
    ~lmdb_reservation();

    [[nodiscard]] lmdb_engine& engine() const noexcept { return *engine_; }

private:
    std::shared_ptr<lmdb_engine> engine_;
    std::size_t bytes_;
};

/** One operation on its way: from the caller's context to the engine's threads and back.

    Three may end it: the engine that has the answer, a cancellation, and the end of the caller's context. The first of them
    to take it off its completion_port's list has the handler.
*/
class lmdb_operation : public boost::intrusive::list_base_hook<>
{
public:
    lmdb_operation(lmdb_reservation room, lmdb_request r, asio::any_io_executor ex)
        : request(std::move(r)), room_(std::move(room)), executor_(std::move(ex))
    {
    }
    lmdb_operation(lmdb_operation const&) = delete;
    lmdb_operation& operator=(lmdb_operation const&) = delete;
    virtual ~lmdb_operation() = default;

    /// The engine carries it out from here on. False if it has been cancelled before.
    [[nodiscard]] bool begin() noexcept { return advance(stage::begun); }

    /// It will not be carried out. False if it has begun.
    [[nodiscard]] bool abandon() noexcept { return advance(stage::abandoned); }

    /// Call the handler, from its executor. Once, by whoever took it off the list; so with `drop`.
    virtual void complete(lmdb_answer a) = 0;

    /// Destroy the handler.
    virtual void drop() noexcept = 0;

    [[nodiscard]] asio::any_io_executor const& executor() const noexcept { return executor_; }
    [[nodiscard]] lmdb_engine& engine() const noexcept { return room_.engine(); }

    lmdb_request const request;
    lmdb_answer answer; // the engine's, between `begin` and `complete`

    std::shared_ptr<completion_port> port;
    std::shared_ptr<lmdb_operation> self; // while it is on the port's list

private:
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

    lmdb_reservation const room_;
    asio::any_io_executor const executor_;
    std::atomic<stage> stage_{stage::waiting};
};

using lmdb_operation_ptr = std::shared_ptr<lmdb_operation>;

} // namespace reprise::detail
