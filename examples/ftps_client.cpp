// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Fetches files by FTP over TLS (RFC 4217). A data connection proves that it belongs to the client of the control
// connection by resuming the session of the control connection. Many servers require that, so this client resumes
// exactly that session.

#include "common/tls_options.hpp"
#include "common/url.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/memory_session_store.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <tuple>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

struct arguments
{
    std::string host;
    std::vector<std::string> paths;
    std::string port = "21";
    std::string user = "anonymous";
    std::string password = "anonymous";
    std::string ca;
    std::string output;
    bool no_resume = false;
    example::tls_options tls;
};

void declare(CLI::App& app, arguments& a)
{
    app.add_option("HOST", a.host, "Name or address of the server")->required();
    app.add_option("PATH", a.paths, "Files to fetch, in this order")->required();
    app.add_option("--port", a.port, "Port of the control connection")->capture_default_str();
    app.add_option("--user", a.user, "User name")->capture_default_str();
    app.add_option("--password", a.password, "Password");
    app.add_option("--ca", a.ca, "PEM file of the CA to trust; without it, the system's CAs")->check(CLI::ExistingFile);
    app.add_option("--output", a.output, "Write all files to this file instead of standard output");
    app.add_flag("--no-resume", a.no_resume,
                 "Make a full handshake for each data connection; servers that require resumption refuse it");
    example::declare(app, a.tls);
}

/// Reply of a server: three digits, and text (RFC 959, 4.2).
struct reply
{
    int code = 0;
    std::string text;
};

class ftps_client
{
public:
    ftps_client(asio::any_io_executor const& ex, asio::ssl::context& tls, arguments const& a)
        : arguments_(a), tls_(tls), control_(ex, tls, *store_, options())
    {
    }

    asio::awaitable<void> log_in()
    {
        // The connection is plain TCP until AUTH, so connect here and not with async_connect of the stream.
        tcp::resolver resolver{control_.get_executor()};
        auto const found = co_await resolver.async_resolve(arguments_.host, arguments_.port, asio::use_awaitable);
        auto const any = [](boost::system::error_code const&, tcp::endpoint const&) { return true; };
        co_await asio::async_connect(control_.next_layer(), found, any, asio::use_awaitable);
        co_await read_reply(control_.next_layer(), 220);
        co_await asio::async_write(control_.next_layer(), asio::buffer(std::string_view{"AUTH TLS\r\n"}),
                                   asio::use_awaitable);
        co_await read_reply(control_.next_layer(), 234);
        if (!buffer_.empty()) // plain text that an attacker in between may have injected
            throw std::runtime_error{"the server sent data before the TLS handshake; the connection is not safe"};
        say("control", co_await control_.async_handshake(arguments_.host, arguments_.port));

        auto const wants_password = co_await command("USER " + arguments_.user);
        if (wants_password.code == 331)
            co_await command("PASS " + arguments_.password, 230);
        else if (wants_password.code != 230)
            throw std::runtime_error{"the server refused the login: " + wants_password.text};
        co_await command("PBSZ 0", 200);
        co_await command("PROT P", 200); // TLS for data connections, too (RFC 4217, 9)
        co_await command("TYPE I", 200);
    }

    asio::awaitable<std::string> fetch(std::string path)
    {
        auto const port = data_port(co_await command("EPSV", 229));
        // The server begins the handshake of the data connection only after it has the command.
        co_await write("RETR " + path);
        reprise::client_stream<> data{control_.get_executor(), tls_, *store_, options()};
        auto ticket = co_await next_session();
        auto const ended = asio::as_tuple(asio::use_awaitable);
        auto const [failed, info] = co_await connect(data, port, std::move(ticket));
        if (failed)
        {
            auto const why = co_await read_reply(control_);
            throw std::runtime_error{"data connection: " + failed.message() + "; reply of the server: " + why.text};
        }
        say("data", info);
        last_data_ = data.key();
        if (auto const begun = co_await read_reply(control_); begun.code != 150 && begun.code != 125)
            throw std::runtime_error{path + ": " + begun.text};

        std::string content;
        auto const [ec, size] =
            co_await asio::async_read(data, asio::dynamic_buffer(content), asio::transfer_all(), ended);
        // Without close_notify the end of the data is not authenticated, so check the reply below.
        if (ec != asio::error::eof && ec != asio::ssl::error::stream_truncated)
            throw std::runtime_error{path + ": " + ec.message()};
        co_await data.async_shutdown();
        co_await read_reply(control_, 226);
        co_return content;
    }

