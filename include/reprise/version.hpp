// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#define REPRISE_VERSION_MAJOR 0
#define REPRISE_VERSION_MINOR 2
#define REPRISE_VERSION_PATCH 0

/// The version of reprise as one number: 200 is 0.2.0, 10203 is 1.2.3.
#define REPRISE_VERSION (REPRISE_VERSION_MAJOR * 10000 + REPRISE_VERSION_MINOR * 100 + REPRISE_VERSION_PATCH)
