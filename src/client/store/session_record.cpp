// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/session_record.hpp"

#include "base/byte_codec.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace reprise::detail {

namespace {

constexpr unsigned char record_version = 1;

/* Writes each text with its length, and the ALPN list with its count, so that no two keys look alike. A key may contain
   a user's name. It is written only into sealed records and hashes. */
class key_writer
{
public:
    explicit key_writer(std::vector<unsigned char>& out) : out_(out) {}

    void write(session_scope const& key)
    {
        write(key.host);
        write(key.service);
        write(key.server_name);
        append_number<4>(out_, key.alpn.size());
        for (auto const& protocol : key.alpn)
            write(protocol);
        write(key.route);
        write(key.policy);
        write(key.identity);
        write(key.partition);
    }

private:
    void write(std::string_view text)
    {
        append_number<4>(out_, text.size());
        auto const bytes = as_bytes(text);
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }

    std::vector<unsigned char>& out_;
};

class reader
{
public:
    explicit reader(byte_view bytes) : rest(bytes) {}

    template <std::size_t Size>
    [[nodiscard]] std::uint64_t number()
    {
        auto const bytes = take(Size);
        return bytes.empty() ? 0 : read_number(bytes);
    }

    [[nodiscard]] std::string text()
    {
        auto const bytes = take(number<4>());
        return {bytes.begin(), bytes.end()};
    }

    [[nodiscard]] session_scope key()
    {
        session_scope result;
        result.host = text();
        result.service = text();
        result.server_name = text();
        for (auto count = number<4>(); count != 0 && ok; --count)
            result.alpn.push_back(text());
        result.route = text();
        result.policy = text();
        result.identity = text();
        result.partition = text();
        return result;
    }

    byte_view rest;
    bool ok = true; // no field was missing

private:
    [[nodiscard]] byte_view take(std::uint64_t size)
    {
        ok = ok && size <= rest.size();
        if (!ok)
            return {};
        auto const result = rest.first(static_cast<std::size_t>(size));
        rest = rest.subspan(result.size());
        return result;
    }
};

} // namespace

secret_bytes write_record(session_scope const& key, session const& ticket, std::uint64_t kept_at)
{
    std::vector<unsigned char> head{record_version};
    append_number<8>(head, kept_at);
    append_number<2>(head, static_cast<std::uint64_t>(ticket.protocol()));
    key_writer{head}.write(key);
    auto const tail = ticket.serialize();
    secret_bytes record{head.size() + tail.size()};
    std::ranges::copy(tail.view(), std::ranges::copy(head, record.data()).out);
    return record;
}

std::optional<session_record> session_record::read(byte_view bytes)
{
    reader in{bytes};
    if (in.number<1>() != record_version)
        return std::nullopt;
    session_record result;
    result.kept_at = in.number<8>();
    auto const protocol = in.number<2>();
    result.key = in.key();
    result.ticket = in.rest;
    result.protocol = static_cast<tls_version>(protocol);
    if (!in.ok || (result.protocol != tls_version::tls12 && result.protocol != tls_version::tls13))
        return std::nullopt;
    return result;
}

std::optional<session> session_record::decode() const
{
    auto const parsed = session::parse(ticket);
    return parsed && parsed->protocol() == protocol ? std::optional{*parsed} : std::nullopt;
}

std::string name_of(keyed_hash const& hash, session_scope const& key, std::size_t slot)
{
    std::vector<unsigned char> input{record_version};
    key_writer{input}.write(key);
    append_number<4>(input, slot);
    auto const name = hash(input);
    return {name.begin(), name.end()};
}

} // namespace reprise::detail
