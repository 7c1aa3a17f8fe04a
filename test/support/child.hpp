// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace test {

/// What a program finds after the input it is started with.
enum class input_then
{
    end,
    more, ///< what `child::write` gives it, and never an end
};

/// A program that runs beside the test; it ends with this object. Its standard output and error are read together.
class child
{
public:
    /// The program gets `input` on its standard input. Throws if it cannot be started.
    explicit child(std::vector<std::string> const& command, std::string_view input = {},
                   input_then then = input_then::end);
    child(child const&) = delete;
    child& operator=(child const&) = delete;
    ~child();

    /// Read until `text` has come; throws, with what came instead, if it ends before or takes too long.
    void read_until(std::string_view text, std::chrono::milliseconds limit = std::chrono::seconds{20});

    /// Read to the end and return the exit status.
    int wait(std::chrono::milliseconds limit = std::chrono::seconds{20});

    /// More input, of a program that was started with input_then::more.
    void write(std::string_view input) const;

    void signal(int number) const;

    [[nodiscard]] std::string const& output() const noexcept { return output_; }

private:
    bool read_some(std::chrono::steady_clock::time_point deadline);
    void close_pipes() const;

    std::string name_;
    pid_t pid_ = -1;
    std::array<int, 2> in_{-1, -1}; // with input_then::more: both ends, so that writing never raises SIGPIPE
    int out_ = -1;
    std::string output_;
};

/// A directory that goes with this object.
class temporary_directory
{
public:
    temporary_directory();
    temporary_directory(temporary_directory const&) = delete;
    temporary_directory& operator=(temporary_directory const&) = delete;
    ~temporary_directory();

    /// The path of a file in it.
    [[nodiscard]] std::string operator/(std::string const& name) const { return (path_ / name).string(); }

    /// Write a file and return its path.
    std::string write(std::string const& name, std::string_view text) const;

private:
    std::filesystem::path path_;
};

/// A TCP port on 127.0.0.1 that nobody listened on just now, for programs that cannot choose one.
[[nodiscard]] unsigned short free_port();

/// Wait until somebody accepts connections there.
void wait_for_listener(unsigned short port, std::chrono::milliseconds limit = std::chrono::seconds{20});

} // namespace test
