// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/error.hpp>

#include <string>

namespace reprise {

namespace {

class category final : public boost::system::error_category
{
public:
    char const* name() const noexcept override { return "reprise"; }

    std::string message(int value) const override
    {
        switch (static_cast<errc>(value))
        {
        case errc::already_connected: return "the stream is connected: shut it down or close it first";
        case errc::never_connected:
            return "the stream was never connected: call async_connect, or async_handshake, first";
        case errc::session_corrupt: return "not a serialised TLS session of a known version: discard it";
        case errc::id_context_missing: return "the session id context is empty: give it 1 to 32 bytes";
        case errc::id_context_too_long: return "the session id context is longer than 32 bytes: give it 1 to 32 bytes";
        case errc::already_attached:
            return "this ssl::context already has a session_cache: use that one, or another context";
        case errc::bad_option: return "invalid option or argument";
        case errc::callback_taken:
            return "the ssl::context already has a session callback of other code: remove it, or use another context";
        case errc::unknown_host: return "the virtual host selector has no context for this name";
        case errc::weak_ticket_key:
            return "a ticket key has a wrong size, is zero or repetitive, or has too few different bytes: use a random "
                   "generator";
        case errc::bad_ticket_keys: return "invalid set of ticket keys";
        case errc::tickets_orphaned:
            return "the new ticket keys lack a key whose tickets are still alive: keep it until they have expired";
        case errc::bad_ticket_key_file: return "not a ticket key file in the format of nginx or HAProxy";
        case errc::session_file_foreign: return "not a session file: give a file that export_sessions wrote";
        case errc::session_file_version:
            return "a session file of another format version: discard it, and export the sessions again";
        case errc::session_file_key:
            return "a session file that was sealed with another key: give the key of its export";
        case errc::session_file_not_private:
            return "a session file must be a regular file that only its owner can access (chmod 600, chown)";
        case errc::session_file_too_large: return "the session file exceeds session_file_max_bytes";
        case errc::proxy_refused:
            return "the proxy refuses to connect to this peer: check host, service and the proxy's rules";
        case errc::proxy_authentication_required:
            return "the proxy requires authentication, or rejected the credentials: check http_proxy::authorization";
        case errc::proxy_malformed:
            return "the answer to CONNECT is not valid: check that host and service are those of an HTTP proxy";
        case errc::proxy_failed: return "the proxy cannot reach the peer, or has failed itself (5xx): retry later";
        case errc::stream_closed: return "the stream is closed: connect it again first";
        case errc::operation_in_progress:
            return "the stream is already connecting or shaking hands: wait for that operation, or close the stream";
        case errc::bad_host: return "the host is neither a DNS name nor an address";
        case errc::bad_service: return "the service is neither a port from 1 to 65535 nor a service name";
        case errc::callback_threw:
            return "a function of the caller threw an exception other than system_error: let it throw system_error";
        case errc::settings_lost:
            return "settings made on native_handle() do not apply to the next connection: make them in "
                   "client_options::on_ssl";
        case errc::made_before_fork: return "the object was made before fork(2): make it in the child";
        case errc::guard_unsure:
            return "the replay guard's storage cannot tell whether it has lost a confirmed change, so early data is "
                   "refused";
        }
        return "unknown reprise error";
    }
};

} // namespace

boost::system::error_category const& reprise_category() noexcept
{
    static category const instance;
    return instance;
}

std::string detail::text_of(system_error const& e)
{
    std::string text = e.what();
    auto const message = e.code().what(); // what() ends with this text
    if (text.ends_with(message))
        text.resize(text.size() - message.size());
    if (text.ends_with(": "))
        text.resize(text.size() - 2);
    return text;
}

} // namespace reprise
