#include "tls.hpp"

#include "errors.hpp"

#include <dlfcn.h>
#include <openssl/ssl.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyws {
namespace {

using Text = std::optional<std::string>;

const char* c_text(const Text& text) { return text ? text->c_str() : nullptr; }

ws_tls_verify verify_mode(const std::string& name) {
  if (name == "default") return WS_TLS_VERIFY_DEFAULT;
  if (name == "require") return WS_TLS_VERIFY_REQUIRE;
  if (name == "optional") return WS_TLS_VERIFY_OPTIONAL;
  if (name == "none") return WS_TLS_VERIFY_NONE;
  throw py::value_error("verify: \"" + name + "\" is none of default, require, optional, none");
}

[[noreturn]] void unsupported(const char* why) {
  set_error(WS_ERR_UNSUPPORTED, why);
  throw py::error_already_set();
}

// Whether Python's ssl module calls into the OpenSSL that this module is linked with: only then
// may one use the other's SSL_CTX.
bool same_openssl() {
  const auto file = py::module_::import("_ssl").attr("__file__").cast<std::string>();
  void* module = dlopen(file.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (module == nullptr) return false;
  const void* theirs = dlsym(module, "SSL_CTX_up_ref");
  dlclose(module);
  return theirs == reinterpret_cast<const void*>(&SSL_CTX_up_ref);
}

// The callbacks of these would be called with an SSL that is not Python's.
void refuse_callbacks(const py::object& context) {
  if (!context.attr("sni_callback").is_none())
    unsupported("the SSLContext has an sni_callback: use libws.TLS with alternatives");
  if (!context.attr("keylog_filename").is_none())
    unsupported("the SSLContext has a keylog_filename: use libws.TLS with keylog_file");
  if (!context.attr("_msg_callback").is_none())
    unsupported("the SSLContext has a message callback");
}

// The first member of CPython's SSLContext is its SSL_CTX, in all versions from 3.2 on.
struct PythonContext {
  PyObject_HEAD SSL_CTX* native;
};

std::unique_ptr<Tls> from_ssl_context(const py::object& context) {
  const py::module_ ssl = py::module_::import("ssl");
  if (!py::isinstance(context, ssl.attr("SSLContext")))
    throw py::type_error("from_ssl_context() takes an ssl.SSLContext");
  if (std::string_view(Py_GetVersion()).find("PyPy") != std::string_view::npos || !same_openssl())
    unsupported(
        "this libws has another OpenSSL than Python's ssl module, so it cannot use an SSLContext: "
        "use libws.TLS");
  refuse_callbacks(context);
  SSL_CTX* native = reinterpret_cast<PythonContext*>(context.ptr())->native;
  const bool name_check = context.attr("check_hostname").cast<bool>();
  ws_tls* made = nullptr;
  check(ws_tls_new_openssl(native, name_check ? 0 : uint32_t{WS_TLS_NO_NAME_CHECK}, &made));
  return std::make_unique<Tls>(made);
}

std::unique_ptr<Tls> self_signed(const std::string& host) {
  ws_tls* made = nullptr;
  check(ws_tls_new_self_signed(host.c_str(), &made));
  return std::make_unique<Tls>(made);
}

std::unique_ptr<Tls> make(const Text& cert_file, const Text& key_file, const Text& cert_pem,
                          const Text& key_pem, const Text& key_password, const Text& ca_file,
                          const Text& ca_pem, const std::string& verify, uint32_t min_version,
                          const Text& ciphers, const Text& ciphersuites, const Text& keylog_file,
                          bool no_tickets, bool partial_chain, bool no_name_check, bool kernel,
                          const std::vector<const Tls*>& alternatives) {
  std::vector<ws_tls*> others;
  for (const Tls* each : alternatives) others.push_back(handle_of(each));
  ws_tls_config config;
  WS_INIT(&config);
  config.flags = (no_tickets ? uint32_t{WS_TLS_NO_TICKETS} : 0) |
                 (partial_chain ? uint32_t{WS_TLS_PARTIAL_CHAIN} : 0) |
                 (no_name_check ? uint32_t{WS_TLS_NO_NAME_CHECK} : 0) |
                 (kernel ? uint32_t{WS_TLS_KERNEL} : 0);
  config.cert_file = c_text(cert_file);
  config.key_file = c_text(key_file);
  config.cert_pem = c_text(cert_pem);
  config.key_pem = c_text(key_pem);
  config.key_password = c_text(key_password);
  config.ca_file = c_text(ca_file);
  config.ca_pem = c_text(ca_pem);
  config.verify = verify_mode(verify);
  config.min_version = min_version;
  config.ciphers = c_text(ciphers);
  config.ciphersuites = c_text(ciphersuites);
  config.keylog_file = c_text(keylog_file);
  config.alternatives = others.data();
  config.alternative_count = others.size();
  ws_tls* made = nullptr;
  check(ws_tls_new(&config, &made));
  return std::make_unique<Tls>(made);
}

}  // namespace

void bind_tls(py::module_& m) {
  const py::none nothing;
  py::class_<Tls>(m, "TLS", "Certificates and TLS settings (ws_tls), immutable.")
      .def(py::init(&make), py::kw_only(), py::arg("cert_file") = nothing,
           py::arg("key_file") = nothing, py::arg("cert_pem") = nothing,
           py::arg("key_pem") = nothing, py::arg("key_password") = nothing,
           py::arg("ca_file") = nothing, py::arg("ca_pem") = nothing, py::arg("verify") = "default",
           py::arg("min_version") = 0, py::arg("ciphers") = nothing,
           py::arg("ciphersuites") = nothing, py::arg("keylog_file") = nothing,
           py::arg("no_tickets") = false, py::arg("partial_chain") = false,
           py::arg("no_name_check") = false, py::arg("kernel") = false,
           py::arg("alternatives") = py::tuple())
      .def_static("self_signed", &self_signed, py::arg("host") = "localhost",
                  "A throw-away certificate for `host`, valid for 30 days.")
      .def_static("from_ssl_context", &from_ssl_context, py::arg("context"),
                  "Use an ssl.SSLContext with everything that was loaded into it.")
      .def_property_readonly(
          "certificate", [](const Tls& tls) { return ws_tls_certificate(tls.handle()); },
          "Its own certificate in PEM; \"\" if it has none.");
}

}  // namespace pyws
