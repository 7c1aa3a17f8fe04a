// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_condition.hpp>

#include <type_traits>

namespace reprise {

/// Condition of a storage's errors: the state of the requested change. `e.code() == storage_condition::unchanged`.
enum class storage_condition
{
    /// The change was not made and will never be visible to another process. Other errors leave this open.
    unchanged = 1,
};

/// The category of `storage_condition`.
[[nodiscard]] boost::system::error_category const& storage_condition_category() noexcept;

[[nodiscard]] inline boost::system::error_condition make_error_condition(storage_condition c) noexcept
{
    return {static_cast<int>(c), storage_condition_category()};
}

} // namespace reprise

template <>
struct boost::system::is_error_condition_enum<reprise::storage_condition> : std::true_type
{
};
