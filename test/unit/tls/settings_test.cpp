// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/settings.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

using namespace reprise::detail;

TEST_SUITE_BEGIN("settings of an SSL_CTX");

namespace {

// What follows "SSL_CTX_" anywhere in OpenSSL's headers.
std::set<std::string> names_in_headers()
{
    std::set<std::string> names;
    std::regex const name{R"(\bSSL_CTX_([a-z]\w*))"};
    for (auto const& entry : std::filesystem::directory_iterator{REPRISE_OPENSSL_HEADERS})
    {
        std::stringstream text;
        text << std::ifstream{entry.path()}.rdbuf();
        auto const all = text.str();
        for (std::sregex_iterator at{all.begin(), all.end(), name}, end; at != end; ++at)
            names.insert((*at)[1]);
    }
    return names;
}

} // namespace

TEST_CASE("every setting that OpenSSL has is in the table, once")
{
    auto const names = names_in_headers();
    REQUIRE(names.count("set_verify") == 1);
    REQUIRE(names.size() > 200);
    for (auto const& name : names)
    {
        if (is_question(name))
            continue;
        CAPTURE(name);
        CHECK(std::ranges::count(settings(), name, &setting::name) == 1);
    }
}

TEST_CASE("no row of the table is a question, and none is there twice")
{
    std::set<std::string_view> seen;
    for (auto const& row : settings())
    {
        CAPTURE(row.name);
        CHECK_FALSE(is_question(row.name));
        CHECK(seen.insert(row.name).second);
    }
}

TEST_SUITE_END();
