#include "libws/protocol/request.hpp"
#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/base/crypto.hpp"
#include "libws/protocol/credentials.hpp"
#include "libws/protocol/limits.hpp"

#include <libws/conn.h>
#include <libws/request.h>
#include <libws/tls.h>

using namespace libws;

namespace {

// A getter that may have to allocate answers NULL without memory.
template <class Get>
const char* text_or_null(Get get) noexcept {
  try {
    return get();
  } catch (const std::bad_alloc&) {
    (void)fail(WS_ERR_NOMEM, "out of memory").code();
    return nullptr;
  }
}

Error check_fields(const ws_header* headers, size_t count) {
  if (headers == nullptr && count != 0) return null_argument("headers");
  return Error();
}

void copy_text(std::string_view from, char* to) {
  copy_bytes(to, from.data(), from.size());
  to[from.size()] = '\0';
}

}  // namespace

ws_request* ws_request_ref(ws_request* r) {
  if (r != nullptr) from_handle<Request>(r)->ref();
  return r;
}

void ws_request_unref(ws_request* r) {
  if (r != nullptr) from_handle<Request>(r)->unref();
}

int ws_request_is_upgrade(const ws_request* r) {
  return r != nullptr && from_handle<Request>(r)->is_upgrade() ? 1 : 0;
}

const char* ws_request_method(const ws_request* r) {
  return r != nullptr ? from_handle<Request>(r)->method() : nullptr;
}

const char* ws_request_path(const ws_request* r) {
  return r != nullptr ? from_handle<Request>(r)->path() : nullptr;
}

const char* ws_request_query(const ws_request* r) {
  return r != nullptr ? from_handle<Request>(r)->query() : nullptr;
}

const char* ws_request_header(const ws_request* r, const char* name, size_t* len) {
  if (r == nullptr || name == nullptr) return nullptr;
  return text_or_null([&] { return from_handle<Request>(r)->header(name, len); });
}

int ws_request_header_at(const ws_request* r, size_t i, ws_header* out) {
  if (r == nullptr || out == nullptr) return 0;
  return from_handle<Request>(r)->header_at(i, out) ? 1 : 0;
}

const char* ws_request_cookie(const ws_request* r, const char* name, size_t* len) {
  if (r == nullptr || name == nullptr) return nullptr;
  return text_or_null([&] { return from_handle<Request>(r)->cookie(name, len); });
}

const char* ws_request_subprotocol(const ws_request* r, size_t i) {
  return r != nullptr ? from_handle<Request>(r)->subprotocol(i) : nullptr;
}

const char* ws_request_peer(const ws_request* r) {
  return r != nullptr ? from_handle<Request>(r)->peer() : nullptr;
}

const char* ws_request_client(const ws_request* r) {
  return r != nullptr ? from_handle<Request>(r)->client() : nullptr;
}

const char* ws_request_local(const ws_request* r) {
  return r != nullptr ? from_handle<Request>(r)->local() : nullptr;
}

int ws_request_get_tls(const ws_request* r, ws_tls_info* out) {
  return guarded([&] {
    if (r == nullptr) return null_argument("request");
    RequestHost* host = from_handle<Request>(r)->current_host();
    if (host == nullptr) return fail(WS_ERR_CLOSED, "get_tls: the connection is gone");
    if (out == nullptr) return null_argument("out");
    ws_tls_info info;
    if (Error e = host->tls_info(&info)) return e;
    return write_struct(info, out, "ws_tls_info");
  });
}

const char* ws_request_param(const ws_request* r, const char* name, size_t* len) {
  if (r == nullptr || name == nullptr) return nullptr;
  return from_handle<Request>(r)->param(name, len);
}

int ws_request_basic(const ws_request* r, char* user, size_t user_cap, char* password,
                     size_t password_cap) {
  return guarded([&] {
    if (r == nullptr) return null_argument("request");
    if (user == nullptr) return null_argument("user");
    if (password == nullptr) return null_argument("password");
    BasicCredentials basic;
    bool found = false;
    if (Error e = read_basic(from_handle<Request>(r)->head(), &basic, &found)) return e;
    if (!found) return Error();
    if (basic.user.size() >= user_cap || basic.password.size() >= password_cap) {
      return fail(WS_ERR_TOO_BIG, "basic: user of %zu bytes, password of %zu", basic.user.size(),
                  basic.password.size());
    }
    copy_text(basic.user, user);
    copy_text(basic.password, password);
    return Error(1);
  });
}

const char* ws_request_bearer(const ws_request* r, size_t* len) {
  if (r == nullptr) return nullptr;
  const std::string_view token = read_bearer(from_handle<Request>(r)->head());
  if (token.empty()) return nullptr;
  if (len != nullptr) *len = token.size();
  return token.data();
}

int ws_secret_equal(const void* a, size_t a_len, const void* b, size_t b_len) {
  if ((a == nullptr && a_len != 0) || (b == nullptr && b_len != 0)) return 0;
  return crypto_equal(bytes(a, a_len), bytes(b, b_len)) ? 1 : 0;
}

int ws_request_accept(ws_request* r, const ws_accept* how) {
  return guarded([&] {
    if (r == nullptr) return null_argument("request");
    ws_accept a;
    if (Error e = read_config(how, &a, "ws_accept")) return e;
    if (Error e = check_fields(a.headers, a.header_count)) return e;
    ws_handlers handlers;
    Limits limits;
    AcceptOptions options;
    options.subprotocol = a.subprotocol;
    options.headers = {a.headers, a.header_count};
    options.user = a.user;
    options.deflate = number_in(a.deflate);
    options.deflate_recv = number_in(a.deflate_recv);
    if (a.handlers != nullptr) {
      if (Error e = read_config(a.handlers, &handlers, "ws_handlers")) return e;
      options.handlers = &handlers;
    }
    if (a.conn != nullptr) {
      ws_conn_config conn;
      if (Error e = read_config(a.conn, &conn, "ws_conn_config")) return e;
      if (Error e = Limits::from(conn, &limits)) return e;
      options.limits = &limits;
    }
    return from_handle<Request>(r)->accept(options);
  });
}

int ws_request_respond(ws_request* r, int status, const ws_header* headers, size_t header_count,
                       const void* body, size_t len) {
  return guarded([&] {
    if (r == nullptr) return null_argument("request");
    if (Error e = check_fields(headers, header_count)) return e;
    if (body == nullptr && len != 0) return null_argument("body");
    Response response;
    response.status = status;
    response.headers = {headers, header_count};
    response.body = text(bytes(body, len));
    return from_handle<Request>(r)->respond(response);
  });
}

int ws_request_challenge(ws_request* r, const char* scheme_and_params) {
  return guarded([&] {
    if (r == nullptr) return null_argument("request");
    if (scheme_and_params == nullptr) return null_argument("scheme_and_params");
    const ws_header headers[] = {{"WWW-Authenticate", scheme_and_params},
                                 {"Content-Type", "text/plain"}};
    Response response;
    response.status = 401;
    response.headers = headers;
    response.body = "credentials are needed\n";
    return from_handle<Request>(r)->respond(response);
  });
}
