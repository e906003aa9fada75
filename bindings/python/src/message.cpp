#include "message.hpp"

#include "errors.hpp"
#include "send.hpp"

namespace pyws {
namespace {

struct Message {
  PyObject_HEAD ws_message* handle;
};

extern PyTypeObject message_type;

Message* as_message(PyObject* self) { return reinterpret_cast<Message*>(self); }

ws_message* make(PyObject* data, int text) {
  ws_message* made = nullptr;
  int rc = 0;
  if (PyUnicode_Check(data)) {
    Py_ssize_t len = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(data, &len);
    if (utf8 == nullptr) return nullptr;
    rc = ws_message_new(text == 0 ? WS_OP_BINARY : WS_OP_TEXT, utf8, static_cast<size_t>(len),
                        &made);
  } else {
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return nullptr;
    rc = ws_message_new(text == 1 ? WS_OP_TEXT : WS_OP_BINARY, view.buf,
                        static_cast<size_t>(view.len), &made);
    PyBuffer_Release(&view);
  }
  if (rc < 0) set_error(rc);
  return made;
}

PyObject* message_new(PyTypeObject*, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"data", "text", "compress", nullptr};
  PyObject* data = nullptr;
  PyObject* text = Py_None;
  PyObject* compress = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, names, "O|$OO:Message", const_cast<char**>(keywords),
                                   &data, &text, &compress))
    return nullptr;
  const int as_text = text == Py_None ? -1 : PyObject_IsTrue(text);
  uint32_t flags = 0;
  if ((as_text < 0 && text != Py_None) || !parse_compress(compress, &flags)) return nullptr;
  ws_message* made = make(data, as_text);
  if (made == nullptr) return nullptr;
  const int set = ws_message_set_flags(made, flags | WS_SEND_LATER);
  if (set < 0) {
    ws_message_unref(made);
    return set_error(set);
  }
  return message_adopt(made);
}

void message_dealloc(PyObject* self) {
  ws_message_unref(as_message(self)->handle);
  PyObject_Free(self);
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const ws_slice payload = ws_message_data(as_message(self)->handle);
  static char nothing;
  void* data = payload.len == 0 ? &nothing : const_cast<void*>(payload.data);
  return PyBuffer_FillInfo(view, self, data, static_cast<Py_ssize_t>(payload.len), 1, flags);
}

Py_ssize_t length(PyObject* self) {
  return static_cast<Py_ssize_t>(ws_message_data(as_message(self)->handle).len);
}

PyObject* to_bytes(PyObject* self, PyObject*) {
  const ws_slice payload = ws_message_data(as_message(self)->handle);
  return PyBytes_FromStringAndSize(static_cast<const char*>(payload.data),
                                   static_cast<Py_ssize_t>(payload.len));
}

PyObject* to_str(PyObject* self) {
  const ws_slice payload = ws_message_data(as_message(self)->handle);
  return PyUnicode_DecodeUTF8(static_cast<const char*>(payload.data),
                              static_cast<Py_ssize_t>(payload.len), nullptr);
}

PyObject* to_repr(PyObject* self) {
  const bool text = ws_message_opcode(as_message(self)->handle) == WS_OP_TEXT;
  return PyUnicode_FromFormat("<Message of %zd bytes of %s>", length(self),
                              text ? "text" : "binary data");
}

PyObject* get_opcode(PyObject* self, void*) {
  return PyLong_FromLong(ws_message_opcode(as_message(self)->handle));
}

PyMethodDef methods[] = {
    {"__bytes__", to_bytes, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef attributes[] = {
    {"opcode", get_opcode, nullptr, "OP_TEXT or OP_BINARY.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PySequenceMethods sequence = [] {
  PySequenceMethods s = {};
  s.sq_length = length;
  return s;
}();
PyBufferProcs buffer = {get_buffer, nullptr};

PyTypeObject message_type = [] {
  PyTypeObject t = blank_type();
  t.tp_name = "libws._core.Message";
  t.tp_doc = "An immutable message that many connections can send (ws_message).";
  t.tp_basicsize = sizeof(Message);
  t.tp_flags = Py_TPFLAGS_DEFAULT;
  t.tp_new = message_new;
  t.tp_dealloc = message_dealloc;
  t.tp_as_buffer = &buffer;
  t.tp_as_sequence = &sequence;
  t.tp_str = to_str;
  t.tp_repr = to_repr;
  t.tp_methods = methods;
  t.tp_getset = attributes;
  return t;
}();

}  // namespace

bool bind_message(PyObject* module) { return add_type(module, "Message", &message_type); }

PyObject* message_adopt(ws_message* message) {
  Message* made = PyObject_New(Message, &message_type);
  if (made == nullptr)
    ws_message_unref(message);
  else
    made->handle = message;
  return object(made);
}

ws_message* message_handle(PyObject* object) {
  return Py_TYPE(object) == &message_type ? as_message(object)->handle : nullptr;
}

}  // namespace pyws
