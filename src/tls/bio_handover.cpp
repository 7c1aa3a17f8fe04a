// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/error.hpp>
#include <reprise/tls/bio_handover.hpp>

#include <openssl/bio.h>
#include <openssl/buffer.h>

#include <new>
#include <utility>

namespace reprise {

namespace {

byte_view contents(BIO* memory) noexcept
{
    char* data = nullptr;
    long const size = ::BIO_get_mem_data(memory, &data);
    return {reinterpret_cast<unsigned char const*>(data), size > 0 ? static_cast<std::size_t>(size) : 0};
}

} // namespace

bio_handover::bio_handover(SSL* ssl) : ssl_(ssl)
{
    BIO* const current = ::SSL_get_rbio(ssl);
    if (current == nullptr || current != ::SSL_get_wbio(ssl) || ::BIO_method_type(current) != BIO_TYPE_BIO)
        throw system_error{errc::foreign_bio};
    bio_ptr in{::BIO_new(::BIO_s_mem())};
    bio_ptr out{::BIO_new(::BIO_s_mem())};
    if (!in || !out)
        throw std::bad_alloc{};
    BIO_set_mem_eof_return(in.get(), -1); // empty means "wait", not "end"
    own_ = share(current);
    in_ = in.release();
    out_ = out.release();
    ::SSL_set0_rbio(ssl_, in_);
    ::SSL_set0_wbio(ssl_, out_);
}

bio_handover::~bio_handover()
{
    hand_back();
}

void bio_handover::feed(byte_view ciphertext)
{
    if (::BIO_write(in_, ciphertext.data(), static_cast<int>(ciphertext.size())) != static_cast<int>(ciphertext.size()))
        throw std::bad_alloc{};
}

byte_view bio_handover::output() const noexcept
{
    return contents(out_);
}

void bio_handover::drop_output() noexcept
{
    (void)BIO_reset(out_);
}

void bio_handover::hand_back() noexcept
{
    if (!own_)
        return;
    bio_ptr read_side = share(own_.get());
    if (auto const rest = contents(in_); !rest.empty())
    {
        // BIO_set_buffer_read_data grows the buffer as needed and copies; it takes a non-const pointer and only reads it.
        bio_ptr buffer{::BIO_new(::BIO_f_buffer())};
        if (buffer && BIO_set_buffer_read_data(buffer.get(), const_cast<unsigned char*>(rest.data()),
                                               static_cast<long>(rest.size())) == 1)
        {
            ::BIO_push(buffer.get(), read_side.release());
            read_side = std::move(buffer);
        }
        // Out of memory: the bytes are lost and the next read fails its record check, as a damaged connection does.
    }
    ::SSL_set0_rbio(ssl_, read_side.release());
    ::SSL_set0_wbio(ssl_, own_.release());
}

} // namespace reprise
