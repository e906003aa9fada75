// The Python object of a ws_message.
#pragma once

#include "python.hpp"

namespace pyws {

bool bind_message(PyObject* module);

// Takes the reference to `message`, also when it fails.  New reference, or null.
PyObject* message_adopt(ws_message* message);

// Null if it is no Message.  Borrowed.
ws_message* message_handle(PyObject* object);

}  // namespace pyws
