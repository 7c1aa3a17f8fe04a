// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/error.hpp>
#include <reprise/metrics/prometheus_exporter.hpp>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise {

namespace {

using labels = std::vector<prometheus::ClientMetric::Label>;

// The families that are made, each once, in the order of their names.
class families
{
public:
    void counter(std::string const& name, char const* help, labels with, std::uint64_t value)
    {
        auto& metric = add(name, help, prometheus::MetricType::Counter, std::move(with));
        metric.counter.value = static_cast<double>(value);
    }

    void gauge(std::string const& name, char const* help, labels with, std::uint64_t value)
    {
        auto& metric = add(name, help, prometheus::MetricType::Gauge, std::move(with));
        metric.gauge.value = static_cast<double>(value);
    }

    [[nodiscard]] std::vector<prometheus::MetricFamily> take()
    {
        std::vector<prometheus::MetricFamily> result;
        result.reserve(by_name_.size());
        for (auto& [name, family] : by_name_)
            result.push_back(std::move(family));
        return result;
    }

private:
    prometheus::ClientMetric& add(std::string const& name, char const* help, prometheus::MetricType type, labels with)
    {
        auto& family = by_name_[name];
        family.name = name;
        family.help = help;
        family.type = type;
        auto& metric = family.metric.emplace_back();
        metric.label = std::move(with);
        return metric;
    }

    std::map<std::string, prometheus::MetricFamily> by_name_;
};

// Those of one end, with more.
labels with(labels const& own, std::initializer_list<std::pair<char const*, std::string_view>> more)
{
    auto result = own;
    for (auto const& [name, value] : more)
        result.push_back({name, std::string{value}});
    return result;
}

// What both ends count alike: handshake_counts or session_cache_stats.
template <class Counts>
void add_handshakes(families& to, labels const& own, Counts const& counts)
{
    constexpr char const* name = "reprise_handshakes_total";
    constexpr char const* help = "Complete TLS handshakes";
    for (std::size_t i = 1; i < resumption_kind_count; ++i)
        to.counter(name, help, with(own, {{"result", "resumed"}, {"kind", to_string(static_cast<resumption_kind>(i))}}),
                   counts.resumed_by_kind[i]);
    for (std::size_t i = 1; i < full_reason_count; ++i)
        to.counter(name, help, with(own, {{"result", "full"}, {"reason", to_string(static_cast<full_reason>(i))}}),
                   counts.full_by_reason[i]);
    to.counter("reprise_handshake_failures_total", "TLS handshakes that failed", own, counts.failed);
}

void add_early_data(families& to, labels const& own, std::uint64_t accepted, std::uint64_t rejected)
{
    constexpr char const* name = "reprise_early_data_total";
    constexpr char const* help = "First flights with early data";
    to.counter(name, help, with(own, {{"result", "accepted"}}), accepted);
    to.counter(name, help, with(own, {{"result", "rejected"}}), rejected);
}

void add_storage(families& to, labels const& own, session_cache_stats const& s)
{
    to.counter("reprise_sessions_kept_total", "Sessions kept for later", own, s.stored);
    to.gauge("reprise_sessions", "Sessions held now", own, s.entries);
    to.gauge("reprise_session_bytes", "Memory or disk that they take", own, s.bytes);
    to.counter("reprise_storage_lookups_total", "Times that the storage was asked", own, s.lookups);
    to.counter("reprise_storage_errors_total", "Operations that the storage failed", own, s.storage_errors);
    constexpr char const* lost = "reprise_sessions_lost_total";
    constexpr char const* help = "Sessions that are not held any more, or never were";
    to.counter(lost, help, with(own, {{"how", "dropped"}}), s.dropped);
    to.counter(lost, help, with(own, {{"how", "expired"}}), s.expired);
    to.counter(lost, help, with(own, {{"how", "evicted"}}), s.evicted);
    to.counter(lost, help, with(own, {{"how", "rejected"}}), s.rejected);
}

void add_tickets(families& to, labels const& own, ticket_stats const& t)
{
    to.gauge("reprise_ticket_keys", "Ticket keys held now", own, t.keys);
    to.gauge("reprise_ticket_keys_can_issue", "Whether one of them issues now", own, t.can_issue ? 1 : 0);
    constexpr char const* tickets = "reprise_tickets_total";
    constexpr char const* help = "Tickets sealed, and shown";
    to.counter(tickets, help, with(own, {{"what", "issued"}}), t.issued);
    to.counter(tickets, help, with(own, {{"what", "opened"}}), t.opened);
    to.counter(tickets, help, with(own, {{"what", "unknown"}}), t.unknown);
    constexpr char const* steps = "reprise_ticket_key_steps_total";
    constexpr char const* of_steps = "Changes of the ticket keys";
    to.counter(steps, of_steps, with(own, {{"result", "taken"}}), t.steps);
    to.counter(steps, of_steps, with(own, {{"result", "refused"}}), t.refused_steps);
    to.counter(steps, of_steps, with(own, {{"result", "failed"}}), t.failed_refreshes);
}

std::uint64_t sum(std::array<std::uint64_t, early_data_reason_count> const& counts)
{
    std::uint64_t result = 0;
    for (auto const count : counts)
        result += count;
    return result;
}

} // namespace

