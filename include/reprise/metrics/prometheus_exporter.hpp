// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/server/session_cache.hpp>
#include <reprise/tls/handshake_counters.hpp>

#include <memory>
#include <string>

namespace prometheus {
class Collectable;
}

namespace reprise {

/** Counters for Prometheus, read when it asks; handshakes pay nothing for it.

    Everything has the labels `name`, which is the caller's, and `end`, which is "client" or "server":

    | metric | further labels |
    |---|---|
    | `reprise_handshakes_total` | `result`: "resumed" with `kind`, "full" with `reason`, as `to_string` names them |
    | `reprise_handshake_failures_total` | |
    | `reprise_early_data_total` | `result`: "accepted", "rejected" |
    | `reprise_sessions_kept_total` | |
    | `reprise_sessions`, `reprise_session_bytes` | of a server's storage, now |
    | `reprise_storage_lookups_total`, `reprise_storage_errors_total` | |
    | `reprise_sessions_lost_total` | `how`: "dropped", "expired", "evicted", "rejected" |
    | `reprise_ticket_keys`, `reprise_ticket_keys_can_issue` | now |
    | `reprise_tickets_total` | `what`: "issued", "opened", "unknown" |
    | `reprise_ticket_key_steps_total` | `result`: "taken", "refused", "failed" |

    It is in the target `reprise::prometheus`, which needs prometheus-cpp.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class prometheus_exporter
{
public:
    prometheus_exporter();
    ~prometheus_exporter();
    prometheus_exporter(prometheus_exporter const&) = delete;
    prometheus_exporter& operator=(prometheus_exporter const&) = delete;

    /// A server's cache. @throws system_error `errc::bad_option`, if that end has one of this name.
    void add(std::string name, session_cache cache);

    /// A program's clients, or some of them: they have it as `client_options::observer`. @throws the same.
    void add(std::string name, std::shared_ptr<handshake_counters const> counters);

    /// For `prometheus::Exposer::RegisterCollectable`. It lives on as long as somebody has it.
    [[nodiscard]] std::shared_ptr<prometheus::Collectable> collectable() const;

    /// The same as Prometheus' text, for a server that answers GET /metrics itself
    /// (`text/plain; version=0.0.4`).
    [[nodiscard]] std::string text() const;

private:
    class state;
    std::shared_ptr<state> const state_;
};

} // namespace reprise
