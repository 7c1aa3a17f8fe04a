// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/redis_error.hpp>
#include <reprise/storage/storage_condition.hpp>

#include <string>

namespace reprise {

namespace {

class category final : public boost::system::error_category
{
public:
    char const* name() const noexcept override { return "redis"; }

    std::string message(int value) const override
    {
        switch (static_cast<redis_errc>(value))
        {
        case redis_errc::timed_out:
            return "no answer within request_timeout: check the server's load and the network's latency";
        case redis_errc::circuit_open:
            return "the circuit breaker is open because the server did not answer, so nothing was sent: check the "
                   "server, which is probed until it answers";
        case redis_errc::queue_full:
            return "max_pending requests are already pending: the server is too slow for the load";
        case redis_errc::connection_lost:
            return "the connection ended before the answer: check whether the server stopped";
        case redis_errc::bad_answer:
            return "the answer is not that of a Redis server, or is too large: check host, port and TLS";
        case redis_errc::value_too_large: return "the value is larger than max_value_bytes: raise max_value_bytes";
        case redis_errc::password_missing: return "the server requires a password (NOAUTH): set user and password";
        case redis_errc::password_refused:
            return "the server refused user or password (WRONGPASS): check user and password";
        case redis_errc::not_permitted:
            return "the server's ACL denies the command or the key (NOPERM): the user needs +get +set +getdel +del "
                   "+ping +select, +info for early data, and the keys of key_prefix";
        case redis_errc::server_out_of_memory:
            return "the server has reached maxmemory (OOM): raise maxmemory, or set a maxmemory-policy that evicts";
        case redis_errc::server_loading: return "the server is still reading its data from disk (LOADING): retry later";
        case redis_errc::server_read_only: return "the server is a replica (READONLY): use the primary";
        case redis_errc::cluster_unsupported:
            return "the server is a node of a cluster (MOVED), which is not supported: use a server without cluster "
                   "mode";
        case redis_errc::database_refused:
            return "the server has no database of this number: check the number and the server's option databases";
        case redis_errc::foreign_key:
            return "the value of a key is not a string (WRONGTYPE): another program uses this key_prefix, so change it";
        case redis_errc::unknown_command: return "the server does not know a command: use Redis 4 or newer, or Valkey";
        case redis_errc::server_not_saving:
            return "the server refuses writes because it cannot save its data (MISCONF): see its log";
        case redis_errc::server_error: return "the server answered with an error: see its log";
        case redis_errc::tls_expected:
            return "the server speaks TLS: write rediss://, or set redis_storage_options::tls";
        case redis_errc::plain_text_expected:
            return "the server does not speak TLS: write redis://, or leave redis_storage_options::tls empty";
        }
        return "unknown redis error";
    }

    boost::system::error_condition default_error_condition(int value) const noexcept override
    {
        switch (static_cast<redis_errc>(value))
        {
        case redis_errc::timed_out:
        case redis_errc::connection_lost:
        case redis_errc::bad_answer:
        case redis_errc::server_error: break;
        case redis_errc::circuit_open:
        case redis_errc::queue_full:
        case redis_errc::value_too_large: // not sent
        case redis_errc::password_missing:
        case redis_errc::password_refused:
        case redis_errc::not_permitted:
        case redis_errc::server_out_of_memory:
        case redis_errc::server_loading:
        case redis_errc::server_read_only:
        case redis_errc::cluster_unsupported:
        case redis_errc::database_refused:
        case redis_errc::foreign_key:
        case redis_errc::unknown_command:
        case redis_errc::server_not_saving: // refused
        case redis_errc::tls_expected:
        case redis_errc::plain_text_expected: return storage_condition::unchanged; // no request was sent
        }
        return {value, *this};
    }
};

} // namespace

boost::system::error_category const& redis_category() noexcept
{
    static category const instance;
    return instance;
}

} // namespace reprise
