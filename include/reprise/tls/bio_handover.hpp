// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/secret_bytes.hpp>
#include <reprise/tls/ssl_handles.hpp>

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
    ~bio_handover();

    /// Ciphertext from the peer.
    void feed(byte_view ciphertext);

    /// Ciphertext for the peer, valid until the next call of `SSL_do_handshake`; `drop_output` when it was sent.
    [[nodiscard]] byte_view output() const noexcept;
    void drop_output() noexcept;

    /// Put the owner's BIOs back. Called once; the destructor does it if nobody did.
    void hand_back() noexcept;

private:
    SSL* ssl_;
    bio_ptr own_;
    BIO* in_;  // owned by the SSL meanwhile
    BIO* out_; // owned by the SSL meanwhile
};

} // namespace reprise
