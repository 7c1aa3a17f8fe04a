// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "reconnect/nginx.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace bench {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

std::string free_port()
{
    asio::io_context io;
    tcp::acceptor const acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    return std::to_string(acceptor.local_endpoint().port());
}

void wait_for(std::string const& port)
{
    asio::io_context io;
    for (int i = 0; i < 500; ++i)
    {
        tcp::socket socket{io};
        boost::system::error_code ec;
        socket.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(port))}, ec);
        if (!ec)
            return;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    throw std::runtime_error{"nginx does not listen"};
}

} // namespace

nginx::nginx() : port_(free_port())
{
    std::string name = (std::filesystem::temp_directory_path() / "reprise-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw std::runtime_error{"no temporary directory"};
    directory_ = name;
    auto const at = [&](char const* file) { return directory_ + "/" + file; };
    reprise::testing::certificate_authority const authority{"reprise bench"};
    auto const own = authority.issue({"localhost", "127.0.0.1"});
    std::ofstream{at("ca.pem")} << authority.pem();
    std::ofstream{at("own.pem")} << own.certificate;
    std::ofstream{at("own.key")} << own.key;
    ca_file_ = at("ca.pem");
    std::ofstream{at("nginx.conf")}
        << "daemon off;\nmaster_process off;\nerror_log stderr crit;\npid " << at("pid")
        << ";\nevents { worker_connections 256; }\nhttp {\naccess_log off;\nclient_body_temp_path " << at("body")
        << ";\nproxy_temp_path " << at("proxy") << ";\nfastcgi_temp_path " << at("fastcgi") << ";\nuwsgi_temp_path "
        << at("uwsgi") << ";\nscgi_temp_path " << at("scgi") << ";\nserver {\nlisten 127.0.0.1:" << port_
        << " ssl;\nssl_protocols TLSv1.2 TLSv1.3;\nssl_certificate " << at("own.pem") << ";\nssl_certificate_key "
        << at("own.key")
        << ";\nssl_session_cache shared:bench:8m;\nssl_session_tickets on;\nkeepalive_timeout 0;\n"
           "location / { return 200 \"ok\"; }\n}\n}\n";
    auto configuration = at("nginx.conf");
    std::string program = "/usr/sbin/nginx";
    std::string e = "-e";
    std::string to = "stderr";
    std::string c = "-c";
    char* const words[] = {program.data(), e.data(), to.data(), c.data(), configuration.data(), nullptr};
    if (::posix_spawn(&process_, program.c_str(), nullptr, nullptr, words, environ) != 0)
        throw std::runtime_error{"nginx cannot be started"};
    wait_for(port_);
}

nginx::~nginx()
{
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

} // namespace bench
