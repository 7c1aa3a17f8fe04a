// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// nginx and HAProxy run on the files that we write and read: they are told apart by the names in their tickets, and by
// which tickets resume.
#include "server/tickets/key_source.hpp"
#include "server/tickets/ticket_ring.hpp"
#include "support/peers/nginx.hpp"

#include <reprise/ticket_key_file.hpp>

#include <openssl/pem.h>

#include <filesystem>
#include <memory>

using namespace test;
using reprise::make_file_ticket_key;
using reprise::ticket_key;
using reprise::ticket_key_set;
using format = reprise::ticket_key_file_format;

TEST_SUITE_BEGIN("ticket_key_files");

namespace {

struct tls_version
{
    char const* name;
    char const* option;
};
constexpr std::array versions{tls_version{"TLSv1.2", "-tls1_2"}, tls_version{"TLSv1.3", "-tls1_3"}};

std::string text_of(reprise::byte_view bytes)
{
    return {bytes.begin(), bytes.end()};
}

std::string file_of(format f, ticket_key_set keys)
{
    return text_of(reprise::write_ticket_key_file({.format = f, .keys = std::move(keys)}));
}

std::string nginx_file(ticket_key const& key)
{
    return file_of(format::nginx, {key});
}

std::string haproxy_file(ticket_key_set keys)
{
    return file_of(format::haproxy, std::move(keys));
}

// HAProxy on a free port of loopback. It remembers nothing but what is in tickets.
struct haproxy
{
    haproxy(credentials const& c, std::string const& keys) : port(free_port()), process(command(c, port, keys))
    {
        wait_for_listener(port);
    }

    static std::vector<std::string> command(credentials const& c, unsigned short port, std::string const& keys)
    {
        auto const both = c.directory.write("both.pem", c.own.certificate + c.own.key);
        auto const configuration = c.directory.write(
            "haproxy.cfg", "global\n  tune.ssl.cachesize 0\ndefaults\n  mode http\n  timeout connect 20s\n"
                           "  timeout client 20s\n  timeout server 20s\nfrontend pages\n  bind 127.0.0.1:" +
                               std::to_string(port) + " ssl crt " + both + " ssl-min-ver TLSv1.2 tls-ticket-keys " +
                               keys + "\n  http-request return status 200 content-type text/plain string here\n");
        return {"/usr/sbin/haproxy", "-db", "-f", configuration};
    }

    /// Whether it would start with these keys.
    [[nodiscard]] static bool takes(credentials const& c, std::string const& keys)
    {
        auto words = command(c, free_port(), keys);
        words.emplace_back("-c");
        child process{words};
        return process.wait() == 0;
    }

    unsigned short port;
    child process;
};

// What OpenSSL's client keeps of a connection, in a file, to offer it as often as it is asked to.
class kept_session
{
public:
    kept_session(credentials const& c, tls_version const& version, unsigned short port)
        : credentials_(c), version_(version)
    {
        CHECK(contains(visit(port, "-sess_out"), std::string{"New, "} + version_.name));
        std::unique_ptr<BIO, decltype(&::BIO_free)> const file{::BIO_new_file(path_.c_str(), "r"), ::BIO_free};
        REQUIRE(file != nullptr);
        std::unique_ptr<SSL_SESSION, decltype(&::SSL_SESSION_free)> const session{
            ::PEM_read_bio_SSL_SESSION(file.get(), nullptr, nullptr, nullptr), ::SSL_SESSION_free};
        REQUIRE(session != nullptr);
        unsigned char const* ticket = nullptr;
        std::size_t size = 0;
        ::SSL_SESSION_get0_ticket(session.get(), &ticket, &size);
        REQUIRE(size > 16);
        for (auto const byte : reprise::byte_view{ticket, 16})
        {
            constexpr std::string_view digits = "0123456789abcdef";
            sealed_by_ += digits[byte >> 4];
            sealed_by_ += digits[byte & 15];
        }
    }

    /// The name of the key that its ticket was sealed with (RFC 5077, 4).
    [[nodiscard]] std::string const& sealed_by() const { return sealed_by_; }

    [[nodiscard]] bool resumes(unsigned short port) const
    {
        auto const output = visit(port, "-sess_in");
        bool const reused = contains(output, std::string{"Reused, "} + version_.name);
        CHECK((reused || contains(output, std::string{"New, "} + version_.name)));
        return reused;
    }

private:
    [[nodiscard]] std::string visit(unsigned short port, char const* option) const
    {
        child client{{"openssl", "s_client", "-connect", "127.0.0.1:" + std::to_string(port), "-servername",
                      "localhost", "-CAfile", credentials_.ca, "-verify_return_error", "-ign_eof", version_.option,
                      option, path_},
                     "GET / HTTP/1.0\r\n\r\n"};
        CHECK(client.wait() == 0);
        CHECK(contains(client.output(), "200 OK"));
        return client.output();
    }

