// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "async/handoff.hpp"
#include "base/old_name.hpp"
#include "base/openssl.hpp"
#include "base/require_option.hpp"
#include "server/tickets/fleet_records.hpp"
#include "server/tickets/generations.hpp"
#include "server/tickets/key_source.hpp"

#include <reprise/detail/async/event.hpp>
#include <reprise/detail/async/spawn_cancellable.hpp>
#include <reprise/detail/base/aead.hpp>
#include <reprise/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

namespace reprise::detail {

namespace {

// Shared by all calls of fetch, and destroyed with the last one.
struct fleet
{
    storage_ptr const storage;
    fleet_records const records;
    generation_rules const rules;
    clock const now;

    std::atomic<bool> may_be_lost{false}; // the storage may lack old keys, because it lacked newer ones
    std::mutex mutex{};
    std::exception_ptr unreported{}; // of a fetch that had new keys to bring
};

struct finding
{
    std::optional<ticket_key> key{};
    bool is_junk = false; // there was a record, but not a key of this fleet
};

struct storage_answer
{
    std::exception_ptr error{};
    finding found{};
};

[[nodiscard]] std::exception_ptr complaint(generation g, char const* what)
{
    return std::make_exception_ptr(
        system_error{errc::bad_ticket_keys, "key of generation " + std::to_string(g) + " in the storage: " + what});
}

ticket_key make_key(generation g, key_times const& times)
{
    auto secret = random_secret(secret_key_size);
    while (!is_plausible_key(secret))
        secret = random_secret(secret_key_size);
    auto name = name_of_key(g, secret);
    return {.secret = std::move(secret),
            .name = std::move(name),
            .not_before = times.not_before,
            .issue_until = times.issue_until,
            .accept_until = times.accept_until};
}

// Concurrent operations and their outcomes, which are touched on one strand until all have ended.
struct batch : event
{
    explicit batch(std::size_t size) : outcomes(size), cancel(size), running(size) {}

    std::vector<storage_answer> outcomes;
    std::vector<asio::cancellation_signal> cancel;
    std::size_t running;
};

/* Run all operations concurrently, because a server that starts late has many lookups. (Asio's parallel_group is no
   option: in Boost 1.81 it looks at its range after it has begun the last operation. That operation may then have ended
   on another thread, and the group with it.) */
asio::awaitable<std::vector<storage_answer>> all(std::vector<asio::awaitable<finding>> operations)
{
    if (operations.empty())
        co_return std::vector<storage_answer>{};
    auto const state = std::make_shared<batch>(operations.size());
    auto const executor = co_await asio::this_coro::executor;
    auto const strand = serial_executor(executor);
    for (std::size_t i = 0; i < operations.size(); ++i)
    {
        auto ended = [state, i](std::exception_ptr error, finding found)
        {
            state->outcomes[i] = {.error = std::move(error), .found = std::move(found)};
            if (--state->running == 0)
                state->set();
        };
        spawn_cancellable(
            strand, std::move(operations[i]),
            asio::bind_cancellation_slot(state->cancel[i].slot(), asio::bind_executor(strand, std::move(ended))));
    }
    try
    {
        co_await event::wait(state);
    }
    catch (system_error const&) // cancelled
    {
        asio::dispatch(strand,
                       [state]
                       {
                           for (auto& signal : state->cancel)
                               signal.emit(asio::cancellation_type::terminal);
                       });
        throw;
    }
    co_return std::move(state->outcomes);
}

asio::awaitable<finding> ask(std::shared_ptr<fleet> f, generation g)
{
    finding result;
    auto const record = co_await f->storage->get(f->records.name_of(g));
    if (record)
    {
        result.key = f->records.open(g, *record);
        result.is_junk = !result.key;
    }
    co_return result;
}

// For a generation without a key in the storage, or with a damaged record: put a key there, and return the key that the
// storage then has.
asio::awaitable<finding> settle(std::shared_ptr<fleet> f, generation_question question, bool is_junk,
                                std::optional<ticket_key> key)
{
    auto const g = question.number;
    auto const name = f->records.name_of(g);
    if (is_junk)
    {
        // Taken, not erased, because another server may have put a key in its place just now.
        auto const taken = co_await f->storage->take(name);
        if (taken)
            if (auto taken_key = f->records.open(g, *taken))
                key = std::move(taken_key);
    }
    if (!key && question.may_create)
        if (auto const times = times_of_new_key(f->rules, g, f->now()))
            key = make_key(g, *times);
    finding result;
    if (!key)
        co_return result;
    // The record is of use to a server whose clock is behind, and the storage's clock may be ahead.
    auto const expiry = key->accept_until + 2 * f->rules.max_clock_skew;
    (void)co_await f->storage->put_if_absent(name, f->records.seal(g, *key), expiry);
    result = co_await ask(f, g);
    if (!result.key)
        std::rethrow_exception(complaint(g, result.is_junk ? "was changed again" : "was not kept"));
    co_return result;
}

// One fetch: the known keys, and what went wrong.
class gathering
{
public:
    gathering(std::shared_ptr<fleet> f, ticket_key_set current)
        : fleet_(std::move(f)), before_(current), known_(std::move(current))
    {
        auto const now = fleet_->now();
        drop_irrelevant(known_, fleet_->rules, now);
        questions_ = plan_questions(fleet_->rules, known_, now);
        current_ = generation_at(fleet_->rules, now);
    }

