// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/protocol.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <utility>

namespace reprise::detail {

namespace {

[[noreturn]] void fail()
{
    throw system_error{redis_errc::bad_answer};
}

// Result of hiredis' callbacks. hiredis does not use it, but null means an error.
void* const made = const_cast<char*>("");

redis_reply& reply_of(redisReadTask const* task)
{
    return *static_cast<redis_reply*>(task->privdata);
}

void* create_string(redisReadTask const* task, char* text, std::size_t size)
try
{
    redis_reply& reply = reply_of(task);
    std::string_view const view{text, size};
    switch (task->type)
    {
    case REDIS_REPLY_STRING:
        reply.type = redis_reply::kind::bulk;
        reply.value = secret_bytes{as_bytes(view)};
        wipe({reinterpret_cast<unsigned char*>(text), size}); // in hiredis' buffer, which is not read again
        return made;
    case REDIS_REPLY_STATUS:
        reply.type = redis_reply::kind::status;
        reply.text = view;
        return made;
    case REDIS_REPLY_ERROR:
        reply.type = redis_reply::kind::error;
        reply.text = view;
        return made;
    default: return nullptr; // a type of RESP 3, which was not requested
    }
}
catch (std::bad_alloc const&)
{
    return nullptr;
}

void* create_integer(redisReadTask const* task, long long number)
{
    reply_of(task).type = redis_reply::kind::integer;
    reply_of(task).number = number;
    return made;
}

void* create_nil(redisReadTask const* task)
{
    reply_of(task).type = redis_reply::kind::nil;
    return made;
}

// Generic, because hiredis 0.14 and 1 differ in argument types, and 1 has more callbacks.
constexpr auto refuse = [](redisReadTask const*, auto...) -> void* { return nullptr; };

template <class Functions>
Functions callbacks()
{
    Functions f{};
    f.createString = create_string;
    f.createArray = refuse;
    f.createInteger = create_integer;
    f.createNil = create_nil;
    f.freeObject = [](void*) {};
    if constexpr (requires { f.createDouble; })
        f.createDouble = refuse;
    if constexpr (requires { f.createBool; })
        f.createBool = refuse;
    return f;
}

constexpr std::string_view end_of_line = "\r\n";
constexpr std::size_t longest_header = 13; // a sign, 10 digits (enough for any word), the end of the line

char* put_header(char* at, char sign, std::size_t number)
{
    *at++ = sign;
    at = std::to_chars(at, at + 10, number).ptr;
    return std::ranges::copy(end_of_line, at).out;
}

} // namespace

// Built by hand, because hiredis' functions take several times as long as the rest of a request.
redis_command::redis_command(std::initializer_list<redis_word> words)
{
    auto size = longest_header;
    for (auto const& word : words)
        size += longest_header + word.size() + end_of_line.size();
    text_ = secret_bytes{size};
    auto* const start = reinterpret_cast<char*>(text_.data());
    auto* at = put_header(start, '*', words.size());
    for (auto const& word : words)
    {
        at = put_header(at, '$', word.size());
        at = std::ranges::copy(word.first, at).out;
        at = std::ranges::copy(word.second, at).out;
        at = std::ranges::copy(end_of_line, at).out;
    }
    size_ = static_cast<std::size_t>(at - start);
}

bool answers(redis_reply const& reply, redis_answer wanted)
{
    using kind = redis_reply::kind;
    switch (wanted)
    {
    case redis_answer::value: return reply.type == kind::bulk || reply.type == kind::nil;
    case redis_answer::stored: return reply.type == kind::nil || (reply.type == kind::status && reply.text == "OK");
    case redis_answer::number: return reply.type == kind::integer;
    case redis_answer::pong: return reply.type == kind::status && reply.text == "PONG";
    }
    return false;
}

redis_errc error_of(redis_reply const& reply)
{
    constexpr std::pair<std::string_view, redis_errc> known[] = {
        {"NOAUTH", redis_errc::password_missing},       {"WRONGPASS", redis_errc::password_refused},
        {"NOPERM", redis_errc::not_permitted},          {"OOM", redis_errc::server_out_of_memory},
        {"LOADING", redis_errc::server_loading},        {"READONLY", redis_errc::server_read_only},
        {"MOVED", redis_errc::cluster_unsupported},     {"ASK", redis_errc::cluster_unsupported},
        {"CROSSSLOT", redis_errc::cluster_unsupported}, {"CLUSTERDOWN", redis_errc::cluster_unsupported},
        {"WRONGTYPE", redis_errc::foreign_key},         {"MISCONF", redis_errc::server_not_saving},
        {"MASTERDOWN", redis_errc::server_read_only}, // a replica that may not answer while its primary is away
    };
    std::string_view const text = reply.text;
    auto const word = text.substr(0, text.find(' '));
    for (auto const& [name, meaning] : known)
        if (word == name)
            return meaning;
    return text.starts_with("ERR unknown command") ? redis_errc::unknown_command : redis_errc::server_error;
}

void reply_reader::free_reader::operator()(redisReader* reader) const noexcept
{
    ::redisReaderFree(reader);
}

reply_reader::reply_reader(std::size_t max_bytes) : max_bytes_(max_bytes)
{
    static redisReplyObjectFunctions functions = callbacks<redisReplyObjectFunctions>(); // hiredis does not write there
    reader_.reset(::redisReaderCreateWithFunctions(&functions));
    if (!reader_)
        throw std::bad_alloc{};
}

void reply_reader::feed(byte_view bytes)
{
    if (::redisReaderFeed(reader_.get(), reinterpret_cast<char const*>(bytes.data()), bytes.size()) != REDIS_OK)
        fail();
}

std::optional<redis_reply> reply_reader::next()
{
    reader_->privdata = &reply_; // hiredis keeps the pointer while a reply is incomplete
    void* object = nullptr;
    if (::redisReaderGetReply(reader_.get(), &object) != REDIS_OK)
        fail();
    if (object != nullptr)
        return std::exchange(reply_, {});
    if (reader_->len - reader_->pos > max_bytes_)
        fail();
    return std::nullopt;
}

} // namespace reprise::detail
