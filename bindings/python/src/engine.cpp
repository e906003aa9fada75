// The sans-I/O engine.  It is immediate: no call waits, calls back or gives up the GIL.
#include "engine.hpp"

#include "arguments.hpp"
#include "config.hpp"
#include "engine_event.hpp"
#include "errors.hpp"
#include "message.hpp"
#include "send.hpp"

#include <array>
#include <cstring>

namespace pyws {
namespace {

struct Engine {
  PyObject_HEAD ws_engine* handle;
  bool chunks;
};

Engine* as_engine(PyObject* self) { return reinterpret_cast<Engine*>(self); }
ws_engine* handle_of(PyObject* self) { return as_engine(self)->handle; }

// None, or null with an exception set.
PyObject* done(int code) { return code < 0 ? set_error(code) : none(); }

// What a send returns: True is WS_BACKPRESSURE.
PyObject* sent(int code) {
  return code < 0 ? set_error(code) : PyBool_FromLong(code == WS_BACKPRESSURE);
}

// ---- making one ----

void engine_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  ws_engine_free(handle_of(self));
  type->tp_free(self);
  Py_DECREF(type);
}

// Takes over `handle`.
PyObject* wrap(PyObject* type, ws_engine* handle, bool chunks) {
  auto* cls = reinterpret_cast<PyTypeObject*>(type);
  PyObject* self = cls->tp_alloc(cls, 0);
  if (self == nullptr) {
    ws_engine_free(handle);
    return nullptr;
  }
  as_engine(self)->handle = handle;
  as_engine(self)->chunks = chunks;
  return self;
}

bool read_config(PyObject* config, bool chunks, ws_engine_config* out) {
  WS_INIT(out);
  if (chunks) out->flags = WS_ENGINE_CHUNKS;
  if (config == Py_None) return true;
  out->conn = config_of(config);
  return out->conn != nullptr;
}

PyObject* server(PyObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"config", "chunks", nullptr};
  PyObject* config = Py_None;
  int chunks = 0;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|O$p:server", const_cast<char**>(keywords),
                                   &config, &chunks)) {
    return nullptr;
  }
  ws_engine_config c;
  if (!read_config(config, chunks != 0, &c)) return nullptr;
  ws_engine* handle = nullptr;
  if (int code = ws_engine_new_server(&c, &handle); code < 0) return set_error(code);
  return wrap(type, handle, chunks != 0);
}

PyObject* client(PyObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"host",   "target", "headers", "subprotocols",
                                   "config", "chunks", nullptr};
  ws_open open;
  WS_INIT(&open);
  PyObject *config = Py_None, *headers = nullptr, *subprotocols = nullptr;
  int chunks = 0;
  if (!PyArg_ParseTupleAndKeywords(args, names, "s|s$OOOp:client", const_cast<char**>(keywords),
                                   &open.host, &open.target, &headers, &subprotocols, &config,
                                   &chunks)) {
    return nullptr;
  }
  Fields fields;
  Names offered;
  ws_engine_config c;
  if (!fields.read(headers, ValuesAs::kLatin1) || !offered.read(subprotocols)) return nullptr;
  if (!read_config(config, chunks != 0, &c)) return nullptr;
  open.headers = fields.data();
  open.header_count = fields.size();
  open.subprotocols = offered.data();
  open.subprotocol_count = offered.size();
  ws_engine* handle = nullptr;
  if (int code = ws_engine_new_client(&c, &open, &handle); code < 0) return set_error(code);
  return wrap(type, handle, chunks != 0);
}

// ---- bytes and time in, events out ----

PyObject* feed(PyObject* self, PyObject* data) {
  Py_buffer view;
  if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return nullptr;
  const int code = ws_engine_feed(handle_of(self), view.buf, static_cast<size_t>(view.len));
  PyBuffer_Release(&view);
  return done(code);
}

PyObject* eof(PyObject* self, PyObject*) { return done(ws_engine_feed_eof(handle_of(self))); }

