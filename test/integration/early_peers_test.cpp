// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Judges of early data from outside: programs that reprise did not write, on either end of the connection.
#include "support/child.hpp"
#include "support/early.hpp"
#include "support/gate.hpp"
#include "support/peers/nginx.hpp"
#include "support/peers/upstream.hpp"

#include <boost/asio/read_until.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <map>
#include <optional>
#include <utility>

using namespace test;
using reprise::early_data;
using reprise::early_data_reason;
using reprise::early_data_status;
using reprise::handshake_info;

TEST_SUITE_BEGIN("early_peers");

namespace {

namespace beast = boost::beast;
namespace http = beast::http;

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

std::size_t count(std::string const& text, std::string_view part)
{
    std::size_t n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
        ++n;
    return n;
}

// ---- Our server

struct program
{
    std::vector<std::string> command;
    std::string input{};
    input_then then = input_then::end;
};

struct ending
{
    int status = -1;
    std::string output{};
};

// How a program ends. It is waited for on a thread of its own, for ours serves it.
asio::awaitable<ending> end_of(program p)
{
    asio::thread_pool other_thread{1};
    auto wait = [&p]() -> asio::awaitable<ending>
    {
        child process{p.command, p.input, p.then};
        int const status = process.wait(15s); // less than a test may take
        co_return ending{status, process.output()};
    };
    co_return co_await asio::co_spawn(other_thread, std::move(wait), asio::use_awaitable);
}

// What one client said before the handshake was complete, and after it.
struct said
{
    std::string early;
    std::string late;
    bool answered_early;

    friend bool operator==(said const&, said const&) = default;
};

// What our server does: it answers, once and at once, and says goodbye.
struct dialogue
{
    std::string request_end;
    std::string answer;
    std::string last{}; // after which it says goodbye; empty: the client does
};

int select_http(SSL*, unsigned char const** chosen, unsigned char* size, unsigned char const*, unsigned, void*)
{
    static constexpr std::string_view name = "http/1.1";
    *chosen = reinterpret_cast<unsigned char const*>(name.data());
    *size = name.size();
    return SSL_TLSEXT_ERR_OK;
}

// A server that accepts early data, and all that its clients said: nothing is lost and nothing comes twice.
class listening_world
{
public:
    listening_world(
        kind const& k, dialogue d, std::function<void(asio::ssl::context&)> configure = [](auto&) {})
        : dialogue_(std::move(d)),
          world_(k, {.talk = [this](server_side& stream) { return listen(stream); }, .configure = std::move(configure)})
    {
    }

    void run(std::function<asio::awaitable<void>()> test) { world_.run(std::move(test)); }
    [[nodiscard]] std::string port() { return world_.srv().port(); }
    [[nodiscard]] std::vector<handshake_info> const& handshakes() { return world_.srv().handshakes; }
    [[nodiscard]] auto stats() { return world_.cache().stats(); }

    /// Until so many connections that said anything are over.
    asio::awaitable<void> heard_all(std::size_t n)
    {
        while (heard.size() < n)
            co_await asio::post(asio::use_awaitable);
    }

    std::vector<said> heard;

private:
    asio::awaitable<void> listen(server_side& stream)
    {
        said s{};
        bool is_answered = false;
        std::array<char, 4096> buffer{};
        while (dialogue_.last.empty() || !(s.early + s.late).ends_with(dialogue_.last))
        {
            auto const [ec, size] = co_await stream.async_read_some(asio::buffer(buffer), as_tuple);
            if (ec)
                break;
            (stream.is_early() ? s.early : s.late).append(buffer.data(), size);
            if (!is_answered && contains(s.early + s.late, dialogue_.request_end))
            {
                is_answered = true;
                s.answered_early = stream.is_early();
                (void)co_await asio::async_write(stream, asio::buffer(dialogue_.answer), as_tuple);
            }
        }
        if (is_answered)
            heard.push_back(std::move(s));
        co_await stream.async_shutdown();
    }

    dialogue dialogue_;
    early_world world_;
};

// ---- Our client

// A client of TLS 1.3.
struct client_world
{
    client_world() { set_versions(tls, TLS1_3_VERSION, TLS1_3_VERSION); }

    [[nodiscard]] client_side stream() { return {executor_of(io), tls, *store, options}; }
    void run(std::function<asio::awaitable<void>()> test) { test::run(io, test()); }

