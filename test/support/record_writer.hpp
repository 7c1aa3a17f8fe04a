// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace test {

/** Writes records of TLS 1.3 by hand, beside an SSL of a client: OpenSSL writes none that is empty (RFC 8446, 5.1).

    The SSL writes nothing itself after its Finished.
*/
class record_writer
{
public:
    /// Before the handshake: the context has to tell its secrets, and to offer TLS_AES_128_GCM_SHA256 alone.
    static void prepare(SSL_CTX* context);

    /// After it.
    explicit record_writer(SSL const* ssl);

    /// A record of application data, and so many bytes of padding.
    [[nodiscard]] std::string write(std::string_view data, std::size_t padding = 0);

private:
    std::vector<unsigned char> key_;
    std::vector<unsigned char> iv_;
    std::uint64_t sequence_ = 0;
};

} // namespace test
