// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/nginx.hpp"

namespace test {

namespace {

std::vector<std::string> command(credentials const& c, unsigned short port, std::string const& directives)
{
    auto const where = [&](char const* name) { return c.directory / name; };
    auto const configuration = c.directory.write(
        "nginx.conf", "daemon off;\nmaster_process off;\nerror_log stderr;\npid " + where("nginx.pid") +
                          ";\nevents { worker_connections 64; }\nhttp {\naccess_log off;\nclient_body_temp_path " +
                          where("body") + ";\nproxy_temp_path " + where("proxy") + ";\nfastcgi_temp_path " +
                          where("fastcgi") + ";\nuwsgi_temp_path " + where("uwsgi") + ";\nscgi_temp_path " +
                          where("scgi") + ";\nserver {\nlisten 127.0.0.1:" + std::to_string(port) +
                          " ssl;\nssl_protocols TLSv1.2 TLSv1.3;\nssl_certificate " + c.certificate +
                          ";\nssl_certificate_key " + c.key + ";\n" + directives +
                          "\nlocation / { return 200 \"reused: $ssl_session_reused\\n\"; }\n}\n}\n");
    return {"/usr/sbin/nginx", "-e", "stderr", "-c", configuration};
}

} // namespace

nginx::nginx(credentials const& c, std::string const& directives)
    : port(free_port()), process(command(c, port, directives))
{
    wait_for_listener(port);
}

nginx::verdict nginx::check(credentials const& c, std::string const& directives)
{
    auto words = command(c, free_port(), directives);
    words.emplace_back("-t");
    child process{words};
    bool const ok = process.wait() == 0;
    return {ok, process.output()};
}

} // namespace test
