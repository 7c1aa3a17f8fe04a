// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/completion_port.hpp"

#include "storage/lmdb/engine.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace reprise::detail {

namespace {

class port_service final : public asio::execution_context::service
{
public:
    using key_type = port_service;
    static asio::execution_context::id id;

    explicit port_service(asio::execution_context& context)
        : asio::execution_context::service(context), port(std::make_shared<completion_port>())
    {
    }

    std::shared_ptr<completion_port> const port;

private:
    void shutdown() override { port->shut_down(); }
};

asio::execution_context::id port_service::id;

} // namespace

std::shared_ptr<completion_port> completion_port::of(asio::execution_context& context)
{
    return asio::use_service<port_service>(context).port;
}

void completion_port::start(lmdb_operation_ptr op)
{
    auto const& ex = op->executor();
    bool is_first = false;
    {
        std::lock_guard const lock{mutex_};
        op->self = op;
        waiting_.push_back(*op);
        is_first = leaving_.empty();
        leaving_.push_back(op);
    }
    if (is_first)
        asio::post(ex, [port = shared_from_this()] { port->pass_on(); });
}

void completion_port::pass_on()
{
    std::vector<lmdb_operation_ptr> ops;
    {
        std::lock_guard const lock{mutex_};
        ops.swap(leaving_);
        leaving_.reserve(ops.size());
    }
    for (auto rest = std::span{ops}; !rest.empty();)
    {
        auto& engine = rest.front()->engine();
        auto const other =
            std::ranges::find_if(rest, [&](auto const& op) { return &op->engine() != &engine; }) - rest.begin();
        auto const same = rest.first(static_cast<std::size_t>(other));
        engine.enqueue(same);
        rest = rest.subspan(same.size());
    }
}

void completion_port::cancel(lmdb_operation_ptr const& op, asio::cancellation_type type)
{
    using asio::cancellation_type;
    bool const may_have_effects = (type & cancellation_type::terminal) != cancellation_type::none;
    if (!op->abandon() && !may_have_effects && op->request.command != lmdb_command::get)
        return; // it is being carried out, and no one may say that it is not
    lmdb_operation_ptr owner;
    {
        std::lock_guard const lock{mutex_};
        if (!op->is_linked())
            return;
        waiting_.erase(waiting_.iterator_to(*op));
        owner = std::move(op->self);
    }
    lmdb_answer aborted;
    aborted.ec = asio::error::operation_aborted;
    op->complete(std::move(aborted));
}

void completion_port::complete(std::span<lmdb_operation_ptr> ops)
{
    while (!ops.empty())
    {
        auto const port = ops.front()->port;
        auto const other = std::ranges::find_if(ops, [&](auto const& op) { return op->port != port; }) - ops.begin();
        auto const own = ops.first(static_cast<std::size_t>(other));
        port->complete_own(own);
        ops = ops.subspan(own.size());
    }
}

void completion_port::complete_own(std::span<lmdb_operation_ptr> ops)
{
    std::vector<lmdb_operation*> ours;
    ours.reserve(ops.size());
    {
        std::lock_guard const lock{mutex_};
        if (is_shut_down_)
            return;
        for (auto const& op : ops)
            if (op->is_linked())
            {
                waiting_.erase(waiting_.iterator_to(*op));
                op->self.reset(); // `ops` has it
                ours.push_back(op.get());
            }
        ++posting_;
    }
    for (auto* const op : ours)
        op->complete(std::move(op->answer));
    std::lock_guard const lock{mutex_};
    --posting_;
    if (is_shut_down_)
        all_posted_.notify_one();
}

void completion_port::shut_down()
{
    std::vector<lmdb_operation_ptr> ours;
    {
        std::unique_lock lock{mutex_};
        is_shut_down_ = true;
        all_posted_.wait(lock, [this] { return posting_ == 0; });
        leaving_.clear();
        while (!waiting_.empty())
        {
            auto& op = waiting_.front();
            waiting_.pop_front();
            ours.push_back(std::move(op.self));
        }
    }
    for (auto const& op : ours)
        op->drop();
}

} // namespace reprise::detail
