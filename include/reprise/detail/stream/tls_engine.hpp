// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/ssl_handles.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace reprise::detail {

/// How a call of an engine ended. Output may be left in any case: tickets, an alert, the answer to a KeyUpdate.
enum class tls_status
{
    done,
    needs_input,  ///< feed ciphertext and call again
    needs_output, ///< write some of `output()` and call again: too much is waiting to be written
    paused,       ///< the ClientHello callback wants to be asked again (SSL_CTX_set_client_hello_cb(3))
    closed,       ///< the peer has sent close_notify
    failed,
};

struct tls_result
{
    tls_status status = tls_status::done;
    std::size_t size = 0;    ///< bytes of plaintext that were read or written
    unsigned long error = 0; ///< of a failure: the first in OpenSSL's queue, or 0 if it left none (ERR_get_error(3))
    bool no_memory = false;  ///< the failure is a lack of memory, here or in OpenSSL
};

/** One TLS connection without its transport: ciphertext in and out, plaintext in and out.

    The SSL reads from and writes to a BIO that neither copies nor allocates per record. Compared with a BIO pair and
    the buffers of an asio::ssl::stream that saves two copies each way, and about 60 KB for a connection.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe.
*/
class tls_engine
{
public:
    /// Takes the SSL, in connect or accept state.
    explicit tls_engine(ssl_ptr ssl);
    tls_engine(tls_engine const&) = delete;
    tls_engine& operator=(tls_engine const&) = delete;
    ~tls_engine() = default;

    [[nodiscard]] SSL* native_handle() const noexcept { return ssl_.get(); }

    /// @name Plaintext
    /// @{
    [[nodiscard]] tls_result handshake();

    /// At most one record at a time. An empty buffer is done at once. With early data, what is early is read first; when it
    /// is over, reading completes the handshake.
    [[nodiscard]] tls_result read(std::span<unsigned char> into);

    /// Take in what was fed. `done` if there is plaintext to be read; it stays.
    [[nodiscard]] tls_result peek();

    /// While `is_early`, to a client of whom nobody knows yet that it is alive.
    [[nodiscard]] tls_result write(byte_view from);

    /// Send close_notify; done when the peer's has come. Completes the handshake first.
    [[nodiscard]] tls_result shut_down();
    /// @}

    /// @name Early data (RFC 8446, 2.3)
    /// @{

    /// As a client, before anything else: the ClientHello and this. It is all taken, whatever its size. False if OpenSSL
    /// refused; a handshake without early data is then still possible.
    [[nodiscard]] bool send_early(byte_view bytes);

    /// As a server: the handshake, up to early data that was accepted or else to its end.
    [[nodiscard]] tls_result accept();

    /// As a server: early data was accepted and the handshake is not complete.
    [[nodiscard]] bool is_early() const noexcept { return is_early_; }

    /// Complete the handshake. Early data that was not read yet is put aside for `read`.
    [[nodiscard]] tls_result finish();
    /// @}

    /// @name Ciphertext
    /// @{

    /// Where to read from the peer into. Only after `needs_input`: by then everything that was fed is consumed.
    [[nodiscard]] std::span<unsigned char> room();

    /// That many bytes have been read into `room()`.
    void feed(std::size_t size) noexcept;

    /// Bytes that were read from the peer by somebody else, before anything else was fed. No bytes change nothing.
    void feed_copy(byte_view bytes);

    /// Drop the bytes that were fed and not consumed. @return How many.
    [[nodiscard]] std::size_t drop() noexcept { return std::exchange(unread_, {}).size(); }

    /// Changes with each `feed`.
    [[nodiscard]] std::size_t fed() const noexcept { return fed_; }

    /// Changes whenever there is more to be written to the peer.
    [[nodiscard]] std::size_t produced() const noexcept { return produced_; }

    /// What is to be written to the peer next; empty if nothing. It stays where it is until it is `sent`.
    [[nodiscard]] byte_view output() noexcept;

    /// Whether reading produces no more output (answers to KeyUpdate) until some is written.
    [[nodiscard]] bool is_full() const noexcept { return unsent_.size() + output_.size() >= most_unsent_answers; }

    /// That many bytes of `output()` have been written.
    void sent(std::size_t size) noexcept;

    /// Whether anything has been.
    [[nodiscard]] bool has_sent() const noexcept { return has_sent_; }
    /// @}

private:
    static BIO_METHOD const* method();
    static int on_read(BIO* bio, char* to, int size) noexcept;
    static int on_write(BIO* bio, char const* from, int size) noexcept;
    static long on_control(BIO* bio, int command, long number, void* pointer) noexcept;

    // A peer that asks for answers and reads none (RFC 8446, 4.6.3) must not fill the memory. An answer takes 27 bytes.
    static constexpr std::size_t most_unsent_answers = 16384;

    [[nodiscard]] tls_result judge(int result, std::size_t size) noexcept;
    [[nodiscard]] tls_result read_early(std::span<unsigned char> into);
    [[nodiscard]] tls_result put_early_aside();

    std::unique_ptr<unsigned char[]> input_;
    std::size_t input_size_ = 0;
    bool outgrown_ = false; // the last read filled the input
    byte_view unread_;      // part of input_
    std::size_t fed_ = 0;
    std::vector<unsigned char> sending_;
    byte_view unsent_; // part of sending_
    bool has_sent_ = false;
    std::vector<unsigned char> output_;
    std::size_t produced_ = 0;
    bool no_memory_ = false;           // output was lost
    std::vector<unsigned char> aside_; // early data that nobody has read yet
    std::size_t aside_read_ = 0;
    bool is_reading_ = false; // so that output is answers to the peer
    bool reads_early_;        // SSL_read_early_data(3) has not said that it is over
    bool is_early_ = false;
    ssl_ptr ssl_; // goes first: it points to the rest
};

} // namespace reprise::detail
