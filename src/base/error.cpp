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
        case errc::session_corrupt: return "not a serialised TLS session of a known version";
        case errc::id_context_missing: return "the session id context is empty: give it 1 to 32 bytes";
        case errc::id_context_too_long: return "the session id context is longer than 32 bytes";
        case errc::already_attached:
            return "this ssl::context already has a session_cache: use that one, or another context";
        case errc::bad_option: return "an option or an argument cannot be used";
        case errc::callback_taken: return "the ssl::context has a session callback that somebody else has set";
        case errc::unknown_host: return "no virtual host of this name";
        case errc::weak_ticket_key:
            return "a ticket key is short, zero, repeated or of too few different bytes: use a random generator";
        case errc::bad_ticket_keys: return "these ticket keys cannot be used together";
        case errc::tickets_orphaned: return "new ticket keys lack one whose tickets are still alive";
        case errc::bad_ticket_key_file: return "not a ticket key file as nginx or HAProxy read it";
        case errc::session_file_foreign: return "not a file of exported sessions";
        case errc::session_file_version: return "a file of exported sessions, but of another version";
        case errc::session_file_key: return "a file of exported sessions that was sealed with another key";
        case errc::session_file_not_private:
            return "a file of sessions has to be a regular file for its owner alone (chmod 600, chown)";
        case errc::session_file_too_large: return "a file of exported sessions that is too large";
        case errc::proxy_refused: return "the proxy does not connect to this peer";
        case errc::proxy_authentication_required: return "the proxy wants (other) credentials";
        case errc::proxy_malformed: return "the proxy's answer is not one to CONNECT";
        case errc::proxy_failed: return "the proxy does not reach the peer (5xx)";
        case errc::stream_closed: return "the stream is closed: connect it again first";
        case errc::operation_in_progress:
            return "the stream is connecting already: wait for that operation, or close the stream";
        case errc::bad_host: return "the host is neither a DNS name nor an address";
        case errc::bad_service: return "the service is neither a port from 1 to 65535 nor the name of one";
        case errc::callback_threw: return "a function of the caller's threw an exception that is no system_error";
        case errc::settings_lost:
            return "settings made on native_handle() are lost with the connection: make them in client_options::on_ssl";
        case errc::made_before_fork: return "it was made before fork(2): make it in the child";
        case errc::guard_unsure:
            return "the replay guard's storage cannot tell whether it has lost what it had confirmed, so early data is "
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
