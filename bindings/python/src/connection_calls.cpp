// What acts on a connection at once, and the waiting for room to send.
#include "arguments.hpp"
#include "connection.hpp"
#include "errors.hpp"
#include "send.hpp"

namespace pyws {
namespace {

Connection* as_connection(PyObject* self) { return reinterpret_cast<Connection*>(self); }

PyObject* answer(Connection* c, int code) {
  if (code < 0) return set_send_error(c, code);
  return PyBool_FromLong(code == WS_BACKPRESSURE);
}

PyObject* send_now(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  PyObject* message = nullptr;
  SendOptions options;
  if (!parse_send(args, count, keywords, &message, &options)) return nullptr;
  if (!is_data(message)) {
    PyErr_Format(PyExc_TypeError, "a message is str, bytes-like or a Message, not %.100s",
                 Py_TYPE(message)->tp_name);
    return nullptr;
  }
  return answer(as_connection(self), queue_message(as_connection(self), message, options));
}

PyObject* send_part(PyObject* self, PyObject* args) {
  PyObject* data = nullptr;
  int opcode = 0;
  int last = 0;
  if (!PyArg_ParseTuple(args, "Oip:send_part", &data, &opcode, &last)) return nullptr;
  Connection* c = as_connection(self);
  if (c->state != kOpen) return connection_set_closed_error(c);
  Py_buffer view;
  Ref bytes(PyUnicode_Check(data) ? PyUnicode_AsUTF8String(data) : Ref::borrow(data).release());
  if (!bytes || PyObject_GetBuffer(bytes.get(), &view, PyBUF_SIMPLE) < 0) return nullptr;
  const int sent = ws_conn_send_part(c->handle, static_cast<ws_opcode>(opcode), view.buf,
                                     static_cast<size_t>(view.len), last);
  PyBuffer_Release(&view);
  return answer(c, sent);
}

PyObject* begin_fragments(PyObject* self, PyObject* compress) {
  Connection* c = as_connection(self);
  uint32_t flags = 0;
  if (!parse_compress(compress, &flags)) return nullptr;
  if (c->state != kOpen) return connection_set_closed_error(c);
  if (c->fragmenting) {
    PyErr_SetString(PyExc_RuntimeError, "a message is being sent in fragments");
    return nullptr;
  }
  const int begun = flags == 0 ? 0 : ws_conn_begin_parts(c->handle, flags);
  if (begun < 0) return set_send_error(c, begun);
  c->fragmenting = true;
  return none();
}

// Those that wait are woken by the loop, as what they queue is theirs to send.
PyObject* end_fragments(PyObject* self, PyObject*) {
  Connection* c = as_connection(self);
  c->fragmenting = false;
  if (c->senders == nullptr) return none();
  c->drained = true;
  loop_add_ready(c->loop, c);
  if (c->loop->handle != nullptr && !c->loop->in_turn)
    ws_loop_post(
        c->loop->handle, [](ws_loop*, void*, int) {}, nullptr);
  return none();
}

using ControlCall = int(ws_conn*, const void*, size_t);

PyObject* send_control(PyObject* self, PyObject* args, const char* format, ControlCall* call) {
  Connection* c = as_connection(self);
  Py_buffer view = {};
  if (!PyArg_ParseTuple(args, format, &view)) return nullptr;
  const int sent =
      c->state == kOpen ? call(c->handle, view.buf, static_cast<size_t>(view.len)) : WS_ERR_CLOSED;
  if (view.obj != nullptr) PyBuffer_Release(&view);
  return sent < 0 ? set_send_error(c, sent) : none();
}

PyObject* ping_now(PyObject* self, PyObject* args) {
  return send_control(self, args, "|s*:ping_now", ws_conn_ping);
}
PyObject* pong_now(PyObject* self, PyObject* args) {
  return send_control(self, args, "|s*:pong_now", ws_conn_pong);
}

PyObject* close_now(PyObject* self, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"code", "reason", nullptr};
  int code = 1000;
  const char* reason = "";
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|is:close_now", const_cast<char**>(names),
                                   &code, &reason))
    return nullptr;
  Connection* c = as_connection(self);
  if (c->handle == nullptr || c->state >= kClosing) return none();
  const auto number = static_cast<uint16_t>(code < 0 || code > UINT16_MAX ? 1 : code);
  const int closed = ws_conn_close(c->handle, number, reason);
  if (closed < 0 && closed != WS_ERR_CLOSED) return set_error(closed);
  // The Close goes out behind what is queued, and the peer's must be read.
  c->state = kClosing;
  c->held = false;
  return none();
}

