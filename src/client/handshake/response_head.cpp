// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/client/response_head.hpp>

namespace reprise::detail {

namespace {

constexpr std::string_view protocol = "HTTP/1.";

bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t';
}

bool is_control(unsigned char c)
{
    return c < ' ' || c == 0x7f;
}

} // namespace

std::size_t response_head::put(std::string_view bytes) noexcept
{
    std::size_t taken = 0;
    while (taken < bytes.size() && next_ < state::complete)
    {
        if (size_ == limit_)
        {
            next_ = state::too_long;
            break;
        }
        next_ = after(static_cast<unsigned char>(bytes[taken]));
        ++taken;
        ++size_;
    }
    return taken;
}

response_head::state response_head::after(unsigned char c) noexcept
{
    switch (next_)
    {
    case state::name_of_protocol:
        if (c != static_cast<unsigned char>(protocol[digits_]))
            return state::malformed;
        return ++digits_ < protocol.size() ? state::name_of_protocol : state::version;
    case state::version: digits_ = 0; return is_digit(c) ? state::first_space : state::malformed;
    case state::first_space: return is_space(c) ? state::code : state::malformed;
    case state::code: return after_code_digit(c);
    case state::after_code:
        is_status_known_ = is_space(c) || c == '\r' || c == '\n';
        return is_status_known_ ? in_text(c, state::reason) : state::malformed;
    case state::reason: return in_text(c, state::reason);
    case state::first_line: return at_line(c, false);
    case state::line: return at_line(c, true);
    case state::name:
        if (c == ':')
            return state::value;
        if (is_space(c))
            return state::colon;
        return is_control(c) ? state::malformed : state::name;
    case state::colon:
        if (c == ':')
            return state::value;
        return is_space(c) ? state::colon : state::malformed;
    case state::value: return in_text(c, state::value);
    case state::line_feed: return c == '\n' ? after_line_feed_ : state::malformed;
    case state::last_line_feed: return c == '\n' ? state::complete : state::malformed;
    case state::complete:
    case state::malformed:
    case state::too_long: break;
    }
    return next_;
}

response_head::state response_head::after_code_digit(unsigned char c) noexcept
{
    if (digits_ == 0 && is_space(c))
        return state::code;
    if (!is_digit(c) || (digits_ == 0 && c == '0'))
        return state::malformed;
    status_ = 10 * status_ + (c - unsigned{'0'});
    return ++digits_ < 3 ? state::code : state::after_code;
}

response_head::state response_head::at_line(unsigned char c, bool may_fold) const noexcept
{
    if (c == '\r')
        return state::last_line_feed;
    if (c == '\n')
        return state::complete;
    if (is_space(c))
        return may_fold ? state::value : state::malformed;
    return c == ':' || is_control(c) ? state::malformed : state::name;
}

// Within the reason or a field value, up to the end of the line.
response_head::state response_head::in_text(unsigned char c, state same) noexcept
{
    after_line_feed_ = same == state::reason ? state::first_line : state::line;
    if (c == '\r')
        return state::line_feed;
    if (c == '\n')
        return after_line_feed_;
    return is_control(c) && c != '\t' ? state::malformed : same;
}

} // namespace reprise::detail
