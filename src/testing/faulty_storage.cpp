// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/async/event.hpp>
#include <reprise/error.hpp>
#include <reprise/testing/faulty_storage.hpp>

#include <boost/asio/error.hpp>

#include <mutex>
#include <utility>

namespace reprise::testing {

class faulty_storage::impl
{
public:
    void set_plan(fault_plan plan)
    {
        std::lock_guard const lock{mutex_};
        plan_ = std::move(plan);
        begun_ = 0;
    }

    void release()
    {
        std::lock_guard const lock{mutex_};
        std::exchange(gate_, std::make_shared<detail::event>())->set();
    }

    [[nodiscard]] std::size_t waiting() const
    {
        std::lock_guard const lock{mutex_};
        return waiting_;
    }

    [[nodiscard]] std::size_t operations() const
    {
        std::lock_guard const lock{mutex_};
        return begun_;
    }

    [[nodiscard]] storage_fault begin(storage_operation operation)
    {
        std::unique_lock lock{mutex_};
        auto const nth = begun_++;
        auto const plan = plan_;
        lock.unlock();
        return plan ? plan(operation, nth) : storage_fault::none;
    }

    // Call before the inner storage is used.
    static asio::awaitable<void> before(std::shared_ptr<impl> self, storage_fault fault)
    {
        if (fault == storage_fault::fail)
            throw system_error{asio::error::connection_refused};
        if (fault == storage_fault::hold)
            co_await wait(self, self->gate());
        if (fault == storage_fault::hang)
            co_await wait(self, std::make_shared<detail::event>());
    }

    // Call after the inner storage has answered.
    static asio::awaitable<void> after(std::shared_ptr<impl> self, storage_fault fault)
    {
        if (fault == storage_fault::fail_after)
            throw system_error{asio::error::connection_reset};
        if (fault == storage_fault::hold_after)
            co_await wait(self, self->gate());
    }

private:
    class waiter
    {
    public:
        explicit waiter(impl& c) : impl_(c) { add(1); }
        waiter(waiter const&) = delete;
        waiter& operator=(waiter const&) = delete;
        ~waiter() { add(static_cast<std::size_t>(-1)); }

    private:
        void add(std::size_t change)
        {
            std::lock_guard const lock{impl_.mutex_};
            impl_.waiting_ += change;
        }

        impl& impl_;
    };

    static asio::awaitable<void> wait(std::shared_ptr<impl> self, std::shared_ptr<detail::event> until)
    {
        waiter const counted{*self};
        co_await detail::event::wait(std::move(until));
    }

    [[nodiscard]] std::shared_ptr<detail::event> gate() const
    {
        std::lock_guard const lock{mutex_};
        return gate_;
    }

    mutable std::mutex mutex_;
    fault_plan plan_;
    std::size_t begun_ = 0;
    std::size_t waiting_ = 0;
    std::shared_ptr<detail::event> gate_ = std::make_shared<detail::event>();
};

namespace {

void corrupt(secret_bytes& value)
{
    if (!value.empty())
        value.data()[value.size() / 2] ^= 1;
}

} // namespace

fault_plan nth_operation(std::size_t nth, storage_fault fault)
{
    return [=](storage_operation, std::size_t n) { return n == nth ? fault : storage_fault::none; };
}

fault_plan each(storage_operation operation, storage_fault fault)
{
    return [=](storage_operation o, std::size_t) { return o == operation ? fault : storage_fault::none; };
}

std::shared_ptr<faulty_storage> faulty_storage::make(storage_ptr inner, fault_plan plan)
{
    return std::shared_ptr<faulty_storage>{new faulty_storage{std::move(inner), std::move(plan)}};
}

faulty_storage::faulty_storage(storage_ptr inner, fault_plan plan)
    : inner_(std::move(inner)), impl_(std::make_shared<impl>())
{
    impl_->set_plan(std::move(plan));
}

faulty_storage::~faulty_storage() = default;

void faulty_storage::set_plan(fault_plan plan)
{
    impl_->set_plan(std::move(plan));
}

void faulty_storage::release()
{
    impl_->release();
}

std::size_t faulty_storage::waiting() const
{
    return impl_->waiting();
}

std::size_t faulty_storage::operations() const
{
    return impl_->operations();
}

asio::awaitable<std::optional<secret_bytes>> faulty_storage::get(std::string name)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::get);
    co_await impl::before(self, fault);
    if (fault == storage_fault::lose)
        co_return std::nullopt;
    auto value = co_await inner->get(std::move(name));
    if (value && fault == storage_fault::corrupt)
        corrupt(*value);
    co_await impl::after(self, fault);
    co_return value;
}