PyObject* tick(PyObject* self, PyObject* now_ms) {
  const unsigned long long now = PyLong_AsUnsignedLongLong(now_ms);
  if (now == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return nullptr;
  return done(ws_engine_tick(handle_of(self), now));
}

PyObject* next(PyObject* self) {
  ws_event ev;
  WS_INIT(&ev);
  const int code = ws_engine_next(handle_of(self), &ev);
  if (code < 0) return set_error(code);
  return code == 0 ? nullptr : engine_event(handle_of(self), ev, as_engine(self)->chunks);
}

PyObject* events(PyObject* self, PyObject*) { return Py_NewRef(self); }

// ---- bytes out ----

// All of it in one bytes object, which is what transports take.
PyObject* output(PyObject* self, PyObject*) {
  ws_engine* e = handle_of(self);
  std::array<ws_slice, 16> slices;
  size_t n = ws_engine_output(e, slices.data(), slices.size());
  const uint64_t total = n == 0 ? 0 : ws_engine_buffered(e);
  if (total > static_cast<uint64_t>(PY_SSIZE_T_MAX)) return PyErr_NoMemory();
  PyObject* bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(total));
  if (bytes == nullptr) return nullptr;
  char* to = PyBytes_AS_STRING(bytes);
  while (n != 0) {
    size_t copied = 0;
    for (size_t i = 0; i < n; ++i) {
      memcpy(to + copied, slices[i].data, slices[i].len);
      copied += slices[i].len;
    }
    to += copied;
    ws_engine_sent(e, copied);
    n = ws_engine_output(e, slices.data(), slices.size());
  }
  return bytes;
}

// ---- answering a request ----

// Null with an exception set when nothing waits for an answer.
ws_request* pending(PyObject* self) {
  ws_request* request = ws_engine_request(handle_of(self));
  if (request == nullptr) set_error(WS_ERR_STATE, "no request waits for an answer");
  return request;
}

PyObject* accept(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"subprotocol", "headers", "deflate", nullptr};
  ws_accept how;
  WS_INIT(&how);
  PyObject* headers = nullptr;
  const char* deflate = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|zOz:accept", const_cast<char**>(keywords),
                                   &how.subprotocol, &headers, &deflate)) {
    return nullptr;
  }
  Fields fields;
  if (!fields.read(headers, ValuesAs::kLatin1) || !read_deflate(deflate, &how.deflate))
    return nullptr;
  how.headers = fields.data();
  how.header_count = fields.size();
  ws_request* request = pending(self);
  return request != nullptr ? done(ws_request_accept(request, &how)) : nullptr;
}

PyObject* respond(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"status", "headers", "body", nullptr};
  int status = 0;
  PyObject *headers = nullptr, *body = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, names, "i|OO:respond", const_cast<char**>(keywords),
                                   &status, &headers, &body)) {
    return nullptr;
  }
  Fields fields;
  Payload payload;
  if (!fields.read(headers, ValuesAs::kLatin1) || (body != nullptr && !payload.read(body)))
    return nullptr;
  ws_request* request = pending(self);
  if (request == nullptr) return nullptr;
  return done(ws_request_respond(request, status, fields.data(), fields.size(), payload.data(),
                                 payload.size()));
}

// ---- sending ----

PyObject* send(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* message = nullptr;
  SendOptions options;
  if (!parse_send(args, count, names, &message, &options)) return nullptr;
  if (ws_message* prepared = message_handle(message); prepared != nullptr) {
    return sent(ws_engine_send_message(handle_of(self), prepared));
  }
  Payload payload;
  if (!payload.read(message)) return nullptr;
  const bool text = options.text < 0 ? payload.is_text() : options.text == 1;
  // Python made this UTF-8.  Short text is checked all the same: a send without flags is the
  // library's fast path.
  constexpr size_t kWorthSkipping = 1024;
  if (payload.is_text() && payload.size() >= kWorthSkipping) options.flags |= WS_SEND_NO_UTF8_CHECK;
  return sent(ws_engine_send(handle_of(self), text ? WS_OP_TEXT : WS_OP_BINARY, payload.data(),
                             payload.size(), options.flags));
}

