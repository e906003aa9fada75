// The Python object of a ws_tls.
#pragma once

#include "pybind.hpp"

namespace pyws {

class Tls {
 public:
  explicit Tls(ws_tls* stolen) : handle_(stolen) {}
  ~Tls() { ws_tls_unref(handle_); }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ws_tls* handle() const { return handle_; }

 private:
  ws_tls* handle_;
};

inline ws_tls* handle_of(const Tls* tls) { return tls == nullptr ? nullptr : tls->handle(); }

void bind_tls(py::module_& m);

}  // namespace pyws
