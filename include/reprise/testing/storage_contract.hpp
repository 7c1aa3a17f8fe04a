// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace reprise::testing {

/// A fresh, empty storage under test, and its time.
struct storage_under_test
{
    storage_ptr storage;

    /// Move the clock that it was given.
    std::function<void(std::chrono::seconds)> advance;
};

/// One row of the contract: what was expected, and what happened instead, if anything did.
struct contract_result
{
    std::string expectation;
    std::string failure; ///< empty if it holds

    [[nodiscard]] bool holds() const noexcept { return failure.empty(); }
};

/** Check what every `storage` promises: expiry, single use, one winner of a race, cancellation at each step, and operations
    that outlive the storage or their io_context.

    For whoever writes a storage of their own; it works with any test framework. Each row gets a storage of its own from
    `make` and runs on an io_context of its own, the races on several threads. The storage may take its time, up to half a
    minute for one operation, but it may not drop what a row has put: give it room for a thousand small entries.
*/
[[nodiscard]] std::vector<contract_result> check_storage_contract(std::function<storage_under_test()> const& make);

} // namespace reprise::testing
