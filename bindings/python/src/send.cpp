// The coroutine of send(), which queues when it is first awaited and waits while too much is
// queued.
#include "send.hpp"

#include "coroutine.hpp"
#include "errors.hpp"
#include "message.hpp"

namespace pyws {
namespace {

enum Stage : uint8_t { kNew, kWaitingToQueue, kWaitingForRoom, kDone };

struct Send {
  PyObject_HEAD Connection* connection;
  PyObject* message;
  Waiter* waiter;
  SendOptions options;
  Stage stage;
  bool tracked;
};

extern PyTypeObject send_type;
Send* spare;

Send* as_send(PyObject* self) { return reinterpret_cast<Send*>(self); }

PyObject* send_new(Connection* c, PyObject* message, const SendOptions& options) {
  Send* s = std::exchange(spare, nullptr);
  if (s != nullptr) {
    PyObject_Init(object(s), &send_type);
  } else {
    s = PyObject_GC_New(Send, &send_type);
    if (s == nullptr) return nullptr;
  }
  Py_INCREF(object(c));
  Py_INCREF(message);
  s->connection = c;
  s->message = message;
  s->waiter = nullptr;
  s->options = options;
  s->stage = kNew;
  s->tracked = false;
  return object(s);
}

void leave(Send* s) {
  if (s->waiter == nullptr) return;
  Waiter* waiter = std::exchange(s->waiter, nullptr);
  connection_stop_waiting(s->connection, waiter);
  Py_DECREF(object(waiter));
}

int send_traverse(PyObject* self, visitproc visit, void* arg) {
  const Send* s = as_send(self);
  Py_VISIT(s->connection);
  Py_VISIT(s->message);
  Py_VISIT(s->waiter);
  return 0;
}

int send_clear(PyObject* self) {
  leave(as_send(self));
  return 0;
}

void send_dealloc(PyObject* self) {
  Send* s = as_send(self);
  if (s->tracked) PyObject_GC_UnTrack(self);
  if (s->stage == kNew) {
    const SavedError saved;
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                         "coroutine 'Connection.send' was never awaited: nothing was sent") < 0)
      PyErr_WriteUnraisable(object(s->connection));  // `self` cannot be referred to any more
  }
  leave(s);
  Connection* c = s->connection;
  PyObject* message = s->message;
  if (spare == nullptr)
    spare = s;
  else
    PyObject_GC_Del(s);
  Py_DECREF(message);
  Py_DECREF(object(c));
}

PySendResult suspend(Send* s, Stage stage, PyObject** result) {
  s->stage = stage;
  s->waiter = connection_wait_for_room(s->connection);
  if (s->waiter == nullptr) return PYGEN_ERROR;
  Py_INCREF(object(s->waiter));
  *result = object(s->waiter);
  if (!s->tracked) {
    s->tracked = true;
    PyObject_GC_Track(object(s));
  }
  return PYGEN_NEXT;
}

PySendResult finish(Send* s, PyObject** result) {
  s->stage = kDone;
  *result = none();
  return PYGEN_RETURN;
}

PySendResult fail(Send* s, int code) {
  s->stage = kDone;
  set_send_error(s->connection, code);
  return PYGEN_ERROR;
}

PySendResult queue(Send* s, PyObject** result) {
  Connection* c = s->connection;
  if (c->fragmenting && c->state == kOpen) return suspend(s, kWaitingToQueue, result);
  const int sent = queue_message(c, s->message, s->options);
  if (sent < 0) return fail(s, sent);
  if (sent == WS_BACKPRESSURE && ws_conn_buffered(c->handle) > c->send_high)
    return suspend(s, kWaitingForRoom, result);
  return finish(s, result);
}

PySendResult send_step(PyObject* self, PyObject*, PyObject** result) {
  Send* s = as_send(self);
  leave(s);
  switch (s->stage) {
    case kNew:
    case kWaitingToQueue: return queue(s, result);
    case kWaitingForRoom:
      if (s->connection->state == kClosed) return fail(s, WS_ERR_CLOSED);
      return finish(s, result);
    case kDone: break;
  }
  PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
  return PYGEN_ERROR;
}

void send_stop(PyObject* self) {
  leave(as_send(self));
  as_send(self)->stage = kDone;
}

PyObject* get_name(PyObject*, void*) { return PyUnicode_FromString("send"); }
PyObject* get_qualname(PyObject*, void*) { return PyUnicode_FromString("Connection.send"); }

PyGetSetDef attributes[] = {
    {"__name__", get_name, nullptr, nullptr, nullptr},
    {"__qualname__", get_qualname, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyTypeObject send_type = [] {
  PyTypeObject t = blank_type();
  Coroutine<send_step, send_stop>::fill(t);
  t.tp_name = "libws._core.Send";
  t.tp_basicsize = sizeof(Send);
  t.tp_dealloc = send_dealloc;
  t.tp_traverse = send_traverse;
  t.tp_clear = send_clear;
  t.tp_getset = attributes;
  return t;
}();

}  // namespace

bool bind_send() { return PyType_Ready(&send_type) == 0; }

PyObject* connection_send(PyObject* self, PyObject* const* args, Py_ssize_t count,
                          PyObject* keywords) {
  PyObject* message = nullptr;
  SendOptions options;
  if (!parse_send(args, count, keywords, &message, &options)) return nullptr;
  auto* c = reinterpret_cast<Connection*>(self);
  if (is_data(message)) return send_new(c, message, options);
  PyObject* text = options.text < 0 ? Py_None : options.text != 0 ? Py_True : Py_False;
  const Ref compress(compress_of(options.flags));
  if (!compress) return nullptr;
  return PyObject_CallMethod(self, "_send_fragments", "OOO", message, text, compress.get());
}

}  // namespace pyws
