// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/byte_codec.hpp"
#include "base/sha256.hpp"

#include <reprise/secret_bytes.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace reprise::detail {

/// Input of a hash, collected part by part. Bytes and text are prefixed with their length, so that two inputs never run
/// into one. Numbers are little-endian, so that all machines of a fleet agree.
class digest_input
{
public:
    explicit digest_input(std::string_view purpose) { add(purpose); }

    void add(std::uint64_t number) { append_little_endian(bytes_, number); }

    void add(byte_view part)
    {
        add(std::uint64_t{part.size()});
        bytes_.append(part.begin(), part.end());
    }

    void add(std::string_view text) { add(as_bytes(text)); }

    [[nodiscard]] sha256_digest digest() const { return sha256(as_bytes(bytes_)); }

private:
    std::string bytes_;
};

} // namespace reprise::detail
