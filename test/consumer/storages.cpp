// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/make_storage.hpp>

int main()
{
    return reprise::make_storage("memory")->stats().entries == 0 ? 0 : 1;
}
