// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace reprise::testing {

/// A certificate with its chain, and its private key (P-256), in PEM.
struct identity
{
    std::string certificate;
    std::string key;
};

/// A certificate authority for tests and demonstrations. Its key exists only in this process.
class certificate_authority
{
public:
    explicit certificate_authority(std::string const& name);
    certificate_authority(certificate_authority&&) noexcept;
    ~certificate_authority();

    /// The authority's own certificate, in PEM.
    [[nodiscard]] std::string pem() const;

    /// Issue a certificate for these host names and addresses, for servers and clients. The first name is the subject.
    [[nodiscard]] identity issue(std::vector<std::string> const& names,
                                 std::chrono::seconds lifetime = std::chrono::hours{24 * 30}) const;

    /// Create an intermediate authority below this one. Its own certificate is part of the chain of each certificate
    /// that it issues.
    [[nodiscard]] certificate_authority
    issue_authority(std::string const& name, std::chrono::seconds lifetime = std::chrono::hours{24 * 30}) const;

    /// A revocation list that contains this certificate, in PEM; valid for a day.
    [[nodiscard]] std::string revoke(identity const& issued) const;

private:
    struct impl;
    explicit certificate_authority(std::unique_ptr<impl> s);

    std::unique_ptr<impl> impl_;
};

} // namespace reprise::testing
