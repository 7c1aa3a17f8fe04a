// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstddef>

namespace reprise {

/** A few bytes for a long time: keys that seal other secrets.

    Their memory is not swapped out (mlock(2)) and not part of a core dump (MADV_DONTDUMP), as far as the system allows it,
    and it is wiped when they go. There is no stream operator. Copies have memory of their own.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe, except to read.
*/
class locked_bytes
{
public:
    static constexpr std::size_t max_size = 4096;

    locked_bytes() = default;

    /// @throws std::bad_alloc, also if there are more than max_size.
    explicit locked_bytes(byte_view bytes);

    /// Zeros, to be written to.
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

    /// Compared in constant time.
    friend bool operator==(locked_bytes const& a, locked_bytes const& b) noexcept;

    /// Whether the system has allowed to lock all that this process has asked for (RLIMIT_MEMLOCK, setrlimit(2)).
    [[nodiscard]] static bool all_locked() noexcept;

private:
    unsigned char* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace reprise
