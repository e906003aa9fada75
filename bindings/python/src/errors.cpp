// From a ws_error to an exception.
#include "errors.hpp"

namespace pyws {
namespace {

PyObject* error_type;

struct Constant {
  const char* name;
  int value;
};
constexpr Constant kCodes[] = {
    {"ERR_INVALID", WS_ERR_INVALID},
    {"ERR_STATE", WS_ERR_STATE},
    {"ERR_REENTRANT", WS_ERR_REENTRANT},
    {"ERR_UNSUPPORTED", WS_ERR_UNSUPPORTED},
    {"ERR_NOMEM", WS_ERR_NOMEM},
    {"ERR_CLOSED", WS_ERR_CLOSED},
    {"ERR_FULL", WS_ERR_FULL},
    {"ERR_TOO_BIG", WS_ERR_TOO_BIG},
    {"ERR_TIMEOUT", WS_ERR_TIMEOUT},
    {"ERR_CANCELLED", WS_ERR_CANCELLED},
    {"ERR_IO", WS_ERR_IO},
    {"ERR_DNS", WS_ERR_DNS},
    {"ERR_CONNECT", WS_ERR_CONNECT},
    {"ERR_EOF", WS_ERR_EOF},
    {"ERR_ADDR", WS_ERR_ADDR},
    {"ERR_PROXY", WS_ERR_PROXY},
    {"ERR_TLS", WS_ERR_TLS},
    {"ERR_TLS_CONFIG", WS_ERR_TLS_CONFIG},
    {"ERR_TLS_VERIFY", WS_ERR_TLS_VERIFY},
    {"ERR_HTTP", WS_ERR_HTTP},
    {"ERR_HTTP_STATUS", WS_ERR_HTTP_STATUS},
    {"ERR_HANDSHAKE", WS_ERR_HANDSHAKE},
    {"ERR_PROTOCOL", WS_ERR_PROTOCOL},
    {"ERR_UTF8", WS_ERR_UTF8},
    {"ERR_DEFLATE", WS_ERR_DEFLATE},
};

}  // namespace

bool bind_errors(PyObject* module) {
  error_type = PyErr_NewExceptionWithDoc(
      "libws._core.Error",
      "A call of the C library failed.  str() of it is the detail text; `code` is the ws_error.",
      nullptr, nullptr);
  if (error_type == nullptr || PyModule_AddObject(module, "Error", error_type) < 0) return false;
  Py_INCREF(error_type);  // ours
  for (const Constant& each : kCodes)
    if (PyModule_AddIntConstant(module, each.name, each.value) < 0) return false;
  return true;
}

PyObject* set_error(int code) {
  if (code == WS_ERR_NOMEM) return PyErr_NoMemory();
  const char* detail = ws_last_detail();
  return set_error(code, detail[0] == '\0' ? ws_strerror(code) : detail);
}

PyObject* set_error(int code, const char* detail) {
  const Ref text(PyUnicode_DecodeUTF8(detail, static_cast<Py_ssize_t>(strlen(detail)), "replace"));
  const Ref number(PyLong_FromLong(code));
  if (!text || !number) return nullptr;
  const Ref error(PyObject_CallOneArg(error_type, text.get()));
  if (!error || PyObject_SetAttrString(error.get(), "code", number.get()) < 0) return nullptr;
  PyErr_SetObject(error_type, error.get());
  return nullptr;
}

PyObject* exception_type(const char* name) {
  const Ref module(PyImport_ImportModule("libws.exceptions"));
  return module ? PyObject_GetAttrString(module.get(), name) : nullptr;
}

PyObject* set_concurrency_error(const char* text) {
  const Ref type(exception_type("ConcurrencyError"));
  if (type) PyErr_SetString(type.get(), text);
  return nullptr;
}

}  // namespace pyws
