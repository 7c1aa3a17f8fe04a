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

/// One word of a command; in two parts, for a key with its prefix.
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

/// A command in the form in which it travels (RESP). It is wiped when it goes, for it may hold a value or a password.
class redis_command
{
public:
    /// @pre No word is larger than 9 999 999 999 bytes.
    redis_command(std::initializer_list<redis_word> words);

    [[nodiscard]] byte_view bytes() const noexcept { return text_.view().first(size_); }

private:
    secret_bytes text_; // with room to spare
    std::size_t size_ = 0;
};

/// One answer, of the kinds that our commands can have.
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

/// What an error reply means, by its first word.
[[nodiscard]] redis_errc error_of(redis_reply const& reply);

/** Replies out of what a server sends, which is not trusted: nothing nested, and nothing larger than a bound.

    hiredis parses; the objects that it builds are ours, so that arrays are refused before anything is allocated for them.
*/
class reply_reader
{
public:
    /// `max_bytes` is for one reply.
    explicit reply_reader(std::size_t max_bytes);
    reply_reader(reply_reader const&) = delete;
    reply_reader& operator=(reply_reader const&) = delete;

    /// @throws system_error `redis_errc::bad_answer`, if it cannot be kept.
    void feed(byte_view bytes);

    /// The next reply, if all of it has come.
    /// @throws system_error `redis_errc::bad_answer`, if what came is no reply; then always again.
    [[nodiscard]] std::optional<redis_reply> next();

private:
    struct free_reader
    {
        void operator()(redisReader* reader) const noexcept;
    };

    std::size_t const max_bytes_;
    redis_reply reply_; // the one that is being read
    std::unique_ptr<redisReader, free_reader> reader_;
};

} // namespace reprise::detail