    asio::io_context io;
    asio::ssl::context tls = client_context();
    reprise::client_options options{};
    std::shared_ptr<any_key_store> store = any_key_store::make();
};

asio::awaitable<handshake_info> connect_early(client_side& stream, std::string port, std::string const& text)
{
    early_data const early{asio::buffer(text)};
    auto const info = co_await stream.async_connect("localhost", port, early);
    co_return info;
}

void check_not_offered(handshake_info const& info, early_data_reason why)
{
    CHECK(info.early_data == early_data_status::not_offered);
    CHECK(info.early_reason == why);
    CHECK(info.early_size == 0);
}

void check_rejected(handshake_info const& info)
{
    CHECK(info.early_data == early_data_status::rejected);
    CHECK(info.early_reason == early_data_reason::declined);
    CHECK(info.early_size == 0);
}

void check_accepted(handshake_info const& info, std::size_t size)
{
    CHECK(info.resumed());
    CHECK(info.early_data == early_data_status::accepted);
    CHECK(info.early_reason == early_data_reason::none);
    CHECK(info.early_size == size);
}

// On our server, of one kind.
void check_accepted(handshake_info const& info, kind const& k)
{
    CHECK(info.resumption == k.on_server);
    CHECK(info.early_data == early_data_status::accepted);
    CHECK(info.early_reason == early_data_reason::none);
}

void check_not_asked(handshake_info const& info, kind const& k)
{
    CHECK(info.resumption == k.on_server);
    CHECK(info.early_data == early_data_status::not_offered);
    CHECK(info.early_reason == early_data_reason::not_asked);
}

// `openssl s_server` of TLS 1.3 on a free port, for so many connections. It shows what it reads, and says what it is
// given.
struct openssl_server
{
    openssl_server(credentials const& c, int connections, std::vector<std::string> const& options)
        : process(command(c, port, connections, options), "", input_then::more)
    {
        process.read_until("ACCEPT");
    }

    static std::vector<std::string> command(credentials const& c, unsigned short port, int connections,
                                            std::vector<std::string> const& options)
    {
        std::vector<std::string> words{
            "openssl", "s_server", "-accept",  "127.0.0.1:" + std::to_string(port), "-cert",  c.certificate,
            "-key",    c.key,      "-naccept", std::to_string(connections),         "-tls1_3"};
        words.insert(words.end(), options.begin(), options.end());
        return words;
    }

    /// Connect, send `text`, early if that is possible, and hear an answer: by then all tickets have come.
    asio::awaitable<handshake_info> visit(client_side& stream, std::string text)
    {
        auto const info = co_await connect_early(stream, std::to_string(port), text);
        process.write("answer\n");
        std::string answer;
        co_await asio::async_read_until(stream, asio::dynamic_buffer(answer), '\n', asio::use_awaitable);
        CHECK(answer == "answer\n");
        co_await stream.async_shutdown();
        co_return info;
    }

    /// All that it said, once it has served all connections.
    std::string const& says()
    {
        CHECK(process.wait() == 0);
        return process.output();
    }

