// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/redis.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <hiredis/hiredis.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <unistd.h>

namespace test {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

struct free_reply
{
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using reply_ptr = std::unique_ptr<redisReply, free_reply>;

// Debian has Redis or Valkey, and in /usr/bin
std::string server_program()
{
    std::string_view const path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "/usr/bin";
    for (auto const* name : {"redis-server", "valkey-server"})
        for (std::size_t at = 0; at <= path.size();)
        {
            auto const end = std::min(path.find(':', at), path.size());
            auto const program = std::string{path.substr(at, end - at)} + "/" + name;
            if (::access(program.c_str(), X_OK) == 0)
                return program;
            at = end + 1;
        }
    throw std::runtime_error{"neither redis-server nor valkey-server is installed"};
}

} // namespace

redis_server::redis_server(std::vector<std::string> arguments) : arguments_(std::move(arguments))
{
    start();
}

void redis_server::start()
{
    std::vector<std::string> command{server_program(),
                                     "--bind",
                                     "127.0.0.1",
                                     "--port",
                                     std::to_string(port_),
                                     "--unixsocket",
                                     socket_path(),
                                     "--dir",
                                     directory_ / "",
                                     "--save",
                                     "",
                                     "--appendonly",
                                     "no"};
    for (auto const& argument : arguments_)
        command.push_back(argument == "TLS_PORT" ? std::to_string(tls_port_) : argument);
    process_.emplace(command);
    process_->read_until("eady to accept connections");
    wait_for_listener(port_);
}

void redis_server::kill()
{
    process_->signal(SIGKILL);
    process_->wait();
    process_.reset();
}

reprise::redis_storage_options redis_server::options() const
{
    reprise::redis_storage_options o;
    o.port = port_;
    o.request_timeout = 10s;
    o.connect_timeout = 10s;
    o.backoff_min = 5ms;
    o.backoff_max = 50ms;
    return o;
}

std::string redis_server::command(std::vector<std::string> const& words) const
{
    std::unique_ptr<redisContext, decltype(&redisFree)> const context{redisConnectUnix(socket_path().c_str()),
                                                                      &redisFree};
    REQUIRE(context != nullptr);
    REQUIRE_MESSAGE(context->err == 0, context->errstr);
    std::vector<char const*> texts;
    std::vector<std::size_t> sizes;
    for (auto const& word : words)
    {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    reply_ptr const reply{static_cast<redisReply*>(
        redisCommandArgv(context.get(), static_cast<int>(words.size()), texts.data(), sizes.data()))};
    REQUIRE(reply != nullptr);
    std::string const text =
        reply->str != nullptr ? std::string{reply->str, reply->len} : std::to_string(reply->integer);
    REQUIRE_MESSAGE(reply->type != REDIS_REPLY_ERROR, text);
    return text;
}

void redis_server::age(std::string const& prefix, std::chrono::milliseconds by) const
{
    command({"EVAL",
             "for _, k in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do "
             "  local left = redis.call('PTTL', k) - ARGV[2] "
             "  if left <= 0 then redis.call('DEL', k) else redis.call('PEXPIRE', k, left) end "
             "end return 1",
             "0", prefix, std::to_string(by.count())});
}

fake_redis::fake_redis(behaviour behave, std::string greeting)
    : acceptor_(io_, tcp::endpoint{asio::ip::address_v4::loopback(), 0}), port_(acceptor_.local_endpoint().port()),
      behave_(std::move(behave)), greeting_(std::move(greeting))
{
    asio::co_spawn(io_, accept(), asio::detached);
    thread_ = std::jthread{[this] { io_.run(); }};
}

fake_redis::~fake_redis()
{
    io_.stop();
}

reprise::redis_storage_options fake_redis::options() const
{
    reprise::redis_storage_options o;
    o.port = port_;
    o.request_timeout = 10s;
    o.connect_timeout = 10s;
    o.backoff_min = 5ms;
    o.backoff_max = 50ms;
    return o;
}

asio::awaitable<void> fake_redis::accept()
{
    for (;;)
    {
        auto [ec, connection] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
        if (ec)
            co_return;
        connection.set_option(tcp::no_delay{true});
        asio::co_spawn(io_, serve(std::move(connection)), [](std::exception_ptr) {}); // it closes the connection
    }
}

asio::awaitable<void> fake_redis::serve(socket connection)
{
    std::unique_ptr<redisReader, decltype(&redisReaderFree)> const reader{redisReaderCreate(), &redisReaderFree};
    std::array<char, 4096> buffer{};
    for (;;)
    {
        auto const size = co_await connection.async_read_some(asio::buffer(buffer), asio::use_awaitable);
        REQUIRE(redisReaderFeed(reader.get(), buffer.data(), size) == REDIS_OK);
        for (;;)
        {
            void* object = nullptr;
            REQUIRE(redisReaderGetReply(reader.get(), &object) == REDIS_OK);
            reply_ptr const request{static_cast<redisReply*>(object)};
            if (!request)
                break;
            std::vector<std::string> words;
            for (std::size_t i = 0; i < request->elements; ++i)
                words.emplace_back(request->element[i]->str, request->element[i]->len);
            if (words.at(0) == "PING")
                co_await send(connection, greeting_);
            else
                co_await behave_(connection, std::move(words));
        }
    }
}

asio::awaitable<void> send(fake_redis::socket& to, std::string text)
{
    co_await asio::async_write(to, asio::buffer(text), asio::use_awaitable);
}

reprise::error_code connect_error_of(reprise::redis_storage& storage)
{
    CHECK(error_of(storage.get("a")) != reprise::error_code{});
    CHECK(eventually([&] { return storage.connection_stats().failed_connects > 0; }));
    return storage.connection_stats().last_error;
}

bool eventually(std::function<bool()> const& holds, std::chrono::milliseconds limit)
{
    auto const deadline = std::chrono::steady_clock::now() + limit;
    while (!holds())
    {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

} // namespace test
