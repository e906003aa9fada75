// libws._core: what the Python layers stand on.  _core.pyi is its specification.
//
// What runs for each message is written with Python's C API (loop, connection, receive, send,
// message, waiter); what runs for each connection or less often is bound with pybind11.
#include "broadcast.hpp"
#include "client.hpp"
#include "config.hpp"
#include "connection.hpp"
#include "engine.hpp"
#include "errors.hpp"
#include "message.hpp"
#include "request.hpp"
#include "server.hpp"
#include "tls.hpp"

namespace {

PyMethodDef functions[] = {
    {"broadcast", pyws::method(pyws::broadcast), METH_FASTCALL,
     "Send a Message to all connections that are open; a list of who was skipped, and why."},
    {"after_fork", pyws::after_fork, METH_NOARGS,
     "In the child: forget every loop; their connections are CLOSED, nothing is sent."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The native part of libws.";
  m.attr("__version__") = LIBWS_PYTHON_VERSION;
  m.attr("build_info") = ws_build_info();
  m.attr("OP_TEXT") = int{WS_OP_TEXT};
  m.attr("OP_BINARY") = int{WS_OP_BINARY};
  PyObject* module = m.ptr();
  if (!pyws::bind_errors(module) || !pyws::bind_waiter() || !pyws::bind_receive() ||
      !pyws::bind_send() || !pyws::bind_message(module) || !pyws::bind_loop(module) ||
      !pyws::bind_connection(module) || !pyws::bind_engine(module) ||
      PyModule_AddFunctions(module, functions) < 0)
    throw pybind11::error_already_set();
  pyws::bind_config(m);
  pyws::bind_tls(m);
  pyws::bind_request(m);
  pyws::bind_server(m);
  pyws::bind_client(m);
}
