#include "libws/net/tls_context.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"

#include <libws/tls.h>

using namespace libws;

int ws_tls_new(const ws_tls_config* cfg, ws_tls** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    ws_tls_config c;
    if (Error e = read_config(cfg, &c, "ws_tls_config")) return e;
    Ref<TlsContext> context;
    if (Error e = TlsContext::create(c, &context)) return e;
    *out = to_handle(context.release());
    return Error();
  });
}

int ws_tls_new_self_signed(const char* host, ws_tls** out) {
  return guarded([&] {
    if (host == nullptr) return null_argument("host");
    if (out == nullptr) return null_argument("out");
    Ref<TlsContext> context;
    if (Error e = TlsContext::create_self_signed(host, &context)) return e;
    *out = to_handle(context.release());
    return Error();
  });
}

int ws_tls_new_openssl(void* ssl_ctx, uint32_t flags, ws_tls** out) {
  return guarded([&] {
    if (ssl_ctx == nullptr) return null_argument("ssl_ctx");
    if (out == nullptr) return null_argument("out");
    Ref<TlsContext> context;
    if (Error e = TlsContext::create_from(static_cast<SSL_CTX*>(ssl_ctx), flags, &context)) {
      return e;
    }
    *out = to_handle(context.release());
    return Error();
  });
}

ws_tls* ws_tls_ref(ws_tls* t) {
  if (t != nullptr) from_handle<TlsContext>(t)->ref();
  return t;
}

void ws_tls_unref(ws_tls* t) {
  if (t != nullptr) from_handle<TlsContext>(t)->unref();
}

const char* ws_tls_certificate(const ws_tls* t) {
  return t != nullptr ? from_handle<TlsContext>(t)->certificate_pem() : "";
}
