// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/client/session_key.hpp>

#include <string_view>

namespace reprise {

namespace {

void append(std::string& out, std::string_view field)
{
    out += std::to_string(field.size());
    out += ':';
    out += field;
}

} // namespace

std::string session_key::encode() const
{
    std::string out;
    append(out, host);
    append(out, service);
    append(out, server_name);
    append(out, std::to_string(alpn.size()));
    for (auto const& protocol : alpn)
        append(out, protocol);
    append(out, policy);
    append(out, partition);
    return out;
}

} // namespace reprise