PyObject* abort_now(PyObject* self, PyObject*) {
  ws_conn_abort(as_connection(self)->handle);
  return none();
}

PyObject* pause_now(PyObject* self, PyObject*) {
  Connection* c = as_connection(self);
  const int paused = ws_conn_pause(c->handle);
  c->paused = paused >= 0;
  return paused < 0 ? set_send_error(c, paused) : none();
}

PyObject* resume_now(PyObject* self, PyObject*) {
  Connection* c = as_connection(self);
  c->paused = false;
  if (c->held) return none();  // there is room again when recv has taken some
  const int resumed = ws_conn_resume(c->handle);
  return resumed < 0 ? set_send_error(c, resumed) : none();
}

PyObject* flush_now(PyObject* self, PyObject*) {
  const int flushed = ws_conn_flush(as_connection(self)->handle);
  return flushed < 0 ? set_send_error(as_connection(self), flushed) : none();
}

PyObject* pop_chunk(PyObject* self, PyObject*) {
  PyObject* part = connection_take_chunk(as_connection(self));
  return part != nullptr || PyErr_Occurred() ? part : none();
}

PyObject* set_chunks(PyObject* self, PyObject*) {
  Connection* c = as_connection(self);
  c->chunks = true;
  const int set = ws_conn_set_chunks(c->handle, 1);
  return set < 0 && set != WS_ERR_CLOSED ? set_error(set) : none();
}

// Overridden by the layers, which know more.
PyObject* closed_error(PyObject* self, PyObject*) {
  const Ending* e = as_connection(self)->ending;
  return PyObject_CallFunction(PyExc_ConnectionError, "O", e == nullptr ? Py_None : e->detail);
}

PyObject* send_fragments(PyObject*, PyObject* args) {
  PyErr_Format(PyExc_TypeError, "a message is str, bytes-like or a Message, not %.100s",
               Py_TYPE(PyTuple_GET_ITEM(args, 0))->tp_name);
  return nullptr;
}

PyObject* hook(PyObject*, PyObject*) { return none(); }

PyObject* tls_info(PyObject* self, PyObject*) {
  ws_tls_info t;
  WS_INIT(&t);
  if (ws_conn_get_tls(as_connection(self)->handle, &t) < 0) return none();
  return Py_BuildValue(
      "{ss ss ss ss ss sO sO}", "version", t.version, "cipher", t.cipher, "server_name",
      t.server_name, "peer_subject", t.peer_subject, "peer_fingerprint", t.peer_fingerprint,
      "resumed", t.resumed != 0 ? Py_True : Py_False, "kernel", t.kernel != 0 ? Py_True : Py_False);
}

PyObject* deflate_info(PyObject* self, PyObject*) {
  ws_deflate_info info;
  WS_INIT(&info);
  if (as_connection(self)->handle != nullptr)
    ws_conn_get_deflate(as_connection(self)->handle, &info);
  return deflate_dict(info);
}

PyObject* stats(PyObject* self, PyObject*) {
  ws_conn_stats s;
  WS_INIT(&s);
  s.rtt_us = UINT32_MAX;
  if (as_connection(self)->handle != nullptr) ws_conn_get_stats(as_connection(self)->handle, &s);
  const long long rtt = s.rtt_us == UINT32_MAX ? -1 : static_cast<long long>(s.rtt_us);
  return Py_BuildValue("{sK sK sK sK sK sL}", "messages_in", s.messages_in, "messages_out",
                       s.messages_out, "bytes_in", s.bytes_in, "bytes_out", s.bytes_out,
                       "messages_dropped", s.messages_dropped, "rtt_us", rtt);
}

}  // namespace

