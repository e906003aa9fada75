// The loop of one thread, as Python sees it: a descriptor to watch and a turn to run.
//
// A turn has two halves.  In the first, ws_loop_dispatch() calls back for every ready connection;
// messages are made into Python objects and queued, listeners are called.  In the second, at the
// end of the library's turn (ws_loop_set_turn_end), what waits for those connections is resumed,
// one connection after the other; what it sent is written when all have been.  So one wake-up of
// the event loop serves any number of connections, and a coroutine takes all messages of a read
// without being suspended in between.
#pragma once

#include "python.hpp"

#include <vector>

namespace pyws {

struct Connection;

struct Loop {
  PyObject_HEAD ws_loop* handle;  // null once closed
  PyObject* asyncio_loop;         // None for threads
  PyObject* log;
  PyObject* weakrefs;
  PyObject* raised;                 // KeyboardInterrupt or SystemExit, to leave the turn with
  Connection* first;                // those that the library can call back for; a reference to each
  std::vector<Connection*>* ready;  // those that the second half has to look at; references too
  Loop* next;                       // all loops of the process, for fork
  size_t connections;
  bool in_turn;
};

bool bind_loop(PyObject* module);
extern PyTypeObject loop_type;

// An exception that a callback left behind: kept in `raised` or told to sys.unraisablehook.
void loop_took_exception(Loop* loop, PyObject* where);

// Set Error (ERR_CLOSED) and return false when the loop is closed.
bool loop_usable(Loop* loop);

// The second half has to look at it.
void loop_add_ready(Loop* loop, Connection* connection);

PyObject* after_fork(PyObject* module, PyObject*);

}  // namespace pyws
