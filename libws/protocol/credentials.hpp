// Authorization: Basic and Bearer (RFC 9110 11.6.2): what a request says to prove who it is.
// Nothing here is compared; callers do that in constant time.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/protocol/http.hpp"

#include <string_view>

namespace libws {

struct BasicCredentials {
  Vector<char> text;          // holds both
  std::string_view user;      // into text
  std::string_view password;  // into text
};

// *found tells whether there are any.  Errors: HTTP, as ws_request_basic says.  Throws
// std::bad_alloc.
Error read_basic(const Head& head, BasicCredentials* out, bool* found);

// RFC 6750 2.1; "" when there is none.  A view into `head`, with a NUL behind it.
std::string_view read_bearer(const Head& head);

}  // namespace libws
