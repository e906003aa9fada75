// What can be sent, and sending it.
#include "errors.hpp"
#include "message.hpp"
#include "send.hpp"

namespace pyws {
namespace {

PyObject* const* find_keyword(PyObject* const* args, Py_ssize_t count, PyObject* keywords,
                              const char* name) {
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < named; ++i)
    if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, i), name) == 0)
      return args + count + i;
  return nullptr;
}

// A lone surrogate cannot be sent: that raises UnicodeEncodeError.
int queue_text(Connection* c, PyObject* message, const SendOptions& options) {
  Py_ssize_t len = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(message, &len);
  if (utf8 == nullptr) return kRaised;
  const ws_opcode op = options.text == 0 ? WS_OP_BINARY : WS_OP_TEXT;
  return ws_conn_send(c->handle, op, utf8, static_cast<size_t>(len),
                      options.flags | WS_SEND_NO_UTF8_CHECK);
}

int queue_bytes(Connection* c, const void* data, Py_ssize_t len, const SendOptions& options) {
  const ws_opcode op = options.text == 1 ? WS_OP_TEXT : WS_OP_BINARY;
  return ws_conn_send(c->handle, op, data, static_cast<size_t>(len), options.flags);
}

int queue_buffer(Connection* c, PyObject* message, const SendOptions& options) {
  Py_buffer view;
  if (PyObject_GetBuffer(message, &view, PyBUF_SIMPLE) < 0) return kRaised;
  const int sent = queue_bytes(c, view.buf, view.len, options);
  PyBuffer_Release(&view);
  return sent;
}

// Prepared messages are for the end of a turn (message.cpp), because most are for many.
int queue_prepared(Connection* c, ws_message* message) {
  const int sent = ws_conn_send_message(c->handle, message);
  if (sent >= 0 && !c->loop->in_turn) ws_conn_flush(c->handle);
  return sent;
}

int queue_any(Connection* c, PyObject* message, const SendOptions& options) {
  if (PyUnicode_Check(message)) return queue_text(c, message, options);
  if (PyBytes_Check(message))
    return queue_bytes(c, PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), options);
  if (ws_message* prepared = message_handle(message); prepared != nullptr)
    return queue_prepared(c, prepared);
  return queue_buffer(c, message, options);
}

}  // namespace

bool parse_compress(PyObject* compress, uint32_t* flags) {
  *flags = 0;
  if (compress == nullptr || compress == Py_None) return true;
  if (compress == Py_True || compress == Py_False) {
    *flags = compress == Py_True ? WS_SEND_DEFLATE : WS_SEND_NO_DEFLATE;
    return true;
  }
  const long level = PyLong_Check(compress) ? PyLong_AsLong(compress) : -1;
  if (level < 1 || level > 9) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "compress: %R; a bool or a level from 1 to 9", compress);
    return false;
  }
  *flags = WS_SEND_DEFLATE | WS_SEND_LEVEL(level);
  return true;
}

PyObject* compress_of(uint32_t flags) {
  if (flags >> 8 != 0) return PyLong_FromUnsignedLong(flags >> 8);
  PyObject* said = flags == 0 ? Py_None : (flags & WS_SEND_DEFLATE) != 0 ? Py_True : Py_False;
  Py_INCREF(said);
  return said;
}

bool parse_send(PyObject* const* args, Py_ssize_t count, PyObject* keywords, PyObject** message,
                SendOptions* options) {
  *options = {-1, 0};
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  if (count == 1 && named == 0) {
    *message = args[0];
    return true;
  }
  PyObject* const* first = count > 0 ? args : find_keyword(args, count, keywords, "message");
  PyObject* const* text = count > 1 ? args + 1 : find_keyword(args, count, keywords, "text");
  PyObject* const* compress = find_keyword(args, count, keywords, "compress");
  const int known = (first != nullptr) + (text != nullptr) + (compress != nullptr);
  if (first == nullptr || known != count + named) {
    PyErr_SetString(PyExc_TypeError, "the arguments are (message, text=None, *, compress=None)");
    return false;
  }
  *message = *first;
  if (text != nullptr && *text != Py_None) {
    options->text = PyObject_IsTrue(*text);
    if (options->text < 0) return false;
  }
  return parse_compress(compress == nullptr ? nullptr : *compress, &options->flags);
}

bool is_data(PyObject* message) {
  return PyUnicode_Check(message) || PyObject_CheckBuffer(message);
}

int queue_message(Connection* c, PyObject* message, const SendOptions& options) {
  if (c->state != kOpen) return WS_ERR_CLOSED;
  return queue_any(c, message, options);
}

PyObject* set_send_error(Connection* c, int code) {
  if (code == kRaised) return nullptr;
  return code == WS_ERR_CLOSED ? connection_set_closed_error(c) : set_error(code);
}

}  // namespace pyws
