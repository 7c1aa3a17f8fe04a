// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/session_bond.hpp"

#include "base/digest_input.hpp"
#include "tls/ticket_appdata.hpp"

#include <algorithm>
#include <vector>

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
    if (!copy)
        return std::nullopt;
    auto const before = ticket_appdata_of(copy.get()); // how it was verified
    std::vector<unsigned char> appdata(before.begin(), before.end());
    auto const bond = bond_of(incarnation);
    appdata.insert(appdata.end(), bond.begin(), bond.end());
    if (::SSL_SESSION_set1_ticket_appdata(copy.get(), appdata.data(), appdata.size()) != 1)
        return std::nullopt;
    return session::snapshot(copy.get(), made.origin());
}

early_data_reason judge_bond(SSL_SESSION* taken, storage_epoch const& taken_in) noexcept
try
{
    if (taken_in.incarnation.empty())
        return early_data_reason::guard_unsure;
    auto const appdata = ticket_appdata_of(taken);
    auto const bond = bond_of(taken_in.incarnation);
    if (appdata.size() < bond.size() || !std::ranges::equal(appdata.last(bond.size()), bond))
        return early_data_reason::guard_starting;
    return early_data_reason::none;
}
catch (...) // out of memory
{
    return early_data_reason::guard_failed;
}

} // namespace reprise::detail
