// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/redis/pipeline.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace reprise::detail {

/** Serve a pipeline: connect, write what is queued, bring the answers, connect again; until the pipeline is stopped.

    It runs on `executor`, which has to be a strand or that of a single thread. Everything that belongs to the execution
    context (sockets, timers, coroutines) is owned by what waits in it, so it goes with the context if that goes first. The
    pipeline is then abandoned.

    A lack of memory costs the connection, or a coroutine, which is then begun again.
*/
void serve_pipeline(asio::any_io_executor const& executor, std::shared_ptr<redis_storage_options const> options,
                    std::shared_ptr<pipeline> requests);

} // namespace reprise::detail