    asio::awaitable<void> quit()
    {
        co_await command("QUIT", 221);
        co_await control_.async_shutdown();
    }

private:
    static reprise::client_options options()
    {
        reprise::client_options result;
        result.shutdown_timeout = std::chrono::milliseconds{200}; // some servers never answer close_notify
        return result;
    }

    static void say(char const* what, reprise::handshake_info const& info)
    {
        std::cerr << what << ": " << (info.resumed() ? to_string(info.resumption) : to_string(info.reason)) << ' '
                  << to_string(info.protocol) << '\n';
    }

    /// Take a session of this login: of the control connection, or, if its TLS 1.3 tickets are used up, of the last
    /// data connection.
    asio::awaitable<std::optional<reprise::session>> next_session()
    {
        if (arguments_.no_resume)
            co_return std::nullopt;
        auto found = co_await store_->take(control_.key());
        if (!found.ticket && last_data_)
            found = co_await store_->take(*last_data_);
        if (!found.ticket)
            throw std::runtime_error{"there is no session to resume: " + std::string{to_string(found.reason)} +
                                     "; --no-resume connects without one"};
        co_return found.ticket;
    }

    using connected = std::tuple<boost::system::error_code, reprise::handshake_info>;

    asio::awaitable<connected> connect(reprise::client_stream<>& data, std::string port,
                                       std::optional<reprise::session> exactly)
    {
        auto const ended = asio::as_tuple(asio::use_awaitable);
        if (exactly)
            co_return co_await data.async_connect(arguments_.host, port, {.exactly = &*exactly}, ended);
        co_return co_await data.async_connect(arguments_.host, port, ended);
    }

    asio::awaitable<void> write(std::string line)
    {
        if (line.find_first_of("\r\n") != std::string::npos)
            throw std::runtime_error{"a path, user name or password must not contain a line break"};
        line += "\r\n";
        co_await asio::async_write(control_, asio::buffer(line), asio::use_awaitable);
    }

    asio::awaitable<reply> command(std::string line)
    {
        co_await write(std::move(line));
        co_return co_await read_reply(control_);
    }

    asio::awaitable<reply> command(std::string line, int expected)
    {
        co_await write(std::move(line));
        co_return co_await read_reply(control_, expected);
    }

    template <class Stream>
    asio::awaitable<reply> read_reply(Stream& stream)
    {
        reply result;
        for (std::size_t lines = 0; lines < most_lines; ++lines)
        {
            auto const line = co_await read_line(stream);
            auto const code = code_of(line);
            bool const is_last = code && (line.size() == 3 || line[3] == ' ');
            // Between the first line, "123-", and the last, "123 ", lines are arbitrary text (RFC 959, 4.2).
            if (result.code == 0 && !code)
                throw std::runtime_error{"not an FTP reply: " + line};
            if (result.code == 0)
                result.code = *code;
            if (is_last && *code == result.code)
            {
                result.text = line;
                co_return result;
            }
        }
        throw std::runtime_error{"the server's reply has more than " + std::to_string(most_lines) + " lines"};
    }

