// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstddef>

namespace reprise {

/** A few long-lived bytes, for keys that seal other secrets.

    The memory is not swapped out (mlock(2)) and not part of a core dump (MADV_DONTDUMP), as far as the system allows.
    It is wiped on destruction. There is no stream operator. Each copy has memory of its own.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe, except to read.
*/
class locked_bytes
{
public:
    static constexpr std::size_t max_size = 4096;

    locked_bytes() = default;

    /// @throws std::bad_alloc, also for more than max_size bytes.
    explicit locked_bytes(byte_view bytes);

    /// Make `size` zero bytes, to be written to.
    /// @throws std::bad_alloc, also for more than max_size bytes.
    explicit locked_bytes(std::size_t size);

    locked_bytes(locked_bytes const& other) : locked_bytes(other.view()) {}
    locked_bytes(locked_bytes&& other) noexcept;
    locked_bytes& operator=(locked_bytes other) noexcept;
    ~locked_bytes();

    [[nodiscard]] unsigned char* data() noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] byte_view view() const noexcept { return {data_, size_}; }
    operator byte_view() const noexcept { return view(); }

    /// Compares in constant time.
    friend bool operator==(locked_bytes const& a, locked_bytes const& b) noexcept;

    /// Whether the system has locked all memory that this process asked for (RLIMIT_MEMLOCK, setrlimit(2)).
    [[nodiscard]] static bool all_locked() noexcept;

private:
    unsigned char* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace reprise
