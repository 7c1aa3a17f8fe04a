// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/io_context.hpp>

#include <memory>
#include <utility>

namespace test {

/** An io_context's executor that counts its copies: so that a test sees who keeps one.

    A copy of a strand that outlives the context is a use after free. A counted copy shows that without a sanitizer.
*/
class counted_executor
{
public:
    explicit counted_executor(boost::asio::io_context& io) : inner_(io.get_executor()) {}

    /// Tells how many copies there are, this one included.
    [[nodiscard]] std::weak_ptr<int> copies() const { return mark_; }

    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept { return inner_.context(); }
    static constexpr auto query(boost::asio::execution::blocking_t) noexcept
    {
        return boost::asio::execution::blocking.never;
    }
    counted_executor require(boost::asio::execution::blocking_t::never_t) const { return *this; }
    template <class F>
    void execute(F f) const
    {
        boost::asio::require(inner_, boost::asio::execution::blocking.never).execute(std::move(f));
    }
    friend bool operator==(counted_executor const& a, counted_executor const& b) noexcept
    {
        return a.inner_ == b.inner_;
    }

private:
    boost::asio::io_context::executor_type inner_;
    std::shared_ptr<int> mark_ = std::make_shared<int>();
};

} // namespace test
