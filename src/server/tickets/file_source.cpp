// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/key_source.hpp"

#include "async/handoff.hpp"
#include "base/fork.hpp"
#include "base/require_option.hpp"
#include "base/signals_blocked.hpp"

#include <reprise/error.hpp>
#include <reprise/ticket_key_file.hpp>

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace reprise::detail {

namespace {

file_keys_options checked(file_keys_options o)
{
    require_option(!o.paths.empty() && o.paths.size() <= max_ticket_keys,
                   "file_keys_options::paths must be 1 to 64 paths");
    require_option(std::ranges::none_of(o.paths, [](auto const& path) { return path.empty(); }),
                   "file_keys_options::paths must not contain an empty path");
    require_option(o.check_every >= std::chrono::milliseconds{10},
                   "file_keys_options::check_every must be at least 10 ms");
    return o;
}

// Shared by a source and the threads that read for it, which may outlive the source.
struct file_list
{
    std::vector<std::filesystem::path> paths;
    clock now;
    std::atomic<unsigned> reader{0};      // fork_depth() + 1 of the process whose thread reads now; 0 if none
    std::atomic<std::size_t> position{0}; // index of the path that it reads
};

/* One reading of all files, on a thread of its own, because no system call that opens or reads a file has a timeout.
   The thread is detached, because it cannot be ended. It may outlive main(), so it touches only memory of its own, and
   nothing that is destroyed then. */
class reading
{
public:
    reading(std::shared_ptr<file_list> files, asio::any_io_executor const& executor)
        : files_(std::move(files)), done_(std::make_shared<handoff>(executor))
    {
        contents_.reserve(files_->paths.size());
    }

    static void begin(std::shared_ptr<reading> self)
    {
        auto const files = self->files_;
        auto const own = fork_depth() + 1;
        if (files->reader.exchange(own) == own)
            throw system_error{make_error_code(boost::system::errc::device_or_resource_busy),
                               files->paths[files->position].string() +
                                   ": an earlier read of this file has not ended; check its disk"};
        try
        {
            signals_blocked const blocked;
            std::thread{[self = std::move(self)] { self->run(); }}.detach();
        }
        catch (std::system_error const& e)
        {
            files->reader = 0;
            throw system_error{e.code().value(), boost::system::generic_category(),
                               "cannot start a thread that reads ticket key files"};
        }
        catch (...)
        {
            files->reader = 0;
            throw;
        }
    }

    [[nodiscard]] asio::awaitable<void> wait() { return done_->wait(); }

    /// Return the contents of the files, once read. @throws system_error that names the file that could not be read.
    [[nodiscard]] std::vector<secret_bytes> const& contents() const
    {
        if (error_ != 0)
            throw system_error{error_, boost::system::generic_category(), files_->paths[contents_.size()].string()};
        return contents_;
    }

private:
    void run() noexcept
    {
        ::pthread_setname_np(::pthread_self(), "ticket keys"); // shown by top and gdb
        for (std::size_t i = 0; i < files_->paths.size() && error_ == 0; ++i)
        {
            files_->position = i;
            error_ = read(files_->paths[i]);
        }
        files_->reader = 0;
        done_->complete();
    }

    // Append the content of a file, up to one byte more than allowed. Returns errno, or 0.
    int read(std::filesystem::path const& path) noexcept
    {
        int const file = open(path.c_str());
        if (file < 0)
            return errno;
        int const error = read(file);
        ::close(file);
        return error;
    }

    static int open(char const* path) noexcept
    {
        int result = -1;
        do
            result = ::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        while (result < 0 && errno == EINTR);
        return result;
    }

    int read(int file) noexcept
    try
    {
        secret_bytes buffer{max_ticket_key_file_size + 1};
        std::size_t size = 0;
        while (size < buffer.size())
        {
            auto const count = ::read(file, buffer.data() + size, buffer.size() - size);
            if (count == 0)
                break;
            if (count > 0)
                size += static_cast<std::size_t>(count);
            else if (errno != EINTR)
                return errno;
        }
        contents_.emplace_back(buffer.view().first(size));
        return 0;
    }
    catch (std::bad_alloc const&)
    {
        return ENOMEM;
    }

    std::shared_ptr<file_list> const files_;
    std::shared_ptr<handoff> const done_;
    std::vector<secret_bytes> contents_;
    int error_ = 0;
};

struct keys_of_files
{
    ticket_key_set keys;
    std::size_t issuer; // index of the key that issues
};

keys_of_files parse(std::vector<std::filesystem::path> const& paths, std::vector<secret_bytes> const& contents)
{
    keys_of_files result{.keys{}, .issuer = 0};
    for (std::size_t i = 0; i < paths.size(); ++i)
    {
        auto file = parse_ticket_key_file(contents[i], paths[i].string());
        if (file.format == ticket_key_file_format::haproxy)
        {
            if (paths.size() > 1)
                throw system_error{errc::bad_ticket_key_file, paths[i].string() +
                                                                  ": a file in HAProxy's format must be the only file; "
                                                                  "several files must each have 48 or 80 bytes, as for "
                                                                  "nginx"};
            result.issuer = file.keys.size() - 2;
        }
        std::ranges::move(file.keys, std::back_inserter(result.keys));
    }
    return result;
}

/* Files have no times, so the times are those at which a change of roles was seen. If nothing has changed, the set
   stays the same. The issuing key has no end yet, which identifies it in `current`. Times are never after `now`, even
   if the clock was set back: the key that issues does so now, and no other key does. */
void set_times(keys_of_files& next, ticket_key_set const& current, time_point now)
{
    for (std::size_t i = 0; i < next.keys.size(); ++i)
    {
        auto& key = next.keys[i];
        auto const before = std::ranges::find(current, key.secret, &ticket_key::secret);
        bool const is_known = before != current.end();
        bool const was_issuer = is_known && before->issue_until == time_point::max();
        key.accept_until = time_point::max();
        if (i == next.issuer)
        {
            key.not_before = was_issuer ? std::min(before->not_before, now) : now;
            key.issue_until = time_point::max();
        }
        else
        {
            key.not_before = is_known ? std::min(before->not_before, now) : now;
            key.issue_until = is_known ? std::min(before->issue_until, now) : now; // may have issued elsewhere
        }
    }
}

asio::awaitable<ticket_key_set> read_keys(std::shared_ptr<file_list> files, ticket_key_set current)
{
    auto const look = std::make_shared<reading>(files, co_await asio::this_coro::executor);
    reading::begin(look);
    co_await look->wait();
    auto next = parse(files->paths, look->contents());
    set_times(next, current, files->now());
    co_return std::move(next.keys);
}

class file_source final : public key_source
{
public:
    file_source(file_keys_options options, key_source_context const& context)
        : check_every_(options.check_every), may_orphan_tickets_(options.may_orphan_tickets),
          files_(std::make_shared<file_list>())
    {
        files_->paths = std::move(options.paths);
        files_->now = context.now;
    }

    asio::awaitable<ticket_key_set> fetch(ticket_key_set current) override
    {
        return read_keys(files_, std::move(current));
    }

    [[nodiscard]] std::chrono::milliseconds refresh_every() const override { return check_every_; }
    [[nodiscard]] std::chrono::milliseconds fetch_timeout() const override { return std::chrono::seconds{5}; }
    [[nodiscard]] bool may_orphan_tickets() const override { return may_orphan_tickets_; }

private:
    std::chrono::milliseconds const check_every_;
    bool const may_orphan_tickets_;
    std::shared_ptr<file_list> const files_;
};

} // namespace

std::unique_ptr<key_source> make_file_source(file_keys_options const& options, key_source_context const& context)
{
    return std::make_unique<file_source>(checked(options), context);
}

} // namespace reprise::detail
