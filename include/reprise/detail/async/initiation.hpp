// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <utility>

namespace reprise::detail {

/// The function that starts an operation, together with the operation's executor. Some completion tokens ask for the
/// executor.
template <class Executor, class Function>
class initiation
{
public:
    using executor_type = Executor;

    initiation(Executor ex, Function start) : executor_(std::move(ex)), start_(std::move(start)) {}

    [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }

    template <class... Arguments>
    void operator()(Arguments&&... arguments)
    {
        start_(std::forward<Arguments>(arguments)...);
    }

private:
    Executor executor_;
    [[no_unique_address]] Function start_; // GCC 12 warns that an empty function with its own byte is uninitialised
};

} // namespace reprise::detail
