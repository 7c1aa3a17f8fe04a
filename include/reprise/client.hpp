// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
/// @file Everything for clients, apart from the optional parts: storages, http/, metrics/ and testing/.
#pragma once

#include <reprise/client_handle.hpp>
#include <reprise/client_options.hpp>
#include <reprise/client_stream.hpp>
#include <reprise/connect_options.hpp>
#include <reprise/early_data.hpp>
#include <reprise/error.hpp>
#include <reprise/explain.hpp>
#include <reprise/handshake_counters.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/observer.hpp>
#include <reprise/persistent_session_store.hpp>
#include <reprise/policy_changed.hpp>
#include <reprise/session.hpp>
#include <reprise/session_file.hpp>
#include <reprise/session_store.hpp>
#include <reprise/version.hpp>
