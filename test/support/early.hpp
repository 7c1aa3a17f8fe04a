// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/any_key_store.hpp"
#include "support/harness.hpp"

#include <string>
#include <vector>

namespace test {

/// What the application at the server has read, and whether it was early when it read it.
struct message
{
    std::string text;
    bool is_early;

    friend bool operator==(message const&, message const&) = default;
};

/// The two kinds of tickets that may carry early data.
[[nodiscard]] inline std::vector<kind> tls13_kinds()
{
    return {kinds[2], kinds[3]};
}

struct early_setup
{
    reprise::early_data_options early{.max_bytes = 16384};
    reprise::session_cache_options cache{};
    conversation talk{}; ///< in place of hearing one message of a line and answering "yes\n"
    std::function<void(asio::ssl::context&)> configure = [](asio::ssl::context&) {};
};

/// A world whose server accepts early data: it reads up to a newline, answers "yes\n", and shuts down.
class early_world
{
public:
    explicit early_world(kind const& k, early_setup s = {});

    [[nodiscard]] client_side stream(reprise::client_options options = {})
    {
        return {executor_of(world_.io), world_.client_tls, *tickets, std::move(options)};
    }

    /// Connect with `text` and a newline as early data, read the answer to its end, shut down.
    asio::awaitable<reprise::handshake_info> say(client_side& stream, std::string text,
                                                 reprise::early_data_send_options options = {});

    void run(std::function<asio::awaitable<void>()> test) { world_.run(std::move(test)); }

    [[nodiscard]] server& srv() noexcept { return world_.srv; }
    [[nodiscard]] world& inner() noexcept { return world_; }
    [[nodiscard]] reprise::session_cache& cache() noexcept { return world_.cache; }

    /// How often the application has heard this.
    [[nodiscard]] std::size_t times_heard(std::string const& text) const;

private:
    asio::awaitable<void> hear(server_side& stream);

    world world_;

public:
    std::vector<message> heard;
    std::shared_ptr<any_key_store> tickets = any_key_store::make();
    std::string port = srv().port(); ///< where `say` connects to
};

} // namespace test
