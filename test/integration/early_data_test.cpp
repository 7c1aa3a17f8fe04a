// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/early.hpp"

using namespace test;
using reprise::early_data;
using reprise::early_data_reason;
using reprise::early_data_status;

TEST_SUITE_BEGIN("early_data");

TEST_CASE("data goes with the ClientHello, is read before the handshake is complete, and is answered at once")
{
    for (auto const& k : tls13_kinds())
    {
        CAPTURE(std::string{k.name});
        early_world w{k};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                auto const info = co_await w.say(stream, "again");
                CHECK(info.resumed());
                CHECK(info.early_data == early_data_status::accepted);
                CHECK(info.early_reason == early_data_reason::none);
                CHECK(info.early_size == 6);
            });
        REQUIRE(w.heard.size() == 2);
        CHECK(w.heard[0] == message{"first", false});
        CHECK(w.heard[1] == message{"again", true});
        CHECK(w.srv().handshakes.at(1).early_data == early_data_status::accepted);
        CHECK(w.srv().handshakes.at(1).resumption == k.on_server);
        CHECK(w.cache().stats().early_accepted == 1);
    }
}