asio::awaitable<void> faulty_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::put);
    co_await impl::before(self, fault);
    if (fault == storage_fault::lose)
        co_return;
    if (fault == storage_fault::corrupt)
        corrupt(value);
    co_await inner->put(std::move(name), std::move(value), expiry);
    co_await impl::after(self, fault);
}

asio::awaitable<std::optional<secret_bytes>> faulty_storage::take(std::string name)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::take);
    co_await impl::before(self, fault);
    if (fault == storage_fault::lose)
        co_return std::nullopt;
    auto value = co_await inner->take(std::move(name));
    if (value && fault == storage_fault::corrupt)
        corrupt(*value);
    co_await impl::after(self, fault);
    co_return value;
}

asio::awaitable<bool> faulty_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::put_if_absent);
    co_await impl::before(self, fault);
    if (fault == storage_fault::lose)
        co_return true;
    if (fault == storage_fault::corrupt)
        corrupt(value);
    bool const kept = co_await inner->put_if_absent(std::move(name), std::move(value), expiry);
    co_await impl::after(self, fault);
    co_return kept;
}

asio::awaitable<bool> faulty_storage::erase(std::string name)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::erase);
    co_await impl::before(self, fault);
    if (fault == storage_fault::lose)
        co_return true;
    bool const erased = co_await inner->erase(std::move(name));
    co_await impl::after(self, fault);
    co_return erased;
}

asio::awaitable<with_epoch<bool>> faulty_storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                           time_point expiry)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::put_if_absent);
    co_await impl::before(self, fault);
    with_epoch<bool> result;
    if (fault == storage_fault::lose)
    {
        result.value = true;
        result.epoch = co_await inner->epoch();
        co_return result;
    }
    if (fault == storage_fault::corrupt)
        corrupt(value);
    result = co_await inner->put_if_absent_with_epoch(std::move(name), std::move(value), expiry);
    co_await impl::after(self, fault);
    co_return result;
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> faulty_storage::take_with_epoch(std::string name)
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::take);
    co_await impl::before(self, fault);
    with_epoch<std::optional<secret_bytes>> result;
    if (fault == storage_fault::lose)
    {
        result.epoch = co_await inner->epoch();
        co_return result;
    }
    result = co_await inner->take_with_epoch(std::move(name));
    if (result.value && fault == storage_fault::corrupt)
        corrupt(*result.value);
    co_await impl::after(self, fault);
    co_return result;
}

asio::awaitable<storage_epoch> faulty_storage::epoch()
{
    return inner_->epoch();
}

bool faulty_storage::is_process_local() const noexcept
{
    return inner_->is_process_local();
}

asio::awaitable<std::size_t> faulty_storage::flush()
{
    auto const self = impl_;
    auto const inner = inner_;
    auto const fault = self->begin(storage_operation::flush);
    co_await impl::before(self, fault);
    if (fault == storage_fault::lose)
        co_return 0;
    auto const dropped = co_await inner->flush();
    co_await impl::after(self, fault);
    co_return dropped;
}

storage_stats faulty_storage::stats() const
{
    return inner_->stats();
}

} // namespace reprise::testing