    credentials const& credentials_;
    tls_version version_;
    temporary_directory directory_;
    std::string path_ = directory_ / "session.pem";
    std::string sealed_by_;
};

// What our servers would make of these files.
class ours
{
public:
    explicit ours(std::vector<std::string> const& paths)
    {
        auto const source = reprise::detail::make_file_source({.paths{paths.begin(), paths.end()}},
                                                              {.ticket_life = 300s, .now = reprise::system_clock()});
        asio::io_context io;
        run(io, [&]() -> asio::awaitable<void> { keys_ = co_await source->fetch({}); }());
        CHECK_NOTHROW(reprise::detail::check_set(keys_));
    }

    [[nodiscard]] std::string issuer() const
    {
        reprise::detail::ticket_ring const ring{keys_};
        auto const* const issuer = ring.issuer(std::chrono::system_clock::now());
        return issuer != nullptr ? issuer->key.name : std::string{};
    }

    [[nodiscard]] bool opens(std::string const& name) const
    {
        return std::ranges::find(keys_, name, &ticket_key::name) != keys_.end();
    }

private:
    ticket_key_set keys_;
};

std::string with_keys(std::vector<std::string> const& paths)
{
    std::string result = "ssl_session_cache off;\nssl_session_tickets on;\n";
    for (auto const& path : paths)
        result += "ssl_session_ticket_key " + path + ";\n";
    return result;
}

/// What a command writes goes into this file.
void shell(std::string const& command, std::string const& file)
{
    child process{{"/bin/bash", "-o", "pipefail", "-c", "{ " + command + "; } > \"$0\"", file}};
    REQUIRE(process.wait() == 0);
}

} // namespace

TEST_CASE("nginx issues with a key that we write, resumes with the same file after a restart, and not with another")
{
    credentials const c;
    for (auto const& version : versions)
        for (std::size_t const size : {48u, 80u})
        {
            CAPTURE(std::string{version.name});
            CAPTURE(size);
            auto const key = make_file_ticket_key(size);
            auto const path = c.directory.write("ticket.key", nginx_file(key));
            CHECK(ours{{path}}.issuer() == key.name);
            std::optional<kept_session> session;
            {
                nginx const srv{c, with_keys({path})};
                session.emplace(c, version, srv.port);
                CHECK(session->sealed_by() == key.name);
                CHECK(session->resumes(srv.port));
            }
            {
                nginx const srv{c, with_keys({path})};
                CHECK(session->resumes(srv.port));
            }
            c.directory.write("ticket.key", nginx_file(make_file_ticket_key(size)));
            CHECK_FALSE(ours{{path}}.opens(key.name));
            nginx const srv{c, with_keys({path})};
            CHECK_FALSE(session->resumes(srv.port));
        }
}

TEST_CASE("nginx issues with the first of two files and opens with both, and so do we")
{
    credentials const c;
    for (auto const& version : versions)
    {
        CAPTURE(std::string{version.name});
        auto const a = c.directory.write("a.key", nginx_file(make_file_ticket_key(48)));
        auto const b = c.directory.write("b.key", nginx_file(make_file_ticket_key(80)));
        auto const other = c.directory.write("other.key", nginx_file(make_file_ticket_key(80)));
        nginx const before{c, with_keys({a, other})};
        kept_session const session{c, version, before.port};
        CHECK(session.sealed_by() == ours{{a, other}}.issuer());

        nginx const rotated{c, with_keys({b, a})};
        ours const we{{b, a}};
        CHECK(session.resumes(rotated.port));
        CHECK(we.opens(session.sealed_by()));
        CHECK(kept_session{c, version, rotated.port}.sealed_by() == we.issuer());
        CHECK(we.issuer() != session.sealed_by());

        nginx const without{c, with_keys({b, other})};
        CHECK_FALSE(session.resumes(without.port));
        CHECK_FALSE(ours{{b, other}}.opens(session.sealed_by()));
    }
}

