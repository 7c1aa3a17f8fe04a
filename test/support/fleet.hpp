// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/fleet_records.hpp"
#include "server/tickets/generations.hpp"
#include "server/tickets/key_source.hpp"
#include "server/tickets/ticket_cipher.hpp"
#include "server/tickets/ticket_ring.hpp"
#include "support/await.hpp"
#include "support/keys.hpp"

#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace test {

using reprise::time_point;

/// What the servers of a fleet have in common, and what each is told.
struct fleet_world
{
    explicit fleet_world(reprise::shared_keys_options o, std::chrono::seconds life,
                         std::chrono::milliseconds storage_skew = {})
        : options(std::move(o)), ticket_life(life),
          rules{options.every, options.max_clock_skew, options.refresh_every, life},
          records(options.fleet_secret, options.fleet, options.every)
    {
        // Of a generation that began long after 1970, the very begin.
        time.advance(time_point{options.every * (1'800'000'000 / options.every.count())} - time.now());
        storage = reprise::memory_storage::make(
            {.max_bytes = 1u << 20, .shards = 1, .now = [t = time, storage_skew] { return t.now() + storage_skew; }});
    }

    [[nodiscard]] reprise::detail::generation current() const
    {
        return reprise::detail::generation_at(rules, time.now());
    }

    /// The key that the storage has, if any.
    [[nodiscard]] std::optional<reprise::ticket_key> stored(reprise::detail::generation g) const
    {
        auto const record = storage->get_now(records.name_of(g));
        return record ? records.open(g, *record) : std::nullopt;
    }

    [[nodiscard]] std::vector<reprise::ticket_key> all_stored() const
    {
        std::vector<reprise::ticket_key> result;
        for (auto g = current() - 70; g <= current() + 3; ++g)
            if (auto key = stored(g))
                result.push_back(*std::move(key));
        return result;
    }

    void lose_everything()
    {
        for (auto g = current() - 70; g <= current() + 3; ++g)
            storage->erase_now(records.name_of(g));
    }

    reprise::shared_keys_options options;
    std::chrono::seconds ticket_life;
    reprise::detail::generation_rules rules;
    reprise::detail::fleet_records records;
    reprise::testing::manual_clock time; // the true one
    std::shared_ptr<reprise::memory_storage> storage;
};

/// One of them, as far as its keys go: it does with a set what ticket_keeper does.
class fleet_server
{
public:
    explicit fleet_server(fleet_world& world, std::chrono::milliseconds skew = {})
        : world_(world), skew_(std::make_shared<std::atomic<std::chrono::milliseconds>>(skew)),
          link(reprise::testing::faulty_storage::make(world.storage)), source(make_source())
    {
    }

    [[nodiscard]] time_point now() const { return world_.time.now() + skew_->load(); }
    void set_skew(std::chrono::milliseconds skew) { *skew_ = skew; }

    [[nodiscard]] std::unique_ptr<reprise::detail::key_source> make_source() const
    {
        auto const clock = [t = world_.time, skew = skew_] { return t.now() + skew->load(); };
        return reprise::detail::make_shared_source(link, world_.options, {world_.ticket_life, clock});
    }

    /// Throws what fetch throws. A set that the keeper would refuse fails the test.
    void refresh() { step_to(test::now(source->fetch(ring.keys()))); }

    void step_to(reprise::ticket_key_set next)
    {
        CHECK_NOTHROW(reprise::detail::check_set(next));
        CHECK_NOTHROW(reprise::detail::check_step(ring.keys(), next, now(), world_.ticket_life));
        ring = reprise::detail::ticket_ring{std::move(next)};
    }

    void restart()
    {
        ring = {};
        source = make_source();
    }

    [[nodiscard]] bool knows(reprise::ticket_key const& key) const
    {
        return ring.opener(reprise::detail::ticket_key_id(key.secret), now()) != nullptr;
    }

    /// The name of the key that issues, or nothing.
    [[nodiscard]] std::string issuer() const
    {
        auto const* const entry = ring.issuer(now());
        return entry ? entry->key.name : "";
    }

    [[nodiscard]] std::set<std::string> names() const
    {
        std::set<std::string> result;
        for (auto const& key : ring.keys())
            result.insert(key.name);
        return result;
    }

private:
    fleet_world& world_;
    std::shared_ptr<std::atomic<std::chrono::milliseconds>> skew_;

public:
    std::shared_ptr<reprise::testing::faulty_storage> link;
    std::unique_ptr<reprise::detail::key_source> source;
    reprise::detail::ticket_ring ring;
};

/// The last ticket that was issued with each key, wherever, and whether it can be opened.
class ticket_ledger
{
public:
    explicit ticket_ledger(fleet_world const& world) : world_(world) {}

    void issue(fleet_server const& at)
    {
        auto const* const entry = at.ring.issuer(at.now());
        if (!entry)
            return;
        auto& last = last_[entry->id];
        last.generation = *reprise::detail::generation_of(entry->key);
        last.issued = world_.time.now();
        last.stamped = std::max(last.stamped, at.now());
        ++issued;
    }

    /// All that are alive open here: by the true time that has passed, and by what a server makes of the time in them.
    void check_alive(fleet_server const& at)
    {
        for (auto const& [id, last] : last_)
        {
            bool const alive =
                world_.time.now() < last.issued + world_.ticket_life || at.now() < last.stamped + world_.ticket_life;
            if (!alive)
                continue;
            ++checked;
            CHECK(at.ring.opener(id, at.now()) != nullptr);
        }
    }

    /// None opens for longer than its generation may.
    void check_over(fleet_server const& at)
    {
        for (auto const& [id, last] : last_)
            if (at.now() >= reprise::detail::regular_times(world_.rules, last.generation).accept_until)
            {
                ++over;
                CHECK(at.ring.opener(id, at.now()) == nullptr);
            }
    }

    std::size_t issued = 0;
    std::size_t checked = 0;
    std::size_t over = 0;

private:
    struct last_ticket
    {
        reprise::detail::generation generation;
        time_point issued;
        time_point stamped;
    };

    fleet_world const& world_;
    std::map<reprise::detail::key_id, last_ticket> last_;
};

} // namespace test
