// From Python arguments to what the C calls take, and back.  Each `read` returns false with an
// exception set.
#pragma once

#include "python.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pyws {

// The bytes of a str (as UTF-8), or of an object with the buffer protocol; borrowed while it lives.
class Payload {
 public:
  Payload() { view_.obj = nullptr; }
  ~Payload() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;

  bool read(PyObject* object);
  const void* data() const { return data_; }
  size_t size() const { return size_; }
  bool is_text() const { return is_text_; }

 private:
  Py_buffer view_;
  const void* data_ = nullptr;
  size_t size_ = 0;
  bool is_text_ = false;
};

// Strings that outlive the call, without a NUL inside.
class Strings {
 public:
  bool add(PyObject* text, const char* what, PyObject* (*encode)(PyObject*));
  const char* at(size_t i) const { return all_[i].c_str(); }
  size_t size() const { return all_.size(); }

 private:
  std::vector<std::string> all_;
};

// How the values of header fields are written: programs write text, gateways pass bytes on.
enum class ValuesAs { kUtf8, kLatin1 };

// Header fields: an iterable of (name, value), or null for none.
class Fields {
 public:
  bool read(PyObject* pairs, ValuesAs values);
  const ws_header* data() const { return fields_.data(); }
  size_t size() const { return fields_.size(); }

 private:
  Strings strings_;
  std::vector<ws_header> fields_;
};

// Subprotocols: an iterable of str, or null for none.
class Names {
 public:
  bool read(PyObject* names);
  const char* const* data() const { return names_.data(); }
  size_t size() const { return names_.size(); }

 private:
  Strings strings_;
  std::vector<const char*> names_;
};

// What was agreed on about compression, by the names of the members; flags one by one.
PyObject* deflate_dict(const ws_deflate_info& info);

// null, "off", "shared" or "dedicated".
bool read_deflate(const char* name, ws_deflate* out);

}  // namespace pyws
