// The event types, and from a ws_event to one of them.
#include "engine_event.hpp"

#include <string_view>

namespace pyws {
namespace {

struct Types {
  PyTypeObject* request;
  PyTypeObject* open;
  PyTypeObject* message;
  PyTypeObject* ping;
  PyTypeObject* pong;
  PyTypeObject* closed;
};
Types types;  // set once, when the module is made

PyStructSequence_Field request_fields[] = {
    {"is_upgrade", "True: a WebSocket handshake; False: plain HTTP, which can only be answered"},
    {"method", "\"GET\" or \"HEAD\""},
    {"target", "the path as sent, with the query"},
    {"headers", "list of (name, value), as received"},
    {"subprotocols", "what the client offers, in its order of preference"},
    {nullptr, nullptr}};
PyStructSequence_Desc request_desc = {
    "libws._core.RequestEvent",
    "A server received a request: answer it with Engine.accept or Engine.respond.", request_fields,
    5};

PyStructSequence_Field open_fields[] = {{"subprotocol", "the one agreed on, or None"},
                                        {nullptr, nullptr}};
PyStructSequence_Desc open_desc = {"libws._core.OpenEvent", "The handshake is done.", open_fields,
                                   1};

PyStructSequence_Field message_fields[] = {
    {"data", "str for text, bytes for binary; parts are always bytes"},
    {"opcode", "OP_TEXT or OP_BINARY"},
    {"first", "True: the message begins here; whole messages always"},
    {"last", "True: the message ends here; whole messages always"},
    {nullptr, nullptr}};
PyStructSequence_Desc message_desc = {
    "libws._core.MessageEvent", "A message, or with chunks=True a part of one.", message_fields, 4};

PyStructSequence_Field control_fields[] = {{"data", "bytes, at most 125"}, {nullptr, nullptr}};
PyStructSequence_Desc ping_desc = {
    "libws._core.PingEvent", "A ping; its pong is queued unless no_auto_pong.", control_fields, 1};
PyStructSequence_Desc pong_desc = {"libws._core.PongEvent", "A pong, other than of keepalive.",
                                   control_fields, 1};

PyStructSequence_Field closed_fields[] = {
    {"code", "received; 1005: a Close without one; 1006: no Close frame"},
    {"sent_code", "sent; 1005: a Close without one; 0: none"},
    {"reason", "the peer's"},
    {"error", "0 after a clean close, else one of ERR_*"},
    {"clean", "True: Close frames went both ways"},
    {"by_peer", "True: the peer's Close, or the end of its stream, came first"},
    {"detail", "for logs"},
    {"http_status", "what refused the handshake, or 0"},
    {nullptr, nullptr}};
PyStructSequence_Desc closed_desc = {
    "libws._core.ClosedEvent", "The connection has ended, or was never opened.  The last event.",
    closed_fields, 8};

PyObject* to_bool(bool value) { return PyBool_FromLong(value ? 1 : 0); }

PyObject* to_bytes(const ws_event& ev) {
  return PyBytes_FromStringAndSize(static_cast<const char*>(ev.data),
                                   static_cast<Py_ssize_t>(ev.len));
}

// Header fields may hold any byte from 0x80 up (RFC 9110 5.5): Latin-1 keeps each as it is.
PyObject* to_latin1(std::string_view text) {
  return PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
}

// An event of these items, whose references it takes.  One may be null, with an exception set.
template <class... Items>
PyObject* make(PyTypeObject* type, Items... items) {
  Ref owned[] = {Ref(items)...};
  for (const Ref& item : owned) {
    if (!item) return nullptr;
  }
  PyObject* event = PyStructSequence_New(type);
  if (event == nullptr) return nullptr;
  Py_ssize_t i = 0;
  for (Ref& item : owned) PyStructSequence_SetItem(event, i++, item.release());
  return event;
}

PyObject* headers_of(const ws_request* request) {
  Ref headers(PyList_New(0));
  if (!headers) return nullptr;
  ws_header field;
  for (size_t i = 0; ws_request_header_at(request, i, &field) == 1; ++i) {
    const Ref name(to_latin1(field.name));
    const Ref value(to_latin1(field.value));
    if (!name || !value) return nullptr;
    const Ref pair(PyTuple_Pack(2, name.get(), value.get()));
    if (!pair || PyList_Append(headers.get(), pair.get()) < 0) return nullptr;
  }
  return headers.release();
}

PyObject* subprotocols_of(const ws_request* request) {
  Ref names(PyList_New(0));
  if (!names) return nullptr;
  for (size_t i = 0; const char* each = ws_request_subprotocol(request, i); ++i) {
    const Ref name(to_latin1(each));
    if (!name || PyList_Append(names.get(), name.get()) < 0) return nullptr;
  }
  return names.release();
}

PyObject* target_of(const ws_request* request) {
  Ref path(to_latin1(ws_request_path(request)));
  const char* query = ws_request_query(request);
  if (!path || *query == '\0') return path.release();
  const Ref decoded(to_latin1(query));
  return decoded ? PyUnicode_FromFormat("%U?%U", path.get(), decoded.get()) : nullptr;
}

PyObject* request_event(ws_engine* e) {
  // Making objects may run finalizers, and those may take the request away from the engine.
  ws_request* request = ws_request_ref(ws_engine_request(e));
  PyObject* event = make(types.request, to_bool(ws_request_is_upgrade(request) != 0),
                         to_latin1(ws_request_method(request)), target_of(request),
                         headers_of(request), subprotocols_of(request));
  ws_request_unref(request);
  return event;
}

PyObject* open_event(const ws_engine* e) {
  const std::string_view name = ws_engine_subprotocol(e);
  return make(types.open, name.empty() ? none() : to_latin1(name));
}

PyObject* message_event(const ws_event& ev, bool chunks) {
  PyObject* data = ev.op == WS_OP_TEXT && !chunks
                       ? PyUnicode_DecodeUTF8(static_cast<const char*>(ev.data),
                                              static_cast<Py_ssize_t>(ev.len), nullptr)
                       : to_bytes(ev);
  return make(types.message, data, PyLong_FromLong(ev.op), to_bool((ev.flags & WS_PART_FIRST) != 0),
              to_bool((ev.flags & WS_PART_LAST) != 0));
}

PyObject* closed_event(const ws_close_info& how) {
  PyObject* reason =
      PyUnicode_DecodeUTF8(how.reason, static_cast<Py_ssize_t>(how.reason_len), nullptr);
  return make(types.closed, PyLong_FromLong(how.code), PyLong_FromLong(how.sent_code), reason,
              PyLong_FromLong(how.error), to_bool((how.flags & WS_CLOSE_CLEAN) != 0),
              to_bool((how.flags & WS_CLOSE_BY_PEER) != 0), to_latin1(how.detail),
              PyLong_FromLong(how.http_status));
}

bool add_event(PyObject* module, const char* name, PyStructSequence_Desc& desc,
               PyTypeObject*& type) {
  type = PyStructSequence_NewType(&desc);
  if (type == nullptr) return false;
  Py_INCREF(object(type));  // ours
  return PyModule_AddObject(module, name, object(type)) == 0;
}

}  // namespace

bool bind_engine_events(PyObject* module) {
  return add_event(module, "RequestEvent", request_desc, types.request) &&
         add_event(module, "OpenEvent", open_desc, types.open) &&
         add_event(module, "MessageEvent", message_desc, types.message) &&
         add_event(module, "PingEvent", ping_desc, types.ping) &&
         add_event(module, "PongEvent", pong_desc, types.pong) &&
         add_event(module, "ClosedEvent", closed_desc, types.closed);
}

PyObject* engine_event(ws_engine* e, const ws_event& ev, bool chunks) {
  switch (ev.type) {
    case WS_EV_REQUEST: return request_event(e);
    case WS_EV_OPEN: return open_event(e);
    case WS_EV_MESSAGE: return message_event(ev, chunks);
    case WS_EV_PING: return make(types.ping, to_bytes(ev));
    case WS_EV_PONG: return make(types.pong, to_bytes(ev));
    case WS_EV_CLOSED: return closed_event(*ev.close);
  }
  PyErr_SetString(PyExc_SystemError, "libws reported an event that this module does not know");
  return nullptr;
}

}  // namespace pyws
