// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/fork.hpp"
#include "base/require_option.hpp"
#include "storage/lmdb/engine.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/lmdb_error.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <boost/asio/this_coro.hpp>

#include <atomic>
#include <utility>

namespace reprise {

namespace {

using detail::lmdb_answer;
using detail::lmdb_command;
using detail::lmdb_engine;
using detail::lmdb_operation;
using detail::lmdb_request;

using engine_ptr = std::shared_ptr<lmdb_engine>;
using operation_ptr = std::shared_ptr<lmdb_operation>;

} // namespace

// One engine for each process: neither an LMDB environment nor a thread survives fork(2).
class lmdb_storage::impl
{
public:
    explicit impl(lmdb_storage_options options) : options_(std::move(options)) { (void)get(); }

    /// Return the engine of this process. Throws if it cannot be made.
    engine_ptr get()
    {
        return of_process_.get(
            [this]
            {
                if (is_stopped_)
                    throw system_error{lmdb_errc::closed, options_.path.string()};
                auto engine = std::make_shared<lmdb_engine>(options_);
                engine->start();
                return engine;
            });
    }

    /// Return the engine of this process, or null.
    [[nodiscard]] engine_ptr find() const noexcept
    {
        auto const* const engine = of_process_.find();
        return engine != nullptr ? *engine : nullptr;
    }

    void stop() noexcept
    {
        is_stopped_ = true;
        if (auto const engine = find())
            engine->stop();
    }

    /// Carry the request out and await its answer.
    static asio::awaitable<operation_ptr> ask(std::shared_ptr<impl> self, lmdb_request request)
    {
        auto const executor = co_await asio::this_coro::executor;
        auto const engine = self->get();
        self.reset();
        detail::lmdb_reservation room{engine, request.cost()};
        auto op = std::make_shared<lmdb_operation>(std::move(room), std::move(request), executor);
        engine->start(op, executor);
        co_await op->wait();
        if (op->answer.ec)
            throw system_error{op->answer.ec, engine->path()};
        co_return op;
    }

    /// Return `part` of the answer.
    template <class T>
    static asio::awaitable<T> ask_for(std::shared_ptr<impl> self, T lmdb_answer::* part, lmdb_request request)
    {
        auto const op = co_await ask(std::move(self), std::move(request));
        co_return std::move(op->answer.*part);
    }

    static asio::awaitable<void> ask_for_nothing(std::shared_ptr<impl> self, lmdb_request request)
    {
        (void)co_await ask(std::move(self), std::move(request));
    }

    /// Return `part` of the answer, and the epoch of the transaction that gave the answer.
    template <class T>
    static asio::awaitable<with_epoch<T>> ask_with_epoch(std::shared_ptr<impl> self, T lmdb_answer::* part,
                                                         lmdb_request request)
    {
        auto const engine = self->get();
        auto const op = co_await ask(std::move(self), std::move(request));
        with_epoch<T> result;
        result.value = std::move(op->answer.*part);
        result.epoch = epoch_of(*engine, op->answer);
        co_return result;
    }

    static asio::awaitable<storage_epoch> epoch(std::shared_ptr<impl> self)
    {
        auto const engine = self->get();
        lmdb_request request{lmdb_command::epoch};
        auto const op = co_await ask(std::move(self), std::move(request));
        auto result = epoch_of(*engine, op->answer);
        if (result.incarnation.empty())
            throw system_error{errc::guard_unsure, engine->path() + "/incarnation cannot be locked and written"};
        co_return result;
    }

private:
    static storage_epoch epoch_of(lmdb_engine const& engine, lmdb_answer const& answer)
    {
        storage_epoch result;
        result.incarnation = engine.incarnation();
        result.evicted = answer.evicted;
        return result;
    }

    lmdb_storage_options const options_;
    detail::per_process<engine_ptr> of_process_;
    std::atomic<bool> is_stopped_ = false;
};

std::shared_ptr<lmdb_storage> lmdb_storage::make(lmdb_storage_options options)
{
    detail::require_option(!options.path.empty(), "lmdb_storage_options::path must not be empty");
    detail::require_option(options.max_bytes >= 1u << 20 && options.max_bytes <= std::uint64_t{1} << 40,
                           "lmdb_storage_options::max_bytes must be 1 MiB to 1 TiB");
    detail::require_option(options.durability == lmdb_durability::synced ||
                               options.durability == lmdb_durability::unsynced,
                           "lmdb_storage_options::durability must be synced or unsynced");
    detail::require_option(options.max_queued_bytes >= 4096,
                           "lmdb_storage_options::max_queued_bytes must be at least 4096");
    detail::require_option(options.max_batch >= 1 && options.max_batch <= 4096,
                           "lmdb_storage_options::max_batch must be 1 to 4096");
    detail::require_option(options.read_threads >= 1 && options.read_threads <= 16,
                           "lmdb_storage_options::read_threads must be 1 to 16");
    detail::require_option(options.now != nullptr, "lmdb_storage_options::now must not be empty");
    return std::shared_ptr<lmdb_storage>{new lmdb_storage{std::make_shared<impl>(std::move(options))}};
}

lmdb_storage::lmdb_storage(std::shared_ptr<impl> made) noexcept : impl_(std::move(made)) {}

lmdb_storage::~lmdb_storage()
{
    impl_->stop();
}

asio::awaitable<std::optional<secret_bytes>> lmdb_storage::get(std::string name)
{
    lmdb_request r{lmdb_command::get, std::move(name)};
    return impl::ask_for(impl_, &lmdb_answer::value, std::move(r));
}

asio::awaitable<void> lmdb_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    lmdb_request r{lmdb_command::put, std::move(name), std::move(value), expiry};
    return impl::ask_for_nothing(impl_, std::move(r));
}

asio::awaitable<std::optional<secret_bytes>> lmdb_storage::take(std::string name)
{
    lmdb_request r{lmdb_command::take, std::move(name)};
    return impl::ask_for(impl_, &lmdb_answer::value, std::move(r));
}

asio::awaitable<bool> lmdb_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    lmdb_request r{lmdb_command::put_if_absent, std::move(name), std::move(value), expiry};
    return impl::ask_for(impl_, &lmdb_answer::yes, std::move(r));
}

asio::awaitable<bool> lmdb_storage::erase(std::string name)
{
    lmdb_request r{lmdb_command::erase, std::move(name)};
    return impl::ask_for(impl_, &lmdb_answer::yes, std::move(r));
}

asio::awaitable<std::size_t> lmdb_storage::flush()
{
    lmdb_request r{lmdb_command::flush};
    return impl::ask_for(impl_, &lmdb_answer::count, std::move(r));
}

asio::awaitable<with_epoch<bool>> lmdb_storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                         time_point expiry)
{
    lmdb_request r{lmdb_command::put_if_absent, std::move(name), std::move(value), expiry};
    return impl::ask_with_epoch(impl_, &lmdb_answer::yes, std::move(r));
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> lmdb_storage::take_with_epoch(std::string name)
{
    lmdb_request r{lmdb_command::take, std::move(name)};
    return impl::ask_with_epoch(impl_, &lmdb_answer::value, std::move(r));
}

asio::awaitable<storage_epoch> lmdb_storage::epoch()
{
    return impl::epoch(impl_);
}

storage_stats lmdb_storage::stats() const
{
    auto const engine = impl_->find();
    return engine ? engine->stats() : storage_stats{};
}

lmdb_stats lmdb_storage::more_stats() const
{
    auto const engine = impl_->find();
    return engine ? engine->more_stats() : lmdb_stats{};
}

} // namespace reprise
