// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string_view>

namespace reprise::detail {

/** Finds the end and the status of a response's head: status line, fields, empty line (RFC 9112, 2.1).

    The bytes are untrusted and may come in any pieces. Nothing is kept of the fields.

    The scanner accepts what deployed servers and proxies send beside the grammar: a status line without a reason and its
    space, lines that end with LF alone (RFC 9112, 2.2), folded lines (5.2), a space before the colon (5.1), bytes above 127.
    It refuses what could hide another message: NUL and other control bytes, a CR that no LF follows, a line without a
    field name, a fold before the first field (2.2).
*/
class response_head
{
public:
    /// @param limit Longest head, in bytes.
    explicit response_head(std::size_t limit) noexcept : limit_(limit) {}

    /// Take bytes up to the end of the head, or up to the one that is wrong. @return How many were taken.
    std::size_t put(std::string_view bytes) noexcept;

    [[nodiscard]] bool is_complete() const noexcept { return next_ == state::complete; }
    [[nodiscard]] bool is_malformed() const noexcept { return next_ == state::malformed; }

    /// More bytes than the limit, and still no end.
    [[nodiscard]] bool is_too_long() const noexcept { return next_ == state::too_long; }

    /// 100 to 999, as soon as it has been read; 0 before.
    [[nodiscard]] unsigned status() const noexcept { return is_status_known_ ? status_ : 0; }

    /// Whether another response follows this one (RFC 9110, 15.2). 101 is final: the connection speaks another protocol then.
    [[nodiscard]] bool is_interim() const noexcept { return status() / 100 == 1 && status() != 101; }

private:
    enum class state
    {
        name_of_protocol,
        version,
        first_space,
        code, // or more space before it
        after_code,
        reason,
        first_line, // of the fields
        line,
        name,
        colon, // after a name and a space
        value,
        line_feed,      // of a line that has ended with CR
        last_line_feed, // of the empty line
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
    unsigned digits_ = 0; // or letters of the protocol's name
    unsigned status_ = 0;
    bool is_status_known_ = false;
};

} // namespace reprise::detail
