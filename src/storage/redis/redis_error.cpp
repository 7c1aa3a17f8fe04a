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
        case redis_errc::timed_out: return "no answer within request_timeout: is the server overloaded, or far away?";
        case redis_errc::circuit_open:
            return "the server is out of reach, so it was not asked; it is probed now and then";
        case redis_errc::queue_full:
            return "max_pending requests are waiting already: the server is too slow for the load";
        case redis_errc::connection_lost: return "the connection ended before the answer: did the server stop?";
        case redis_errc::bad_answer:
            return "what came is no answer of a Redis server: check host, port, and TLS or not";
        case redis_errc::value_too_large: return "the value is larger than max_value_bytes";
        case redis_errc::password_missing: return "the server wants a password (NOAUTH): set user and password";
        case redis_errc::password_refused: return "the server refused user or password (WRONGPASS)";
        case redis_errc::not_permitted:
            return "the server's ACL forbids it (NOPERM): the user needs +get +set +getdel +del +ping +select, +info "
                   "for "
                   "early data, and the keys of key_prefix";
        case redis_errc::server_out_of_memory:
            return "the server is at its maxmemory (OOM): raise it, or set a maxmemory-policy that evicts";
        case redis_errc::server_loading: return "the server still reads its data from disk (LOADING)";
        case redis_errc::server_read_only: return "the server is a replica (READONLY): use the primary";
        case redis_errc::cluster_unsupported:
            return "the server is a node of a cluster (MOVED), which is not supported: use a server without cluster "
                   "mode";
        case redis_errc::database_refused: return "the server has no database of this number: see its option databases";
        case redis_errc::foreign_key:
            return "a key holds something else than a session (WRONGTYPE): somebody else uses this key_prefix";
        case redis_errc::unknown_command:
            return "the server does not know a command: Redis 4 or newer, or Valkey, is needed";
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
