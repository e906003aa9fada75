// The grammar of Sec-WebSocket-Extensions (RFC 6455 9.1): a list of extensions with parameters.
// Linear, bounded, and the same for offers and answers.
#pragma once

#include "libws/base/alloc.hpp"

#include <string_view>

namespace libws {

// One extension with its parameters; at most this many are kept, further ones are checked for
// grammar and dropped (bad_inputs 18).
inline constexpr size_t kMaxExtensions = 16;
inline constexpr size_t kMaxExtensionParams = 16;

struct ExtensionParam {
  std::string_view name;
  String value;  // unescaped; has_value tells "" from none
  bool has_value = false;
};
struct Extension {
  std::string_view name;
  Vector<ExtensionParam> params;  // in the order received
  bool dropped_params = false;    // more than kMaxExtensionParams
};

// False: the value violates the grammar.  A quoted value must be a token after unescaping.
// Appends to `out`, so several fields are one list (RFC 6455 9.1, 11.3.2).  Empty members are
// skipped; that at least one is left over all fields is for the caller to check.
bool parse_extensions(std::string_view value, Vector<Extension>* out);

}  // namespace libws
