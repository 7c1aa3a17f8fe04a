// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/handshake_counters.hpp>

#include <numeric>

namespace reprise {

namespace {

void increment(std::atomic<std::uint64_t>& counter) noexcept
{
    counter.fetch_add(1, std::memory_order_relaxed);
}

template <class Counters, std::size_t size>
std::uint64_t read(Counters const& from, std::array<std::uint64_t, size>& to) noexcept
{
    for (std::size_t i = 0; i < size; ++i)
        to[i] = from[i].load(std::memory_order_relaxed);
    return std::accumulate(to.begin(), to.end(), std::uint64_t{0});
}

} // namespace

void handshake_counters::on_handshake(std::string_view, handshake_info const& info) noexcept
{
    increment(info.resumed() ? resumed_[static_cast<std::size_t>(info.resumption)]
                             : full_[static_cast<std::size_t>(info.reason)]);
    if (info.early_data == early_data_status::accepted)
        increment(early_accepted_);
    else if (info.early_data == early_data_status::rejected)
        increment(early_rejected_);
}

void handshake_counters::on_failure(std::string_view, error_code) noexcept
{
    increment(failed_);
}

void handshake_counters::on_session(std::string_view, tls_version) noexcept
{
    increment(sessions_);
}

handshake_counts handshake_counters::counts() const noexcept
{
    handshake_counts result;
    result.resumed = read(resumed_, result.resumed_by_kind);
    result.full = read(full_, result.full_by_reason);
    result.failed = failed_.load(std::memory_order_relaxed);
    result.sessions = sessions_.load(std::memory_order_relaxed);
    result.early_accepted = early_accepted_.load(std::memory_order_relaxed);
    result.early_rejected = early_rejected_.load(std::memory_order_relaxed);
    return result;
}

} // namespace reprise
