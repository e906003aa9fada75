// Opening a connection.
#pragma once

#include "python.hpp"

namespace pyws {

void bind_client(py::module_& m);

}  // namespace pyws
