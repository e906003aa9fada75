// Accepting connections.
#pragma once

#include "python.hpp"

namespace pyws {

void bind_server(py::module_& m);

}  // namespace pyws
