// ws_conn_config from keyword arguments.
#pragma once

#include "python.hpp"

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

// "off", "shared", "dedicated" or None.  Throws ValueError.
ws_deflate deflate_mode(const char* name, py::handle given);

// Header fields for a call of the library; the strings live as long as this does.
class HeaderPairs {
 public:
  explicit HeaderPairs(const py::object& pairs);
  const ws_header* data() const { return headers_.data(); }
  size_t size() const { return headers_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<ws_header> headers_;
};

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
