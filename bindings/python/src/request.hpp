// A request that a server received, and its one answer.
#pragma once

#include "config.hpp"

#include <pybind11/stl.h>

#include <optional>

namespace pyws {

class Request {
 public:
  Request(ws_request* borrowed, const Config& config);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  ws_request* handle() const { return handle_; }
  void accept(const py::object& connection, const std::optional<std::string>& subprotocol,
              const py::object& headers, const std::optional<std::string>& deflate);
  void respond(int status, const py::object& headers, const py::bytes& body);

 private:
  ws_request* handle_;
  uint64_t send_high_;
  bool answered_ = false;
};

void bind_request(py::module_& m);

// The high mark that a configuration means.
uint64_t send_high_of(const ws_conn_config& config);

}  // namespace pyws
