// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace reprise::testing {

/// A new, empty storage under test, and control of its clock.
struct storage_under_test
{
    storage_ptr storage;

    /// Advance the clock that the storage uses.
    std::function<void(std::chrono::seconds)> advance;
};

/// One row of the contract: the expectation, and the failure, if there was one.
struct contract_result
{
    std::string expectation;
    std::string failure; ///< empty if the expectation holds

    [[nodiscard]] bool holds() const noexcept { return failure.empty(); }
};

/** Check what every `storage` promises: expiry, single use, one winner of a race, cancellation at each step, and
    operations that outlive the storage or their io_context.

    For authors of storages; works with any test framework. Each row gets its own storage from `make` and runs on its
    own io_context; races run on several threads.

    Limits: an operation of the storage may take up to half a minute. The storage may not drop what a row has put, so
    give it room for a thousand small entries.
*/
[[nodiscard]] std::vector<contract_result> check_storage_contract(std::function<storage_under_test()> const& make);

} // namespace reprise::testing
