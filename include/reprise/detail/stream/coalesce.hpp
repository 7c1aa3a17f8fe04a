// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace reprise::detail {

/** Joins a sequence of small buffers into one TLS record.

    OpenSSL takes one buffer at a time, so a header and its body would become two records and two packets. The joined
    bytes stay here until the write is complete.
*/
class coalescer
{
public:
    /// The bytes to write: the first buffer itself if joining saves no record, or else the joined start of the
    /// sequence.
    template <class ConstBufferSequence>
    boost::asio::const_buffer operator()(ConstBufferSequence const& buffers)
    {
        auto it = boost::asio::buffer_sequence_begin(buffers);
        auto const end = boost::asio::buffer_sequence_end(buffers);
        while (it != end && boost::asio::const_buffer{*it}.size() == 0)
            ++it;
        if (it == end)
            return {};
        boost::asio::const_buffer const first{*it};
        if (first.size() >= largest_record || ++it == end)
            return first;
        // One pass only, because some sequences compute each of their buffers.
        joined_.clear();
        joined_.reserve(small_message);
        append(first);
        for (; it != end && joined_.size() < largest_record; ++it)
            append(*it);
        return boost::asio::buffer(joined_);
    }

private:
    static constexpr std::size_t largest_record = 16384; // RFC 8446, 5.1
    static constexpr std::size_t small_message = 512;

    void append(boost::asio::const_buffer buffer)
    {
        auto const* const data = static_cast<unsigned char const*>(buffer.data());
        joined_.insert(joined_.end(), data, data + std::min(buffer.size(), largest_record - joined_.size()));
    }

    std::vector<unsigned char> joined_;
};

} // namespace reprise::detail