TEST_CASE("HAProxy issues with the last key but one that we write, and a rotation takes both of us the same way")
{
    credentials const c;
    for (auto const& version : versions)
        for (std::size_t const size : {48u, 80u})
        {
            CAPTURE(std::string{version.name});
            CAPTURE(size);
            ticket_key_set keys;
            for (int i = 0; i < 5; ++i)
                keys.push_back(make_file_ticket_key(size));
            std::optional<kept_session> session;
            for (std::size_t const first : {0u, 1u, 2u})
            {
                CAPTURE(first);
                auto const path =
                    c.directory.write("tickets", haproxy_file({keys[first], keys[first + 1], keys[first + 2]}));
                haproxy const srv{c, path};
                ours const we{{path}};
                kept_session fresh{c, version, srv.port};
                CHECK(fresh.sealed_by() == keys[first + 1].name);
                CHECK(fresh.sealed_by() == we.issuer());
                CHECK(fresh.resumes(srv.port));
                if (!session)
                    session.emplace(c, version, srv.port);
                // The first session's key issues, then is the oldest, then is gone.
                CHECK(session->resumes(srv.port) == (first < 2));
                CHECK(we.opens(session->sealed_by()) == (first < 2));
            }
        }
}

TEST_CASE("keys made as the manuals say are good for nginx, for HAProxy and for us")
{
    credentials const c;
    for (auto const* const size : {"48", "80"})
    {
        CAPTURE(std::string{size});
        auto const key = c.directory / "manual.key";
        shell(std::string{"openssl rand "} + size, key);
        nginx const one{c, with_keys({key})};
        CHECK(kept_session{c, versions[1], one.port}.sealed_by() == ours{{key}}.issuer());

        for (std::string const line : {" | openssl base64 -A | xargs echo", " | base64 -w0; echo"})
        {
            CAPTURE(line);
            auto const keys = c.directory / "manual.keys";
            shell("for i in 1 2 3; do openssl rand " + std::string{size} + line + "; done", keys);
            haproxy const many{c, keys};
            CHECK(kept_session{c, versions[1], many.port}.sealed_by() == ours{{keys}}.issuer());
        }
    }
}

TEST_CASE("nginx and HAProxy start on a file exactly if we can read it as theirs")
{
    credentials const c;
    auto const lines = [](std::size_t size) { return haproxy_file({3, make_file_ticket_key(size)}); };
    auto const long_lines = lines(80);
    auto const line = long_lines.substr(0, 109);
    auto const short_line = lines(48).substr(0, 65);
    auto const windows = line.substr(0, 108) + "\r\n";
    auto const raw = [](std::size_t size) { return std::string(size, '\xee'); };
    struct sample
    {
        char const* what;
        std::string contents;
    };
    for (auto const& [what, contents] :
         {
             sample{"three lines", long_lines},
             sample{"three short lines", lines(48)},
             sample{"the last line has no end", long_lines.substr(0, long_lines.size() - 1)},
             sample{"lines as of Windows", windows + windows + windows},
             sample{"70 lines",
                    [&]
                    {
                        std::string s;
                        for (int i = 0; i < 70; ++i)
                            s += line;
                        return s;
                    }()},
             sample{"two lines", line + line},
             sample{"one line", line},
             sample{"one line without an end", line.substr(0, 108)},
             sample{"an empty line at the end", long_lines + "\n"},
             sample{"an empty line within", line + "\n" + line + line},
             sample{"an empty line at the start", "\n" + long_lines},
             sample{"a comment", "# keys\n" + long_lines},
             sample{"a line too short", line + line + line.substr(4)},
             sample{"a line too long", line + line + "QUJD" + line},
             sample{"a blank at the end of a line", line + line + line.substr(0, 108) + " \n"},
             sample{"long, then short", line + line + short_line},
             sample{"short, then long", short_line + short_line + line},
             sample{"folded base64", line.substr(0, 64) + "\n" + line.substr(64) + line + line},
             sample{"no padding", line.substr(0, 107) + "\n" + line + line},
             sample{"no base64", line + line + std::string(108, '!') + "\n"},
             sample{"nothing", ""},
             sample{"47 bytes", raw(47)},
             sample{"48 bytes", raw(48)},
             sample{"49 bytes", raw(49)},
             sample{"64 bytes", raw(64)},
             sample{"80 bytes", raw(80)},
             sample{"81 bytes", raw(81)},
             sample{"80 bytes and a newline", raw(80) + "\n"},
             sample{"48 characters", std::string(48, 'A')},
         })
    {
        CAPTURE(std::string{what});
        std::optional<format> read_as;
        std::string said;
        try
        {
            read_as = reprise::parse_ticket_key_file(reprise::as_bytes(contents)).format;
        }
        catch (reprise::system_error const& e)
        {
            said = e.what();
        }
        CAPTURE(said);
        auto const path = c.directory.write("keys", contents);
        CHECK(haproxy::takes(c, path) == (read_as == format::haproxy));
        auto const verdict = nginx::check(c, with_keys({path}));
        CAPTURE(verdict.output);
        CHECK(verdict.ok == (read_as == format::nginx));
    }
}

TEST_SUITE_END();
