// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#define DOCTEST_CONFIG_IMPLEMENT
#include <boost/asio/query.hpp>
#include <boost/asio/system_context.hpp>
#include <boost/asio/system_executor.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>

namespace {

// That of Debian's users, for whoever runs the tests: what has to be private says so itself, and peers that run as
// another user can read what the tests write.
[[maybe_unused]] ::mode_t const umask_before = ::umask(0002);

} // namespace

#ifdef __SANITIZE_THREAD__
// The last owner of an any_io_executor's strand meets the others at a fence, which ThreadSanitizer does not see.
extern "C" char const* __tsan_default_suppressions()
{
    return "race:boost::asio::execution::detail::shared_target_executor::~shared_target_executor\n";
}
#endif

int main(int argc, char** argv)
{
    int const failed = doctest::Context{argc, argv}.run();
    // Asio's own threads ran handlers of use_future. Ending them before OpenSSL ends frees what OpenSSL keeps for each.
    auto& threads = boost::asio::query(boost::asio::system_executor{}, boost::asio::execution::context);
    threads.stop();
    threads.join();
    return failed;
}
