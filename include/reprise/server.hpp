// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
/// @file All headers for servers, except the optional parts: LMDB and Redis, http/, metrics/ and testing/.
#pragma once

#include <reprise/client_hello.hpp>
#include <reprise/early_data_options.hpp>
#include <reprise/error.hpp>
#include <reprise/fast_open.hpp>
#include <reprise/handshake_counters.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/observer.hpp>
#include <reprise/replay_guard.hpp>
#include <reprise/server_options.hpp>
#include <reprise/server_stream.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/ticket_key_file.hpp>
#include <reprise/ticket_keys.hpp>
#include <reprise/version.hpp>
