#include "request.hpp"

#include "config.hpp"
#include "connection.hpp"
#include "errors.hpp"

namespace pyws {
namespace {

std::string target(const Request& request) {
  const std::string path = ws_request_path(request.handle());
  const std::string query = ws_request_query(request.handle());
  return query.empty() ? path : path + "?" + query;
}

Connection* connection_of(const py::object& given) {
  if (!PyObject_TypeCheck(given.ptr(), &connection_type))
    throw py::type_error("accept() takes a Connection");
  return reinterpret_cast<Connection*>(given.ptr());
}

}  // namespace

Request::Request(ws_request* borrowed, const Config& config)
    : handle_(ws_request_ref(borrowed)), send_high_(send_high_of(config.value)) {}

// Forgotten: the peer must not wait for the timeout.
Request::~Request() {
  if (!answered_) ws_request_respond(handle_, 500, nullptr, 0, nullptr, 0);
  ws_request_unref(handle_);
}

void Request::accept(const py::object& connection, const std::optional<std::string>& subprotocol,
                     const py::object& headers, const std::optional<std::string>& deflate) {
  Connection* c = connection_of(connection);
  if (!connection_is_new(c)) throw py::error_already_set();
  const Fields fields = header_fields(headers);
  ws_accept how;
  WS_INIT(&how);
  how.subprotocol = subprotocol ? subprotocol->c_str() : nullptr;
  how.headers = fields.data();
  how.header_count = fields.size();
  how.handlers = connection_handlers();
  how.user = c;
  if (!read_deflate(deflate ? deflate->c_str() : nullptr, &how.deflate))
    throw py::error_already_set();
  check(ws_request_accept(handle_, &how));
  answered_ = true;
  c->send_high = send_high_;
  connection_attach(c);
}

void Request::respond(int status, const py::object& headers, const py::bytes& body) {
  const Fields fields = header_fields(headers);
  const std::string_view text = body;
  check(
      ws_request_respond(handle_, status, fields.data(), fields.size(), text.data(), text.size()));
  answered_ = true;
}

void bind_request(py::module_& m) {
  py::class_<Request>(m, "Request", "A request that a server received; answer it once.")
      .def_property_readonly(
          "is_upgrade", [](const Request& r) { return ws_request_is_upgrade(r.handle()) != 0; })
      .def_property_readonly("method",
                             [](const Request& r) { return ws_request_method(r.handle()); })
      .def_property_readonly("target", &target, "The path as sent, with the query.")
      .def_property_readonly("headers",
                             [](const Request& r) {
                               return header_list([&](size_t i, ws_header* field) {
                                 return ws_request_header_at(r.handle(), i, field);
                               });
                             })
      .def_property_readonly("peer", [](const Request& r) { return ws_request_peer(r.handle()); })
      .def_property_readonly("local", [](const Request& r) { return ws_request_local(r.handle()); })
      .def("accept", &Request::accept, py::arg("connection"), py::arg("subprotocol") = py::none(),
           py::arg("headers") = py::tuple(), py::arg("deflate") = py::none(),
           "Finish the upgrade; connection._on_open follows from a turn.")
      .def("respond", &Request::respond, py::arg("status"), py::arg("headers") = py::tuple(),
           py::arg("body") = py::bytes(), "Send a complete HTTP response and close.");
}

uint64_t send_high_of(const ws_conn_config& config) {
  constexpr uint64_t kDefault = 256 * 1024;  // config.h
  return config.send_high_bytes == 0 ? kDefault : config.send_high_bytes;
}

}  // namespace pyws