PyObject* begin_parts(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"compress", nullptr};
  PyObject* compress = nullptr;
  uint32_t flags = 0;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|O:begin_parts", const_cast<char**>(keywords),
                                   &compress) ||
      !parse_compress(compress, &flags)) {
    return nullptr;
  }
  return done(ws_engine_begin_parts(handle_of(self), flags));
}

PyObject* send_part(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"data", "opcode", "last", nullptr};
  PyObject* data = nullptr;
  int opcode = 0, last = 0;
  if (!PyArg_ParseTupleAndKeywords(args, names, "Oip:send_part", const_cast<char**>(keywords),
                                   &data, &opcode, &last)) {
    return nullptr;
  }
  Payload payload;
  if (!payload.read(data)) return nullptr;
  return sent(ws_engine_send_part(handle_of(self), static_cast<ws_opcode>(opcode), payload.data(),
                                  payload.size(), last));
}

template <int (*Call)(ws_engine*, const void*, size_t)>
PyObject* control(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"data", nullptr};
  PyObject* data = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|O", const_cast<char**>(keywords), &data)) {
    return nullptr;
  }
  Payload payload;
  if (data != nullptr && !payload.read(data)) return nullptr;
  return done(Call(handle_of(self), payload.data(), payload.size()));
}

PyObject* close(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"code", "reason", nullptr};
  int code = 1000;
  const char* reason = "";
  if (!PyArg_ParseTupleAndKeywords(args, names, "|is:close", const_cast<char**>(keywords), &code,
                                   &reason)) {
    return nullptr;
  }
  if (code < 0 || code > UINT16_MAX) {
    return set_error(WS_ERR_INVALID, "close: a code is 0 to 65535");
  }
  return done(ws_engine_close(handle_of(self), static_cast<uint16_t>(code), reason));
}

// ---- looking ----

PyObject* response_header(PyObject* self, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  if (text == nullptr) return nullptr;
  size_t len = 0;
  const char* value = ws_engine_response_header(handle_of(self), text, &len);
  if (value == nullptr) return none();
  return PyUnicode_DecodeLatin1(value, static_cast<Py_ssize_t>(len), nullptr);
}

PyObject* deflate(PyObject* self, PyObject*) {
  ws_deflate_info info;
  WS_INIT(&info);
  if (int code = ws_engine_get_deflate(handle_of(self), &info); code < 0) return set_error(code);
  return deflate_dict(info);
}

PyObject* get_deadline(PyObject* self, void*) {
  const uint64_t at = ws_engine_deadline(handle_of(self));
  return at == UINT64_MAX ? none() : PyLong_FromUnsignedLongLong(at);
}

template <uint32_t Flag>
PyObject* get_want(PyObject* self, void*) {
  return PyBool_FromLong((ws_engine_want(handle_of(self)) & Flag) != 0);
}

PyObject* get_buffered(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(ws_engine_buffered(handle_of(self)));
}

PyObject* get_subprotocol(PyObject* self, void*) {
  const char* name = ws_engine_subprotocol(handle_of(self));
  return *name != '\0' ? PyUnicode_FromString(name) : none();
}

PyObject* get_response_body(PyObject* self, void*) {
  const ws_slice body = ws_engine_response_body(handle_of(self));
  return PyBytes_FromStringAndSize(static_cast<const char*>(body.data),
                                   static_cast<Py_ssize_t>(body.len));
}

// ---- the type ----

constexpr int kNamed = METH_VARARGS | METH_KEYWORDS;

