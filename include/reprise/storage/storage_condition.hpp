// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_condition.hpp>

#include <type_traits>

namespace reprise {

/// What the error of a storage says about the change that was asked for: `e.code() == storage_condition::unchanged`.
enum class storage_condition
{
    /// It was not made and will not be, where another process could see it. Other errors leave that open.
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
