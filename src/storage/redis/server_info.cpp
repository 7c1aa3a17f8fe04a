// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/server_info.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace reprise::detail {

namespace {

constexpr std::size_t longest_id = 128; // ids have 40 bytes

// Return the value of a line "name:value"; empty if there is none.
std::string_view field(std::string_view info, std::string_view name)
{
    while (!info.empty())
    {
        auto line = info.substr(0, info.find('\n'));
        info.remove_prefix(std::min(info.size(), line.size() + 1));
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
            return line.substr(name.size() + 1);
    }
    return {};
}

std::optional<std::uint64_t> to_number(std::string_view text)
{
    std::uint64_t number = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

bool is_id(std::string_view text)
{
    return !text.empty() && text.size() <= longest_id;
}

} // namespace

storage_epoch epoch_of(std::string_view info)
{
    storage_epoch result;
    auto const run = field(info, "run_id");
    auto const data = field(info, "master_replid");
    if (is_id(run) && is_id(data) && field(info, "role") == "master")
        result.incarnation.append(run).append(" ").append(data);
    result.evicted = to_number(field(info, "evicted_keys"));
    return result;
}

} // namespace reprise::detail
