// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/metrics/prometheus_exporter.hpp>

int main()
{
    reprise::prometheus_exporter exporter;
    exporter.add("clients", std::make_shared<reprise::handshake_counters>());
    return exporter.text().find("reprise_handshakes_total") == std::string::npos ? 1 : 0;
}