    unsigned short port = free_port();
    child process;
};

std::string get_request(std::string const& target)
{
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

// HTTP over one stream.
class browser
{
public:
    browser(client_world& w, std::string port) : stream_(w.stream()), port_(std::move(port)) {}

    /// On a new connection, early if that is possible.
    asio::awaitable<handshake_info> connect(std::string target)
    {
        buffer_.clear();
        auto const info = co_await connect_early(stream_, port_, get_request(target));
        co_return info;
    }

    asio::awaitable<void> request(std::string target)
    {
        auto const text = get_request(target);
        co_await asio::async_write(stream_, asio::buffer(text), asio::use_awaitable);
    }

    /// The status of an answer, and what it holds.
    asio::awaitable<std::pair<unsigned, std::string>> answer()
    {
        http::response<http::string_body> response;
        co_await http::async_read(stream_, buffer_, response, asio::use_awaitable);
        co_return std::pair{response.result_int(), response.body()};
    }

    asio::awaitable<void> shut_down() { co_await stream_.async_shutdown(); }

private:
    client_side stream_;
    std::string port_;
    beast::flat_buffer buffer_;
};

using reply = std::pair<unsigned, std::string>;

// HAProxy on a free port of loopback, in front of a server.
struct haproxy
{
    haproxy(credentials const& c, unsigned short server_port) : process(command(c, port, server_port))
    {
        wait_for_listener(port);
    }

    static std::vector<std::string> command(credentials const& c, unsigned short port, unsigned short server_port)
    {
        auto const both = c.directory.write("both.pem", c.own.certificate + c.own.key);
        auto const configuration = c.directory.write(
            "haproxy.cfg", "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n"
                           "  timeout server 20s\nfrontend entrance\n  bind 127.0.0.1:" +
                               std::to_string(port) + " ssl crt " + both +
                               " alpn http/1.1 allow-0rtt\n"
                               "  http-request deny deny_status 425 if { path /never } { ssl_fc_has_early }\n"
                               "  default_backend behind\nbackend behind\n  server one 127.0.0.1:" +
                               std::to_string(server_port) + "\n");
        return {"/usr/sbin/haproxy", "-db", "-f", configuration};
    }

    unsigned short port = free_port();
    child process;
};

} // namespace

TEST_CASE("openssl s_client sends early data to our server, which hears it once and answers at once")
{
    credentials const c;
    auto const session = c.directory / "session.pem";
    auto const early_file = c.directory.write("early", "early\n");
    for (auto const& k : tls13_kinds())
    {
        CAPTURE(std::string{k.name});
        listening_world w{k, {.request_end = "\n", .answer = "yes\n", .last = "end\n"}};
        auto const visit = [&](std::vector<std::string> const& options, std::string const& input)
        {
            program p{{"openssl", "s_client", "-connect", "127.0.0.1:" + w.port(), "-servername", "localhost",
                       "-CAfile", c.ca, "-verify_return_error", "-ign_eof"},
                      input};
            p.command.insert(p.command.end(), options.begin(), options.end());
            return end_of(std::move(p));
        };
        std::vector<std::string> const keep{"-sess_out", session};
        std::vector<std::string> const offer{"-sess_in", session, "-early_data", early_file};
        std::vector<ending> ends;
        w.run(
            [&]() -> asio::awaitable<void>
            {
                ends.push_back(co_await visit(keep, "first\nend\n"));
                ends.push_back(co_await visit(offer, "end\n"));
                ends.push_back(co_await visit(offer, "end\n")); // the same ticket in another first flight
            });
        for (auto const& e : ends)
            CHECK(e.status == 0);
        REQUIRE(w.heard.size() == 3);

        CHECK(contains(ends[0].output, "New, TLSv1.3"));
        CHECK(contains(ends[0].output, "Early data was not sent"));
        CHECK(count(ends[0].output, "yes\n") == 1);
        CHECK(w.heard[0] == said{"", "first\nend\n", false});

        CHECK(contains(ends[1].output, "Reused, TLSv1.3"));
        CHECK(contains(ends[1].output, "Early data was accepted"));
        CHECK(count(ends[1].output, "yes\n") == 1);
        CHECK(w.heard[1] == said{"early\n", "end\n", true});
        check_accepted(w.handshakes().at(1), k);

        // That is no replay, but a stateful ticket is good for one use. s_client does not send again what was rejected.
        CHECK(contains(ends[2].output, k.tickets ? "Early data was accepted" : "Early data was rejected"));
        CHECK(count(ends[2].output, "yes\n") == 1);
        CHECK(w.heard[2] == (k.tickets ? said{"early\n", "end\n", true} : said{"", "end\n", false}));
        if (k.tickets)
            check_accepted(w.handshakes().at(2), k);
        else
        {
            CHECK(w.handshakes().at(2).early_data == early_data_status::rejected);
            CHECK(w.handshakes().at(2).early_reason == early_data_reason::not_resumed);
        }
        CHECK(w.stats().early_accepted == (k.tickets ? 2 : 1));
    }
}

TEST_CASE("gnutls-cli sends early data to our server, if it can, which hears it once and answers at once")
{
    credentials const c;
    auto const early_file = c.directory.write("early", "early\n");
    bool is_able = true;
    for (auto const& k : tls13_kinds())
        for (bool const early : {true, false})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(early);
            listening_world w{k, {.request_end = "\n", .answer = "yes\n", .last = "end\n"}};
            // It says nothing on its first connection. Its input must not end, for it would not read the answer then.
            program p{{"gnutls-cli", "--port=" + w.port(), "--x509cafile=" + c.ca, "--resume", "--waitresumption",
                       "localhost"},
                      "end\n",
                      input_then::more};
            if (early)
                p.command.push_back("--earlydata=" + early_file);
            ending e;
            w.run([&]() -> asio::awaitable<void> { e = co_await end_of(p); });
            CAPTURE(e.output);
            if (early && contains(e.output, "error sending early data"))
            {
                // GnuTLS 3.8 wants the ticket's limit first, which its program sets after the data.
                is_able = false;
                CHECK(e.status == 1);
                CHECK(w.heard.empty());
                continue;
            }
            CHECK(e.status == 0);
            CHECK(contains(e.output, "*** This is a resumed session"));
            CHECK(count(e.output, "yes\n") == 1);
            REQUIRE(w.heard.size() == 1);
            CHECK(w.heard[0] == (early ? said{"early\n", "end\n", true} : said{"", "end\n", false}));
            REQUIRE(w.handshakes().size() == 2);
            CHECK(w.handshakes()[0].early_reason == early_data_reason::not_asked);
            if (early)
                check_accepted(w.handshakes()[1], k);
            else
                check_not_asked(w.handshakes()[1], k);
            CHECK(w.stats().early_accepted == (early ? 1 : 0));
        }
    if (!is_able)
        MESSAGE("this gnutls-cli fails to send early data, to any server: it resumes without");
}

