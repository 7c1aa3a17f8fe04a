// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include "support/accept_each.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/strand.hpp>

#include <cstdlib>
#include <thread>

namespace test {

reprise::testing::certificate_authority const& authority()
{
    static reprise::testing::certificate_authority const made{"reprise test authority"};
    return made;
}

asio::ssl::context server_context(std::vector<std::string> const& names)
{
    asio::ssl::context tls{asio::ssl::context::tls_server};
    auto const own = authority().issue(names);
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    return tls;
}

asio::ssl::context client_context()
{
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tls.add_certificate_authority(asio::buffer(authority().pem()));
    tls.set_verify_mode(asio::ssl::verify_peer);
    return tls;
}

void set_versions(asio::ssl::context& tls, int lowest, int highest)
{
    REQUIRE(SSL_CTX_set_min_proto_version(tls.native_handle(), lowest) == 1);
    REQUIRE(SSL_CTX_set_max_proto_version(tls.native_handle(), highest) == 1);
}

namespace {

bool uses_strand()
{
    static bool const result = std::getenv("REPRISE_TEST_STRAND") != nullptr;
    return result;
}

class strand_service final : public asio::execution_context::service
{
public:
    using key_type = strand_service;
    static asio::execution_context::id id;

    explicit strand_service(asio::execution_context& context)
        : service(context), strand(asio::make_strand(static_cast<asio::io_context&>(context)))
    {
    }

    asio::strand<asio::io_context::executor_type> strand;

private:
    void shutdown() override {}
};

asio::execution_context::id strand_service::id;

} // namespace

asio::any_io_executor executor_of(asio::io_context& io)
{
    return uses_strand() ? asio::any_io_executor{asio::use_service<strand_service>(io).strand} : io.get_executor();
}

void run(asio::io_context& io, asio::awaitable<void> test, std::chrono::seconds limit)
{
    std::exception_ptr failure;
    bool done = false;
    asio::co_spawn(executor_of(io), std::move(test),
                   [&](std::exception_ptr e)
                   {
                       failure = e;
                       done = true;
                       io.stop();
                   });
    {
        std::jthread const second{[&]
                                  {
                                      if (uses_strand())
                                          io.run_for(limit);
                                  }};
        io.run_for(limit);
    }
    if (failure)
        std::rethrow_exception(failure);
    REQUIRE_MESSAGE(done, "the test did not end in time");
}

server::server(asio::io_context& io, reprise::session_cache cache, reprise::server_options options, conversation talk)
    : cache_(std::move(cache)), options_(std::move(options)), talk_(std::move(talk)),
      acceptor_(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0})
{
    asio::co_spawn(executor_of(io), serve(), asio::detached);
}

asio::awaitable<void> server::serve()
{
    return accept_each(acceptor_, [this](tcp::socket socket) { return session(std::move(socket)); });
}

asio::awaitable<void> server::session(tcp::socket socket)
{
    server_side stream{std::move(socket), cache_, options_};
    auto [ec, info] = co_await stream.async_handshake(asio::as_tuple(asio::use_awaitable));
    if (ec)
    {
        failures.push_back(ec);
        co_return;
    }
    handshakes.push_back(info);
    co_await talk_(stream);
}

asio::awaitable<void> answer_and_shut_down(server_side& stream)
{
    (void)co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(),
                                     asio::as_tuple(asio::use_awaitable));
    co_await stream.async_shutdown();
}

asio::awaitable<void> read_all(client_side& stream)
{
    std::string data;
    auto const [ec, size] = co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_all(),
                                                      asio::as_tuple(asio::use_awaitable));
    CHECK(ec == asio::error::eof);
    CHECK(data == "!");
}

namespace {

asio::ssl::context configured(setup const& s)
{
    auto tls = server_context();
    set_versions(tls, s.of.version, s.of.version);
    s.configure(tls);
    return tls;
}

} // namespace

reprise::session_cache_options cache_options(kind const& k, reprise::session_cache_options from)
{
    if (from.id_context.empty())
        from.id_context = "test/v1";
    if (!k.tickets)
        from.tickets = false;
    return from;
}

world::world(setup s)
    : server_tls(configured(s)), client_tls(client_context()), cache(server_tls, cache_options(s.of, s.cache)),
      store(reprise::memory_session_store::make()), srv(io, cache, std::move(s.server), std::move(s.talk))
{
    set_versions(client_tls, s.of.version, s.of.version);
}

client_side world::stream(reprise::client_options options)
{
    return {executor_of(io), client_tls, *store, std::move(options)};
}

asio::awaitable<reprise::handshake_info> world::visit(client_side& stream)
{
    auto const info = co_await stream.async_connect("localhost", srv.port());
    co_await read_all(stream);
    co_await stream.async_shutdown();
    co_return info;
}

} // namespace test
