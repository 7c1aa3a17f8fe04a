# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# The headers of 0.1 were in other places. Each old path is a header that includes the new one, until 0.3.

set(reprise_old_headers
    base/aead.hpp detail/base/aead.hpp
    base/clock.hpp clock.hpp
    base/connect_result.hpp detail/net/connect_result.hpp
    base/error.hpp error.hpp
    base/locked_bytes.hpp locked_bytes.hpp
    base/secret_bytes.hpp secret_bytes.hpp
    client/client_connection.hpp detail/client/client_handshake.hpp
    client/client_options.hpp client_options.hpp
    client/client_stream.hpp client_stream.hpp
    client/early_data.hpp early_data.hpp
    client/explain.hpp explain.hpp
    client/http_proxy.hpp http_proxy.hpp
    client/memory_session_store.hpp memory_session_store.hpp
    client/peer_name.hpp detail/net/peer_name.hpp
    client/persistent_session_store.hpp persistent_session_store.hpp
    client/policy_changed.hpp policy_changed.hpp
    client/proxy_handshake.hpp detail/client/proxy_handshake.hpp
    client/response_head.hpp detail/client/response_head.hpp
    client/retry_options.hpp retry_options.hpp
    client/session_file.hpp session_file.hpp
    client/session_key.hpp session_scope.hpp
    client/session_store.hpp session_store.hpp
    client/transport.hpp detail/client/transport.hpp
    http/exchange.hpp detail/http/exchange.hpp
    http/read_message.hpp detail/http/read_message.hpp
    http/retry_after.hpp detail/http/retry_after.hpp
    io/attempt_plan.hpp detail/net/attempt_plan.hpp
    io/coalesce.hpp detail/stream/coalesce.hpp
    io/connect_race.hpp detail/net/connect_race.hpp
    io/default_socket.hpp default_socket.hpp
    io/default_token.hpp detail/async/default_token.hpp
    io/event.hpp detail/async/event.hpp
    io/fast_open.hpp fast_open.hpp
    io/gate.hpp detail/async/direction_lock.hpp
    io/initiate.hpp detail/async/initiate.hpp
    io/initiation.hpp detail/async/initiation.hpp
    io/lowest_socket.hpp detail/net/lowest_socket.hpp
    io/shut_down.hpp detail/stream/shut_down.hpp
    io/spawn_cancellable.hpp detail/async/spawn_cancellable.hpp
    io/tls_stream.hpp detail/stream/tls_stream.hpp
    io/watchdog.hpp detail/async/watchdog.hpp
    io/within.hpp detail/async/with_timeout.hpp
    server/accept.hpp detail/server/server_handshake.hpp
    server/early_data_options.hpp early_data_options.hpp
    server/replay_guard.hpp replay_guard.hpp
    server/server_options.hpp server_options.hpp
    server/server_stream.hpp server_stream.hpp
    server/session_cache.hpp session_cache.hpp
    server/strike.hpp detail/server/strike.hpp
    server/ticket_key.hpp ticket_key.hpp
    server/ticket_key_file.hpp ticket_key_file.hpp
    server/ticket_keys.hpp ticket_keys.hpp
    tls/client_hello.hpp client_hello.hpp
    tls/early_data_reason.hpp early_data_reason.hpp
    tls/handshake_counters.hpp handshake_counters.hpp
    tls/handshake_info.hpp handshake_info.hpp
    tls/observer.hpp observer.hpp
    tls/session.hpp session.hpp
    tls/ssl_handles.hpp ssl_handles.hpp
    tls/tls_engine.hpp detail/stream/tls_engine.hpp)

set(old_headers_dir ${PROJECT_BINARY_DIR}/old_headers)
while(reprise_old_headers)
    list(POP_FRONT reprise_old_headers old new)
    file(CONFIGURE OUTPUT ${old_headers_dir}/reprise/${old} @ONLY CONTENT
        "#pragma once
#pragma message(\"reprise: <reprise/@old@> is <reprise/@new@> since 0.2\")
#include <reprise/@new@>
")
endwhile()
target_include_directories(reprise PUBLIC $<BUILD_INTERFACE:${old_headers_dir}>)
