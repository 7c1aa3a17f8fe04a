// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/error.hpp>
#include <reprise/tls/bio_handover.hpp>

#include <openssl/bio.h>

#include <algorithm>
#include <new>
#include <utility>

namespace reprise {

bio_handover::bio_handover(SSL* ssl) : ssl_(ssl)
{
    BIO* const current = ::SSL_get_rbio(ssl);
    if (current == nullptr || current != ::SSL_get_wbio(ssl) || ::BIO_method_type(current) != BIO_TYPE_BIO)
        throw system_error{errc::foreign_bio};
    bio_ptr ours{::BIO_new(method())};
    if (!ours)
        throw std::bad_alloc{};
    ::BIO_set_data(ours.get(), this);
    ::BIO_set_init(ours.get(), 1);
    own_ = share(current);
    ::SSL_set0_wbio(ssl_, share(ours.get()).release());
    ::SSL_set0_rbio(ssl_, ours.release());
}

bio_handover::~bio_handover()
{
    bio_ptr read_side = share(own_.get());
    if (!unread_.empty())
    {
        // BIO_set_buffer_read_data grows the buffer as needed and copies; it takes a non-const pointer and only reads it.
        bio_ptr buffer{::BIO_new(::BIO_f_buffer())};
        if (buffer && BIO_set_buffer_read_data(buffer.get(), const_cast<unsigned char*>(unread_.data()),
                                               static_cast<long>(unread_.size())) == 1)
        {
            ::BIO_push(buffer.get(), read_side.release());
            read_side = std::move(buffer);
        }
        // Out of memory: the bytes are lost and the next read fails its record check, as a damaged connection does.
    }
    ::SSL_set0_rbio(ssl_, read_side.release());
    ::SSL_set0_wbio(ssl_, own_.release());
}

// Made once and kept: OpenSSL has no method for memory that is not copied in and out. BIO_meth_new(3)
BIO_METHOD const* bio_handover::method()
{
    static BIO_METHOD const* const made = []
    {
        BIO_METHOD* const m = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "reprise handshake");
        if (m == nullptr || ::BIO_meth_set_read(m, &bio_handover::on_read) != 1 ||
            ::BIO_meth_set_write(m, &bio_handover::on_write) != 1 ||
            ::BIO_meth_set_ctrl(m, &bio_handover::on_control) != 1)
            throw std::bad_alloc{};
        return m;
    }();
    return made;
}

int bio_handover::on_read(BIO* bio, char* to, int size) noexcept
{
    auto& self = *static_cast<bio_handover*>(::BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    auto const part = self.unread_.first(std::min(self.unread_.size(), static_cast<std::size_t>(size)));
    if (part.empty())
    {
        BIO_set_retry_read(bio); // empty means "wait", not "end"
        return -1;
    }
    std::ranges::copy(part, to);
    self.unread_ = self.unread_.subspan(part.size());
    return static_cast<int>(part.size());
}

int bio_handover::on_write(BIO* bio, char const* from, int size) noexcept
try
{
    auto& self = *static_cast<bio_handover*>(::BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    self.output_.insert(self.output_.end(), from, from + size);
    return size;
}
catch (std::exception const&)
{
    return -1;
}

long bio_handover::on_control(BIO*, int command, long, void*) noexcept
{
    return command == BIO_CTRL_FLUSH ? 1 : 0; // there is nothing else that a handshake depends on
}

} // namespace reprise
