// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/hex.hpp"
#include "base/openssl.hpp"

#include <reprise/error.hpp>
#include <reprise/ticket_key_file.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace reprise {

namespace {

constexpr std::size_t name_size = 16;
constexpr std::size_t min_keys = 3; // HAProxy's TLS_TICKETS_NO
constexpr std::string_view digits = "0123456789abcdef";
constexpr std::string_view how_to_make_a_line = "make it with 'openssl rand 80 | base64 -w0; echo'";

constexpr bool is_key_size(std::size_t size)
{
    return size == 48 || size == 80;
}

[[noreturn]] void refuse(std::string_view called, std::string const& why)
{
    throw system_error{errc::bad_ticket_key_file, std::string{called} + ": " + why};
}

std::string in_line(std::size_t number)
{
    return "line " + std::to_string(number) + ' ';
}

std::string holds_bytes(std::size_t number, std::size_t size)
{
    return in_line(number) + "holds " + std::to_string(size) + " bytes";
}

ticket_key to_key(byte_view bytes)
{
    return {.secret = locked_bytes{bytes.subspan(name_size)}, .name = detail::hex(bytes.first(name_size))};
}

// The inverse of to_key. `out` must have room for the key.
void write_key(ticket_key const& key, unsigned char* out)
{
    auto const size = name_size + key.secret.size();
    if (!is_key_size(size))
        refuse("key '" + key.name + "'", std::to_string(key.secret.size()) + " bytes of secret, not 32 or 64");
    if (key.name.size() != 2 * name_size || key.name.find_first_not_of(digits) != std::string::npos)
        refuse("key '" + key.name + "'", "its name is not 16 bytes in lower case hexadecimal");
    for (std::size_t i = 0; i < name_size; ++i)
        out[i] = static_cast<unsigned char>(digits.find(key.name[2 * i]) << 4 | digits.find(key.name[2 * i + 1]));
    std::ranges::copy(key.secret.view(), out + name_size);
}

constexpr std::size_t base64_size(std::size_t size)
{
    return (size + 2) / 3 * 4;
}

// The output ends with a zero.
void write_base64(byte_view bytes, unsigned char* out)
{
    ::EVP_EncodeBlock(out, bytes.data(), static_cast<int>(bytes.size()));
}

std::optional<secret_bytes> read_base64(byte_view text)
{
    if (text.empty() || text.size() % 4 != 0)
        return std::nullopt;
    secret_bytes padded{text.size() / 4 * 3};
    auto const count = ::EVP_DecodeBlock(padded.data(), text.data(), static_cast<int>(text.size()));
    auto const padding = static_cast<std::size_t>(std::ranges::count(text.last(2), '='));
    if (count < 0 || static_cast<std::size_t>(count) != padded.size())
        return std::nullopt;
    secret_bytes bytes{padded.view().first(padded.size() - padding)};
    // OpenSSL skips blanks, and accepts padding in the middle and leftover bits.
    secret_bytes again{base64_size(bytes.size()) + 1};
    write_base64(bytes, again.data());
    if (!std::ranges::equal(again.view().first(again.size() - 1), text))
        return std::nullopt;
    return bytes;
}

bool is_text(byte_view bytes)
{
    return std::ranges::all_of(bytes, [](unsigned char c)
                               { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t'; });
}

secret_bytes read_line(byte_view line, std::size_t number, std::string_view called)
{
    if (line.empty())
        refuse(called, in_line(number) + "is empty, which HAProxy refuses: delete it");
    auto bytes = read_base64(line);
    if (!bytes)
        refuse(called, in_line(number) +
                           "is not base64 from its first to its last character: " + std::string{how_to_make_a_line});
    if (!is_key_size(bytes->size()))
        refuse(called, holds_bytes(number, bytes->size()) +
                           ", not 48 or 80, all on one line: " + std::string{how_to_make_a_line});
    return *std::move(bytes);
}

ticket_key_file read_lines(byte_view contents, std::string_view called)
{
    auto const ends = static_cast<std::size_t>(std::ranges::count(contents, '\n'));
    auto const lines = ends + (contents.back() != '\n');
    ticket_key_file result{.format = ticket_key_file_format::haproxy};
    std::size_t size_of_first = 0;
    for (std::size_t number = 1; number <= lines; ++number)
    {
        auto const length = static_cast<std::size_t>(std::ranges::find(contents, '\n') - contents.begin());
        auto line = contents.first(length);
        contents = contents.subspan(std::min(length + 1, contents.size()));
        if (!line.empty() && line.back() == '\r')
            line = line.first(line.size() - 1);

        auto const bytes = read_line(line, number, called);
        if (number == 1)
            size_of_first = bytes.size();
        if (bytes.size() != size_of_first)
            refuse(called, holds_bytes(number, bytes.size()) + ", and line 1 " + std::to_string(size_of_first) +
                               ": all keys of a file must have one size");
        if (number + max_ticket_keys > lines)
            result.keys.push_back(to_key(bytes));
    }
    if (lines < min_keys)
        refuse(called, std::to_string(lines) + (lines == 1 ? " line" : " lines") +
                           ", but HAProxy needs at least 3, of which the last but one issues: add lines. (For nginx a "
                           "key is not in base64: 'openssl rand 80'.)");
    return result;
}

} // namespace

ticket_key_file parse_ticket_key_file(byte_view contents, std::string_view called)
{
    if (contents.empty())
        refuse(called,
               "the file is empty: for nginx fill it with 'openssl rand 80'; for HAProxy, with three lines or more, " +
                   std::string{how_to_make_a_line});
    if (contents.size() > max_ticket_key_file_size)
        refuse(called, "more than " + std::to_string(max_ticket_key_file_size) + " bytes: give a file of ticket keys");
    if (is_key_size(contents.size()))
        return {.format = ticket_key_file_format::nginx, .keys = {to_key(contents)}};
    if (is_text(contents))
        return read_lines(contents, called);
    bool const has_newline = is_key_size(contents.size() - 1) && contents.back() == '\n';
    refuse(called, std::to_string(contents.size()) +
                       " bytes, not 48 or 80 as for nginx, and not text as for HAProxy: " +
                       (has_newline ? "remove the newline at its end" : "fill it with 'openssl rand 80'"));
}

secret_bytes write_ticket_key_file(ticket_key_file const& file)
{
    auto const& keys = file.keys;
    bool const one = file.format == ticket_key_file_format::nginx;
    if (one ? keys.size() != 1 : keys.size() < min_keys || keys.size() > max_ticket_keys)
        refuse("ticket key file", std::to_string(keys.size()) + (one ? " keys, but nginx has one in a file"
                                                                     : " keys, not 3 to 64 as for HAProxy"));
    auto const size = name_size + keys.front().secret.size();
    secret_bytes bytes{size};
    write_key(keys.front(), bytes.data());
    if (one)
        return bytes;

    auto const line_size = base64_size(size) + 1;
    secret_bytes result{keys.size() * line_size};
    auto* out = result.data();
    for (auto const& key : keys)
    {
        if (name_size + key.secret.size() != size)
            refuse("key '" + key.name + "'", "its size differs from the first key's; HAProxy needs one size");
        write_key(key, bytes.data());
        write_base64(bytes, out);
        out[line_size - 1] = '\n';
        out += line_size;
    }
    return result;
}

ticket_key make_file_ticket_key(std::size_t size)
{
    if (!is_key_size(size))
        throw system_error{errc::bad_option,
                           "make_file_ticket_key: the size must be 48 or 80 bytes, not " + std::to_string(size)};
    return to_key(detail::random_secret(size));
}

} // namespace reprise
