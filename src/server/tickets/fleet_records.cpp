// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/fleet_records.hpp"

#include "base/hex.hpp"
#include "storage/expiry_field.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace reprise::detail {

namespace {

/* A record: version; then, sealed, the key's not_before, issue_until, accept_until and secret. */
constexpr unsigned char record_version = 1;
constexpr byte_view header{&record_version, 1};
constexpr std::size_t secret_size = 32;
constexpr std::size_t text_size = 3 * expiry_field_size + secret_size;

} // namespace

fleet_records::fleet_records(byte_view secret, std::string const& fleet, std::chrono::seconds every)
    : fleet_records(keyed_hash{secret}, fleet, every)
{
}

fleet_records::fleet_records(keyed_hash const& secret, std::string const& fleet, std::chrono::seconds every)
    : every_(every), cipher_(secret.derive("reprise shared ticket key 1"))
{
    // With another period, the same number means another time.
    prefix_ = "reprise ticket key/1/" + fleet + '/' + std::to_string(every.count()) + "s/";
    auto const id = secret(as_bytes("reprise shared ticket key id 1 " + prefix_));
    prefix_ += hex(byte_view{id}.first<8>()) + '/';
}

std::string fleet_records::name_of(generation g) const
{
    return prefix_ + std::to_string(g);
}

secret_bytes fleet_records::seal(generation g, ticket_key const& key) const
{
    secret_bytes text(text_size);
    auto rest = std::span{text.data(), text.size()};
    for (auto const time : {key.not_before, key.issue_until, key.accept_until})
    {
        write_expiry(rest.first<expiry_field_size>(), time);
        rest = rest.subspan<expiry_field_size>();
    }
    std::ranges::copy(key.secret.view(), rest.begin());
    return cipher_.seal(header, text, as_bytes(name_of(g)));
}

std::optional<ticket_key> fleet_records::open(generation g, byte_view record) const
{
    if (record.empty() || record.front() != record_version)
        return std::nullopt;
    auto const text = cipher_.open(record, header.size(), as_bytes(name_of(g)));
    if (!text || text->size() != text_size)
        return std::nullopt;
    auto const time = [&](std::size_t nth)
    { return read_expiry(text->view().subspan(nth * expiry_field_size).first<expiry_field_size>()); };
    auto const secret = text->view().last<secret_size>();
    ticket_key key{.secret = locked_bytes{secret},
                   .name = name_of_key(g, secret),
                   .not_before = time(0),
                   .issue_until = time(1),
                   .accept_until = time(2)};
    return may_belong(key, g, every_) ? std::optional{std::move(key)} : std::nullopt;
}

} // namespace reprise::detail
