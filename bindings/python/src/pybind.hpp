// For the files that are bound with pybind11: what is called once for a connection, or less often.
#pragma once

#include "errors.hpp"

#include <pybind11/pybind11.h>

namespace pyws {

namespace py = pybind11;

// The exception for an error of the library, in C++.
[[noreturn]] inline void throw_error(int code) {
  set_error(code);
  throw py::error_already_set();
}

inline int check(int code) {
  if (code < 0) throw_error(code);
  return code;
}

}  // namespace pyws