PyMethodDef connection_calls[] = {
    {"recv", method(connection_recv), METH_FASTCALL | METH_KEYWORDS,
     "recv(decode=None): coroutine of the next message."},
    {"send", method(connection_send), METH_FASTCALL | METH_KEYWORDS,
     "send(message, text=None, *, compress=None): coroutine that queues the message and waits\n"
     "while too much is queued."},
    {"_recv_chunk", connection_recv_chunk, METH_NOARGS, nullptr},
    {"_wait_drained", connection_wait_drained, METH_NOARGS, nullptr},
    {"_begin_fragments", begin_fragments, METH_O, nullptr},
    {"_end_fragments", end_fragments, METH_NOARGS, nullptr},
    {"send_now", method(send_now), METH_FASTCALL | METH_KEYWORDS,
     "Queue the message.  True: slow down until on_drain (WS_BACKPRESSURE)."},
    {"send_part", send_part, METH_VARARGS, "One piece of a message (ws_conn_send_part)."},
    {"ping_now", ping_now, METH_VARARGS, "Send a ping with at most 125 bytes."},
    {"pong_now", pong_now, METH_VARARGS, "Send a pong with at most 125 bytes."},
    {"close_now", method(close_now), METH_VARARGS | METH_KEYWORDS,
     "Begin the closing handshake; nothing happens if it has begun."},
    {"abort", abort_now, METH_NOARGS, "Drop it now: nothing more is sent."},
    {"pause", pause_now, METH_NOARGS, "Stop reading (ws_conn_pause)."},
    {"resume", resume_now, METH_NOARGS, "Go on reading."},
    {"flush", flush_now, METH_NOARGS, "Write queued data now."},
    {"pop", method(connection_pop), METH_FASTCALL | METH_KEYWORDS,
     "The next message of the queue, or None if it is empty."},
    {"pop_chunk", pop_chunk, METH_NOARGS, "The next part of the queue, or None."},
    {"_set_chunks", set_chunks, METH_NOARGS, nullptr},
    {"_closed_error", closed_error, METH_NOARGS, nullptr},
    {"_send_fragments", send_fragments, METH_VARARGS, nullptr},
    {"_on_open", hook, METH_NOARGS, nullptr},
    {"_on_close", hook, METH_NOARGS, nullptr},
    {"_on_pong", hook, METH_O, nullptr},
    {"_on_failed", hook, METH_VARARGS, nullptr},
    {"tls", tls_info, METH_NOARGS, "How it is secured, or None."},
    {"deflate", deflate_info, METH_NOARGS, "The compression agreed on (ws_deflate_info)."},
    {"stats", stats, METH_NOARGS, "ws_conn_stats; rtt_us -1: not measured yet."},
    {nullptr, nullptr, 0, nullptr},
};

PyObject* connection_set_closed_error(Connection* c) {
  const Ref error(PyObject_CallMethod(object(c), "_closed_error", nullptr));
  if (error) PyErr_SetObject(object(Py_TYPE(error.get())), error.get());
  return nullptr;
}

Waiter* connection_wait_for_room(Connection* c) {
  if (c->senders == nullptr) c->senders = PyList_New(0);
  if (c->senders == nullptr) return nullptr;
  Waiter* waiter = waiter_new(c->loop->asyncio_loop);
  if (waiter != nullptr && PyList_Append(c->senders, object(waiter)) < 0) Py_CLEAR(waiter);
  return waiter;
}

void connection_stop_waiting(Connection* c, Waiter* waiter) {
  if (c->senders == nullptr) return;
  for (Py_ssize_t i = PyList_GET_SIZE(c->senders); i-- != 0;)
    if (PyList_GET_ITEM(c->senders, i) == object(waiter))
      PyList_SetSlice(c->senders, i, i + 1, nullptr);
}

}  // namespace pyws
