// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace reprise::testing {

/// A certificate and its private key, as PEM texts (P-256).
struct identity
{
    std::string certificate;
    std::string key;
};

/// A certificate authority made on the spot, for tests and demonstrations: its key lives in this process only.
class certificate_authority
{
public:
    explicit certificate_authority(std::string const& name);
    certificate_authority(certificate_authority&&) noexcept;
    ~certificate_authority();

    /// The authority's own certificate, as PEM.
    [[nodiscard]] std::string pem() const;

    /// A certificate for these host names and addresses (the first is the subject), for servers and clients alike.
    [[nodiscard]] identity issue(std::vector<std::string> const& names,
                                 std::chrono::seconds lifetime = std::chrono::hours{24 * 30}) const;

    /// An authority below this one. With what it issues comes its own certificate.
    [[nodiscard]] certificate_authority
    issue_authority(std::string const& name, std::chrono::seconds lifetime = std::chrono::hours{24 * 30}) const;

    /// A revocation list with this certificate on it, as PEM; good for a day.
    [[nodiscard]] std::string revoke(identity const& issued) const;

private:
    struct impl;
    explicit certificate_authority(std::unique_ptr<impl> s);

    std::unique_ptr<impl> impl_;
};

} // namespace reprise::testing