class prometheus_exporter::state final : public prometheus::Collectable
{
public:
    void add(std::string name, session_cache cache)
    {
        std::lock_guard const lock{mutex_};
        insert(servers_, std::move(name), std::move(cache));
    }

    void add(std::string name, std::shared_ptr<handshake_counters const> counters)
    {
        std::lock_guard const lock{mutex_};
        insert(clients_, std::move(name), std::move(counters));
    }

    [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override
    {
        families all;
        std::lock_guard const lock{mutex_};
        for (auto const& [name, counters] : clients_)
        {
            labels const own{{"name", name}, {"end", "client"}};
            auto const counts = counters->counts();
            add_handshakes(all, own, counts);
            add_early_data(all, own, counts.early_accepted, counts.early_rejected);
            all.counter("reprise_sessions_kept_total", "Sessions kept for later", own, counts.sessions);
        }
        for (auto const& [name, cache] : servers_)
        {
            labels const own{{"name", name}, {"end", "server"}};
            auto const stats = cache.stats();
            add_handshakes(all, own, stats);
            add_early_data(all, own, stats.early_accepted, sum(stats.early_rejected_by_reason));
            add_storage(all, own, stats);
            add_tickets(all, own, cache.tickets());
        }
        return all.take();
    }

private:
    template <class Map, class Value>
    static void insert(Map& into, std::string name, Value value)
    {
        if (!into.try_emplace(name, std::move(value)).second)
            throw system_error{errc::bad_option, "prometheus_exporter: there is one already that is called " + name};
    }

    mutable std::mutex mutex_;
    std::map<std::string, session_cache> servers_;
    std::map<std::string, std::shared_ptr<handshake_counters const>> clients_;
};

prometheus_exporter::prometheus_exporter() : state_(std::make_shared<state>()) {}

prometheus_exporter::~prometheus_exporter() = default;

void prometheus_exporter::add(std::string name, session_cache cache)
{
    state_->add(std::move(name), std::move(cache));
}

void prometheus_exporter::add(std::string name, std::shared_ptr<handshake_counters const> counters)
{
    if (!counters)
        throw system_error{errc::bad_option, "prometheus_exporter: counters"};
    state_->add(std::move(name), std::move(counters));
}

std::shared_ptr<prometheus::Collectable> prometheus_exporter::collectable() const
{
    return state_;
}

std::string prometheus_exporter::text() const
{
    return prometheus::TextSerializer{}.Serialize(state_->Collect());
}

} // namespace reprise
