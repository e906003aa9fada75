// The type Connection: making, collecting, attributes.
#include "connection.hpp"

#include "errors.hpp"

#include <structmember.h>

#include <cstddef>

namespace pyws {
namespace {

Connection* as_connection(PyObject* self) { return reinterpret_cast<Connection*>(self); }

int parse_queue(PyObject* given, Connection* c) {
  c->queue_high = 16;
  c->queue_low = 4;
  if (given == nullptr) return 0;
  if (given == Py_None) {
    c->queue_high = UINT32_MAX;
    return 0;
  }
  unsigned high = 0;
  unsigned low = 0;
  if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "II:max_queue", &high, &low)) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "max_queue: (high, low) or None");
    return -1;
  }
  if (low > high) {
    PyErr_Format(PyExc_ValueError, "max_queue: (%u, %u): low above high", high, low);
    return -1;
  }
  c->queue_high = high;
  c->queue_low = low;
  return 0;
}

int connection_init(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"loop", "listener", "max_queue", nullptr};
  PyObject* loop = nullptr;
  PyObject* listener = Py_None;
  PyObject* max_queue = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, names, "O!|OO:Connection", const_cast<char**>(keywords),
                                   &loop_type, &loop, &listener, &max_queue))
    return -1;
  Connection* c = as_connection(self);
  if (c->loop != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "Connection() was called already");
    return -1;
  }
  if (parse_queue(max_queue, c) < 0) return -1;
  if (listener != Py_None) {
    const Ref wants(PyObject_GetAttrString(listener, "wants_message"));
    if (!wants) PyErr_Clear();
    const int truth = wants ? PyObject_IsTrue(wants.get()) : 0;
    if (truth < 0) return -1;
    c->wants_message = truth == 1;
    Py_INCREF(listener);
    c->listener = listener;
  }
  Py_INCREF(loop);
  c->loop = reinterpret_cast<Loop*>(loop);
  return 0;
}

int connection_traverse(PyObject* self, visitproc visit, void* arg) {
  const Connection* c = as_connection(self);
  Py_VISIT(c->loop);
  Py_VISIT(c->client);
  Py_VISIT(c->listener);
  Py_VISIT(c->notify);
  Py_VISIT(c->receiver);
  Py_VISIT(c->senders);
  return 0;
}

// The loop stays: what is live needs it, and what is not does no harm by it.
int connection_clear(PyObject* self) {
  Connection* c = as_connection(self);
  Py_CLEAR(c->client);
  Py_CLEAR(c->listener);
  Py_CLEAR(c->notify);
  Py_CLEAR(c->receiver);
  Py_CLEAR(c->senders);
  return 0;
}

void connection_dealloc(PyObject* self) {
  Connection* c = as_connection(self);
  PyObject_GC_UnTrack(self);
  if (c->weakrefs != nullptr) PyObject_ClearWeakRefs(self);
  connection_clear(self);
  ws_conn_unref(c->handle);
  c->inbox.clear();
  Py_CLEAR(c->room);
  if (c->ending != nullptr) {
    Py_XDECREF(c->ending->reason);
    Py_XDECREF(c->ending->detail);
    Py_XDECREF(c->ending->local);
    PyMem_Free(c->ending);
  }
  Py_CLEAR(c->loop);
  Py_TYPE(self)->tp_free(self);
}

PyObject* text_or_none(const char* text) {
  return text == nullptr || text[0] == '\0' ? none() : PyUnicode_FromString(text);
}

PyObject* get_queued(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(as_connection(self)->inbox.count);
}
PyObject* get_state(PyObject* self, void*) { return PyLong_FromLong(as_connection(self)->state); }
PyObject* get_buffered(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(ws_conn_buffered(as_connection(self)->handle));
}
PyObject* get_id(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(ws_conn_id(as_connection(self)->handle));
}
PyObject* get_subprotocol(PyObject* self, void*) {
  return text_or_none(ws_conn_subprotocol(as_connection(self)->handle));
}
PyObject* get_peer(PyObject* self, void*) {
  const char* peer = ws_conn_peer(as_connection(self)->handle);
  return PyUnicode_FromString(peer == nullptr ? "" : peer);
}
PyObject* get_local(PyObject* self, void*) {
  const Connection* c = as_connection(self);
  if (c->ending != nullptr && c->ending->local != nullptr)
    return Ref::borrow(c->ending->local).release();
  const char* local = ws_conn_local(c->handle);
  return PyUnicode_FromString(local == nullptr ? "" : local);
}
PyObject* get_fragmenting(PyObject* self, void*) {
  return PyBool_FromLong(as_connection(self)->fragmenting);
}
PyObject* get_close_info(PyObject* self, void*) {
  const Ending* e = as_connection(self)->ending;
  if (e == nullptr) return none();
  return Py_BuildValue("(iiiOOOO)", e->error, int{e->code}, int{e->sent_code},
                       (e->flags & WS_CLOSE_CLEAN) != 0 ? Py_True : Py_False,
                       (e->flags & WS_CLOSE_BY_PEER) != 0 ? Py_True : Py_False, e->reason,
                       e->detail);
}

