// From ws_client_config to ClientOptions: shared by the two APIs that make a client.
#pragma once

#include "libws/base/error.hpp"
#include "libws/client/client.hpp"

#include <libws/client.h>

namespace libws {

// `url` instead of config.url.  Errors: as ws_client_new().  Throws std::bad_alloc.
Error read_client_options(const ws_client_config& config, const char* url, ClientOptions* out);

}  // namespace libws