    [[nodiscard]] std::vector<asio::awaitable<finding>> asking() const
    {
        std::vector<asio::awaitable<finding>> result;
        result.reserve(questions_.size());
        for (auto const& question : questions_)
            result.push_back(ask(fleet_, question.number));
        return result;
    }

    // Return the operations that the answers call for.
    [[nodiscard]] std::vector<asio::awaitable<finding>> settling(std::vector<storage_answer> const& answers)
    {
        std::vector<asio::awaitable<finding>> result;
        std::vector<generation_question> settled;
        bool is_lost = false;
        auto const settle_it = [&](generation_question const& question, bool is_junk)
        {
            auto const* const best = best_of(known_, question.number);
            result.push_back(settle(fleet_, question, is_junk, best ? std::optional{*best} : std::nullopt));
            settled.push_back(question);
        };
        for (std::size_t i = 0; i < answers.size(); ++i)
        {
            auto const& [error, found] = answers[i];
            auto const& question = questions_[i];
            if (error)
                storage_error_ = error;
            else if (found.key)
                is_lost |= take(question.number, *found.key) == key_news::replacing;
            else
            {
                if (found.is_junk)
                    complaint_ =
                        complaint(question.number, "is not a key of this fleet, or was changed; a new key replaces it");
                bool const is_known = best_of(known_, question.number) != nullptr;
                is_lost |= is_known || question.number == current_;
                if (is_known || question.may_create || found.is_junk)
                    settle_it(question, found.is_junk);
            }
        }
        // Remember the loss until the refill is done, because a later fetch finds nothing missing.
        if (is_lost)
            fleet_->may_be_lost = true;
        is_refilling_ = fleet_->may_be_lost;
        if (is_refilling_)
            for (auto const g : known_but_not_asked_for())
                settle_it({.number = g, .may_create = false}, false);
        questions_ = std::move(settled);
        return result;
    }

    [[nodiscard]] ticket_key_set finish(std::vector<storage_answer> const& answers)
    {
        for (std::size_t i = 0; i < answers.size(); ++i)
        {
            if (answers[i].error)
                storage_error_ = answers[i].error;
            else if (answers[i].found.key)
                take(questions_[i].number, *answers[i].found.key);
        }
        if (is_refilling_ && std::ranges::none_of(answers, [](storage_answer const& a) { return a.error != nullptr; }))
            fleet_->may_be_lost = false;
        drop_irrelevant(known_, fleet_->rules, fleet_->now());
        report();
        return std::move(known_);
    }

private:
    key_news take(generation g, ticket_key key)
    {
        auto const news = take_in(known_, std::move(key), fleet_->now());
        if (news == key_news::no_room)
            complaint_ = complaint(g, "there are too many keys to take it");
        return news;
    }

    [[nodiscard]] std::vector<generation> known_but_not_asked_for() const
    {
        std::vector<generation> result;
        for (auto const& key : known_)
            if (auto const g = generation_of(key);
                g && std::ranges::find(questions_, *g, &generation_question::number) == questions_.end() &&
                std::ranges::find(result, *g) == result.end())
                result.push_back(*g);
        return result;
    }

