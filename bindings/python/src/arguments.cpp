// From Python arguments to what the C calls take, and back.
#include "arguments.hpp"

#include <cstring>

namespace pyws {

bool Payload::read(PyObject* object) {
  if (PyUnicode_Check(object)) {
    Py_ssize_t len = 0;
    data_ = PyUnicode_AsUTF8AndSize(object, &len);
    size_ = static_cast<size_t>(len);
    is_text_ = true;
    return data_ != nullptr;
  }
  if (PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) < 0) {
    view_.obj = nullptr;
    return false;
  }
  data_ = view_.buf;
  size_ = static_cast<size_t>(view_.len);
  return true;
}

bool Strings::add(PyObject* text, const char* what, PyObject* (*encode)(PyObject*)) {
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "%s must be str, not %.200s", what, Py_TYPE(text)->tp_name);
    return false;
  }
  const Ref encoded(encode(text));
  if (!encoded) return false;
  const char* bytes = PyBytes_AS_STRING(encoded.get());
  const auto len = static_cast<size_t>(PyBytes_GET_SIZE(encoded.get()));
  if (memchr(bytes, '\0', len) != nullptr) {
    PyErr_Format(PyExc_ValueError, "%s holds a NUL", what);
    return false;
  }
  all_.emplace_back(bytes, len);
  return true;
}

bool Fields::read(PyObject* pairs, ValuesAs values) {
  if (pairs == nullptr) return true;
  const auto encode =
      values == ValuesAs::kLatin1 ? PyUnicode_AsLatin1String : PyUnicode_AsUTF8String;
  const Ref iterator(PyObject_GetIter(pairs));
  if (!iterator) return false;
  while (const Ref pair{PyIter_Next(iterator.get())}) {
    const Ref both(PySequence_Fast(pair.get(), "a header must be a pair (name, value)"));
    if (!both) return false;
    if (PySequence_Fast_GET_SIZE(both.get()) != 2) {
      PyErr_SetString(PyExc_ValueError, "a header must be a pair (name, value)");
      return false;
    }
    // Header fields may hold any byte from 0x80 up (RFC 9110 5.5).
    if (!strings_.add(PySequence_Fast_GET_ITEM(both.get(), 0), "a header's name",
                      PyUnicode_AsASCIIString) ||
        !strings_.add(PySequence_Fast_GET_ITEM(both.get(), 1), "a header's value", encode)) {
      return false;
    }
  }
  for (size_t i = 0; i < strings_.size(); i += 2) {
    fields_.push_back({strings_.at(i), strings_.at(i + 1)});
  }
  return PyErr_Occurred() == nullptr;
}

bool Names::read(PyObject* names) {
  if (names == nullptr) return true;
  if (PyUnicode_Check(names)) {
    PyErr_SetString(PyExc_TypeError, "subprotocols must be a sequence of str, not one str");
    return false;
  }
  const Ref iterator(PyObject_GetIter(names));
  if (!iterator) return false;
  while (const Ref name{PyIter_Next(iterator.get())}) {
    if (!strings_.add(name.get(), "a subprotocol", PyUnicode_AsASCIIString)) return false;
  }
  for (size_t i = 0; i < strings_.size(); ++i) names_.push_back(strings_.at(i));
  return PyErr_Occurred() == nullptr;
}

PyObject* deflate_dict(const ws_deflate_info& info) {
  const auto has = [&info](uint32_t flag) { return (info.flags & flag) != 0 ? Py_True : Py_False; };
  return Py_BuildValue("{sO sO sO sI sI sK sK sK sK sK}", "agreed", has(WS_DEFLATE_AGREED),
                       "send_takeover", has(WS_DEFLATE_SEND_TAKEOVER), "recv_takeover",
                       has(WS_DEFLATE_RECV_TAKEOVER), "send_window_bits", info.send_window_bits,
                       "recv_window_bits", info.recv_window_bits, "sent_plain_bytes",
                       info.sent_plain_bytes, "sent_wire_bytes", info.sent_wire_bytes,
                       "received_plain_bytes", info.received_plain_bytes, "received_wire_bytes",
                       info.received_wire_bytes, "context_bytes", info.context_bytes);
}

bool read_deflate(const char* name, ws_deflate* out) {
  if (name == nullptr) return true;
  if (strcmp(name, "off") == 0) {
    *out = WS_DEFLATE_OFF;
  } else if (strcmp(name, "shared") == 0) {
    *out = WS_DEFLATE_SHARED;
  } else if (strcmp(name, "dedicated") == 0) {
    *out = WS_DEFLATE_DEDICATED;
  } else {
    PyErr_Format(PyExc_ValueError, "deflate: '%.100s' is not off, shared or dedicated", name);
    return false;
  }
  return true;
}

}  // namespace pyws
