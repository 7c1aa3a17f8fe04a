// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/handshake/client_setup.hpp"
#include "base/old_name.hpp"
#include "base/require_option.hpp"

#include <reprise/client_handle.hpp>
#include <reprise/detail/client/proxy_handshake.hpp>
#include <reprise/detail/net/peer_name.hpp>
#include <reprise/error.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace reprise {

namespace detail {

namespace {

// Call `read`, and report its error as an error of this option.
template <class Read>
std::string checked(char const* option, Read read)
{
    try
    {
        return read();
    }
    catch (system_error const& e)
    {
        throw system_error{errc::bad_option, std::string{option} + ": " + e.what()};
    }
}

client_options with_new_names(client_options o)
{
    use_old_name(o.lookup_deadline, o.lookup_timeout);
    use_old_name(o.retry.deadline, o.retry.total_timeout);
    return o;
}

} // namespace

client_setup::client_setup(SSL_CTX* tls, std::shared_ptr<session_store> sessions, client_options wanted)
    : context(share(tls)), store(std::move(sessions)), options(with_new_names(std::move(wanted))),
      shared(&client_context::of(tls))
{
    auto const& o = options;
    require_option(o.max_session_age.count() > 0 && o.max_session_age <= std::chrono::hours{24 * 7},
                   "client_options::max_session_age must be above 0 s and at most 7 days");
    require_option(
        o.lookup_timeout.count() > 0 && o.connect_timeout.count() >= 0 && o.shutdown_timeout.count() >= 0 &&
            o.now != nullptr,
        "client_options: lookup_timeout must be at least 1 ms, connect_timeout and shutdown_timeout at least "
        "0 ms, and now must not be empty");
    require_option(o.attempt_delay.count() >= 10 && o.attempt_delay <= std::chrono::seconds{10},
                   "client_options::attempt_delay must be 10 ms to 10 s");
    require_option(o.retry.max_attempts >= 1 && o.retry.first_delay.count() >= 1 &&
                       o.retry.max_delay >= o.retry.first_delay && o.retry.total_timeout.count() >= 0,
                   "retry_options: max_attempts must be at least 1, first_delay at least 1 ms, max_delay at least "
                   "first_delay, total_timeout at least 0 ms");
    require_option(!o.proxy || can_be_asked(*o.proxy),
                   "client_options::proxy: host and service must not be empty, authorization must be one line");
    if (o.server_name && !o.server_name->empty())
        server_name = checked("client_options::server_name", [&] { return read_server_name_option(*o.server_name); });
    else
        server_name = o.server_name;
    if (o.proxy)
        checked("client_options::proxy",
                [&] { return read_host(o.proxy->host).name + read_service(o.proxy->service); });
}

} // namespace detail

namespace {

std::shared_ptr<detail::client_setup const> make_setup(asio::ssl::context& tls, std::shared_ptr<session_store> store,
                                                       client_options options)
{
    return std::make_shared<detail::client_setup const>(tls.native_handle(), std::move(store), std::move(options));
}

} // namespace

client::client(asio::ssl::context& tls, session_store& store, client_options options)
    : setup_(make_setup(tls, store.shared_from_this(), std::move(options)))
{
}

client::client(asio::ssl::context& tls, session_store& store) : client(tls, store, client_options{}) {}

client::client(asio::ssl::context& tls, client_options options) : setup_(make_setup(tls, nullptr, std::move(options)))
{
}

client::client(asio::ssl::context& tls) : client(tls, client_options{}) {}

client_options const& client::options() const noexcept
{
    return setup_->options;
}

} // namespace reprise
