// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace reprise::detail {

/// The socket at the bottom of a stack of layers: Asio's own socket, or the socket in a beast::basic_stream.
template <class Layer>
auto& lowest_socket(Layer& layer)
{
    if constexpr (requires { layer.next_layer(); })
        return lowest_socket(layer.next_layer());
    else if constexpr (requires { layer.socket(); })
        return layer.socket();
    else
        return layer;
}

/// Whether a layer reads the bytes of its socket unchanged: true for a socket, and for Beast's basic_stream, which can
/// release its socket.
template <class Layer>
constexpr bool is_socket_layer =
    requires(Layer& layer) { layer.native_handle(); } || requires(Layer& layer) { layer.release_socket(); };

} // namespace reprise::detail
