// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/session_bond.hpp"

#include "base/digest_input.hpp"

#include <algorithm>

namespace reprise::detail {

namespace {

sha256_digest bond_of(std::string_view incarnation)
{
    digest_input in{"reprise session stored in 1"};
    in.add(incarnation);
    return in.digest();
}

} // namespace

std::optional<session> bind_to_incarnation(session const& made, std::string_view incarnation)
{
    auto const copy = made.copy();
    auto const bond = bond_of(incarnation);
    if (!copy || ::SSL_SESSION_set1_ticket_appdata(copy.get(), bond.data(), bond.size()) != 1)
        return std::nullopt;
    return session::snapshot(copy.get(), made.origin());
}

early_data_reason judge_bond(SSL_SESSION* taken, storage_epoch const& taken_in) noexcept
try
{
    if (taken_in.incarnation.empty())
        return early_data_reason::guard_unsure;
    void* data = nullptr;
    std::size_t size = 0;
    if (::SSL_SESSION_get0_ticket_appdata(taken, &data, &size) != 1)
        return early_data_reason::guard_starting;
    byte_view const bond{static_cast<unsigned char const*>(data), size};
    return std::ranges::equal(bond, bond_of(taken_in.incarnation)) ? early_data_reason::none
                                                                   : early_data_reason::guard_starting;
}
catch (...) // no memory
{
    return early_data_reason::guard_failed;
}

} // namespace reprise::detail
