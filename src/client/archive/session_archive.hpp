// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/base/aead.hpp>
#include <reprise/secret_bytes.hpp>

#include <cstddef>
#include <optional>
#include <vector>

namespace reprise::detail {

/* The bytes of a file of sessions, without the file.

       "reprise sessions", version, salt, check              the head: the check says whether the key is the right one
       kind, length, what aead makes of a record             for each session
       kind, length, what aead makes of nothing              the end

   A file has keys of its own, from its head; an entry is bound to its kind and its place. */

/// Makes the bytes. A record too many is refused, not written.
class archive_writer
{
public:
    /// @param key 32 random bytes. @param max_bytes How long the whole may become.
    archive_writer(secret_bytes const& key, std::size_t max_bytes);

    /// False if there is no room for it.
    [[nodiscard]] bool add(byte_view record);

    /// The whole, with its end.
    [[nodiscard]] std::vector<unsigned char> finish() &&;

private:
    void append(unsigned char kind, byte_view text);

    std::size_t const max_bytes_;
    std::vector<unsigned char> bytes_;
    std::optional<aead> cipher_;
    std::size_t entries_ = 0;
};

/// Takes them apart; they are untrusted.
class archive_reader
{
public:
    struct entry
    {
        std::size_t index = 0;
        std::optional<secret_bytes> record{}; ///< nothing if it does not open
    };

    /// @throws system_error `errc::session_file_foreign`, `session_file_version` or `session_file_key`.
    archive_reader(byte_view bytes, secret_bytes const& key);

    /// The next session; nothing where there is none any more.
    [[nodiscard]] std::optional<entry> next();

    /// Whether the end has been found where it belongs.
    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }

private:
    byte_view rest_;
    std::optional<aead> cipher_;
    std::size_t entries_ = 0;
    bool is_whole_ = false;
};

} // namespace reprise::detail
