// The coroutines of recv(), of each step of `async for`, and of _recv_chunk().
//
// They are objects of their own with the methods of a coroutine (collections.abc.Coroutine), so a
// task can be made of them; a message that waits is returned by the first step, without
// suspending.  One object is kept for reuse, because a coroutine that receives makes and drops
// one for every message.
#include "connection.hpp"
#include "coroutine.hpp"
#include "errors.hpp"

namespace pyws {
namespace {

enum Kind : uint8_t { kRecv, kNext, kChunk, kDrained };

struct Receive {
  PyObject_HEAD Connection* connection;
  Waiter* waiter;  // what it is suspended on
  Kind kind;
  signed char decode;  // as in connection_take
  bool started, finished, tracked;
};

extern PyTypeObject receive_type;
Receive* spare;

Receive* as_receive(PyObject* self) { return reinterpret_cast<Receive*>(self); }

PyObject* receive_new(Connection* c, Kind kind, int decode) {
  Receive* r = std::exchange(spare, nullptr);
  if (r != nullptr) {
    PyObject_Init(object(r), &receive_type);
  } else {
    r = PyObject_GC_New(Receive, &receive_type);
    if (r == nullptr) return nullptr;
  }
  Py_INCREF(object(c));
  r->connection = c;
  r->waiter = nullptr;
  r->kind = kind;
  r->decode = static_cast<signed char>(decode);
  r->started = r->finished = r->tracked = false;
  return object(r);
}

// No longer suspended: what arrives from now on stays in the inbox.
void leave(Receive* r) {
  if (r->waiter == nullptr) return;
  Connection* c = r->connection;
  if (c->receiver == r->waiter) {
    c->receiver = nullptr;
    Py_DECREF(object(r->waiter));
  }
  if (r->kind == kDrained) connection_stop_waiting(c, r->waiter);
  Waiter* waiter = std::exchange(r->waiter, nullptr);
  Py_DECREF(object(waiter));
}

int receive_traverse(PyObject* self, visitproc visit, void* arg) {
  const Receive* r = as_receive(self);
  Py_VISIT(r->connection);
  Py_VISIT(r->waiter);
  return 0;
}

int receive_clear(PyObject* self) {
  leave(as_receive(self));
  return 0;
}

const char* name_of(Kind kind) {
  switch (kind) {
    case kRecv: return "recv";
    case kNext: return "__anext__";
    case kChunk: return "_recv_chunk";
    case kDrained: return "_wait_drained";
  }
  return "";
}

void receive_dealloc(PyObject* self) {
  Receive* r = as_receive(self);
  if (r->tracked) PyObject_GC_UnTrack(self);
  if (!r->started) {
    const SavedError saved;
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine 'Connection.%s' was never awaited",
                         name_of(r->kind)) < 0)
      PyErr_WriteUnraisable(object(r->connection));  // `self` cannot be referred to any more
  }
  leave(r);
  Connection* c = r->connection;
  if (spare == nullptr)
    spare = r;
  else
    PyObject_GC_Del(r);
  Py_DECREF(object(c));
}

PyObject* take(Receive* r) {
  return r->kind == kChunk ? connection_take_chunk(r->connection)
                           : connection_take(r->connection, r->decode);
}

// At the end a loop over messages stops if the connection was closed in order.
void set_end(Receive* r) {
  const Ref in_order(exception_type("ConnectionClosedOK"));
  if (!in_order) return;
  connection_set_closed_error(r->connection);
  if (r->kind == kNext && PyErr_ExceptionMatches(in_order.get())) {
    PyErr_Clear();
    PyErr_SetNone(PyExc_StopAsyncIteration);
  }
}

