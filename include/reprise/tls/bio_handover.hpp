// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/secret_bytes.hpp>
#include <reprise/tls/ssl_handles.hpp>

#include <array>
#include <span>
#include <vector>

namespace reprise {

/** Borrows an SSL from its owner's BIOs for the time of a handshake, and gives it back with nothing lost.

    asio::ssl::stream looks only at its own half of a BIO pair, so what the SSL reads from and writes to may be exchanged
    between two of its operations. While this object lives, input is given and output taken by hand. Ciphertext that was
    read and not consumed by then is put in front of the owner's BIO.

    @par Object Lifetimes
    The SSL must outlive this object; the owner of the SSL must not use it meanwhile.
*/
class bio_handover
{
public:
    /// Throws `errc::foreign_bio` unless the SSL reads and writes one BIO pair, as asio::ssl::stream sets it up.
    explicit bio_handover(SSL* ssl);
    bio_handover(bio_handover const&) = delete;
    bio_handover& operator=(bio_handover const&) = delete;

    /// Puts the owner's BIOs back.
    ~bio_handover();

    /// Where to read ciphertext from the peer into, once the SSL wants to read: by then it has consumed what was there.
    [[nodiscard]] std::span<unsigned char> room() noexcept { return input_; }

    /// That many bytes have been read into `room()`.
    void feed(std::size_t size) noexcept { unread_ = {input_.data(), size}; }

    /// Ciphertext for the peer, valid until the next call of `SSL_do_handshake`; `drop_output` when it was sent.
    [[nodiscard]] byte_view output() const noexcept { return output_; }
    void drop_output() noexcept { output_.clear(); }

private:
    static BIO_METHOD const* method();
    static int on_read(BIO* bio, char* to, int size) noexcept;
    static int on_write(BIO* bio, char const* from, int size) noexcept;
    static long on_control(BIO* bio, int command, long number, void* pointer) noexcept;

    SSL* ssl_;
    bio_ptr own_;
    std::array<unsigned char, 4096> input_;
    byte_view unread_; // part of input_
    std::vector<unsigned char> output_;
};

} // namespace reprise
