// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/session_scope.hpp>

std::size_t std::hash<reprise::session_scope>::operator()(reprise::session_scope const& key) const noexcept
{
    std::size_t result = 0;
    auto const add = [&result](std::string const& field)
    { result = (result ^ std::hash<std::string>{}(field)) * 0x9e3779b97f4a7c15u; };
    add(key.host);
    add(key.service);
    add(key.server_name);
    for (auto const& protocol : key.alpn)
        add(protocol);
    add(key.route);
    add(key.policy);
    add(key.identity);
    add(key.partition);
    return result;
}
