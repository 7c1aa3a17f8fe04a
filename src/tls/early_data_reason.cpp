// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/early_data_reason.hpp>

namespace reprise {

std::string_view to_string(early_data_status status) noexcept
{
    switch (status)
    {
    case early_data_status::not_offered: return "not-offered";
    case early_data_status::rejected: return "rejected";
    case early_data_status::accepted: return "accepted";
    }
    return "unknown";
}

std::string_view to_string(early_data_reason reason) noexcept
{
    switch (reason)
    {
    case early_data_reason::none: return "none";
    case early_data_reason::not_asked: return "not-asked";
    case early_data_reason::no_session: return "no-session";
    case early_data_reason::not_tls13: return "not-tls13";
    case early_data_reason::not_allowed: return "not-allowed";
    case early_data_reason::too_large: return "too-large";
    case early_data_reason::alpn_differs: return "alpn-differs";
    case early_data_reason::server_name_differs: return "server-name-differs";
    case early_data_reason::cipher_disabled: return "cipher-disabled";
    case early_data_reason::ticket_age: return "ticket-age";
    case early_data_reason::declined: return "declined";
    case early_data_reason::connection_failed: return "connection-failed";
    case early_data_reason::disabled: return "disabled";
    case early_data_reason::not_resumed: return "not-resumed";
    case early_data_reason::hello_retry: return "hello-retry";
    case early_data_reason::limit_lowered: return "limit-lowered";
    case early_data_reason::unwanted: return "unwanted";
    case early_data_reason::replayed: return "replayed";
    case early_data_reason::guard_late: return "guard-late";
    case early_data_reason::guard_failed: return "guard-failed";
    case early_data_reason::guard_starting: return "guard-starting";
    case early_data_reason::guard_full: return "guard-full";
    case early_data_reason::not_acceptable: return "not-acceptable";
    case early_data_reason::guard_unsure: return "guard-unsure";
    }
    return "unknown";
}

} // namespace reprise
