// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// persistent_session_store on a disk that processes share.
#include "support/child.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"
#include "support/stores.hpp"

#include <reprise/storage/lmdb_storage.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

using namespace reprise;
using namespace std::chrono_literals;
using test::key_of_host;
using test::make_session;
using test::same;
using test::ticket_of;

TEST_SUITE_BEGIN("store_on_lmdb");

namespace {

struct fixture : test::store_fixture
{
    [[nodiscard]] storage_ptr open() const
    {
        lmdb_storage_options options;
        options.path = path;
        options.durability = lmdb_durability::unsynced;
        options.now = time;
        return lmdb_storage::make(std::move(options));
    }

    test::temporary_directory const directory;
    std::string const path = directory / "store";
};

} // namespace

TEST_CASE_FIXTURE(fixture, "sessions are there after a restart: tickets newest first and once, TLS 1.2 again and again")
{
    std::vector<session> made;
    auto const reusable = make_session({.version = TLS1_2_VERSION});
    {
        auto const store = store_on(open());
        CHECK_FALSE(store->is_immediate());
        for (int i = 0; i < 4; ++i)
        {
            made.push_back(make_session());
            done(store->insert(key_of_host("a"), made.back()));
        }
        done(store->insert(key_of_host("b"), reusable));
        CHECK(same(done(store->take(key_of_host("a"))).ticket, made[3]));
    }
    {
        auto const store = store_on(open());
        CHECK(same(done(store->take(key_of_host("a"))).ticket, made[2]));
        CHECK(same(done(store->take(key_of_host("b"))).ticket, reusable));
    }
    auto const store = store_on(open());
    CHECK(same(done(store->take(key_of_host("a"))).ticket, made[1]));
    CHECK(same(done(store->take(key_of_host("a"))).ticket, made[0]));
    CHECK_FALSE(done(store->take(key_of_host("a"))).ticket);
    CHECK(same(done(store->take(key_of_host("b"))).ticket, reusable));
    time.advance(6min);
    CHECK(done(store->take(key_of_host("b"))).reason == full_handshake_reason::expired);
}

TEST_CASE_FIXTURE(fixture, "the file shows no host name and no ticket, unless it is not to be sealed")
{
    auto const ticket = make_session();
    for (bool const sealed : {true, false})
    {
        auto options = this->options(open());
        options.sealed = sealed;
        done(persistent_session_store::make(options)->insert(key_of_host("secret.example"), ticket));
        options.storage = nullptr;
        std::ifstream in{path + "/data.mdb", std::ios::binary};
        std::string const file{std::istreambuf_iterator<char>{in}, {}};
        CHECK_FALSE(file.empty());
        auto const bytes = ticket_of(ticket);
        REQUIRE(bytes.size() > 32);
        for (std::string const& secret :
             {std::string{"secret.example"}, std::string{bytes.begin(), bytes.begin() + 32}})
            CHECK((file.find(secret) != std::string::npos) == !sealed);
    }
}

TEST_CASE_FIXTURE(fixture, "processes that take from one storage at once never get one ticket twice")
{
    constexpr std::size_t hosts = 50;
    constexpr std::size_t each = 4;
    {
        auto const store = store_on(open());
        for (std::size_t i = 0; i < each; ++i)
        {
            auto const ticket = make_session();
            for (std::size_t host = 0; host < hosts; ++host)
                store->capture(key_of_host("h" + std::to_string(host)), ticket);
            done(store->drain());
        }
        CHECK(store->stats().stored == hosts * each);
    }
    std::multiset<std::string> taken;
    {
        test::child first{{REPRISE_LMDB_PEER, "take-sessions", path}};
        test::child second{{REPRISE_LMDB_PEER, "take-sessions", path}};
        for (auto* const one : {&first, &second})
        {
            CHECK(one->wait() == 0);
            std::istringstream words{one->output()};
            std::string verb;
            std::string name;
            while (words >> verb >> name)
                taken.insert(name);
        }
    }
    CHECK(taken.size() == hosts * each);
    CHECK(std::set<std::string>(taken.begin(), taken.end()).size() == taken.size());
    CHECK(open()->stats().entries == 0);
}

TEST_SUITE_END();
