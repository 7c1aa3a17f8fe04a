// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/base/aead.hpp>
#include <reprise/secret_bytes.hpp>

#include <cstddef>
#include <optional>
#include <vector>

namespace reprise::detail {

/* The format of a file of sessions, without the file.

       "reprise sessions", version, salt, check    the head: the check says whether the key is the right one
       kind, length, sealed record                 for each session
       kind, length, sealed empty text             the end

   Each file has keys of its own, derived from its head. An entry is bound to its kind and its place. */

/// Writes the bytes of a file of sessions. A record that exceeds the bound is refused.
class archive_writer
{
public:
    /// @param key 32 random bytes. @param max_bytes Upper bound for all bytes.
    archive_writer(secret_bytes const& key, std::size_t max_bytes);

    /// Add a record. Returns false if there is no room.
    [[nodiscard]] bool add(byte_view record);

    /// Append the end, and return all bytes.
    [[nodiscard]] std::vector<unsigned char> finish() &&;

private:
    void append(unsigned char kind, byte_view text);

    std::size_t const max_bytes_;
    std::vector<unsigned char> bytes_;
    std::optional<aead> cipher_;
    std::size_t entries_ = 0;
};

/// Reads the bytes of a file of sessions, which are untrusted.
class archive_reader
{
public:
    struct entry
    {
        std::size_t index = 0;
        std::optional<secret_bytes> record{}; ///< nothing if the entry does not open
    };

    /// @throws system_error `errc::session_file_foreign`, `session_file_version` or `session_file_key`.
    archive_reader(byte_view bytes, secret_bytes const& key);

    /// Return the next session; nothing if there is none left.
    [[nodiscard]] std::optional<entry> next();

    /// Whether the end was found, with nothing behind it.
    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }

private:
    byte_view rest_;
    std::optional<aead> cipher_;
    std::size_t entries_ = 0;
    bool is_whole_ = false;
};

} // namespace reprise::detail
