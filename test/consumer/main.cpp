// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/client/memory_session_store.hpp>
#include <reprise/server/session_cache.hpp>

int main()
{
    boost::asio::ssl::context tls{boost::asio::ssl::context::tls_server};
    reprise::session_cache const cache{tls, {.id_context = "consumer"}};
    return reprise::memory_session_store::make()->size() == 0 && cache.stats().full == 0 ? 0 : 1;
}
