// The sans-I/O engine (ws_engine) for Python: libws._core.Engine.
#pragma once

#include "python.hpp"

namespace pyws {

// Engine and its event types.  After bind_errors.
bool bind_engine(PyObject* module);

}  // namespace pyws
