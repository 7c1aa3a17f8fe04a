// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/handshake_counters.hpp>
#include <reprise/session_cache.hpp>

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

    /** Export a server's cache. Replaces the server's cache of this name, for example after the certificate was renewed.

        Counters continue from the values of the replaced cache, so no counter decreases. Gauges are those of the new cache.
        Handshakes that complete on the replaced cache later are not counted. The exporter holds the cache, its context and
        private key until the cache is replaced or removed.
    */
    void add(std::string const& name, session_cache cache);

    /// Export the counters of clients, which have them as `client_options::observer`. Replaces the client counters of this name,
    /// and continues from their values. @throws system_error `errc::bad_option` for a null pointer.
    void add(std::string const& name, std::shared_ptr<handshake_counters const> counters);

    /// Stop exporting the server's cache and the client counters of this name, and release both. Counters that are added later
    /// under this name begin at zero, which Prometheus treats as a restart. @return Whether the name was known.
    bool remove(std::string const& name);

    /// For `prometheus::Exposer::RegisterCollectable`. It lives on as long as somebody has it.
    [[nodiscard]] std::shared_ptr<prometheus::Collectable> collectable() const;

    /// The same as Prometheus' text, for a server that answers GET /metrics itself
    /// (`text/plain; version=0.0.4`).
    [[nodiscard]] std::string text() const;

private:
    class impl;
    std::shared_ptr<impl> const impl_;
};

} // namespace reprise
