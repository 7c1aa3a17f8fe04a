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

/// Serialise a session for use outside of the process: version byte, `kept_at`, protocol, scope, `session::serialize`.
/// `kept_at` orders the sessions of a key; the writers choose its unit.
[[nodiscard]] secret_bytes write_record(session_scope const& key, session const& ticket, std::uint64_t kept_at);

/// The fields of a record. The session is not decoded yet.
struct session_record
{
    session_scope key{};
    std::uint64_t kept_at = 0;
    tls_version protocol = tls_version::tls13;
    byte_view ticket{}; ///< within the record

    /// Read a record from untrusted bytes. Returns nothing if they are no record of this version.
    [[nodiscard]] static std::optional<session_record> read(byte_view bytes);

    /// Decode the session. Returns nothing if it is malformed, or of another protocol.
    [[nodiscard]] std::optional<session> decode() const;
};

/// Return the name for one slot of a key: a keyed hash, which reveals neither.
[[nodiscard]] std::string name_of(keyed_hash const& hash, session_scope const& key, std::size_t slot);

} // namespace reprise::detail
