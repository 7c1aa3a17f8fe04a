// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/child.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace test {

using tcp = boost::asio::ip::tcp;
using clock = std::chrono::steady_clock;

namespace {

void check(int error, std::string const& what)
{
    if (error != 0)
        throw std::system_error{error, std::generic_category(), what};
}

std::array<int, 2> make_pipe()
{
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC) == 0 ? 0 : errno, "pipe");
    return ends;
}

} // namespace

child::child(std::vector<std::string> const& command, std::string_view input, input_then then) : name_(command.front())
{
    auto const in = make_pipe();
    auto const out = make_pipe();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
    // Asio's sockets are not O_CLOEXEC: a connection of the test's would stay open in the program.
    ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    std::vector<char*> argv;
    for (auto const& argument : command)
        argv.push_back(const_cast<char*>(argument.c_str())); // posix_spawn(3) does not write there
    argv.push_back(nullptr);
    int const error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (then == input_then::end)
        ::close(in[0]);
    ::close(out[1]);
    out_ = out[0];
    // Less than a pipe holds, so this cannot block.
    auto const written = ::write(in[1], input.data(), input.size());
    if (then == input_then::end)
        ::close(in[1]);
    else
        in_ = in;
    if (error != 0)
    {
        close_pipes();
        check(error, "cannot start " + name_);
    }
    if (written != static_cast<ssize_t>(input.size()))
        throw std::runtime_error{name_ + " did not take its input"};
}

void child::close_pipes() const
{
    for (int const end : {in_[0], in_[1], out_})
        if (end != -1)
            ::close(end);
}

child::~child()
{
    if (pid_ > 0)
    {
        ::kill(pid_, SIGTERM);
        for (int i = 0; i < 300 && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++i)
        {
            if (i == 200)
                ::kill(pid_, SIGKILL);
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }
    close_pipes();
}

bool child::read_some(clock::time_point deadline)
{
    auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    pollfd readable{out_, POLLIN, 0};
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) != 1)
        throw std::runtime_error{name_ + " took too long; so far it said:\n" + output_};
    std::array<char, 4096> buffer{};
    auto const size = ::read(out_, buffer.data(), buffer.size());
    if (size > 0)
        output_.append(buffer.data(), static_cast<std::size_t>(size));
    return size > 0;
}

void child::read_until(std::string_view text, std::chrono::milliseconds limit)
{
    auto const deadline = clock::now() + limit;
    while (output_.find(text) == std::string::npos)
        if (!read_some(deadline))
            throw std::runtime_error{name_ + " ended before it said '" + std::string{text} + "', but:\n" + output_};
}

int child::wait(std::chrono::milliseconds limit)
{
    auto const deadline = clock::now() + limit;
    while (read_some(deadline))
    {
    }
    int status = 0;
    if (::waitpid(pid_, &status, 0) != pid_)
        throw std::runtime_error{"waitpid"};
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void child::write(std::string_view input) const
{
    if (::write(in_[1], input.data(), input.size()) != static_cast<ssize_t>(input.size()))
        throw std::runtime_error{name_ + " did not take its input"};
}

void child::signal(int number) const
{
    ::kill(pid_, number);
}

temporary_directory::temporary_directory()
{
    auto name = (std::filesystem::temp_directory_path() / "reprise-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw std::runtime_error{"mkdtemp"};
    path_ = name;
}

temporary_directory::~temporary_directory()
{
    namespace fs = std::filesystem;
    std::error_code ignored;
    // A test may have taken itself the right to look into a directory, or to take something out of it.
    fs::permissions(path_, fs::perms::owner_all, ignored);
    for (auto at = fs::recursive_directory_iterator{path_, ignored}; at != fs::recursive_directory_iterator{};
         at.increment(ignored))
        if (at->is_directory(ignored) && !at->is_symlink(ignored))
            fs::permissions(at->path(), fs::perms::owner_all, ignored);
    fs::remove_all(path_, ignored);
}

std::string temporary_directory::write(std::string const& name, std::string_view text) const
{
    auto const path = *this / name;
    std::ofstream file{path};
    file << text;
    file.close();
    if (!file)
        throw std::runtime_error{"cannot write " + path};
    return path;
}

unsigned short free_port()
{
    boost::asio::io_context io;
    return tcp::acceptor{io, tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0}}.local_endpoint().port();
}

void wait_for_listener(unsigned short port, std::chrono::milliseconds limit)
{
    auto const deadline = clock::now() + limit;
    boost::asio::io_context io;
    for (;;)
    {
        tcp::socket socket{io};
        boost::system::error_code ec;
        socket.connect({boost::asio::ip::address_v4::loopback(), port}, ec);
        if (!ec)
            return;
        if (clock::now() > deadline)
            throw std::runtime_error{"nobody listens on port " + std::to_string(port)};
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
}

} // namespace test
