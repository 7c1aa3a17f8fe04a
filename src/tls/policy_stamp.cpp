// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/policy_stamp.hpp"

#include "tls/store_lock.hpp"

namespace reprise::detail {

store_count count_objects(X509_STORE* store)
{
    store_lock const lock{store};
    STACK_OF(X509_OBJECT) const* const all = ::X509_STORE_get0_objects(store);
    store_count result{.objects = std::max(0, sk_X509_OBJECT_num(all))};
    for (int i = 0; i < result.objects; ++i)
        result.lists += ::X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_CRL ? 1 : 0;
    return result;
}

int count_all(X509_STORE* store)
{
    store_lock const lock{store};
    return std::max(0, sk_X509_OBJECT_num(::X509_STORE_get0_objects(store)));
}

} // namespace reprise::detail
