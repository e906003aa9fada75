// Arrays of strings that a caller passes: copied, with NULL where it must not be refused.
#pragma once

#include "libws/api/guard.hpp"
#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

namespace libws {

// Errors: INVALID, with `name`.  Throws std::bad_alloc.
inline Error copy_strings(const char* const* from, size_t count, const char* name,
                          Vector<String>* to) {
  if (from == nullptr && count != 0) return null_argument(name);
  for (size_t i = 0; i < count; ++i) {
    if (from[i] == nullptr) return null_argument(name);
    to->emplace_back(from[i]);
  }
  return Error();
}

}  // namespace libws