    template <class Stream>
    asio::awaitable<std::string> read_line(Stream& stream)
    {
        auto const ended = asio::as_tuple(asio::use_awaitable);
        auto const [ec, size] =
            co_await asio::async_read_until(stream, asio::dynamic_buffer(buffer_, longest_line), "\r\n", ended);
        if (ec == asio::error::not_found)
            throw std::runtime_error{"the server sent a line of more than " + std::to_string(longest_line) + " bytes"};
        if (ec)
            throw boost::system::system_error{ec};
        auto line = buffer_.substr(0, size - 2);
        buffer_.erase(0, size);
        co_return line;
    }

    static std::optional<int> code_of(std::string const& line)
    {
        int code = 0;
        auto const size = std::min<std::size_t>(line.size(), 3);
        auto const [end, bad] = std::from_chars(line.data(), line.data() + size, code);
        return bad == std::errc{} && end == line.data() + 3 && code >= 100 ? std::optional{code} : std::nullopt;
    }

    template <class Stream>
    asio::awaitable<reply> read_reply(Stream& stream, int expected)
    {
        auto result = co_await read_reply(stream);
        if (result.code != expected)
            throw std::runtime_error{"expected reply " + std::to_string(expected) +
                                     " of the server, got: " + result.text};
        co_return result;
    }

    /// The port in "229 Entering Extended Passive Mode (|||6446|)" (RFC 2428, 3). The bar may be any character.
    static std::string data_port(reply const& r)
    {
        auto const text = std::string_view{r.text};
        auto const begin = text.find('(');
        if (begin != std::string_view::npos && text.size() > begin + 5)
        {
            auto const bar = text[begin + 1];
            auto const digits = text.substr(begin + 4, text.find(bar, begin + 4) - begin - 4);
            auto const port = example::parse_port(digits);
            if (text[begin + 2] == bar && text[begin + 3] == bar && port && *port != 0)
                return std::string{digits};
        }
        throw std::runtime_error{"no port in the server's reply to EPSV: " + r.text};
    }

    static constexpr std::size_t longest_line = 8192;
    static constexpr std::size_t most_lines = 1000;

    arguments const& arguments_;
    asio::ssl::context& tls_;
    // A store for this login only, because no other login may resume its sessions.
    std::shared_ptr<reprise::memory_session_store> store_ = reprise::memory_session_store::make();
    reprise::client_stream<> control_;
    std::optional<reprise::session_scope> last_data_;
    std::string buffer_;
};

asio::awaitable<void> fetch_all(arguments const& a, asio::ssl::context& tls)
{
    ftps_client client{co_await asio::this_coro::executor, tls, a};
    co_await client.log_in();
    std::ofstream file;
    if (!a.output.empty())
        file.open(a.output, std::ios::binary);
    if (!file)
        throw std::runtime_error{"--output " + a.output + ": cannot open the file for writing"};
    for (auto const& path : a.paths)
        (a.output.empty() ? std::cout : file) << co_await client.fetch(path) << std::flush;
    if (!file)
        throw std::runtime_error{"--output " + a.output + ": cannot write the file; is the disk full?"};
    co_await client.quit();
}

int run(int argc, char** argv)
{
    CLI::App app{"Fetches files by FTP over TLS. Data connections resume the session of the control connection."};
    arguments a;
    declare(app, a);
    CLI11_PARSE(app, argc, argv);

    asio::ssl::context tls{asio::ssl::context::tls_client};
    apply(a.tls, tls);
    if (a.ca.empty())
        tls.set_default_verify_paths();
    else
        tls.load_verify_file(a.ca);

    asio::io_context io;
    std::exception_ptr failure;
    asio::co_spawn(io, fetch_all(a, tls), [&](std::exception_ptr e) { failure = e; });
    io.run();
    if (failure)
        std::rethrow_exception(failure);
    return 0;
}

} // namespace

int main(int argc, char** argv)
try
{
    return run(argc, argv);
}
catch (std::exception const& e)
{
    std::cerr << "ftps_client: " << e.what() << '\n';
    return 1;
}
