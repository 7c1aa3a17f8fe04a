// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/stream/tls_engine.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

namespace reprise::detail {

namespace {

// Enough for a handshake and a small request. A connection that fills this buffer gets room for a whole record.
constexpr std::size_t small_input = 4096;
constexpr std::size_t large_input = SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH;

// Swap, because assigning {} would keep the capacity.
void release(std::vector<unsigned char>& buffer) noexcept
{
    std::vector<unsigned char>{}.swap(buffer);
}

// Make a pause a failure. A handshake within a read or a write (renegotiation in TLS 1.2) cannot wait for an answer:
// the caller would take the pause for a read of 0 bytes.
tls_result not_paused(tls_result result) noexcept
{
    if (result.status == tls_status::paused)
        return {tls_status::failed, 0, ERR_PACK(ERR_LIB_SSL, 0, SSL_R_CALLBACK_FAILED)};
    return result;
}

int to_int(std::size_t size) noexcept
{
    return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

// Errors that others left in the queue would be taken for this connection's (SSL_get_error(3)). Clearing an empty queue
// costs 1 000 instructions.
void forget_old_errors() noexcept
{
    if (::ERR_peek_error() != 0)
        ::ERR_clear_error();
}

// Sets a flag for the length of a scope.
class set_meanwhile
{
public:
    explicit set_meanwhile(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    set_meanwhile(set_meanwhile const&) = delete;
    set_meanwhile& operator=(set_meanwhile const&) = delete;
    ~set_meanwhile() { flag_ = false; }

private:
    bool& flag_;
};

} // namespace

tls_engine::tls_engine(ssl_ptr ssl) : reads_early_(::SSL_is_server(ssl.get()) == 1), ssl_(std::move(ssl))
{
    bio_ptr ours{::BIO_new(method())};
    if (!ours)
        throw std::bad_alloc{};
    ::BIO_set_data(ours.get(), this);
    ::BIO_set_init(ours.get(), 1);
    ::SSL_set_bio(ssl_.get(), ours.get(), ours.get());
    (void)ours.release();                // owned by the SSL now
    ::SSL_set_read_ahead(ssl_.get(), 1); // ask the BIO once for all that has come, not twice per record
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

tls_result tls_engine::handshake()
{
    forget_old_errors();
    int const result = ::SSL_do_handshake(ssl_.get());
    // An idle connection needs no buffers of 17 KB. During a handshake, freeing them between two messages costs 2 %.
    if (result > 0)
    {
        SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
        is_early_ = false;
    }
    return judge(result, 0);
}

bool tls_engine::send_early(byte_view bytes)
{
    forget_old_errors();
    std::size_t size = 0;
    bool const is_sent = ::SSL_write_early_data(ssl_.get(), bytes.data(), bytes.size(), &size) == 1;
    ::ERR_clear_error();
    return is_sent;
}

// Returns `done` with a size of zero when early data is over.
tls_result tls_engine::read_early(std::span<unsigned char> into)
{
    forget_old_errors();
    std::size_t size = 0;
    int const result = ::SSL_read_early_data(ssl_.get(), into.data(), into.size(), &size);
    if (result == SSL_READ_EARLY_DATA_ERROR)
        return judge(0, 0);
    reads_early_ = result != SSL_READ_EARLY_DATA_FINISH;
    return {tls_status::done, size};
}

tls_result tls_engine::put_early_aside()
try
{
    std::array<unsigned char, SSL3_RT_MAX_PLAIN_LENGTH> record; // NOLINT(*-member-init): written before it is read
    auto const result = read_early(record);
    aside_.insert(aside_.end(), record.begin(), record.begin() + static_cast<std::ptrdiff_t>(result.size));
    return result;
}
catch (std::bad_alloc const&)
{
    return {.status = tls_status::failed, .no_memory = true};
}

tls_result tls_engine::accept()
{
    if (reads_early_)
    {
        auto const result = put_early_aside();
        is_early_ = reads_early_ && ::SSL_get_early_data_status(ssl_.get()) == SSL_EARLY_DATA_ACCEPTED &&
                    (result.status == tls_status::done || result.status == tls_status::needs_input);
        if (is_early_)
            return {};
        if (result.status != tls_status::done)
            return result;
    }
    return handshake();
}

tls_result tls_engine::finish()
{
    while (is_early_ && reads_early_)
        if (auto const result = put_early_aside(); result.status != tls_status::done)
            return result;
    return is_early_ ? handshake() : tls_result{};
}

tls_result tls_engine::read(std::span<unsigned char> into)
{
    if (into.empty())
        return {};
    if (aside_read_ < aside_.size())
    {
        auto const size = std::min(into.size(), aside_.size() - aside_read_);
        std::memcpy(into.data(), aside_.data() + aside_read_, size);
        aside_read_ += size;
        if (aside_read_ == aside_.size())
        {
            release(aside_);
            aside_read_ = 0;
        }
        return {tls_status::done, size};
    }
    if (is_early_ && reads_early_)
        if (auto const result = read_early(into); result.status != tls_status::done || result.size != 0)
            return result;
    if (is_early_)
        if (auto const result = handshake(); result.status != tls_status::done)
            return result;
    set_meanwhile const reading{is_reading_};
    forget_old_errors();
    int const result = ::SSL_read(ssl_.get(), into.data(), to_int(into.size()));
    return not_paused(judge(result, result > 0 ? static_cast<std::size_t>(result) : 0));
}

tls_result tls_engine::peek()
{
    unsigned char byte = 0;
    set_meanwhile const reading{is_reading_};
    forget_old_errors();
    return not_paused(judge(::SSL_peek(ssl_.get(), &byte, 1), 0));
}

tls_result tls_engine::write(byte_view from)
{
    if (from.empty()) // OpenSSL would report an error
        return {};
    forget_old_errors();
    std::size_t size = 0;
    int const result = is_early_ ? ::SSL_write_early_data(ssl_.get(), from.data(), from.size(), &size)
                                 : ::SSL_write_ex(ssl_.get(), from.data(), from.size(), &size);
    return not_paused(judge(result, size));
}

tls_result tls_engine::shut_down()
{
    if (auto const finished = finish(); finished.status != tls_status::done)
        return finished;
    forget_old_errors();
    int result = ::SSL_shutdown(ssl_.get());
    if (result == 0) // our close_notify is sent, the peer's has not come
    {
        set_meanwhile const reading{is_reading_};
        result = ::SSL_shutdown(ssl_.get());
    }
    return not_paused(judge(result, 0));
}

tls_result tls_engine::judge(int result, std::size_t size) noexcept
{
    if (result > 0)
        return {tls_status::done, size};
    switch (::SSL_get_error(ssl_.get(), result))
    {
    case SSL_ERROR_WANT_READ: return {tls_status::needs_input};
    case SSL_ERROR_WANT_WRITE: return {tls_status::needs_output};
    case SSL_ERROR_WANT_CLIENT_HELLO_CB: return {tls_status::paused};
    case SSL_ERROR_ZERO_RETURN: return {tls_status::closed};
    default: break;
    }
    auto const error = ::ERR_get_error();
    ::ERR_clear_error();
    bool const no_memory = no_memory_ || (error != 0 && ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE);
    return {tls_status::failed, 0, error, no_memory};
}

std::span<unsigned char> tls_engine::room()
{
    if (auto const wanted = outgrown_ ? large_input : small_input; wanted > input_size_)
    {
        input_ = std::make_unique_for_overwrite<unsigned char[]>(wanted);
        input_size_ = wanted;
    }
    return {input_.get(), input_size_};
}

void tls_engine::feed(std::size_t size) noexcept
{
    unread_ = {input_.get(), size};
    outgrown_ = size == input_size_;
    ++fed_;
}

void tls_engine::feed_copy(byte_view bytes)
{
    if (bytes.empty())
        return;
    if (bytes.size() > input_size_)
    {
        input_ = std::make_unique_for_overwrite<unsigned char[]>(bytes.size());
        input_size_ = bytes.size();
    }
    std::memcpy(input_.get(), bytes.data(), bytes.size());
    feed(bytes.size());
}

byte_view tls_engine::output() noexcept
{
    if (unsent_.empty() && !output_.empty())
    {
        sending_.swap(output_);
        output_.clear();
        unsent_ = sending_;
    }
    return unsent_;
}

void tls_engine::sent(std::size_t size) noexcept
{
    unsent_ = unsent_.subspan(size);
    has_sent_ = has_sent_ || size > 0;
    // Keep room for two records, and release what a burst has taken.
    if (unsent_.empty() && sending_.capacity() > 2 * large_input)
        release(sending_);
}

// Made once and kept. OpenSSL has no BIO method for memory without copying in and out (BIO_meth_new(3)).
BIO_METHOD const* tls_engine::method()
{
    static BIO_METHOD const* const made = []
    {
        BIO_METHOD* const m = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "reprise");
        if (m == nullptr || ::BIO_meth_set_read(m, &tls_engine::on_read) != 1 ||
            ::BIO_meth_set_write(m, &tls_engine::on_write) != 1 || ::BIO_meth_set_ctrl(m, &tls_engine::on_control) != 1)
            throw std::bad_alloc{};
        return m;
    }();
    return made;
}

int tls_engine::on_read(BIO* bio, char* to, int size) noexcept
{
    auto& self = *static_cast<tls_engine*>(::BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    auto const part = self.unread_.first(std::min(self.unread_.size(), static_cast<std::size_t>(size)));
    if (part.empty())
    {
        BIO_set_retry_read(bio); // empty means "wait", not "end"
        return -1;
    }
    std::memcpy(to, part.data(), part.size());
    self.unread_ = self.unread_.subspan(part.size());
    return static_cast<int>(part.size());
}

int tls_engine::on_write(BIO* bio, char const* from, int size) noexcept
try
{
    auto& self = *static_cast<tls_engine*>(::BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (self.is_reading_ && self.is_full())
    {
        BIO_set_retry_write(bio);
        return -1;
    }
    self.output_.insert(self.output_.end(), from, from + size);
    ++self.produced_;
    return size;
}
catch (...) // no exception may pass through OpenSSL: the BIO fails, and with it the connection
{
    static_cast<tls_engine*>(::BIO_get_data(bio))->no_memory_ = true;
    return -1;
}

long tls_engine::on_control(BIO*, int command, long, void*) noexcept
{
    return command == BIO_CTRL_FLUSH ? 1 : 0; // a connection depends on no other command
}

} // namespace reprise::detail