    [[nodiscard]] bool brings_something() const
    {
        return !std::ranges::equal(known_, before_,
                                   [](ticket_key const& a, ticket_key const& b)
                                   {
                                       return a.name == b.name && a.not_before == b.not_before &&
                                              a.issue_until == b.issue_until && a.accept_until == b.accept_until;
                                   });
    }

    // A failing storage is asked again soon, and fails again. A record that was replaced is seen only once, so its
    // report waits.
    void report()
    {
        std::lock_guard const lock{fleet_->mutex};
        auto& unreported = fleet_->unreported;
        if (complaint_)
            unreported = complaint_;
        if (brings_something())
            return;
        if (unreported)
            std::rethrow_exception(std::exchange(unreported, nullptr));
        if (storage_error_)
            std::rethrow_exception(storage_error_);
    }

    std::shared_ptr<fleet> const fleet_;
    ticket_key_set const before_;
    ticket_key_set known_;
    std::vector<generation_question> questions_;
    generation current_ = 0;
    bool is_refilling_ = false;
    std::exception_ptr storage_error_{};
    std::exception_ptr complaint_{};
};

asio::awaitable<ticket_key_set> gather(std::shared_ptr<fleet> f, ticket_key_set current)
{
    gathering g{std::move(f), std::move(current)};
    auto const answers = co_await all(g.asking());
    auto const settled = co_await all(g.settling(answers));
    co_return g.finish(settled);
}

/** Keys that servers share through a storage.

    A fetch does what is possible. It fails only if it has nothing new to bring, so that a failed operation does not
    lose what another operation has learned. A record that does not open, or is invalid, is replaced, by the known key
    if there is one. It is reported by this fetch, or by the next one that has nothing new to bring.
*/
class shared_source final : public key_source
{
public:
    shared_source(std::shared_ptr<fleet> f, std::chrono::milliseconds timeout) : fleet_(std::move(f)), timeout_(timeout)
    {
    }

    asio::awaitable<ticket_key_set> fetch(ticket_key_set current) override
    {
        return gather(fleet_, std::move(current));
    }
    [[nodiscard]] std::chrono::milliseconds refresh_every() const override { return fleet_->rules.refresh_every; }
    [[nodiscard]] std::chrono::milliseconds fetch_timeout() const override { return timeout_; }

private:
    std::shared_ptr<fleet> const fleet_;
    std::chrono::milliseconds const timeout_;
};

void use_old_names(shared_keys_options& o)
{
    use_old_name(o.deadline, o.storage_timeout);
}

} // namespace

std::unique_ptr<key_source> make_shared_source(storage_ptr storage, shared_keys_options options,
                                               key_source_context const& context)
{
    use_old_names(options);
    using namespace std::chrono_literals;
    require_option(storage != nullptr, "ticket_keys::shared: the storage must not be null");
    if (!is_plausible_key(options.fleet_secret))
        throw system_error{errc::weak_ticket_key,
                           "shared_keys_options::fleet_secret must be 32 random bytes, at least 16 of them different"};
    require_option(!options.fleet.empty() && options.fleet.size() <= 64,
                   "shared_keys_options::fleet must be 1 to 64 bytes");
    require_option(options.every >= 1s && options.every <= 24h * 7, "shared_keys_options::every must be 1 s to 7 days");
    auto const quarter = std::chrono::milliseconds{options.every} / 4;
    require_option(options.refresh_every >= 10ms && options.refresh_every <= quarter,
                   "shared_keys_options::refresh_every must be 10 ms to every / 4");
    require_option(options.max_clock_skew >= 0ms && options.max_clock_skew <= quarter,
                   "shared_keys_options::max_clock_skew must be 0 s to every / 4");
    require_option(options.storage_timeout >= 1ms, "shared_keys_options::storage_timeout must be at least 1 ms");

    generation_rules const rules{.every = options.every,
                                 .max_clock_skew = options.max_clock_skew,
                                 .refresh_every = options.refresh_every,
                                 .ticket_life = context.ticket_life};
    require_option(count_generations(rules) + spare_ticket_keys <= max_ticket_keys,
                   "shared_keys_options::every must be at least (session lifetime + 3 * max_clock_skew) / 58");
    return std::make_unique<shared_source>(
        std::shared_ptr<fleet>{new fleet{.storage = std::move(storage),
                                         .records = fleet_records{options.fleet_secret, options.fleet, options.every},
                                         .rules = rules,
                                         .now = context.now}},
        options.storage_timeout);
}

} // namespace reprise::detail
