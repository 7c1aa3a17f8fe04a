// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "tls/context_policy.hpp"

#include <openssl/ssl.h>

#include <functional>
#include <string_view>
#include <vector>

namespace test {

/// One setting of a context, and a change of it that lets the handshakes of these tests succeed as before.
struct policy_change
{
    std::string_view setting;
    std::function<void(SSL_CTX*)> apply;

    /// Done to the other context too; what `apply` changes is added to it.
    std::function<void(SSL_CTX*)> prepare = [](SSL_CTX*) {};

    int only_version = 0; ///< in which it makes a difference; 0 for any
};

/// One for each setting that is part of a fingerprint at this end.
std::vector<policy_change> policy_changes(reprise::detail::tls_end end);

/// One for each parameter of the verification, of the context and of its trust store, and for what else lies in that
/// store. With some of them a peer is refused.
std::vector<policy_change> parameter_changes();

} // namespace test