// Nothing that can be taken waits, so reading must go on, whatever the inbox holds of an
// unfinished message.
bool suspend(Receive* r, PyObject** result) {
  Connection* c = r->connection;
  if (c->loop == nullptr || c->loop->asyncio_loop == Py_None) {
    PyErr_SetString(PyExc_RuntimeError, "this connection belongs to no event loop");
    return false;
  }
  if (r->kind != kDrained) connection_read_on(c);
  Waiter* waiter =
      r->kind == kDrained ? connection_wait_for_room(c) : waiter_new(c->loop->asyncio_loop);
  if (waiter == nullptr) return false;
  if (r->kind != kDrained) {
    Py_INCREF(object(waiter));
    c->receiver = waiter;
  }
  Py_INCREF(object(waiter));
  r->waiter = waiter;
  *result = object(waiter);
  if (!r->tracked) {
    r->tracked = true;
    PyObject_GC_Track(object(r));
  }
  return true;
}

bool refused(const Receive* r) {
  const Connection* c = r->connection;
  if (c->receiver != nullptr)
    set_concurrency_error("cannot receive: another coroutine already waits for a message");
  else if (c->partly && r->kind != kChunk)
    set_concurrency_error("cannot receive: a message was taken in part, and not its end");
  else
    return false;
  return true;
}

PySendResult drained_step(Receive* r, PyObject** result) {
  Connection* c = r->connection;
  const bool woken = r->waiter != nullptr;
  leave(r);
  if (woken || c->state == kClosed || ws_conn_buffered(c->handle) == 0) {
    r->finished = true;
    *result = none();
    return PYGEN_RETURN;
  }
  return suspend(r, result) ? PYGEN_NEXT : PYGEN_ERROR;
}

PySendResult receive_send(PyObject* self, PyObject*, PyObject** result) {
  Receive* r = as_receive(self);
  Connection* c = r->connection;
  r->started = true;
  if (r->finished) {
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return PYGEN_ERROR;
  }
  if (r->kind == kDrained) return drained_step(r, result);
  const bool first = r->waiter == nullptr;
  leave(r);
  if (first && refused(r)) {
    r->finished = true;
    return PYGEN_ERROR;
  }
  if (PyObject* message = take(r); message != nullptr) {
    r->finished = true;
    *result = message;
    return PYGEN_RETURN;
  }
  if (PyErr_Occurred() || c->state == kClosed) {
    r->finished = true;
    if (!PyErr_Occurred()) set_end(r);
    return PYGEN_ERROR;
  }
  return suspend(r, result) ? PYGEN_NEXT : PYGEN_ERROR;
}

void receive_stop(PyObject* self) {
  Receive* r = as_receive(self);
  leave(r);
  r->started = r->finished = true;
}

PyObject* get_name(PyObject* self, void*) {
  return PyUnicode_FromString(name_of(as_receive(self)->kind));
}
PyObject* get_qualname(PyObject* self, void*) {
  return PyUnicode_FromFormat("Connection.%s", name_of(as_receive(self)->kind));
}

PyGetSetDef attributes[] = {
    {"__name__", get_name, nullptr, nullptr, nullptr},
    {"__qualname__", get_qualname, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyTypeObject receive_type = [] {
  PyTypeObject t = blank_type();
  Coroutine<receive_send, receive_stop>::fill(t);
  t.tp_name = "libws._core.Receive";
  t.tp_basicsize = sizeof(Receive);
  t.tp_dealloc = receive_dealloc;
  t.tp_traverse = receive_traverse;
  t.tp_clear = receive_clear;
  t.tp_getset = attributes;
  return t;
}();

PyObject* convert(PyObject* stolen, int decode) {
  if (stolen == nullptr || decode == kAsItCame) return stolen;
  if (PyUnicode_Check(stolen) == (decode == kStr)) return stolen;
  const Ref item(stolen);
  return decode == kStr
             ? PyUnicode_DecodeUTF8(PyBytes_AS_STRING(stolen), PyBytes_GET_SIZE(stolen), nullptr)
             : PyUnicode_AsUTF8String(stolen);
}

PyObject* pop(Connection* c) {
  PyObject* item = c->inbox.pop();
  if (c->held && c->inbox.count <= c->queue_low) connection_read_on(c);
  return item;
}

// The parts of the first message in one.
PyObject* join_parts(Connection* c, int decode) {
  if (c->inbox.whole == 0) return nullptr;
  const Ref pieces(PyList_New(0));
  if (!pieces) return nullptr;
  int opcode = 0;
  for (bool last = false; !last;) {
    const Ref part(pop(c));
    opcode = static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(part.get(), 0)));
    last = PyTuple_GET_ITEM(part.get(), 2) == Py_True;
    if (PyList_Append(pieces.get(), PyTuple_GET_ITEM(part.get(), 3)) < 0) return nullptr;
  }
  --c->inbox.whole;
  const Ref nothing(PyBytes_FromStringAndSize(nullptr, 0));
  if (!nothing) return nullptr;
  PyObject* joined = PyObject_CallMethod(nothing.get(), "join", "O", pieces.get());
  if (decode == kAsItCame) decode = opcode == WS_OP_TEXT ? kStr : kBytes;
  return convert(joined, decode);
}

