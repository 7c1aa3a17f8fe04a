// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/require_option.hpp"
#include "storage/lmdb/engine.hpp"

#include <reprise/base/error.hpp>
#include <reprise/storage/lmdb_error.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <boost/asio/this_coro.hpp>

#include <type_traits>
#include <utility>

namespace reprise {

namespace {

using detail::lmdb_answer;
using detail::lmdb_command;
using detail::lmdb_engine;
using detail::lmdb_operation;
using detail::lmdb_request;

using engine_ptr = std::shared_ptr<lmdb_engine>;

template <auto part>
struct result_of_part
{
    using type = std::remove_cvref_t<decltype(std::declval<lmdb_answer&>().*part)>;
};

template <>
struct result_of_part<nullptr>
{
    using type = void;
};

/// Send the request and await its answer, of which `part` is the result; `nullptr` for none.
template <auto part>
asio::awaitable<typename result_of_part<part>::type> ask(engine_ptr engine, lmdb_request request)
{
    auto const executor = co_await asio::this_coro::executor;
    detail::lmdb_reservation room{engine, request.cost()};
    auto const op = std::make_shared<lmdb_operation>(std::move(room), std::move(request), executor);
    engine->start(op, executor);
    co_await op->wait();
    if (op->answer.ec)
        throw system_error{op->answer.ec, engine->path()};
    if constexpr (part != nullptr)
        co_return std::move(op->answer.*part);
}

} // namespace

std::shared_ptr<lmdb_storage> lmdb_storage::make(lmdb_storage_options options)
{
    detail::require_option(!options.path.empty(), "lmdb_storage_options::path: a directory");
    detail::require_option(options.max_bytes >= 1u << 20 && options.max_bytes <= std::uint64_t{1} << 40,
                           "lmdb_storage_options::max_bytes: 1 MiB to 1 TiB");
    detail::require_option(options.durability == lmdb_durability::synced ||
                               options.durability == lmdb_durability::unsynced,
                           "lmdb_storage_options::durability: synced or unsynced");
    detail::require_option(options.max_queued_bytes >= 4096, "lmdb_storage_options::max_queued_bytes: at least 4096");
    detail::require_option(options.max_batch >= 1 && options.max_batch <= 4096,
                           "lmdb_storage_options::max_batch: 1 to 4096");
    detail::require_option(options.read_threads >= 1 && options.read_threads <= 16,
                           "lmdb_storage_options::read_threads: 1 to 16");
    detail::require_option(options.now != nullptr, "lmdb_storage_options::now: a clock");
    auto engine = std::make_shared<lmdb_engine>(std::move(options));
    engine->start();
    return std::shared_ptr<lmdb_storage>{new lmdb_storage{std::move(engine)}};
}

lmdb_storage::lmdb_storage(std::shared_ptr<detail::lmdb_engine> engine) noexcept : engine_(std::move(engine)) {}

lmdb_storage::~lmdb_storage()
{
    engine_->stop();
}

asio::awaitable<std::optional<secret_bytes>> lmdb_storage::get(std::string name)
{
    lmdb_request r{lmdb_command::get, std::move(name)};
    return ask<&lmdb_answer::value>(engine_, std::move(r));
}

asio::awaitable<void> lmdb_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    lmdb_request r{lmdb_command::put, std::move(name), std::move(value), expiry};
    return ask<nullptr>(engine_, std::move(r));
}

asio::awaitable<std::optional<secret_bytes>> lmdb_storage::take(std::string name)
{
    lmdb_request r{lmdb_command::take, std::move(name)};
    return ask<&lmdb_answer::value>(engine_, std::move(r));
}

asio::awaitable<bool> lmdb_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    lmdb_request r{lmdb_command::put_if_absent, std::move(name), std::move(value), expiry};
    return ask<&lmdb_answer::yes>(engine_, std::move(r));
}

asio::awaitable<bool> lmdb_storage::erase(std::string name)
{
    lmdb_request r{lmdb_command::erase, std::move(name)};
    return ask<&lmdb_answer::yes>(engine_, std::move(r));
}

asio::awaitable<std::size_t> lmdb_storage::flush()
{
    lmdb_request r{lmdb_command::flush};
    return ask<&lmdb_answer::count>(engine_, std::move(r));
}

storage_stats lmdb_storage::stats() const
{
    return engine_->stats();
}

lmdb_stats lmdb_storage::more_stats() const
{
    return engine_->more_stats();
}

} // namespace reprise
