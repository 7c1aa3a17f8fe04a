// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/base/aead.hpp>
#include <reprise/secret_bytes.hpp>
#include <reprise/session.hpp>
#include <reprise/session_scope.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace reprise::detail {

/// A session outside of the process: a version byte, when it was kept, its protocol, whose it is, then
/// `session::serialize`. `kept_at` puts the sessions of a key in order; its unit is the writers' business.
[[nodiscard]] secret_bytes write_record(session_scope const& key, session const& ticket, std::uint64_t kept_at);

/// What a record says of its session, which is not decoded yet.
struct session_record
{
    session_scope key{};
    std::uint64_t kept_at = 0;
    tls_version protocol = tls_version::tls13;
    byte_view ticket{}; ///< within the record

    /// Nothing if it is not a record of this version. The bytes are untrusted.
    [[nodiscard]] static std::optional<session_record> read(byte_view bytes);

    /// Nothing if it is no session, or not of that protocol.
    [[nodiscard]] std::optional<session> decode() const;
};

/// The name for one slot of a key: a keyed hash, which says nothing about either.
[[nodiscard]] std::string name_of(keyed_hash const& hash, session_scope const& key, std::size_t slot);

} // namespace reprise::detail
