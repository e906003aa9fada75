#include "client.hpp"

#include "config.hpp"
#include "connection.hpp"
#include "errors.hpp"
#include "request.hpp"
#include "tls.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyws {
namespace {

using Text = std::optional<std::string>;

const char* c_text(const Text& text) { return text ? text->c_str() : nullptr; }

// One attempt.  The connection refers to it until the library's last call, on_down; so it lives as
// long as that can come.
class Client {
 public:
  Client() = default;
  ~Client() { free_handle(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void start(const py::object& connection, const ws_client_config& config) {
    auto* c = reinterpret_cast<Connection*>(connection.ptr());
    check(ws_client_new(c->loop->handle, &config, &handle_));
    loop_ = py::reinterpret_borrow<py::object>(object(c->loop));
    connection_ = connection;
    connection_attach(c);
  }

  ws_client* handle() const { return gone() ? nullptr : handle_; }
  py::object& loop_object() { return loop_; }
  py::object& connection() { return connection_; }

  void down(const ws_close_info* why) {
    const py::object connection = std::move(connection_);
    auto* c = reinterpret_cast<Connection*>(connection.ptr());
    if (c->ending == nullptr) connection_failed(c, why);
    free_handle();
    Py_CLEAR(c->client);
    connection_detach(c);
  }

  // A connection that was open gets its on_close; one that was not hears nothing more.
  void close() {
    const py::object connection = std::move(connection_);
    free_handle();
    if (!connection) return;
    auto* c = reinterpret_cast<Connection*>(connection.ptr());
    Py_CLEAR(c->client);
    if (c->handle != nullptr && c->state != kClosed) return;
    c->state = kClosed;
    connection_detach(c);
  }

 private:
  Loop* loop() const { return reinterpret_cast<Loop*>(loop_.ptr()); }
  bool gone() const { return handle_ == nullptr || loop()->handle == nullptr; }
  void free_handle() {
    if (!gone()) ws_client_free(handle_);
    handle_ = nullptr;
  }

  py::object loop_;
  py::object connection_;
  ws_client* handle_ = nullptr;
};

// The connection refers to its Client, and is held by the loop.
void collect(PyHeapTypeObject* heap_type) {
  PyTypeObject* type = &heap_type->ht_type;
  type->tp_flags |= Py_TPFLAGS_HAVE_GC;
  type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!py::detail::is_holder_constructed(self)) return 0;
    auto& client = py::cast<Client&>(py::handle(self));
    Py_VISIT(client.loop_object().ptr());
    Py_VISIT(client.connection().ptr());
    return 0;
  };
  type->tp_clear = [](PyObject* self) {
    if (py::detail::is_holder_constructed(self)) py::cast<Client&>(py::handle(self)).close();
    return 0;
  };
}

void on_down(ws_client*, const ws_close_info* why, uint32_t, void* user) {
  const Ref client = Ref::borrow(static_cast<Connection*>(user)->client);
  py::handle(client.get()).cast<Client&>().down(why);
}

Connection* connection_of(const py::object& given) {
  if (!PyObject_TypeCheck(given.ptr(), &connection_type))
    throw py::type_error("Client() takes a Connection");
  auto* c = reinterpret_cast<Connection*>(given.ptr());
  if (!connection_is_new(c)) throw py::error_already_set();
  return c;
}

// A constructor that knows its `self`, which the connection refers to.
void init(py::detail::value_and_holder& self, const py::object& connection, const std::string& url,
          const Config& config, const py::object& headers,
          const std::vector<std::string>& subprotocols, const Tls* tls, const Text& tls_name,
          const Text& proxy, bool proxy_env, const Tls* proxy_tls, const Text& connect_to, int fd,
          uint32_t max_redirects) {
  Connection* c = connection_of(connection);
  if (url.find('\0') != url.npos) throw py::value_error("the URL has a NUL byte");
  const Fields fields = header_fields(headers);
  std::vector<const char*> names;
  for (const std::string& each : subprotocols) names.push_back(each.c_str());
  ws_client_config how;
  WS_INIT(&how);
  how.flags =
      (proxy_env ? uint32_t{WS_CLIENT_PROXY_ENV} : 0) | (fd >= 0 ? uint32_t{WS_CLIENT_FD} : 0);
  how.url = url.c_str();
  how.handlers = connection_handlers();
  how.conn = &config.value;
  how.user = c;
  how.headers = fields.data();
  how.header_count = fields.size();
  how.subprotocols = names.data();
  how.subprotocol_count = names.size();
  how.tls = handle_of(tls);
  how.tls_name = c_text(tls_name);
  how.proxy = c_text(proxy);
  how.proxy_tls = handle_of(proxy_tls);
  how.connect_to = c_text(connect_to);
  how.fd = fd >= 0 ? fd : 0;
  how.max_redirects = max_redirects;
  how.on_down = on_down;
  auto made = std::make_unique<Client>();
  made->start(connection, how);
  self.value_ptr() = made.release();
  c->send_high = send_high_of(config.value);
  c->client = Ref::borrow(object(self.inst)).release();
}

py::object response(const Client& client) {
  const ws_client* handle = client.handle();
  const int status = handle == nullptr ? 0 : ws_client_response_status(handle);
  if (status == 0) return py::none();
  const ws_slice body = ws_client_response_body(handle);
  return py::make_tuple(status, header_list([&](size_t i, ws_header* field) {
                          return ws_client_response_header_at(handle, i, field);
                        }),
                        py::bytes(static_cast<const char*>(body.data), body.len));
}

}  // namespace

void bind_client(py::module_& m) {
  const py::none nothing;
  py::class_<Client>(m, "Client", py::custom_type_setup(collect),
                     "ws_client: one attempt to open a connection.")
      .def("__init__", &init, py::detail::is_new_style_constructor(), py::arg("connection"),
           py::arg("url"), py::arg("config"), py::kw_only(), py::arg("headers") = py::tuple(),
           py::arg("subprotocols") = py::tuple(), py::arg("tls") = nothing,
           py::arg("tls_name") = nothing, py::arg("proxy") = nothing, py::arg("proxy_env") = false,
           py::arg("proxy_tls") = nothing, py::arg("connect_to") = nothing, py::arg("fd") = -1,
           py::arg("max_redirects") = 0)
      .def_property_readonly("url",
                             [](const Client& client) {
                               const char* url = ws_client_url(client.handle());
                               return std::string(url == nullptr ? "" : url);
                             })
      .def_property_readonly("response", &response,
                             "Status, fields and body of the last answer, or None.")
      .def("close", &Client::close, "Give up; an open connection is aborted.");
}

}  // namespace pyws
