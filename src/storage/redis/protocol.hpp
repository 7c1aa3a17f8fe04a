// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/storage/redis_error.hpp>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct redisReader;

namespace reprise::detail {

/// One word of a command; in two parts for a key with its prefix.
struct redis_word
{
    redis_word(std::string_view text) : first(text) {}
    redis_word(std::string const& text) : first(text) {}
    redis_word(char const* text) : first(text) {}
    redis_word(std::string_view prefix, std::string_view text) : first(prefix), second(text) {}

    [[nodiscard]] std::size_t size() const noexcept { return first.size() + second.size(); }

    std::string_view first;
    std::string_view second{};
};

/// A command in wire format (RESP). Wiped on destruction, because it may hold a value or a password.
class redis_command
{
public:
    /// @pre No word is larger than 9 999 999 999 bytes.
    redis_command(std::initializer_list<redis_word> words);

    [[nodiscard]] byte_view bytes() const noexcept { return text_.view().first(size_); }

private:
    secret_bytes text_; // larger than the command
    std::size_t size_ = 0;
};

/// One reply, of a kind that reprise's commands can have.
struct redis_reply
{
    enum class kind
    {
        nil,
        bulk,    ///< `value`
        status,  ///< `text`
        error,   ///< `text`
        integer, ///< `number`
    };

    kind type = kind::nil;
    secret_bytes value{};
    std::string text{};
    long long number = 0;
};

/// What a command may be answered with, apart from an error.
enum class redis_answer
{
    value,  ///< bulk, or nil
    stored, ///< the status OK, or nil
    number, ///< an integer
    pong,   ///< the status PONG
};

[[nodiscard]] bool answers(redis_reply const& reply, redis_answer wanted);

/// Return the meaning of an error reply, by its first word.
[[nodiscard]] redis_errc error_of(redis_reply const& reply);

/** Reads replies from a server that is not trusted: refuses nested replies, and replies larger than a bound.

    hiredis parses. Our own callbacks build the reply objects, so arrays are refused before anything is allocated for
    them.
*/
class reply_reader
{
public:
    /// `max_bytes` bounds one reply.
    explicit reply_reader(std::size_t max_bytes);
    reply_reader(reply_reader const&) = delete;
    reply_reader& operator=(reply_reader const&) = delete;

    /// @throws system_error `redis_errc::bad_answer`, if the bytes cannot be buffered.
    void feed(byte_view bytes);

    /// Return the next reply, if it is complete.
    /// @throws system_error `redis_errc::bad_answer`, if the input is no reply; then each later call throws again.
    [[nodiscard]] std::optional<redis_reply> next();

private:
    struct free_reader
    {
        void operator()(redisReader* reader) const noexcept;
    };

    std::size_t const max_bytes_;
    redis_reply reply_; // the reply that is being read
    std::unique_ptr<redisReader, free_reader> reader_;
};

} // namespace reprise::detail
