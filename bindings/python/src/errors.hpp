// From a ws_error to an exception.
#pragma once

#include "python.hpp"

namespace pyws {

// libws._core.Error; also the constants ERR_*.
bool bind_errors(PyObject* module);

// Sets Error with the detail of this thread's last failing call.  Returns null, for `return`.
PyObject* set_error(int code);
PyObject* set_error(int code, const char* text);

// The class of this name in libws.exceptions: new reference, or null with an exception set.
PyObject* exception_type(const char* name);

// Sets libws.exceptions.ConcurrencyError.  Returns null.
PyObject* set_concurrency_error(const char* text);

}  // namespace pyws
