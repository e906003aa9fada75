#include "config.hpp"

#include "arguments.hpp"

#include <cmath>

namespace pyws {
namespace {

// The members that are numbers, by their names.
struct Milliseconds {
  const char* name;
  uint32_t ws_conn_config::*member;
};
struct Bytes {
  const char* name;
  uint64_t ws_conn_config::*member;
};
constexpr Milliseconds kNumbers[] = {
    {"handshake_timeout_ms", &ws_conn_config::handshake_timeout_ms},
    {"idle_timeout_ms", &ws_conn_config::idle_timeout_ms},
    {"ping_interval_ms", &ws_conn_config::ping_interval_ms},
    {"send_timeout_ms", &ws_conn_config::send_timeout_ms},
    {"close_timeout_ms", &ws_conn_config::close_timeout_ms},
    {"max_header_count", &ws_conn_config::max_header_count},
    {"max_fragments", &ws_conn_config::max_fragments},
    {"deflate_level", &ws_conn_config::deflate_level},
    {"deflate_window_bits", &ws_conn_config::deflate_window_bits},
    {"deflate_mem_level", &ws_conn_config::deflate_mem_level},
    {"deflate_idle_ms", &ws_conn_config::deflate_idle_ms},
};
constexpr Bytes kBytes[] = {
    {"max_message_bytes", &ws_conn_config::max_message_bytes},
    {"max_header_bytes", &ws_conn_config::max_header_bytes},
    {"send_high_bytes", &ws_conn_config::send_high_bytes},
    {"send_low_bytes", &ws_conn_config::send_low_bytes},
    {"send_limit_bytes", &ws_conn_config::send_limit_bytes},
    {"deflate_min_bytes", &ws_conn_config::deflate_min_bytes},
};

// Zero would mean the library's default to the library; to a caller in Python it means zero.
uint64_t number(const std::string& name, py::handle given, uint64_t most) {
  if (given.is_none()) return most;
  const unsigned long long value = PyLong_AsUnsignedLongLong(given.ptr());
  if (PyErr_Occurred()) throw py::error_already_set();
  if (value == 0 || value >= most)
    throw py::value_error(name + ": " + std::to_string(value) + " is out of range");
  return value;
}

bool set_number(ws_conn_config& config, const std::string& name, py::handle given) {
  for (const Milliseconds& each : kNumbers) {
    if (name != each.name) continue;
    config.*each.member = static_cast<uint32_t>(number(name, given, WS_NEVER));
    return true;
  }
  for (const Bytes& each : kBytes) {
    if (name != each.name) continue;
    config.*each.member = number(name, given, WS_UNLIMITED);
    return true;
  }
  return false;
}

ws_deflate deflate_mode(py::handle given) {
  ws_deflate mode = WS_DEFLATE_DEFAULT;
  const auto name = given.is_none() ? std::string() : given.cast<std::string>();
  if (!read_deflate(given.is_none() ? nullptr : name.c_str(), &mode)) throw py::error_already_set();
  return mode;
}

void set_member(ws_conn_config& config, const std::string& name, py::handle given) {
  if (set_number(config, name, given)) return;
  if (name == "deflate") {
    config.deflate = deflate_mode(given);
  } else if (name == "deflate_recv") {
    config.deflate_recv = deflate_mode(given);
  } else if (name == "no_auto_pong") {
    if (given.cast<bool>()) config.flags |= WS_CONN_NO_AUTO_PONG;
  } else {
    throw py::type_error("Config has no member " + name);
  }
}

// The library checks the whole when it is used; an engine is the cheapest use.
void check_whole(const ws_conn_config& config) {
  ws_engine_config of_engine;
  WS_INIT(&of_engine);
  of_engine.conn = &config;
  ws_engine* engine = nullptr;
  check(ws_engine_new_server(&of_engine, &engine));
  ws_engine_free(engine);
}

}  // namespace

const ws_conn_config* config_of(PyObject* config) {
  if (py::isinstance<Config>(config)) return &py::handle(config).cast<const Config&>().value;
  PyErr_Format(PyExc_TypeError, "config: a Config, not %.100s", Py_TYPE(config)->tp_name);
  return nullptr;
}

void bind_config(py::module_& m) {
  py::class_<Config>(m, "Config", "ws_conn_config: keyword arguments are its members.")
      .def(py::init([](const py::kwargs& members) {
        Config made;
        WS_INIT(&made.value);
        for (const auto& [name, value] : members)
          set_member(made.value, name.cast<std::string>(), value);
        check_whole(made.value);
        return made;
      }));
}

}  // namespace pyws
