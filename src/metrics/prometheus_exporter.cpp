// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/server_context.hpp"

#include <reprise/error.hpp>
#include <reprise/metrics/prometheus_exporter.hpp>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise {

namespace {

using labels = std::vector<prometheus::ClientMetric::Label>;

// Values of counters when their source was replaced, by family name and labels.
using totals = std::map<std::pair<std::string, labels>, double>;

// The metric families, each once, ordered by name.
class families
{
public:
    /// Add the values of `earlier` to the counters that follow. `earlier` must outlive this object.
    void continue_from(totals const& earlier) { earlier_ = &earlier; }

    void counter(std::string const& name, char const* help, labels with, std::uint64_t value)
    {
        auto const before = earlier_->find({name, with});
        auto& metric = add(name, help, prometheus::MetricType::Counter, std::move(with));
        metric.counter.value = static_cast<double>(value) + (before == earlier_->end() ? 0 : before->second);
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
    totals const* earlier_ = nullptr;
};

// Return the labels of one end, with more.
labels with(labels const& own, std::initializer_list<std::pair<char const*, std::string_view>> more)
{
    auto result = own;
    for (auto const& [name, value] : more)
        result.push_back({name, std::string{value}});
    return result;
}

// Add what both ends count alike: handshake_counts or session_cache_stats.
template <class Counts>
void add_handshakes(families& to, labels const& own, Counts const& counts)
{
    constexpr char const* name = "reprise_handshakes_total";
    constexpr char const* help = "Complete TLS handshakes";
    for (std::size_t i = 1; i < resumption_kind_count; ++i)
        to.counter(name, help, with(own, {{"result", "resumed"}, {"kind", to_string(static_cast<resumption_kind>(i))}}),
                   counts.resumed_by_kind[i]);
    for (std::size_t i = 1; i < full_reason_count; ++i)
        to.counter(name, help,
                   with(own, {{"result", "full"}, {"reason", to_string(static_cast<full_handshake_reason>(i))}}),
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

constexpr char const* lost = "reprise_sessions_lost_total";
constexpr char const* by_cache = "dropped"; // counted by the cache; the others by its storage

void add_storage(families& to, labels const& own, session_cache_stats const& s)
{
    to.counter("reprise_sessions_kept_total", "Sessions kept for later", own, s.stored);
    to.gauge("reprise_sessions", "Sessions held now", own, s.entries);
    to.gauge("reprise_session_bytes", "Bytes of memory or disk that the sessions take", own, s.bytes);
    to.counter("reprise_storage_lookups_total", "Lookups in the storage", own, s.lookups);
    to.counter("reprise_storage_errors_total", "Storage operations that failed", own, s.storage_errors);
    constexpr char const* help = "Sessions that were dropped, expired, evicted or rejected";
    to.counter(lost, help, with(own, {{"how", by_cache}}), s.dropped);
    to.counter(lost, help, with(own, {{"how", "expired"}}), s.expired);
    to.counter(lost, help, with(own, {{"how", "evicted"}}), s.evicted);
    to.counter(lost, help, with(own, {{"how", "rejected"}}), s.rejected);
}

void add_tickets(families& to, labels const& own, ticket_stats const& t)
{
    to.gauge("reprise_ticket_keys", "Ticket keys held now", own, t.keys);
    to.gauge("reprise_ticket_keys_can_issue", "1 if a ticket key issues now, else 0", own, t.can_issue ? 1 : 0);
    constexpr char const* tickets = "reprise_tickets_total";
    constexpr char const* help = "Tickets issued, opened, or sealed with an unknown key";
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

using client_counters = std::shared_ptr<handshake_counters const>;

void collect(families& all, std::string const& name, client_counters const& counters)
{
    labels const own{{"name", name}, {"end", "client"}};
    auto const counts = counters->counts();
    add_handshakes(all, own, counts);
    add_early_data(all, own, counts.early_accepted, counts.early_rejected);
    all.counter("reprise_sessions_kept_total", "Sessions kept for later", own, counts.sessions);
}

void collect(families& all, std::string const& name, session_cache const& cache)
{
    labels const own{{"name", name}, {"end", "server"}};
    auto const stats = cache.stats();
    add_handshakes(all, own, stats);
    add_early_data(all, own, stats.early_accepted, sum(stats.early_rejected_by_reason));
    add_storage(all, own, stats);
    add_tickets(all, own, cache.tickets());
}

bool is_same(client_counters const& a, client_counters const& b)
{
    return a == b;
}

bool is_same(session_cache const& a, session_cache const& b)
{
    return a.server() == b.server();
}

bool share_storage(client_counters const&, client_counters const&)
{
    return false;
}

bool share_storage(session_cache const& a, session_cache const& b)
{
    auto const& storage = a.server()->options.storage;
    return storage && storage == b.server()->options.storage;
}

bool is_counted_by_storage(totals::key_type const& counter)
{
    auto const& [name, with] = counter;
    return name == lost && with.back().value != by_cache;
}

// The sources of one end, by name.
template <class Source>
class sources
{
public:
    /// Add a source. It replaces the source of this name, and continues from that source's counters. @return The
    /// replaced source.
    std::optional<Source> put(std::string const& name, Source source)
    {
        auto const at = by_name_.find(name);
        if (at == by_name_.end())
        {
            by_name_.emplace(name, entry{std::move(source), {}});
            return std::nullopt;
        }
        auto& current = at->second;
        if (is_same(current.source, source))
            return std::nullopt;
        current.earlier = reached(name, current, share_storage(current.source, source));
        return std::exchange(current.source, std::move(source));
    }

    /// Remove a source. @return The removed source.
    std::optional<Source> remove(std::string const& name)
    {
        auto const at = by_name_.find(name);
        if (at == by_name_.end())
            return std::nullopt;
        auto removed = std::move(at->second.source);
        by_name_.erase(at);
        return removed;
    }

    void collect_all(families& all) const
    {
        for (auto const& [name, e] : by_name_)
        {
            all.continue_from(e.earlier);
            collect(all, name, e.source);
        }
    }

private:
    struct entry
    {
        Source source;
        totals earlier;
    };

    // Return the counters up to now. Two caches that share a storage also share its counters, so these are not added
    // up.
    static totals reached(std::string const& name, entry const& current, bool storage_goes_on)
    {
        families all;
        all.continue_from(current.earlier);
        collect(all, name, current.source);
        totals result = current.earlier;
        for (auto const& family : all.take())
            for (auto const& metric : family.metric)
            {
                totals::key_type const counter{family.name, metric.label};
                if (family.type == prometheus::MetricType::Counter &&
                    !(storage_goes_on && is_counted_by_storage(counter)))
                    result[counter] = metric.counter.value;
            }
        return result;
    }

    std::map<std::string, entry> by_name_;
};

} // namespace

class prometheus_exporter::impl final : public prometheus::Collectable
{
public:
    void add(std::string const& name, session_cache cache)
    {
        std::optional<session_cache> replaced; // destroyed after the unlock, because freeing a cache may take time
        std::lock_guard const lock{mutex_};
        replaced = servers_.put(name, std::move(cache));
    }

    void add(std::string const& name, client_counters counters)
    {
        std::lock_guard const lock{mutex_};
        clients_.put(name, std::move(counters));
    }

    bool remove(std::string const& name)
    {
        std::optional<session_cache> server;
        std::lock_guard const lock{mutex_};
        server = servers_.remove(name);
        return clients_.remove(name).has_value() || server;
    }

    [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override
    {
        families all;
        std::lock_guard const lock{mutex_};
        clients_.collect_all(all);
        servers_.collect_all(all);
        return all.take();
    }

private:
    mutable std::mutex mutex_;
    sources<session_cache> servers_;
    sources<client_counters> clients_;
};

prometheus_exporter::prometheus_exporter() : impl_(std::make_shared<impl>()) {}

prometheus_exporter::~prometheus_exporter() = default;

void prometheus_exporter::add(std::string const& name, session_cache cache)
{
    impl_->add(name, std::move(cache));
}

void prometheus_exporter::add(std::string const& name, std::shared_ptr<handshake_counters const> counters)
{
    if (!counters)
        throw system_error{errc::bad_option, "prometheus_exporter::add: the counters must not be null"};
    impl_->add(name, std::move(counters));
}

bool prometheus_exporter::remove(std::string const& name)
{
    return impl_->remove(name);
}

std::shared_ptr<prometheus::Collectable> prometheus_exporter::collectable() const
{
    return impl_;
}

std::string prometheus_exporter::text() const
{
    return prometheus::TextSerializer{}.Serialize(impl_->Collect());
}

} // namespace reprise
