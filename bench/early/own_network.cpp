// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "early/own_network.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

namespace {

void check(int result, char const* what)
{
    if (result < 0)
        throw std::system_error{errno, std::system_category(), what};
}

void bring_loopback_up()
{
    int const socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(socket, "socket");
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int const result = ::ioctl(socket, SIOCSIFFLAGS, &request);
    int const error = errno;
    ::close(socket);
    errno = error;
    check(result, "a network of its own has no loopback");
}

} // namespace

std::string enter_own_network()
{
    // Without privileges one may be had in a user namespace.
    if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return std::string{"no network namespace of its own: "} + std::strerror(errno);
    bring_loopback_up();
    std::ofstream setting{"/proc/sys/net/ipv4/tcp_fastopen"}; // this namespace's
    if (!(setting << 3 << std::flush))
        return "net.ipv4.tcp_fastopen of its own network namespace cannot be written";
    return {};
}

bool syn_carried_data(int socket)
{
    tcp_info info{};
    socklen_t size = sizeof info;
    check(::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size), "TCP_INFO");
    return (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0;
}

} // namespace bench
