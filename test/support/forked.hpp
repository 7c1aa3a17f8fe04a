// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <system_error>

#include <cerrno>
#include <sys/wait.h>
#include <unistd.h>

// ThreadSanitizer ends a child of a process with threads that starts a thread of its own.
#if defined(__SANITIZE_THREAD__)
#define REPRISE_TEST_NO_FORK
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REPRISE_TEST_NO_FORK
#endif
#endif

namespace test {

/// What `work` returns in a child of fork(2): 0 to 97. 98 if it throws, 99 if it is ended by a signal, also after a
/// minute.
[[nodiscard]] inline int in_child(std::function<int()> const& work)
{
    auto const child = ::fork();
    if (child < 0)
        throw std::system_error{errno, std::generic_category(), "fork"};
    if (child == 0)
    {
        ::alarm(60);
        try
        {
            std::_Exit(work());
        }
        catch (std::exception const& e)
        {
            std::fprintf(stderr, "in a child: %s\n", e.what());
        }
        catch (...)
        {
        }
        std::_Exit(98);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

} // namespace test
