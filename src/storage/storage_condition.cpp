// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/storage_condition.hpp>

#include <string>

namespace reprise {

namespace {

class category final : public boost::system::error_category
{
public:
    char const* name() const noexcept override { return "reprise.storage"; }

    std::string message(int value) const override
    {
        return value == static_cast<int>(storage_condition::unchanged) ? "the storage has changed nothing"
                                                                       : "unknown storage condition";
    }
};

} // namespace

boost::system::error_category const& storage_condition_category() noexcept
{
    static category const instance;
    return instance;
}

} // namespace reprise
