// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <csignal>

#include <pthread.h>

namespace reprise::detail {

/* Blocks all signals while a thread of the library is started, which inherits the mask: the process handles signals on
   its own threads. With SIGXFSZ blocked, exceeding the file size limit is an error. */
class signals_blocked
{
public:
    signals_blocked()
    {
        ::sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }
    signals_blocked(signals_blocked const&) = delete;
    signals_blocked& operator=(signals_blocked const&) = delete;
    ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    ::sigset_t before_{};
};

} // namespace reprise::detail
