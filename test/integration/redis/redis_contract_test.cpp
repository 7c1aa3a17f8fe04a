// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"
#include "support/peers/redis.hpp"

#include <reprise/testing/manual_clock.hpp>
#include <reprise/testing/storage_contract.hpp>

#include <boost/asio/thread_pool.hpp>

using namespace reprise;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("redis_storage contract");

namespace {

void check_contract(test::redis_server const& server, redis_storage_options const& options)
{
    int made = 0;
    auto const results = testing::check_storage_contract(
        [&]() -> testing::storage_under_test
        {
            testing::manual_clock time;
            auto own = options;
            own.key_prefix = "contract " + std::to_string(made++) + ":";
            own.now = time;
            auto const advance = [time, prefix = own.key_prefix, &server](std::chrono::seconds by) mutable
            {
                time.advance(by);
                server.age(prefix, by);
            };
            return {redis_storage::make(std::move(own)), advance};
        });
    CHECK(results.size() >= 18);
    for (auto const& row : results)
        CHECK_MESSAGE(row.holds(), row.expectation, ": ", row.failure);
}

} // namespace

TEST_CASE("over TCP redis_storage keeps the contract")
{
    test::redis_server const server;
    check_contract(server, server.options());
}

TEST_CASE("over a unix socket and several connections redis_storage keeps the contract")
{
    test::redis_server const server;
    auto options = server.options();
    options.socket_path = server.socket_path();
    options.connections = 3;
    check_contract(server, options);
}

TEST_CASE("on somebody else's threads redis_storage keeps the contract")
{
    test::redis_server const server;
    asio::thread_pool pool{2};
    auto options = server.options();
    options.connections = 2;
    options.executor = pool.get_executor();
    check_contract(server, options);
    pool.join(); // ends, for the storages are gone
}

TEST_CASE("without GETDEL redis_storage keeps the contract")
{
    test::redis_server const server{{"--rename-command", "GETDEL", ""}};
    check_contract(server, server.options());
}

TEST_CASE("over TLS redis_storage keeps the contract, and knows the server by its name")
{
    test::temporary_directory const files;
    auto const own = test::authority().issue({"redis.test"});
    test::redis_server const server{{"--tls-port", "TLS_PORT", "--tls-cert-file",
                                     files.write("cert.pem", own.certificate), "--tls-key-file",
                                     files.write("key.pem", own.key), "--tls-ca-cert-file",
                                     files.write("ca.pem", test::authority().pem()), "--tls-auth-clients", "no"}};
    auto options = server.options();
    options.port = server.tls_port();
    options.tls = std::make_shared<asio::ssl::context>(test::client_context());
    options.tls_server_name = "redis.test";
    check_contract(server, options);

    SUBCASE("another name")
    {
        options.tls_server_name = "other.test";
        auto const error = test::connect_error_of(*redis_storage::make(options));
        CHECK(error.category() == asio::error::get_ssl_category());
    }
    SUBCASE("a context that would not verify")
    {
        options.tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
        options.tls->set_verify_mode(asio::ssl::verify_none);
        auto const error = test::connect_error_of(*redis_storage::make(options));
        CHECK(error.category() == asio::error::get_ssl_category());
    }
    SUBCASE("no TLS where TLS is spoken")
    {
        options.tls.reset();
        CHECK(test::connect_error_of(*redis_storage::make(options)) != error_code{});
    }
    SUBCASE("a URL")
    {
        auto const url =
            "rediss://127.0.0.1:" + std::to_string(server.tls_port()) + "?timeout=5000&ca=" + files / "ca.pem";
        auto by_url = parse_redis_url(url);
        by_url.tls_server_name = "redis.test";
        auto const storage = redis_storage::make(by_url);
        CHECK_FALSE(test::result_of(storage->get("a")).has_value());
    }
}

TEST_SUITE_END();