TEST_CASE("curl sends early data to our server, if it can, and gets its answer in any case")
{
    credentials const c;
    child help{{"curl", "--help", "all"}};
    CHECK(help.wait() == 0);
    bool const is_able = contains(help.output(), "--tls-earlydata");
    if (is_able)
        MESSAGE("this curl has --tls-earlydata");
    else
        MESSAGE("this curl has no --tls-earlydata: without early data, from a server that accepts it");
    for (auto const& k : tls13_kinds())
    {
        CAPTURE(std::string{k.name});
        // Early data of curl needs ALPN.
        listening_world w{k,
                          {.request_end = "\r\n\r\n",
                           .answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nyes\n"},
                          [](asio::ssl::context& tls)
                          { ::SSL_CTX_set_alpn_select_cb(tls.native_handle(), select_http, nullptr); }};
        auto const url = "https://localhost:" + w.port();
        program p{{"curl", "--silent", "--show-error", "--ipv4", "--cacert", c.ca, "--header", "Connection: close",
                   url + "/first", url + "/second"}};
        if (is_able)
            p.command.insert(p.command.end(), {"--tls-earlydata", "--write-out", "early: %{tls_earlydata}\n"});
        ending e;
        w.run(
            [&]() -> asio::awaitable<void>
            {
                e = co_await end_of(p);
                co_await w.heard_all(2);
            });
        auto const& output = e.output;
        CAPTURE(output);
        CHECK(e.status == 0);
        CHECK(count(output, "yes\n") == 2);
        REQUIRE(w.heard.size() == 2);
        auto const& [first, second] = std::pair{w.heard[0], w.heard[1]};
        CHECK(first.early.empty());
        CHECK(first.late.starts_with("GET /first HTTP/1.1\r\n"));
        auto const& request = is_able ? second.early : second.late;
        CHECK(request.starts_with("GET /second HTTP/1.1\r\n"));
        CHECK(request.find("\r\n\r\n") == request.size() - 4);
        CHECK((is_able ? second.late : second.early).empty());
        CHECK(second.answered_early == is_able);
        if (is_able)
        {
            CHECK(output == "yes\nearly: 0\nyes\nearly: " + std::to_string(request.size()) + "\n");
            check_accepted(w.handshakes().at(1), k);
        }
        else
            check_not_asked(w.handshakes().at(1), k);
    }
}

TEST_CASE("openssl s_server accepts our early data; with its anti-replay on, once for each ticket")
{
    credentials const c;
    for (bool const anti_replay : {true, false})
    {
        CAPTURE(anti_replay);
        openssl_server srv{c, 3, {"-early_data", anti_replay ? "-anti_replay" : "-no_anti_replay"}};
        client_world w;
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                check_not_offered(co_await srv.visit(stream, "words-one\n"), early_data_reason::no_session);
                w.store->repeats = true;
                check_accepted(co_await srv.visit(stream, "words-two\n"), 10);
                auto const info = co_await srv.visit(stream, "words-three\n");
                if (anti_replay)
                {
                    CHECK_FALSE(info.resumed());
                    check_rejected(info);
                }
                else
                    check_accepted(info, 12);
            });
        auto const& output = srv.says();
        CAPTURE(output);
        CHECK(count(output, "No early data received\n") == 1);
        CHECK(count(output, "Early data received:\n") == (anti_replay ? 1 : 2));
        CHECK(count(output, "Early data was rejected\n") == (anti_replay ? 1 : 0));
        CHECK(count(output, "Reused session-id") == (anti_replay ? 1 : 2));
        for (auto const* text : {"words-one\n", "words-two\n", "words-three\n"})
            CHECK(count(output, text) == 1);
    }
}

