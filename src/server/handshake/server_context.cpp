// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/server_context.hpp"

#include "async/handoff.hpp"
#include "base/digest_input.hpp"
#include "server/early/session_bond.hpp"
#include "tls/client_offer.hpp"
#include "tls/session_time.hpp"

#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/error.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

namespace reprise::detail {

namespace {

// Bind the session here, because the storage may have to be asked for the incarnation. The session is decoded again for
// that, because pending writes hold records, whose size is bounded.
asio::awaitable<bool> put(std::shared_ptr<server_context> server, std::string name, secret_bytes record, bool binds,
                          time_point expiry)
{
    if (binds)
    {
        auto const incarnation = co_await server_context::last_incarnation(server);
        if (auto const made = server->decode(record))
            record = server->encode(server->bound(*made, incarnation));
    }
    co_await server->options.storage->put(std::move(name), std::move(record), expiry);
    co_return true;
}

asio::awaitable<void> write(std::shared_ptr<server_context> server, std::unique_ptr<pending_writes::entry> pending,
                            std::string name, secret_bytes record, bool binds, time_point expiry)
{
    auto status = timed_status::failed;
    try
    {
        auto const done = co_await with_timeout(server->options.write_timeout,
                                                put(server, std::move(name), std::move(record), binds, expiry));
        status = done.status;
    }
    catch (std::bad_alloc const&) // before the storage was called
    {
    }
    auto& counter = status == timed_status::answered ? server->stored : server->storage_errors;
    counter.fetch_add(1, std::memory_order_relaxed);
    pending.reset(); // after counting, so that the counters are right when `drain` returns
}

} // namespace

std::time_t issue_time(time_point ours, std::time_t openssl) noexcept
{
    auto const seconds = std::chrono::system_clock::to_time_t(ours);
    return seconds == openssl + 1 ? openssl : seconds;
}

server_context::server_context(session_cache_options o)
    : options(std::move(o)),
      tickets(options.tickets.enabled()
                  ? std::make_shared<ticket_keeper>(options.tickets,
                                                    key_source_context{options.session_lifetime, options.now})
                  : nullptr),
      writes(std::make_shared<pending_writes>(options.max_pending_writes, options.max_pending_bytes)),
      immediate_(std::dynamic_pointer_cast<immediate_storage>(options.storage)), decoded_(options.decoded_sessions)
{
}

server_context::policy server_context::policy_of(SSL* ssl, std::string_view server_name)
{
    auto read = policy_.read(ssl);
    std::lock_guard const lock{policy_mutex_};
    bool const is_known = read == last_.read;
    if (is_known && server_name == last_.server_name)
        return last_.made;
    auto tag = last_.made.tag;
    if (!is_known)
    {
        digest_input in{"reprise session id context 4"};
        in.add(options.id_context);
        in.add(byte_view{read->verification});
        tag = in.digest();
    }
    last_ = {std::move(read), std::string{server_name}, {tag, make_id_context(tag, server_name)}};
    return last_.made;
}

// The groups are read again when the policy has changed, because they may have changed too.
std::string server_context::groups(SSL_CTX* context)
{
    std::lock_guard const lock{policy_mutex_};
    if (!groups_ || groups_of_ != last_.read)
    {
        groups_ = read_groups(context);
        groups_of_ = last_.read;
    }
    return *groups_;
}

full_handshake_reason server_context::judge(SSL_SESSION const* candidate, session_origin const& origin) const
{
    auto const now = options.now();
    auto const issued = std::chrono::system_clock::from_time_t(issued_at(candidate));
    if (now - issued >= std::chrono::seconds{::SSL_SESSION_get_timeout(candidate)})
        return full_handshake_reason::expired;
    return check_age(origin, now, options.max_session_age);
}

std::chrono::seconds server_context::lifetime(session_origin const& origin) const
{
    using std::chrono::floor;
    using std::chrono::seconds;
    auto const now = options.now();
    auto const until_cap = options.max_session_age - floor<seconds>(now - origin.verified_at);
    auto const until_expiry = floor<seconds>(origin.chain_expiry - now);
    return std::max(seconds{0}, std::min({options.session_lifetime, until_cap, until_expiry}));
}

std::optional<session> server_context::decode(byte_view record)
{
    if (auto decoded = known(record))
        return decoded;
    auto const parsed = session::parse(record);
    if (!parsed)
        return std::nullopt;
    decoded_.keep(record, *parsed);
    return *parsed;
}

void server_context::store(asio::any_io_executor const& ex, session const& made)
{
    unsigned id_size = 0;
    auto const* id = ::SSL_SESSION_get_id(made.native_handle(), &id_size);
    std::string name{reinterpret_cast<char const*>(id), id_size};
    auto const expiry = options.now() + lifetime(made.origin());
    if (options.observer)
        options.observer->on_session(options.id_context, made.protocol());
    if (immediate_)
        store_now(name, made, expiry);
    else
        write_behind(ex, std::move(name), made, expiry);
}

secret_bytes server_context::encode(session const& made)
{
    auto record = made.serialize();
    decoded_.keep(record, made);
    return record;
}

session server_context::bound(session const& made, std::string const& incarnation) const
{
    if (incarnation.empty())
        return made;
    return bind_to_incarnation(made, incarnation).value_or(made);
}

void server_context::note_incarnation(std::string const& incarnation)
{
    std::lock_guard const lock{incarnation_mutex_};
    incarnation_ = incarnation;
}

asio::awaitable<std::string> server_context::last_incarnation(std::shared_ptr<server_context> self)
{
    {
        std::lock_guard const lock{self->incarnation_mutex_};
        if (!self->incarnation_.empty())
            co_return self->incarnation_;
    }
    std::string incarnation;
    try
    {
        auto const epoch = co_await self->options.storage->epoch();
        incarnation = epoch.incarnation;
    }
    catch (system_error const& e)
    {
        if (e.code() == asio::error::operation_aborted)
            throw;
    }
    catch (std::exception const&) // sessions without an incarnation resume without early data
    {
    }
    self->note_incarnation(incarnation);
    co_return incarnation;
}

void server_context::store_now(std::string_view name, session const& made, time_point expiry) noexcept
try
{
    auto const record = encode(binds(made) ? bound(made, immediate_->epoch_now().incarnation) : made);
    immediate_->put_now(name, record, expiry);
    stored.fetch_add(1, std::memory_order_relaxed);
}
catch (...) // any failure costs only a resumption
{
    storage_errors.fetch_add(1, std::memory_order_relaxed);
}

void server_context::write_behind(asio::any_io_executor const& ex, std::string name, session const& made,
                                  time_point expiry)
{
    auto record = encode(made);
    auto pending = writes->begin(name, record);
    if (!pending)
    {
        dropped.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    // On a serial executor, because the timer and the storage may complete on two threads.
    asio::co_spawn(
        background_executor(ex),
        write(shared_from_this(), std::move(pending), std::move(name), std::move(record), binds(made), expiry),
        asio::detached);
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> server_context::get(std::shared_ptr<server_context> self,
                                                                             std::string name)
{
    with_epoch<std::optional<secret_bytes>> found;
    found.value = self->writes->find(name);
    if (!found.value)
        found.value = co_await self->options.storage->get(std::move(name));
    co_return found;
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> server_context::take(std::shared_ptr<server_context> self,
                                                                              std::string name)
{
    while (auto const end = self->writes->end_of(name))
        co_await event::wait(end);
    with_epoch<std::optional<secret_bytes>> found;
    found.value = co_await self->options.storage->take(std::move(name));
    co_return found;
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>>
server_context::take_for_early_data(std::shared_ptr<server_context> self, std::string name)
{
    while (auto const end = self->writes->end_of(name))
        co_await event::wait(end);
    auto found = co_await self->options.storage->take_with_epoch(std::move(name));
    self->note_incarnation(found.epoch.incarnation);
    co_return found;
}

void server_context::count(handshake_info const& info) noexcept
{
    auto& counter = info.resumed() ? resumed_by_kind[static_cast<std::size_t>(info.resumption)]
                                   : full_by_reason[static_cast<std::size_t>(info.reason)];
    counter.fetch_add(1, std::memory_order_relaxed);
    if (info.early_data == early_data_status::accepted)
        early_accepted.fetch_add(1, std::memory_order_relaxed);
    if (options.observer)
        options.observer->on_handshake(options.id_context, info);
}

void server_context::count_failure(error_code why) noexcept
{
    failed.fetch_add(1, std::memory_order_relaxed);
    if (options.observer)
        options.observer->on_failure(options.id_context, why);
}

void server_context::count_early_rejection(early_data_reason reason) noexcept
{
    early_rejected_by_reason[static_cast<std::size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
}

} // namespace reprise::detail
