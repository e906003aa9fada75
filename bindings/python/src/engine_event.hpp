// What an engine reports, as Python sees it: struct sequences, which cost no more than a tuple
// and have names.
#pragma once

#include "python.hpp"

namespace pyws {

// RequestEvent, OpenEvent, MessageEvent, PingEvent, PongEvent, ClosedEvent.
bool bind_engine_events(PyObject* module);

// New reference; null with an exception set.  Whole text is a str, all other data bytes.
PyObject* engine_event(ws_engine* e, const ws_event& ev, bool chunks);

}  // namespace pyws
