// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/id_context.hpp"

#include "base/digest_input.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace reprise::detail {

namespace {

constexpr std::size_t half = SSL_MAX_SID_CTX_LENGTH / 2;

} // namespace

id_context make_id_context(policy_tag const& policy, std::string_view server_name)
{
    std::string name{server_name};
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    digest_input in{"reprise server name 1"};
    in.add(std::string_view{name});
    auto const of_name = in.digest();

    id_context result;
    std::copy_n(of_name.begin(), half, std::copy_n(policy.begin(), half, result.begin()));
    return result;
}

full_handshake_reason compare(byte_view made, id_context const& now) noexcept
{
    if (made.size() != now.size() || !std::equal(now.begin(), now.begin() + half, made.begin()))
        return full_handshake_reason::policy_differs;
    return std::ranges::equal(made, now) ? full_handshake_reason::none : full_handshake_reason::name_differs;
}

} // namespace reprise::detail
