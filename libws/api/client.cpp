#include "libws/api/client.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/api/policy.hpp"
#include "libws/api/strings.hpp"

#include <climits>

using namespace libws;

namespace {

Client* impl(const ws_client* cl) { return from_handle<Client>(cl); }

Error copy_fields(const ws_header* headers, size_t count, FieldList* out) {
  if (headers == nullptr && count != 0) return null_argument("headers");
  for (size_t i = 0; i < count; ++i) {
    if (headers[i].name == nullptr || headers[i].value == nullptr) {
      return null_argument("a header's name or value");
    }
  }
  *out = FieldList({headers, count});
  return Error();
}

Error read_retries(const ws_client_config& c, ClientOptions* out) {
  out->retry_count = c.retry_count;
  if (c.retry_min_ms != 0) out->retry_min_ms = c.retry_min_ms;
  if (c.retry_max_ms != 0) out->retry_max_ms = c.retry_max_ms;
  if (out->retry_min_ms > INT32_MAX || out->retry_max_ms > INT32_MAX) {
    return fail(WS_ERR_INVALID, "retry_min_ms and retry_max_ms are at most %d", INT32_MAX);
  }
  // Whoever only asks for a longer first delay means both.
  if (c.retry_max_ms == 0 && out->retry_max_ms < out->retry_min_ms) {
    out->retry_max_ms = out->retry_min_ms;
  }
  if (out->retry_max_ms < out->retry_min_ms) {
    return fail(WS_ERR_INVALID, "retry_max_ms %u is less than retry_min_ms %u", out->retry_max_ms,
                out->retry_min_ms);
  }
  return Error();
}

Error read_tls(ws_tls* tls, Ref<TlsContext>* out) {
  if (tls == nullptr) return Error();
  *out = Ref<TlsContext>::share(from_handle<TlsContext>(tls));
  return (*out)->can_connect();
}

// How the server is reached: TLS, proxy, another address.
Error read_way(const ws_client_config& c, ClientOptions* out) {
  if (Error e = read_tls(c.tls, &out->tls)) return e;
  if (Error e = read_tls(c.proxy_tls, &out->proxy_tls)) return e;
  if (c.tls_name != nullptr) out->tls_name = c.tls_name;
  if (c.proxy != nullptr) {
    if (Error e = parse_proxy(c.proxy, &out->proxy)) return e;
    if (!out->url.unix_path.empty()) {
      return fail(WS_ERR_INVALID, "proxy: a unix socket is not reached through one");
    }
  }
  if (c.connect_to == nullptr) return Error();
  if (!out->url.unix_path.empty()) {
    return fail(WS_ERR_INVALID, "connect_to: the URL names a unix socket");
  }
  return parse_host_port("connect_to", c.connect_to, &out->dial_host, &out->dial_port);
}

// A socket that is connected already, so there is no other way and no other time.
Error read_descriptor(const ws_client_config& c, ClientOptions* out) {
  if ((c.flags & WS_CLIENT_FD) == 0) return Error();
  const char* extra = nullptr;
  if (c.retry_count != 0) extra = "retry_count";
  if (c.max_redirects != 0) extra = "max_redirects";
  if (c.proxy != nullptr) extra = "proxy";
  if ((c.flags & WS_CLIENT_PROXY_ENV) != 0) extra = "WS_CLIENT_PROXY_ENV";
  if (c.connect_to != nullptr) extra = "connect_to";
  if (extra != nullptr) {
    return fail(WS_ERR_INVALID, "%s: not with WS_CLIENT_FD, which has one connection only", extra);
  }
  out->fd = c.fd;
  return socket_check_connected(c.fd);
}

}  // namespace

