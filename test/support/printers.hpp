// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <ostream>
#include <string_view>
#include <type_traits>
#include <utility>

namespace test {

/// The name of an enumerator, "" if the value has none.
template <auto value>
consteval std::string_view enumerator_name()
{
    std::string_view const function = __PRETTY_FUNCTION__; // "... [with auto value = reprise::errc::bad_option; ...]"
    auto const begin = function.find("value = ") + 8;
    auto name = function.substr(begin, function.find_first_of(";]", begin) - begin);
    if (name.find('(') != name.npos) // a cast: no enumerator
        return {};
    return name.substr(name.rfind(':') + 1);
}

template <class Enum, std::size_t... values>
consteval auto enumerator_names(std::index_sequence<values...>)
{
    return std::array<std::string_view, sizeof...(values)>{enumerator_name<static_cast<Enum>(values)>()...};
}

template <class Enum>
void print_enumerator(std::ostream& out, Enum value)
{
    static constexpr auto names = enumerator_names<Enum>(std::make_index_sequence<48>{});
    auto const number = static_cast<std::size_t>(value);
    if (number < names.size() && !names[number].empty())
        out << names[number];
    else
        out << number;
}

} // namespace test

// Where argument-dependent lookup finds them: a check that fails prints names, not numbers.
namespace reprise {

template <class Enum>
    requires(std::is_enum_v<Enum>)
std::ostream& operator<<(std::ostream& out, Enum value)
{
    if constexpr (requires {
                      { to_string(value) } -> std::convertible_to<std::string_view>;
                  })
        return out << to_string(value);
    else
        return test::print_enumerator(out, value), out;
}

namespace detail {

using reprise::operator<<;

} // namespace detail

} // namespace reprise
