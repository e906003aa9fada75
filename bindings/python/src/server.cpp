#include "server.hpp"

#include "connection.hpp"
#include "errors.hpp"
#include "request.hpp"
#include "tls.hpp"

#include <memory>

namespace pyws {
namespace {

// ws_server, or what is left of it when its loop has gone first.
class Server {
 public:
  Server(const py::object& loop, py::object on_request, const Config& config,
         std::optional<uint32_t> max_connections)
      : loop_(loop), on_request_(std::move(on_request)), config_(config) {
    if (!PyObject_TypeCheck(loop.ptr(), &loop_type)) throw py::type_error("loop: not a Loop");
    if (!loop_usable(native_loop())) throw py::error_already_set();
    static const char* const any = "*";  // which Origin is welcome is the caller's business
    ws_server_config c;
    WS_INIT(&c);
    c.handlers = connection_handlers();
    c.conn = &config_.value;
    c.user = this;
    c.on_request = [](ws_request* r, void* user) { static_cast<Server*>(user)->request(r); };
    c.origins = &any;
    c.origin_count = 1;
    c.max_connections = max_connections.value_or(WS_NEVER);
    check(ws_server_new(native_loop()->handle, &c, &handle_));
  }
  ~Server() { close(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Null when the loop has taken it along.
  ws_server* handle() const { return native_loop()->handle == nullptr ? nullptr : handle_; }
  py::object& on_request() { return on_request_; }
  const py::object& loop_object() const { return loop_; }

  ws_listener* listen(int fd, const Tls* tls) {
    if (handle() == nullptr) throw std::runtime_error("the server is closed");
    ws_listener* listener = nullptr;
    check(ws_server_listen_fd(handle_, fd, &listener));
    const int set = tls == nullptr ? 0 : ws_listener_set_tls(listener, tls->handle());
    if (set < 0) {
      set_error(set);
      ws_listener_close(listener);
      throw py::error_already_set();
    }
    return listener;
  }

  void close() {
    if (handle() != nullptr) ws_server_free(handle_);
    handle_ = nullptr;
    on_request_ = py::none();
  }

 private:
  Loop* native_loop() const { return reinterpret_cast<Loop*>(loop_.ptr()); }

  void request(ws_request* r) {
    const py::object call = on_request_;  // which may close the server, and drop it
    const py::object loop = loop_;
    try {
      call(std::make_unique<Request>(r, config_));
    } catch (py::error_already_set& error) {
      error.restore();
      loop_took_exception(reinterpret_cast<Loop*>(loop.ptr()), call.ptr());
    }
  }

  py::object loop_;
  py::object on_request_;
  Config config_;
  ws_server* handle_ = nullptr;
};

class Listener {
 public:
  Listener(py::object server, ws_listener* handle) : server_(std::move(server)), handle_(handle) {}
  void close() {
    if (usable()) ws_listener_close(handle_);
    handle_ = nullptr;
  }
  void set_tls(const Tls* tls) {
    if (!usable()) throw std::runtime_error("the listener is closed");
    check(ws_listener_set_tls(handle_, handle_of(tls)));
  }
  const py::object& server() const { return server_; }

 private:
  bool usable() const {
    return handle_ != nullptr && server_.cast<const Server&>().handle() != nullptr;
  }
  py::object server_;
  ws_listener* handle_;
};

// The callback refers to what refers to the server.
void collect(PyHeapTypeObject* heap_type) {
  PyTypeObject* type = &heap_type->ht_type;
  type->tp_flags |= Py_TPFLAGS_HAVE_GC;
  type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (py::detail::is_holder_constructed(self)) {
      auto& server = py::cast<Server&>(py::handle(self));
      Py_VISIT(server.on_request().ptr());
      Py_VISIT(server.loop_object().ptr());
    }
    return 0;
  };
  type->tp_clear = [](PyObject* self) {
    if (py::detail::is_holder_constructed(self))
      py::cast<Server&>(py::handle(self)).on_request() = py::none();
    return 0;
  };
}

// The server refers to whoever has its listeners.  Nothing to clear: the circle goes through it.
void collect_listener(PyHeapTypeObject* heap_type) {
  PyTypeObject* type = &heap_type->ht_type;
  type->tp_flags |= Py_TPFLAGS_HAVE_GC;
  type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (py::detail::is_holder_constructed(self))
      Py_VISIT(py::cast<Listener&>(py::handle(self)).server().ptr());
    return 0;
  };
}

}  // namespace

void bind_server(py::module_& m) {
  py::class_<Listener>(m, "Listener", py::custom_type_setup(collect_listener),
                       "A listening socket of a Server.")
      .def("close", &Listener::close, "Accept no more; open connections go on.")
      .def("set_tls", &Listener::set_tls, py::arg("tls"),
           "Certificates for connections accepted from now on; None: plain.");
  py::class_<Server>(m, "Server", py::custom_type_setup(collect),
                     "ws_server: every well-formed HTTP request goes to on_request.")
      .def(py::init<py::object, py::object, const Config&, std::optional<uint32_t>>(),
           py::arg("loop"), py::arg("on_request"), py::arg("config"), py::kw_only(),
           py::arg("max_connections") = py::none())
      .def(
          "listen",
          [](const py::object& self, int fd, const Tls* tls) {
            return std::make_unique<Listener>(self, self.cast<Server&>().listen(fd, tls));
          },
          py::arg("fd"), py::arg("tls") = py::none(),
          "Accept on a listening socket, whose descriptor it owns from now on.")
      .def("close", &Server::close, "Stop listening, abort all connections.");
}

}  // namespace pyws