Error libws::read_client_options(const ws_client_config& c, const char* url, ClientOptions* out) {
  constexpr uint32_t kKnownFlags =
      WS_CLIENT_PROXY_ENV | WS_CLIENT_RETRY_ALL | WS_CLIENT_TAKE_TURNS | WS_CLIENT_FD;
  if ((c.flags & ~kKnownFlags) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "client: unknown flags 0x%x", c.flags & ~kKnownFlags);
  }
  if (url == nullptr) return null_argument("url");
  if (Error e = parse_url(url, &out->url)) return e;
  if (Error e = read_policy(c.conn, c.handlers, &out->policy)) return e;
  out->user = c.user;
  if (Error e = copy_fields(c.headers, c.header_count, &out->headers)) return e;
  if (Error e =
          copy_strings(c.subprotocols, c.subprotocol_count, "subprotocols", &out->subprotocols)) {
    return e;
  }
  if (Error e = read_way(c, out)) return e;
  if (Error e = read_retries(c, out)) return e;
  if (Error e = read_descriptor(c, out)) return e;
  out->proxy_from_environment = (c.flags & WS_CLIENT_PROXY_ENV) != 0;
  out->retry_all = (c.flags & WS_CLIENT_RETRY_ALL) != 0;
  out->take_turns = (c.flags & WS_CLIENT_TAKE_TURNS) != 0;
  out->max_redirects = c.max_redirects;
  out->queue_bytes = c.queue_bytes;
  out->on_attempt = c.on_attempt;
  out->on_down = c.on_down;
  return Client::check(*out, out->headers);
}

int ws_client_new(ws_loop* l, const ws_client_config* cfg, ws_client** out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    if (out == nullptr) return null_argument("out");
    ws_client_config c;
    if (Error e = read_config(cfg, &c, "ws_client_config")) return e;
    ClientOptions options;
    if (Error e = read_client_options(c, c.url, &options)) return e;
    auto* client = new Client(*from_handle<Loop>(l), std::move(options));
    if (Error e = client->start()) {
      client->unref();
      return e;
    }
    *out = to_handle(client);
    return Error();
  });
}

void ws_client_free(ws_client* cl) {
  if (cl != nullptr) impl(cl)->free();
}

int ws_client_close(ws_client* cl, uint16_t code, const char* reason) {
  return guarded([&] {
    if (cl == nullptr) return null_argument("client");
    return impl(cl)->close(code, reason != nullptr ? reason : "");
  });
}

ws_conn* ws_client_conn(const ws_client* cl) {
  Conn* conn = cl != nullptr ? impl(cl)->conn() : nullptr;
  return conn != nullptr ? to_handle(conn) : nullptr;
}

int ws_client_send(ws_client* cl, ws_opcode op, const void* data, size_t len, uint32_t flags) {
  return guarded([&] {
    return cl != nullptr ? impl(cl)->send(op, bytes(data, len), flags) : null_argument("client");
  });
}

uint64_t ws_client_queued(const ws_client* cl) { return cl != nullptr ? impl(cl)->queued() : 0; }

int ws_client_retry_now(ws_client* cl) {
  return guarded([&] {
    if (cl == nullptr) return null_argument("client");
    impl(cl)->retry_now();
    return Error();
  });
}

int ws_client_set_headers(ws_client* cl, const ws_header* headers, size_t count) {
  return guarded([&] {
    if (cl == nullptr) return null_argument("client");
    FieldList fields;
    if (Error e = copy_fields(headers, count, &fields)) return e;
    return impl(cl)->set_headers(std::move(fields));
  });
}

int ws_client_response_status(const ws_client* cl) {
  const Head* head = cl != nullptr ? impl(cl)->response() : nullptr;
  return head != nullptr ? head->status() : 0;
}

const char* ws_client_response_header(ws_client* cl, const char* name, size_t* len) {
  if (cl == nullptr || name == nullptr) return nullptr;
  const char* value = nullptr;
  (void)guarded([&] {
    value = impl(cl)->response_header(name, len);
    return Error();
  });
  return value;
}

int ws_client_response_header_at(const ws_client* cl, size_t i, ws_header* out) {
  const Head* head = cl != nullptr ? impl(cl)->response() : nullptr;
  if (head == nullptr || out == nullptr || i >= head->field_count()) return 0;
  *out = {head->name(i).data(), head->value(i).data()};
  return 1;
}

ws_slice ws_client_response_body(const ws_client* cl) {
  const Bytes body = cl != nullptr ? impl(cl)->response_body() : Bytes();
  return {body.data(), body.size()};
}

const char* ws_client_url(const ws_client* cl) {
  return cl != nullptr ? impl(cl)->url_text() : nullptr;
}
