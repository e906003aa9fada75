// One message to many connections.
#pragma once

#include "python.hpp"

namespace pyws {

// broadcast(connections, message) queues it; what several broadcasts have queued for a connection
// is written at once, when the turn (or else the next one) ends.  Returns a list of (connection,
// why) of those that were skipped.
PyObject* broadcast(PyObject* module, PyObject* const* args, Py_ssize_t count);

}  // namespace pyws
