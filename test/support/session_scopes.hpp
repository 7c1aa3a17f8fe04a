// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/session_scope.hpp>

#include <string>
#include <utility>
#include <vector>

namespace test {

/// The key of a plain connection to a host.
inline reprise::session_scope key_of_host(std::string host)
{
    reprise::session_scope key;
    key.host = std::move(host);
    key.service = "443";
    key.policy = "p";
    return key;
}

/// A key in which everything is set.
inline reprise::session_scope full_key()
{
    return {"host", "443", "name", {"h2", "http/1.1"}, "route", "policy", "identity", "partition"};
}

/// Keys that differ from `full_key` in one thing each.
inline std::vector<reprise::session_scope> differing_keys()
{
    auto const differing = [](auto change)
    {
        auto other = full_key();
        change(other);
        return other;
    };
    return {
        differing([](auto& k) { k.host = "hos"; }),
        differing([](auto& k) { k.service = "8443"; }),
        differing([](auto& k) { k.server_name = ""; }),
        differing([](auto& k) { k.alpn = {"http/1.1", "h2"}; }),
        differing([](auto& k) { k.alpn = {"h2"}; }),
        differing([](auto& k) { k.route = ""; }),
        differing([](auto& k) { k.policy = "other"; }),
        differing([](auto& k) { k.identity = ""; }),
        differing([](auto& k) { k.partition = ""; }),
        differing([](auto& k) { k.host = "host4", k.service = "43"; }), // the same text, run together
    };
}

} // namespace test
