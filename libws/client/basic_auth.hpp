// Basic credentials (RFC 7617), for a server or a proxy.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/base/crypto.hpp"

namespace libws {

// "Basic " and the base64 of user ":" password.  Throws std::bad_alloc.
inline String basic_credentials(const String& user, const String& password) {
  const String pair = user + ":" + password;
  String value = "Basic ";
  const size_t at = value.size();
  value.resize(at + base64_size(pair.size()));
  base64_encode(bytes(pair), value.data() + at);
  return value;
}

}  // namespace libws
