// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string_view>

namespace reprise::detail {

/** Finds the end and the status of a response head: status line, fields, empty line (RFC 9112, 2.1).

    The bytes are untrusted and may arrive in any pieces. The fields are not kept.

    Some servers and proxies deviate from the grammar. Accepted are:
    @li a status line without a reason and its space;
    @li lines that end with LF alone (RFC 9112, 2.2), and folded lines (5.2);
    @li a space before the colon (5.1), and bytes above 127.

    Input that could hide another message is refused:
    @li NUL and other control bytes, and a CR that no LF follows;
    @li a line without a field name, and a fold before the first field (2.2).
*/
class response_head
{
public:
    /// @param limit Longest head, in bytes.
    explicit response_head(std::size_t limit) noexcept : limit_(limit) {}

    /// Process bytes up to the end of the head, or up to the first invalid byte. @return The number of processed bytes.
    std::size_t put(std::string_view bytes) noexcept;

    [[nodiscard]] bool is_complete() const noexcept { return next_ == state::complete; }
    [[nodiscard]] bool is_malformed() const noexcept { return next_ == state::malformed; }

    /// Whether the head is longer than the limit.
    [[nodiscard]] bool is_too_long() const noexcept { return next_ == state::too_long; }

    /// The status code, 100 to 999; 0 until it has been read.
    [[nodiscard]] unsigned status() const noexcept { return is_status_known_ ? status_ : 0; }

    /// Whether another response follows this one (RFC 9110, 15.2). 101 is final, because the connection then speaks
    /// another protocol.
    [[nodiscard]] bool is_interim() const noexcept { return status() / 100 == 1 && status() != 101; }

private:
    enum class state
    {
        name_of_protocol,
        version,
        first_space,
        code, // or another space before it
        after_code,
        reason,
        first_line, // start of the first field line
        line,
        name,
        colon, // expected after a name and a space
        value,
        line_feed,      // expected after the CR of a line
        last_line_feed, // expected after the CR of the empty line
        complete,
        malformed,
        too_long,
    };

    [[nodiscard]] state after(unsigned char c) noexcept;
    [[nodiscard]] state after_code_digit(unsigned char c) noexcept;
    [[nodiscard]] state at_line(unsigned char c, bool may_fold) const noexcept;
    [[nodiscard]] state in_text(unsigned char c, state same) noexcept;

    std::size_t limit_;
    std::size_t size_ = 0;
    state next_ = state::name_of_protocol;
    state after_line_feed_ = state::first_line;
    unsigned digits_ = 0; // digits, or characters of the protocol name, that were read
    unsigned status_ = 0;
    bool is_status_known_ = false;
};

} // namespace reprise::detail
