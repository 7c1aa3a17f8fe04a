// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/client/connect_plan.hpp>
#include <reprise/detail/net/attempt_plan.hpp>
#include <reprise/detail/server/server_handshake.hpp>
#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <utility>

namespace test {

/// The name of an enumerator, "" if the value has none.
template <auto value>
consteval std::string_view enumerator_name()
{
    std::string_view const function = __PRETTY_FUNCTION__; // "... [with auto value = reprise::errc::bad_option; ...]"
    auto const begin = function.find("value = ") + 8;
    auto const name = function.substr(begin, function.find_first_of(";]", begin) - begin);
    return name.find('(') == name.npos ? name.substr(name.rfind(':') + 1) : std::string_view{}; // else a cast
}

template <class Enum, std::size_t... values>
consteval auto enumerator_names(std::index_sequence<values...>)
{
    return std::array<std::string_view, sizeof...(values)>{enumerator_name<static_cast<Enum>(values)>()...};
}

template <class Enum>
doctest::String name_of_enumerator(Enum value)
{
    static constexpr auto names = enumerator_names<Enum>(std::make_index_sequence<64>{});
    auto const number = static_cast<std::size_t>(value);
    std::string_view name = number < names.size() ? names[number] : std::string_view{};
    if constexpr (requires {
                      { to_string(value) } -> std::convertible_to<std::string_view>;
                  })
        name = to_string(value);
    return name.empty() ? doctest::toString(number) : doctest::String{name.data(), static_cast<unsigned>(name.size())};
}

} // namespace test

// A check that fails prints names, not numbers. Argument-dependent lookup finds these functions.
#define REPRISE_PRINT(type)                                                                                            \
    inline doctest::String toString(type value)                                                                        \
    {                                                                                                                  \
        return test::name_of_enumerator(value);                                                                        \
    }

namespace reprise {

REPRISE_PRINT(errc)
REPRISE_PRINT(handshake_kind)
REPRISE_PRINT(resumption_kind)
REPRISE_PRINT(full_handshake_reason)
REPRISE_PRINT(tls_version)
REPRISE_PRINT(early_data_status)
REPRISE_PRINT(early_data_reason)

namespace detail {

REPRISE_PRINT(server_step)
REPRISE_PRINT(lookup_kind)
REPRISE_PRINT(race_step)
REPRISE_PRINT(connect_step)
REPRISE_PRINT(tls_status)
REPRISE_PRINT(timed_status)

} // namespace detail

} // namespace reprise

#undef REPRISE_PRINT
