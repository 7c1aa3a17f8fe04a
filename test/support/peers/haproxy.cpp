// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/haproxy.hpp"

#include "support/peers/redis.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <doctest/doctest.h>

#include <sstream>

namespace test {

namespace asio = boost::asio;
using asio::local::stream_protocol;

namespace {

std::string name_of(std::size_t server)
{
    return "s" + std::to_string(server);
}

} // namespace

haproxy::haproxy(std::vector<std::string> const& server_ports)
{
    std::ostringstream text;
    text << "global\n"
         << "  nbthread 1\n"
         << "  maxconn 256\n"
         << "  stats socket " << directory_ / "admin" << " mode 600 level admin\n"
         << "defaults\n"
         << "  mode tcp\n"
         << "  timeout connect 5s\n"
         << "  timeout client 60s\n"
         << "  timeout server 60s\n"
         << "  retries 3\n"
         << "  option redispatch 1\n"
         << "frontend entrance\n"
         << "  bind 127.0.0.1:" << port_ << "\n"
         << "  default_backend fleet\n"
         << "backend fleet\n"
         << "  balance roundrobin\n";
    for (std::size_t i = 0; i < server_ports.size(); ++i)
        text << "  server " << name_of(i) << " 127.0.0.1:" << server_ports[i] << "\n";
    auto const configuration = directory_.write("haproxy.cfg", text.str());
    process_.emplace(std::vector<std::string>{"/usr/sbin/haproxy", "-db", "-f", configuration});
    // It listens everywhere before it answers anywhere; a connection to the port itself would reach a server.
    auto const is_up = [&]
    {
        try
        {
            return !command("show info").empty();
        }
        catch (boost::system::system_error const&)
        {
            return false;
        }
    };
    REQUIRE_MESSAGE(eventually(is_up), "haproxy does not start");
}

void haproxy::drain(std::size_t server) const
{
    CHECK(command("set server fleet/" + name_of(server) + " state drain") == "\n");
    bool const is_empty = eventually([&] { return connections(server) == 0; });
    REQUIRE_MESSAGE(is_empty, (command("show sess all") + command("show stat")));
}

void haproxy::readmit(std::size_t server) const
{
    CHECK(command("set server fleet/" + name_of(server) + " state ready") == "\n");
}

std::string haproxy::command(std::string const& line) const
{
    asio::io_context io;
    stream_protocol::socket socket{io};
    socket.connect({directory_ / "admin"});
    asio::write(socket, asio::buffer(line + "\n"));
    std::string answer;
    boost::system::error_code end;
    asio::read(socket, asio::dynamic_buffer(answer), end);
    return answer;
}

long haproxy::connections(std::size_t server) const
{
    // "fleet,s0,", two counts of the queue, and the connections of now
    auto const table = command("show stat");
    auto const begin = table.find("\nfleet," + name_of(server) + ",");
    REQUIRE(begin != std::string::npos);
    std::istringstream row{table.substr(begin)};
    std::string field;
    for (int i = 0; i < 5; ++i)
        std::getline(row, field, ',');
    return std::stol(field);
}

} // namespace test
