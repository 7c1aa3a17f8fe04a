// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "reconnect/clients.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace bench {

namespace {

class go_client final : public client
{
public:
    go_client(std::string program, nginx const& server, bool tls13)
    {
        int in[2];
        int out[2];
        if (::pipe(in) != 0 || ::pipe(out) != 0)
            throw std::runtime_error{"no pipe"};
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        for (int const fd : {in[0], in[1], out[0], out[1]})
            ::posix_spawn_file_actions_addclose(&actions, fd);
        std::string port = server.port();
        std::string ca = server.ca_file();
        std::string version = tls13 ? "1.3" : "1.2";
        char* const words[] = {program.data(), port.data(), ca.data(), version.data(), nullptr};
        bool const started = ::posix_spawn(&process_, program.c_str(), &actions, nullptr, words, environ) == 0;
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(in[0]);
        ::close(out[1]);
        to_ = ::fdopen(in[1], "w");
        from_ = ::fdopen(out[0], "r");
        if (!started || to_ == nullptr || from_ == nullptr)
            throw std::runtime_error{"the Go client cannot be started"};
    }
    ~go_client() override
    {
        std::fclose(to_); // it ends then
        std::fclose(from_);
        ::waitpid(process_, nullptr, 0);
    }

    cost fetch(std::size_t count) override
    {
        std::fprintf(to_, "%zu\n", count);
        std::fflush(to_);
        cost result{.count = count};
        if (std::fscanf(from_, "%lf %lf %zu", &result.cpu_us, &result.time_us, &result.resumed) != 3)
            throw std::runtime_error{"the Go client has failed"};
        return result;
    }

private:
    ::pid_t process_ = -1;
    std::FILE* to_ = nullptr;
    std::FILE* from_ = nullptr;
};

} // namespace

std::unique_ptr<client> make_go(nginx const& server, bool tls13)
{
    std::string const program = REPRISE_GO_CLIENT;
    if (!std::filesystem::exists(program))
        return nullptr;
    return std::make_unique<go_client>(program, server, tls13);
}

} // namespace bench
