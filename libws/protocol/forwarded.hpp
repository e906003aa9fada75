// The addresses that proxies have written into a request, from the last to the first: Forwarded
// (RFC 7239) and X-Forwarded-For.
//
// Read backwards, because only what stands on the right was written by a proxy one may know; what
// stands to its left may be the client's own, and nothing in it, such as a quote that is not
// closed, may change how the right is read.
#pragma once

#include "libws/protocol/http.hpp"

#include <string_view>

namespace libws {

enum class ForwardedField : uint8_t { kXForwardedFor, kForwarded };

class ForwardedWalk {
 public:
  ForwardedWalk(const Head& head, ForwardedField field);

  // The address before, as text without port and brackets, which may still not be an address.
  // False: there is none, it is hidden ("unknown", RFC 7239 6.3) or malformed; there is nothing
  // more to ask then.
  bool next(std::string_view* address);

 private:
  bool next_line();

  const Head& head_;
  ForwardedField field_;
  size_t line_;  // fields from here on have been read
  std::string_view rest_;
  bool more_ = false;  // rest_ has another element
};

}  // namespace libws
