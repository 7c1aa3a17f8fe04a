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

/// How a call of an engine ended. Output may be left in any case: tickets, an alert, or the answer to a KeyUpdate.
enum class tls_status
{
    done,
    needs_input,  ///< feed ciphertext and call again
    needs_output, ///< write some of `output()` and call again: too much output is pending
    paused,       ///< the ClientHello callback wants to be called again (SSL_CTX_set_client_hello_cb(3))
    closed,       ///< the peer has sent close_notify
    failed,
};

struct tls_result
{
    tls_status status = tls_status::done;
    std::size_t size = 0;    ///< bytes of plaintext that were read or written
    unsigned long error = 0; ///< after a failure: first error in OpenSSL's queue, 0 if empty (ERR_get_error(3))
    bool no_memory = false;  ///< the failure is missing memory, here or in OpenSSL
};

/** One TLS connection without its transport: ciphertext in and out, plaintext in and out.

    The SSL reads and writes through a BIO that neither copies nor allocates per record. Compared with a BIO pair and
    the buffers of an asio::ssl::stream, that saves two copies in each direction, and about 60 KB per connection.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe.
*/
class tls_engine
{
public:
    /// Take over an SSL in connect or accept state.
    explicit tls_engine(ssl_ptr ssl);
    tls_engine(tls_engine const&) = delete;
    tls_engine& operator=(tls_engine const&) = delete;
    ~tls_engine() = default;

    [[nodiscard]] SSL* native_handle() const noexcept { return ssl_.get(); }

    /// @name Plaintext
    /// @{
    [[nodiscard]] tls_result handshake();

    /// Read at most one record. An empty buffer is done at once. Early data is read first. After the last early data,
    /// reading completes the handshake.
    [[nodiscard]] tls_result read(std::span<unsigned char> into);

    /// Process the ciphertext that was fed. `done` if there is plaintext to read; the plaintext stays.
    [[nodiscard]] tls_result peek();

    /// Write plaintext. While `is_early()`, the client has not yet proved that it is live (RFC 8446, 8).
    [[nodiscard]] tls_result write(byte_view from);

    /// Send close_notify; done when the peer's close_notify has arrived. Completes the handshake first.
    [[nodiscard]] tls_result shut_down();
    /// @}

    /// @name Early data (RFC 8446, 2.3)
    /// @{

    /// As a client, before any other call: send the ClientHello and these bytes. All bytes are taken, whatever their
    /// number. False if OpenSSL refused; a handshake without early data is then still possible.
    [[nodiscard]] bool send_early(byte_view bytes);

    /// As a server: run the handshake until early data is accepted, or else to its end.
    [[nodiscard]] tls_result accept();

    /// As a server: whether early data was accepted and the handshake is not complete.
    [[nodiscard]] bool is_early() const noexcept { return is_early_; }

    /// Complete the handshake. Early data that was not read yet is kept for `read`.
    [[nodiscard]] tls_result finish();
    /// @}

    /// @name Ciphertext
    /// @{

    /// Buffer for ciphertext from the peer. Call it only after `needs_input`: by then everything that was fed is
    /// consumed.
    [[nodiscard]] std::span<unsigned char> room();

    /// Record that `size` bytes were read into `room()`.
    void feed(std::size_t size) noexcept;

    /// Feed a copy of ciphertext that the caller has read from the peer, before any other feed. Empty input changes
    /// nothing.
    void feed_copy(byte_view bytes);

    /// Drop the bytes that were fed and not consumed. @return The number of dropped bytes.
    [[nodiscard]] std::size_t drop() noexcept { return std::exchange(unread_, {}).size(); }

    /// A number that changes with each `feed`.
    [[nodiscard]] std::size_t fed() const noexcept { return fed_; }

    /// A number that changes whenever there is new output.
    [[nodiscard]] std::size_t produced() const noexcept { return produced_; }

    /// The next output for the peer; empty if there is none. The bytes stay in place until they are `sent`.
    [[nodiscard]] byte_view output() noexcept;

    /// Whether reading produces no more output (answers to KeyUpdate) until some output is written.
    [[nodiscard]] bool is_full() const noexcept { return unsent_.size() + output_.size() >= most_unsent_answers; }

    /// Record that `size` bytes of `output()` were written.
    void sent(std::size_t size) noexcept;

    /// Whether any output was written.
    [[nodiscard]] bool has_sent() const noexcept { return has_sent_; }
    /// @}

private:
    static BIO_METHOD const* method();
    static int on_read(BIO* bio, char* to, int size) noexcept;
    static int on_write(BIO* bio, char const* from, int size) noexcept;
    static long on_control(BIO* bio, int command, long number, void* pointer) noexcept;

    // A peer that requests answers and does not read them (RFC 8446, 4.6.3) must not exhaust the memory. An answer
    // takes 27 bytes.
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
    std::vector<unsigned char> aside_; // early data that was not read yet
    std::size_t aside_read_ = 0;
    bool is_reading_ = false; // output is now an answer to the peer
    bool reads_early_;        // SSL_read_early_data(3) has not reported the end
    bool is_early_ = false;
    ssl_ptr ssl_; // destroyed first, because it points to the other members
};

} // namespace reprise::detail
