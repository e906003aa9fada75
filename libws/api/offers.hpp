// What a server and a route list alike: subprotocols and origins, copied and checked.
#pragma once

#include "libws/api/strings.hpp"
#include "libws/base/log.hpp"
#include "libws/protocol/http.hpp"
#include "libws/protocol/origin.hpp"

namespace libws {

// Errors: INVALID.  Throws std::bad_alloc.
inline Error read_subprotocols(const char* const* from, size_t count, Vector<String>* to) {
  if (Error e = copy_strings(from, count, "subprotocols", to)) return e;
  for (const String& name : *to) {
    if (is_token(name)) continue;
    return fail(WS_ERR_INVALID, "subprotocol '%s' is not a token", Escaped(name).c_str());
  }
  return Error();
}

// The same.
inline Error read_origins(const char* const* from, size_t count, Vector<String>* to) {
  if (Error e = copy_strings(from, count, "origins", to)) return e;
  for (const String& origin : *to) {
    if (origin_can_be_listed(origin)) continue;
    return fail(WS_ERR_INVALID, "origin '%s' is not scheme://host[:port], null or *",
                Escaped(origin).c_str());
  }
  return Error();
}

}  // namespace libws
