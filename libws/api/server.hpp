// Reading the structs of server.h, for everything that makes servers or stops them.
#pragma once

#include "libws/server/server.hpp"

#include <libws/server.h>

namespace libws {

// Throws std::bad_alloc.  Errors: INVALID, UNSUPPORTED.
Error read_server_options(const ws_server_config& c, ServerOptions* out);
Error read_drain(const ws_drain* in, DrainOptions* out);

}  // namespace libws