// recv(decode=None)
bool parse_decode(PyObject* const* args, Py_ssize_t count, PyObject* keywords, int* decode) {
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  *decode = kAsItCame;
  if (count + named == 0) return true;
  const bool known =
      named == 0 || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), "decode") == 0;
  if (count + named > 1 || !known) {
    PyErr_SetString(PyExc_TypeError, "the only argument is decode");
    return false;
  }
  if (args[0] == Py_None) return true;
  const int truth = PyObject_IsTrue(args[0]);
  if (truth < 0) return false;
  *decode = truth == 1 ? kStr : kBytes;
  return true;
}

Connection* as_connection(PyObject* self) { return reinterpret_cast<Connection*>(self); }

}  // namespace

bool bind_receive() { return PyType_Ready(&receive_type) == 0; }

void connection_read_on(Connection* c) {
  if (std::exchange(c->held, false) && !c->paused) ws_conn_resume(c->handle);
}

PyObject* connection_take(Connection* c, int decode) {
  if (c->inbox.count == 0) return nullptr;
  if (PyTuple_CheckExact(c->inbox.at(0))) return join_parts(c, decode);
  return convert(pop(c), decode);
}

PyObject* connection_take_chunk(Connection* c) {
  if (c->inbox.count == 0) return nullptr;
  Ref item(pop(c));
  if (PyTuple_CheckExact(item.get())) {
    c->partly = PyTuple_GET_ITEM(item.get(), 2) != Py_True;
    if (!c->partly) --c->inbox.whole;
    return item.release();
  }
  // It arrived before parts were asked for.
  const int opcode = PyUnicode_Check(item.get()) ? WS_OP_TEXT : WS_OP_BINARY;
  const Ref bytes(convert(item.release(), kBytes));
  return bytes ? Py_BuildValue("(iOOO)", opcode, Py_True, Py_True, bytes.get()) : nullptr;
}

PyObject* connection_recv(PyObject* self, PyObject* const* args, Py_ssize_t count,
                          PyObject* keywords) {
  int decode = kAsItCame;
  if (!parse_decode(args, count, keywords, &decode)) return nullptr;
  return receive_new(as_connection(self), kRecv, decode);
}

PyObject* connection_pop(PyObject* self, PyObject* const* args, Py_ssize_t count,
                         PyObject* keywords) {
  int decode = kAsItCame;
  if (!parse_decode(args, count, keywords, &decode)) return nullptr;
  PyObject* message = connection_take(as_connection(self), decode);
  return message != nullptr || PyErr_Occurred() ? message : none();
}

PyObject* connection_anext(PyObject* self) {
  return receive_new(as_connection(self), kNext, kAsItCame);
}

PyObject* connection_recv_chunk(PyObject* self, PyObject*) {
  return receive_new(as_connection(self), kChunk, kAsItCame);
}

PyObject* connection_wait_drained(PyObject* self, PyObject*) {
  return receive_new(as_connection(self), kDrained, kAsItCame);
}

}  // namespace pyws
