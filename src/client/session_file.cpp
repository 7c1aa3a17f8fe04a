// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/require_option.hpp"
#include "client/private_file.hpp"
#include "client/session_archive.hpp"
#include "client/session_record.hpp"
#include "storage/handoff.hpp"

#include <reprise/base/aead.hpp>
#include <reprise/base/error.hpp>
#include <reprise/client/client_connection.hpp>
#include <reprise/client/session_file.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace reprise {

namespace {

using detail::require_option;

// Work that blocks, with its result; the thread that does it touches nothing else.
template <class Result>
struct blocking_work
{
    blocking_work(asio::any_io_executor const& ex, std::function<Result()> w)
        : work(std::move(w)), done(std::make_shared<detail::handoff>(ex))
    {
    }

    void run() noexcept
    {
        try
        {
            result.emplace(work());
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        done->complete();
    }

    std::function<Result()> work;
    std::shared_ptr<detail::handoff> done;
    std::optional<Result> result;
    std::exception_ptr failure;
};

template <class Result>
asio::awaitable<Result> on_another_thread(std::function<Result()> work)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    auto const job = std::make_shared<blocking_work<Result>>(co_await asio::this_coro::executor, std::move(work));
    asio::post(asio::system_executor{}, [job] { job->run(); });
    co_await job->done->wait();
    if (job->failure)
        std::rethrow_exception(job->failure);
    co_return std::move(*job->result);
}

void check(secret_bytes const& key, std::filesystem::path const& path)
{
    require_option(is_plausible_key(key), "session file: a key has 32 random bytes, at least 16 of them different");
    require_option(!path.empty(), "session file: a path");
}

// Returns how many of them there was room for.
std::size_t write(std::filesystem::path const& path, secret_bytes const& key, std::vector<kept_session> const& sessions)
{
    detail::archive_writer archive{key, session_file_max_bytes};
    std::size_t count = 0;
    for (auto const& [whose, ticket] : sessions)
    {
        if (!archive.add(detail::write_record(whose, ticket, count)))
            break;
        ++count;
    }
    detail::write_private_file(path, std::move(archive).finish());
    return count;
}

void put_back(session_store& store, std::vector<kept_session>& sessions, std::size_t first)
{
    for (auto at = first; at < sessions.size(); ++at)
        store.put_back(sessions[at].key, std::move(sessions[at].ticket));
}

// What was read, and what has become of it.
struct read_result
{
    std::vector<kept_session> sessions{};
    import_report report{};
};

full_reason judge(kept_session const& s, import_policy const& policy)
{
    if (!s.key.identity.empty() && !policy.mutual_tls)
        return full_reason::disabled;
    auto const reason = detail::may_offer(s.ticket, policy.now(), policy.max_session_age, policy.verify_peer);
    return reason == full_reason::none && policy.accepts ? policy.accepts(s.key, s.ticket) : reason;
}

void skip(import_report& report, std::size_t index, full_reason reason)
{
    ++report.skipped;
    if (report.first_skipped.size() < import_report::most_named)
        report.first_skipped.push_back({index, reason});
}

read_result read(std::filesystem::path const& path, secret_bytes const& key, import_policy const& policy)
{
    auto const file = detail::read_private_file(path, session_file_max_bytes);
    detail::archive_reader archive{file.bytes, key};
    read_result result;
    while (auto const entry = archive.next())
    {
        auto const record = entry->record ? detail::session_record::read(*entry->record) : std::nullopt;
        auto decoded = record ? record->decode() : std::nullopt;
        if (!decoded)
        {
            skip(result.report, entry->index, full_reason::record_corrupt);
            continue;
        }
        kept_session s{record->key, std::move(*decoded)};
        if (auto const reason = judge(s, policy); reason != full_reason::none)
            skip(result.report, entry->index, reason);
        else
            result.sessions.push_back(std::move(s));
    }
    result.report.imported = result.sessions.size();
    result.report.is_whole = archive.is_whole();
    if (!policy.keep_file)
        detail::remove_private_file(path, file);
    return result;
}

} // namespace

asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                             export_options options)
{
    check(key, path);
    auto const keep = store.shared_from_this();
    bool const mutual = options.mutual_tls;
    session_filter const wanted = [mutual](session_key const& k) { return mutual || k.identity.empty(); };
    auto sessions = std::make_shared<std::vector<kept_session>>(co_await keep->release(wanted));
    std::size_t written = 0;
    std::exception_ptr failure;
    try
    {
        std::function<std::size_t()> work = [=] { return write(path, key, *sessions); };
        written = co_await on_another_thread(std::move(work));
    }
    catch (...)
    {
        failure = std::current_exception();
    }
    put_back(*keep, *sessions, written);
    if (failure)
        std::rethrow_exception(failure);
    co_return written;
}

asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key)
{
    return export_sessions(store, std::move(path), std::move(key), export_options{});
}

asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                               import_policy policy)
{
    check(key, path);
    require_option(policy.max_session_age.count() > 0 && policy.max_session_age <= std::chrono::hours{24 * 7},
                   "import_policy::max_session_age: above 0 s, at most 7 days");
    require_option(policy.now != nullptr, "import_policy::now: a clock");
    auto const keep = store.shared_from_this();
    std::function<read_result()> work = [=] { return read(path, key, policy); };
    auto found = co_await on_another_thread(std::move(work));
    for (auto& s : found.sessions)
        keep->capture(s.key, std::move(s.ticket));
    co_await keep->drain();
    co_return std::move(found.report);
}

asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key)
{
    return import_sessions(store, std::move(path), std::move(key), import_policy{});
}

} // namespace reprise
