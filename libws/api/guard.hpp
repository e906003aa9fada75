// The line between C and C++: no exception crosses it, and no null handle gets past it.
#pragma once

#include "libws/base/error.hpp"

#include <new>

namespace libws {

// Runs `call`, which returns an Error, and gives the C caller its code.
template <class Call>
int guarded(Call call) noexcept {
  try {
    return call().code();
  } catch (const std::bad_alloc&) {
    return fail(WS_ERR_NOMEM, "out of memory").code();
  } catch (...) {
    return fail(WS_ERR_NOMEM, "unexpected exception inside libws").code();
  }
}

inline Error null_argument(const char* what) { return fail(WS_ERR_INVALID, "%s is NULL", what); }

}  // namespace libws
