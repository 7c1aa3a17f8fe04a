// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>

namespace bench {

/** Move this thread, and those that it starts, to a network namespace with nothing but loopback, where TCP Fast Open is
    on for both ends. The system's own settings stay as they are.

    Call it while there is only this thread.

    @return Empty, or why there is no Fast Open here; connections on loopback can be made all the same.
    @throws std::system_error, if they cannot.
*/
[[nodiscard]] std::string enter_own_network();

/// Whether the SYN that made this connection carried data that was accepted with it. Either end knows.
[[nodiscard]] bool syn_carried_data(int socket);

} // namespace bench
