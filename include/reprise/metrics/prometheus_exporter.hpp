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

/** Exports counters to Prometheus. The counters are read when Prometheus scrapes, so handshakes have no extra cost.

    All metrics have the labels `name`, chosen by the caller, and `end`, which is "client" or "server":

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

    The class is in the target `reprise::prometheus`, which needs prometheus-cpp.

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

    /** Export a server's cache. Replaces the server's cache of this name, for example after the certificate was
        renewed.

        Counters continue from the values of the replaced cache, so no counter decreases. Gauges show the new cache.
        Later handshakes on the replaced cache are not counted. The exporter keeps the cache, its context and private
        key until the cache is replaced or removed.
    */
    void add(std::string const& name, session_cache cache);

    /// Export the counters of clients, which set them as `client_options::observer`. Replaces the client counters of
    /// this name and continues from their values. @throws system_error `errc::bad_option` for a null pointer.
    void add(std::string const& name, std::shared_ptr<handshake_counters const> counters);

    /// Stop exporting the server's cache and the client counters of this name, and release both. Counters that are
    /// added later under this name begin at zero, which Prometheus treats as a restart. @return Whether the name was
    /// known.
    bool remove(std::string const& name);

    /// The collectable for `prometheus::Exposer::RegisterCollectable`. It is valid as long as the caller holds it.
    [[nodiscard]] std::shared_ptr<prometheus::Collectable> collectable() const;

    /// All metrics in Prometheus' text format (`text/plain; version=0.0.4`), for a server that answers GET /metrics
    /// itself.
    [[nodiscard]] std::string text() const;

private:
    class impl;
    std::shared_ptr<impl> const impl_;
};

} // namespace reprise
