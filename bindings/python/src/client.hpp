// Opening a connection.
#pragma once

#include "pybind.hpp"

namespace pyws {

void bind_client(py::module_& m);

}  // namespace pyws
