// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

namespace reprise::detail {

/** Makes one TLS record out of a sequence of small buffers.

    asio::ssl::stream writes the first buffer of a sequence only, so that a header and its body become two records and two
    packets. The joined bytes are kept here until the write is done.
*/
class coalescer
{
public:
    /// What to write: the first buffer itself where that is as good, else the start of the sequence, joined.
    template <class ConstBufferSequence>
    boost::asio::const_buffer operator()(ConstBufferSequence const& buffers)
    {
        constexpr std::size_t largest_record = 16384; // RFC 8446, 5.1
        auto it = boost::asio::buffer_sequence_begin(buffers);
        auto const end = boost::asio::buffer_sequence_end(buffers);
        while (it != end && boost::asio::const_buffer{*it}.size() == 0)
            ++it;
        if (it == end)
            return {};
        boost::asio::const_buffer const first{*it};
        if (first.size() >= largest_record || std::next(it) == end)
            return first;
        joined_.resize(std::min(boost::asio::buffer_size(buffers), largest_record));
        boost::asio::buffer_copy(boost::asio::buffer(joined_), buffers);
        return boost::asio::buffer(joined_);
    }

private:
    std::vector<unsigned char> joined_;
};

} // namespace reprise::detail
