// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/fast_open.hpp>

#include <boost/system/errc.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace reprise::detail {

namespace {

#if defined(TCP_FASTOPEN_CONNECT)
constexpr int server_option = TCP_FASTOPEN;
constexpr int client_option = TCP_FASTOPEN_CONNECT;

error_code set_option(int socket, int option, int value) noexcept
{
    if (::setsockopt(socket, IPPROTO_TCP, option, &value, sizeof value) == 0)
        return {};
    return {errno, boost::system::system_category()};
}
#else
constexpr int server_option = 0;
constexpr int client_option = 0;

error_code set_option(int, int, int) noexcept
{
    return make_error_code(boost::system::errc::operation_not_supported);
}
#endif

} // namespace

error_code accept_fast_open(int socket, int max_pending) noexcept
{
    return set_option(socket, server_option, max_pending);
}

error_code connect_fast_open(int socket) noexcept
{
    return set_option(socket, client_option, 1);
}

} // namespace reprise::detail
