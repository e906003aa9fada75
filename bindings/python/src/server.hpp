// Accepting connections.
#pragma once

#include "pybind.hpp"

namespace pyws {

void bind_server(py::module_& m);

}  // namespace pyws
