// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/memory_session_store.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/testing/certificate.hpp>

int main()
{
    namespace asio = boost::asio;
    asio::ssl::context tls{asio::ssl::context::tls_server};
    auto const own = reprise::testing::certificate_authority{"consumer"}.issue({"localhost"});
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    reprise::session_cache const cache{tls, {.id_context = "consumer"}};
    return reprise::memory_session_store::make()->size() == 0 && cache.stats().full == 0 ? 0 : 1;
}
