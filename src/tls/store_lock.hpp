// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/x509_vfy.h>

namespace reprise::detail {

/// Locks a trust store, so that no other thread adds objects (X509_STORE_lock(3)).
class store_lock
{
public:
    explicit store_lock(X509_STORE* store) : store_(store) { ::X509_STORE_lock(store_); }
    store_lock(store_lock const&) = delete;
    store_lock& operator=(store_lock const&) = delete;
    ~store_lock() { ::X509_STORE_unlock(store_); }

private:
    X509_STORE* const store_;
};

} // namespace reprise::detail
