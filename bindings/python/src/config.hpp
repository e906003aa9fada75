// ws_conn_config from keyword arguments.
#pragma once

#include "arguments.hpp"
#include "pybind.hpp"

#include <cstring>
#include <string>
#include <vector>

namespace pyws {

struct Config {
  ws_conn_config value;
};

// Null with a TypeError when it is no Config.  Borrowed.
const ws_conn_config* config_of(PyObject* config);

void bind_config(py::module_& m);

// Header fields for a call of the library.
inline Fields header_fields(const py::object& pairs) {
  Fields fields;
  if (!fields.read(pairs.ptr(), ValuesAs::kUtf8)) throw py::error_already_set();
  return fields;
}

// What an iterator function of the library gives, as pairs of str (ISO 8859-1 where not UTF-8).
template <typename HeaderAt>
py::list header_list(HeaderAt at) {
  py::list all;
  ws_header field;
  for (size_t i = 0; at(i, &field) == 1; ++i) {
    py::object value = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(field.value, static_cast<Py_ssize_t>(strlen(field.value)), nullptr));
    if (!value) {
      PyErr_Clear();
      value = py::reinterpret_steal<py::object>(PyUnicode_DecodeLatin1(
          field.value, static_cast<Py_ssize_t>(strlen(field.value)), nullptr));
    }
    if (!value) throw py::error_already_set();
    all.append(py::make_tuple(py::str(field.name), value));
  }
  return all;
}

}  // namespace pyws
