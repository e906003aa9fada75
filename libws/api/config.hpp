// Reading and writing the size-first structs of the public API: the one place that knows how they
// grow (see "Growth" in libws/base.h).
#pragma once

#include "libws/base/error.hpp"

#include <cstddef>
#include <cstring>

namespace libws {

// Copies what the caller knows into *out, whose other members keep the zero that means "default".
// `in` may be null: all defaults.  Errors: INVALID (a size that was never set), UNSUPPORTED (a
// newer caller set a member that this library does not know).
template <class T>
Error read_config(const T* in, T* out, const char* name) {
  std::memset(out, 0, sizeof *out);
  out->size = sizeof *out;
  if (in == nullptr) return Error();
  size_t theirs = in->size;
  // Nobody's struct is larger than this; a size that is comes from memory that was not set up.
  constexpr size_t kMaxStruct = 4096;
  if (theirs < sizeof(size_t) || theirs > kMaxStruct) {
    return fail(WS_ERR_INVALID, "%s.size is %zu: set the struct up with WS_INIT", name, theirs);
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(in);
  for (size_t i = sizeof *out; i < theirs; ++i) {
    if (bytes[i] != 0) {
      return fail(WS_ERR_UNSUPPORTED, "%s has a member at byte %zu that this libws does not know",
                  name, i);
    }
  }
  std::memcpy(out, in, theirs < sizeof *out ? theirs : sizeof *out);
  out->size = sizeof *out;
  return Error();
}

// Fills as much of the caller's struct as the caller knows; what a newer caller knows beyond that
// becomes zero.
template <class T>
Error write_struct(const T& ours, T* out, const char* name) {
  if (out == nullptr) return fail(WS_ERR_INVALID, "%s is NULL", name);
  size_t theirs = out->size;
  constexpr size_t kMaxStruct = 4096;
  if (theirs < sizeof(size_t) || theirs > kMaxStruct) {
    return fail(WS_ERR_INVALID, "%s.size is %zu: set the struct up with WS_INIT", name, theirs);
  }
  auto* bytes = reinterpret_cast<unsigned char*>(out);
  std::memcpy(bytes, &ours, theirs < sizeof ours ? theirs : sizeof ours);
  if (theirs > sizeof ours) std::memset(bytes + sizeof ours, 0, theirs - sizeof ours);
  std::memcpy(bytes, &theirs, sizeof theirs);
  return Error();
}

}  // namespace libws
