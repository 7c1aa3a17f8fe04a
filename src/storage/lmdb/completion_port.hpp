// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/lmdb/operation.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace reprise::detail {

/** Where one execution context and the threads of lmdb_storages meet.

    Operations leave together: the first one posts a task to its own executor, which passes on all that have come by then.
    So one wake-up serves all coroutines that were ready. It costs no time: an answer could not have reached the caller
    earlier than behind what was ready before.

    Answers are posted to the operations' executors one by one, so that all threads of the context can take some.
*/
class completion_port : public std::enable_shared_from_this<completion_port>
{
public:
    /// That of a context; made when it is first asked for.
    [[nodiscard]] static std::shared_ptr<completion_port> of(asio::execution_context& context);

    /// Send the operation to its engine. May be called from within the context only.
    void start(lmdb_operation_ptr op);

    /// Complete it with `operation_aborted`, if `type` allows. May be called from within the context only.
    void cancel(lmdb_operation_ptr const& op, asio::cancellation_type type);

    /// Complete operations of any ports with their answers, except those that others have ended. From any thread.
    static void complete(std::span<lmdb_operation_ptr> ops);

    /// The context ends: destroy the handlers that wait.
    void shut_down();

private:
    void pass_on();
    void complete_own(std::span<lmdb_operation_ptr> ops);

    std::mutex mutex_;
    std::condition_variable all_posted_;
    boost::intrusive::list<lmdb_operation> waiting_;
    std::vector<lmdb_operation_ptr> leaving_;
    int posting_ = 0; // threads that use executors of the context: it may not end meanwhile
    bool is_shut_down_ = false;
};

} // namespace reprise::detail