PyMethodDef methods[] = {
    {"server", method(server), kNamed | METH_CLASS,
     "server(config=None, *, chunks=False)\n--\n\n"
     "The server's side of a connection.  Errors: Error (ERR_INVALID)."},
    {"client", method(client), kNamed | METH_CLASS,
     "client(host, target='/', *, headers=(), subprotocols=(), config=None, chunks=False)\n--\n\n"
     "The client's side; its request is in output() at once.  Errors: Error (ERR_INVALID)."},
    {"feed", feed, METH_O,
     "feed($self, data, /)\n--\n\n"
     "Give it bytes from the peer; all are taken.  Errors: ERR_STATE (events are left)."},
    {"eof", eof, METH_NOARGS, "eof($self)\n--\n\nThe peer will send no more."},
    {"tick", tick, METH_O,
     "tick($self, now_ms, /)\n--\n\n"
     "Tell it the time, in ms of a monotonic clock, and let due timeouts act."},
    {"events", events, METH_NOARGS,
     "events($self)\n--\n\nIterate over what happened, taking it; ends when nothing is left."},
    {"output", output, METH_NOARGS,
     "output($self)\n--\n\nTake all that must be written; b\"\" when there is nothing."},
    {"accept", method(accept), kNamed,
     "accept($self, subprotocol=None, headers=(), deflate=None)\n--\n\n"
     "Finish the upgrade.  Errors: ERR_STATE, ERR_INVALID."},
    {"respond", method(respond), kNamed,
     "respond($self, status, headers=(), body=b'')\n--\n\n"
     "Send an HTTP response instead, and close.  Errors: ERR_STATE, ERR_INVALID, ERR_TOO_BIG."},
    {"send", method(send), METH_FASTCALL | METH_KEYWORDS,
     "send($self, message, text=None, *, compress=None)\n--\n\n"
     "Queue a message.  True: more than send_high_bytes is queued.\n"
     "Errors: ERR_CLOSED, ERR_FULL, ERR_STATE, ERR_UTF8."},
    {"begin_parts", method(begin_parts), kNamed,
     "begin_parts($self, compress=None)\n--\n\n"
     "How the message that the next send_part begins is compressed."},
    {"send_part", method(send_part), kNamed,
     "send_part($self, data, opcode, last)\n--\n\n"
     "Queue one piece of a message of unknown length.  Returns and errors: as send."},
    {"ping", method(control<ws_engine_ping>), kNamed,
     "ping($self, data=b'')\n--\n\nQueue a ping of at most 125 bytes."},
    {"pong", method(control<ws_engine_pong>), kNamed,
     "pong($self, data=b'')\n--\n\nQueue a pong of at most 125 bytes."},
    {"close", method(close), kNamed,
     "close($self, code=1000, reason='')\n--\n\n"
     "Begin the closing handshake; code 0: without a code.  Errors: ERR_CLOSED, ERR_INVALID."},
    {"response_header", response_header, METH_O,
     "response_header($self, name, /)\n--\n\n"
     "A field of the response that a client received, or None; repeated ones are joined."},
    {"deflate", deflate, METH_NOARGS,
     "deflate($self)\n--\n\nThe compression agreed on and what it has brought."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"deadline", get_deadline, nullptr, "When to tick at the latest, in ms; None: never.", nullptr},
    {"want_read", get_want<WS_WANT_READ>, nullptr, "Go on reading.", nullptr},
    {"want_write", get_want<WS_WANT_WRITE>, nullptr, "output() has something.", nullptr},
    {"want_eof", get_want<WS_WANT_EOF>, nullptr,
     "All is written: shut down the writing side, go on reading.", nullptr},
    {"want_close", get_want<WS_WANT_CLOSE>, nullptr, "Close the transport.", nullptr},
    {"buffered", get_buffered, nullptr, "Bytes that output() would give.", nullptr},
    {"subprotocol", get_subprotocol, nullptr, "The one agreed on, or None.", nullptr},
    {"response_body", get_response_body, nullptr,
     "Body of the response that refused the handshake, at most 64 KiB.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(
                    "ws_engine: the protocol without I/O.  See libws.core for how to drive it.")},
    {Py_tp_dealloc, slot(engine_dealloc)},
    {Py_tp_iter, slot(PyObject_SelfIter)},
    {Py_tp_iternext, slot(next)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr}};

PyType_Spec spec = {
    "libws._core.Engine", sizeof(Engine), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

bool bind_engine(PyObject* module) {
  if (!bind_engine_events(module)) return false;
  PyObject* type = PyType_FromSpec(&spec);
  return type != nullptr && PyModule_AddObject(module, "Engine", type) == 0;
}

}  // namespace pyws