TEST_CASE("to openssl s_server without early data we offer none, and everything arrives after the handshake")
{
    credentials const c;
    openssl_server srv{c, 2, {}};
    client_world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            check_not_offered(co_await srv.visit(stream, "words-one\n"), early_data_reason::no_session);
            auto const info = co_await srv.visit(stream, "words-two\n");
            CHECK(info.resumed());
            check_not_offered(info, early_data_reason::not_allowed);
        });
    auto const& output = srv.says();
    CAPTURE(output);
    CHECK(count(output, "Reused session-id") == 1);
    CHECK_FALSE(contains(output, "Early data"));
    for (auto const* text : {"words-one\n", "words-two\n"})
        CHECK(count(output, text) == 1);
}

TEST_CASE("nginx accepts our early data, answers at once, and tells the server behind it, which may say 425")
{
    credentials const c;
    for (bool const tickets : {true, false})
    {
        CAPTURE(tickets);
        client_world w;
        upstream behind{w.io};
        nginx const srv{c, "ssl_early_data on;\nssl_session_cache shared:test:1m;\nssl_session_tickets " +
                               std::string{on_or_off(tickets)} +
                               ";\nlocation /to/ { proxy_set_header Early-Data $ssl_early_data; proxy_pass "
                               "http://127.0.0.1:" +
                               std::to_string(behind.port()) + "/; }"};
        gate g{w.io, srv.port};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                browser b{w, g.port()};
                check_not_offered(co_await b.connect("/to/first"), early_data_reason::no_session);
                CHECK((co_await b.answer()) == reply{200, "/first"});
                co_await b.shut_down();

                g.close();
                check_accepted(co_await b.connect("/to/early"), get_request("/to/early").size());
                CHECK((co_await b.answer()) == reply{200, "/early"});
                g.open();
                co_await b.request("/to/late");
                CHECK((co_await b.answer()) == reply{200, "/late"});
                co_await b.shut_down();

                // What comes too early is asked for again, after the handshake (RFC 8470, 5.2).
                g.close();
                check_accepted(co_await b.connect("/to/fresh"), get_request("/to/fresh").size());
                CHECK((co_await b.answer()) == reply{425, "/fresh"});
                g.open();
                co_await b.request("/to/fresh");
                CHECK((co_await b.answer()) == reply{200, "/fresh"});
                co_await b.shut_down();
            });
        std::vector<upstream::request> const expected{
            {"/first", ""}, {"/early", "1"}, {"/late", ""}, {"/fresh", "1"}, {"/fresh", ""}};
        CHECK(behind.requests == expected);
    }
}

TEST_CASE("HAProxy accepts our early data, and where it handles it early it says so")
{
    credentials const c;
    client_world w;
    w.options.alpn = {"http/1.1"}; // HAProxy 3.2 handles nothing early unless it knows the protocol
    upstream behind{w.io};
    haproxy const srv{c, behind.port()};
    std::map<std::string, unsigned> status;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            browser b{w, std::to_string(srv.port)};
            check_not_offered(co_await b.connect("/first"), early_data_reason::no_session);
            CHECK((co_await b.answer()) == reply{200, "/first"});
            co_await b.shut_down();
            for (std::string const target : {"/early", "/fresh", "/never"})
            {
                check_accepted(co_await b.connect(target), get_request(target).size());
                auto const answer = co_await b.answer();
                status[target] = answer.first;
                co_await b.shut_down();
            }
        });

    // "Early-Data" of each request for a target
    using fields = std::vector<std::string>;
    auto const seen = [&](std::string const& target)
    {
        fields result;
        for (auto const& r : behind.requests)
            if (r.target == target)
                result.push_back(r.early_data);
        return result;
    };
    // HAProxy 2.6 and 3.0 accept early data and handle it when the handshake is complete, as what it then is: not
    // early.
    bool const is_early = seen("/early") == fields{"1"};
    if (is_early)
        MESSAGE("this HAProxy has handled early data before the handshake was complete");
    else
    {
        MESSAGE("this HAProxy has handled early data when the handshake was complete");
        CHECK(seen("/early") == fields{""});
    }
    CHECK(status["/early"] == 200);
    CHECK(seen("/first") == fields{""});
    CHECK(seen("/fresh") == fields{status["/fresh"] == 425 ? "1" : ""});
    CHECK(seen("/never") == (status["/never"] == 425 ? fields{} : fields{""}));
}

TEST_SUITE_END();
