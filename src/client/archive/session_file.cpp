// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/session_file.hpp>

#include "async/on_a_thread.hpp"
#include "base/require_option.hpp"
#include "client/archive/private_file.hpp"
#include "client/archive/session_archive.hpp"
#include "client/store/session_record.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/error.hpp>

#include <memory>
#include <utility>

namespace reprise {

using detail::require_option;

namespace {

using store_ptr = std::shared_ptr<session_store>;

void check_place(std::filesystem::path const& path, secret_bytes const& key)
{
    require_option(!path.empty(), "session file: the path must not be empty");
    require_option(detail::is_plausible_key(key),
                   "session file: the key must be 32 random bytes, at least 16 of them different");
}

// Write all sessions to the disk. Returns their number.
std::size_t write_file(std::filesystem::path const& path, secret_bytes const& key,
                       std::vector<kept_session> const& sessions)
{
    detail::archive_writer archive{key, session_file_max_bytes};
    for (std::size_t i = 0; i < sessions.size(); ++i)
        if (!archive.add(detail::write_record(sessions[i].key, sessions[i].ticket, i)))
            throw system_error{errc::session_file_too_large, path.string()};
    auto const bytes = std::move(archive).finish();
    detail::write_private_file(path, bytes);
    return sessions.size();
}

struct file_contents
{
    std::vector<kept_session> accepted{};
    import_report report{};
};

full_handshake_reason judge(import_policy const& policy, session_scope const& key, session const& ticket)
{
    if (!key.identity.empty() && !policy.mutual_tls)
        return full_handshake_reason::disabled;
    auto const reason = detail::may_offer(ticket, policy.now(), policy.max_session_age, policy.verify_peer);
    return reason == full_handshake_reason::none && policy.accepts ? policy.accepts(key, ticket) : reason;
}

// Add an entry to `to`, or return why it is not accepted.
full_handshake_reason add_entry(std::optional<secret_bytes> const& bytes, import_policy const& policy,
                                std::vector<kept_session>& to)
{
    if (!bytes)
        return full_handshake_reason::record_corrupt;
    auto const record = detail::session_record::read(*bytes);
    auto const ticket = record ? record->decode() : std::nullopt;
    if (!ticket)
        return full_handshake_reason::record_corrupt;
    auto const reason = judge(policy, record->key, *ticket);
    if (reason == full_handshake_reason::none)
        to.push_back({record->key, *ticket});
    return reason;
}

detail::archive_reader open_archive(byte_view bytes, secret_bytes const& key, std::filesystem::path const& path)
try
{
    return detail::archive_reader{bytes, key};
}
catch (system_error const& e)
{
    throw system_error{e.code(), path.string()};
}

file_contents read_file(std::filesystem::path const& path, secret_bytes const& key, import_policy const& policy)
{
    detail::private_file const file{path};
    auto const bytes = file.read(session_file_max_bytes);
    auto archive = open_archive(bytes, key, path);
    file_contents result;
    auto& report = result.report;
    while (auto const entry = archive.next())
    {
        auto const reason = add_entry(entry->record, policy, result.accepted);
        if (reason == full_handshake_reason::none)
            continue;
        if (report.skipped++ < import_report::most_named)
            report.first_skipped.push_back({entry->index, reason});
    }
    report.imported = result.accepted.size();
    report.is_whole = archive.is_whole();
    if (!policy.keep_file)
        file.remove(); // before any session is in the store
    return result;
}

asio::awaitable<std::size_t> export_from(store_ptr store, std::filesystem::path path, secret_bytes key,
                                         export_options options)
{
    check_place(path, key);
    session_filter wanted = [all = options.mutual_tls](session_scope const& k) { return all || k.identity.empty(); };
    auto released = co_await store->release(std::move(wanted));
    auto const sessions = std::make_shared<std::vector<kept_session> const>(std::move(released));
    std::exception_ptr failure;
    try
    {
        std::function<std::size_t()> work = [=] { return write_file(path, key, *sessions); };
        co_return co_await detail::on_a_thread(std::move(work));
    }
    catch (...)
    {
        failure = std::current_exception();
    }
    for (auto const& [owner, ticket] : *sessions)
        store->put_back(owner, ticket);
    std::rethrow_exception(failure);
}

asio::awaitable<import_report> import_into(store_ptr store, std::filesystem::path path, secret_bytes key,
                                           import_policy policy)
{
    constexpr std::size_t at_once = 64; // a store may have room for this many writes
    check_place(path, key);
    require_option(policy.max_session_age.count() > 0 && policy.max_session_age <= std::chrono::hours{24 * 7},
                   "import_policy::max_session_age must be above 0 s and at most 7 days");
    require_option(policy.now != nullptr, "import_policy::now must not be empty");
    std::function<file_contents()> work = [=] { return read_file(path, key, policy); };
    auto contents = co_await detail::on_a_thread(std::move(work));
    for (std::size_t i = 0; i < contents.accepted.size(); ++i)
    {
        auto& [owner, ticket] = contents.accepted[i];
        store->capture(owner, std::move(ticket));
        if (i % at_once == at_once - 1)
            co_await store->drain();
    }
    co_await store->drain();
    co_return std::move(contents.report);
}

} // namespace

// Hold the store from the call on, not only once the coroutine begins.
asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                             export_options options)
{
    return export_from(store.shared_from_this(), std::move(path), std::move(key), options);
}

asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key)
{
    return export_sessions(store, std::move(path), std::move(key), export_options{});
}

asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                               import_policy policy)
{
    return import_into(store.shared_from_this(), std::move(path), std::move(key), std::move(policy));
}

asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key)
{
    return import_sessions(store, std::move(path), std::move(key), import_policy{});
}

} // namespace reprise
