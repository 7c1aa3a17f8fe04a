// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/own_network.hpp"

#include <exception>
#include <fstream>
#include <thread>

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace test {

namespace {

// This thread gets a network that has nothing but loopback. False if that is not allowed.
bool enter_own_network()
{
    if (::unshare(CLONE_NEWNET) != 0)
        return false;
    int const fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP;
    bool const is_up = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    ::close(fd);
    return is_up;
}

bool set(std::string const& name, std::string const& value)
{
    std::ofstream setting{"/proc/sys/net/ipv4/" + name};
    setting << value << std::flush;
    return setting.good();
}

} // namespace

bool in_own_network(std::string const& setting, std::string const& value, std::function<void()> const& test)
{
    bool allowed = false;
    std::exception_ptr failure;
    std::jthread{[&]
                 {
                     allowed = enter_own_network() && set(setting, value);
                     try
                     {
                         if (allowed)
                             test();
                     }
                     catch (...)
                     {
                         failure = std::current_exception();
                     }
                 }}
        .join();
    if (failure)
        std::rethrow_exception(failure);
    return allowed;
}

} // namespace test
