// What a server and a client configure alike: the limits and the handlers of their connections.
#pragma once

#include "libws/api/config.hpp"
#include "libws/conn/conn.hpp"

#include <libws/config.h>
#include <libws/conn.h>

namespace libws {

// Errors: INVALID, UNSUPPORTED.  Throws std::bad_alloc.
inline Error read_policy(const ws_conn_config* config, const ws_handlers* handlers,
                         Ref<ConnPolicy>* out) {
  ws_conn_config conn;
  if (Error e = read_config(config, &conn, "ws_conn_config")) return e;
  *out = Ref<ConnPolicy>::adopt(new ConnPolicy);
  if (Error e = Limits::from(conn, &(*out)->limits)) return e;
  return read_config(handlers, &(*out)->handlers, "ws_handlers");
}

}  // namespace libws