PyGetSetDef attributes[] = {
    {"queued", get_queued, nullptr, "Messages (or parts) that wait for recv.", nullptr},
    {"state", get_state, nullptr, "CONNECTING, OPEN, CLOSING or CLOSED.", nullptr},
    {"buffered", get_buffered, nullptr, "Bytes queued for sending, not yet written.", nullptr},
    {"native_id", get_id, nullptr, "ws_conn_id; 0 before it is open.", nullptr},
    {"native_subprotocol", get_subprotocol, nullptr, "The one agreed on, or None.", nullptr},
    {"peer", get_peer, nullptr, "The peer's address, as ws_conn_peer.", nullptr},
    {"local", get_local, nullptr, "The address on this side, as ws_conn_local.", nullptr},
    {"fragmenting", get_fragmenting, nullptr, "Between _begin_fragments and _end_fragments.",
     nullptr},
    {"close_info", get_close_info, nullptr,
     "How it ended: error, code, sent code, clean, by the peer, reason, detail; or None.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"loop", T_OBJECT, offsetof(Connection, loop), READONLY, "The Loop it belongs to."},
    {"notify", T_OBJECT, offsetof(Connection, notify), 0,
     "Called at the end of a turn that brought a message, room to send or the end."},
    {"_client", T_OBJECT, offsetof(Connection, client), READONLY, "The Client, while it opens."},
    {nullptr, 0, 0, 0, nullptr},
};

PyAsyncMethods async_methods = {nullptr, PyObject_SelfIter, connection_anext, nullptr};

}  // namespace

PyTypeObject connection_type = [] {
  PyTypeObject t = blank_type();
  t.tp_name = "libws._core.Connection";
  t.tp_doc = "A connection, from before its handshake to after its end.  Made for subclassing.";
  t.tp_basicsize = sizeof(Connection);
  t.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE;
  t.tp_new = PyType_GenericNew;
  t.tp_init = connection_init;
  t.tp_dealloc = connection_dealloc;
  t.tp_traverse = connection_traverse;
  t.tp_clear = connection_clear;
  t.tp_weaklistoffset = offsetof(Connection, weakrefs);
  t.tp_as_async = &async_methods;
  t.tp_methods = connection_calls;
  t.tp_members = members;
  t.tp_getset = attributes;
  return t;
}();

bool bind_connection(PyObject* module) {
  return add_type(module, "Connection", &connection_type) &&
         PyModule_AddIntConstant(module, "CONNECTING", kConnecting) == 0 &&
         PyModule_AddIntConstant(module, "OPEN", kOpen) == 0 &&
         PyModule_AddIntConstant(module, "CLOSING", kClosing) == 0 &&
         PyModule_AddIntConstant(module, "CLOSED", kClosed) == 0;
}

void connection_attach(Connection* c) {
  Py_INCREF(object(c));
  c->live = true;
  c->prev = nullptr;
  c->next = c->loop->first;
  if (c->next != nullptr) c->next->prev = c;
  c->loop->first = c;
  ++c->loop->connections;
}

void connection_detach(Connection* c) {
  if (!c->live) return;
  c->live = false;
  if (c->prev != nullptr)
    c->prev->next = c->next;
  else
    c->loop->first = c->next;
  if (c->next != nullptr) c->next->prev = c->prev;
  --c->loop->connections;
  Py_DECREF(object(c));
}

bool connection_is_new(Connection* c) {
  if (c->loop == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "Connection.__init__() was not called");
    return false;
  }
  if (c->state != kConnecting || c->live) {
    PyErr_SetString(PyExc_RuntimeError, "a Connection can be opened once");
    return false;
  }
  return loop_usable(c->loop);
}

}  // namespace pyws
