// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/redis/pipeline.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace reprise::detail {

/** Serve a pipeline until it is stopped: connect, write queued requests, deliver the answers, connect again.

    Runs on `executor`, which has to be a strand or the executor of a single thread. Sockets, timers and coroutines are
    owned by the handlers that wait in the execution context. If the context is destroyed first, they are destroyed with
    it, and the pipeline is abandoned.

    A lack of memory costs the connection, or a coroutine, which is then started again.
*/
void serve_pipeline(asio::any_io_executor const& executor, std::shared_ptr<redis_storage_options const> options,
                    std::shared_ptr<pipeline> requests);

} // namespace reprise::detail
