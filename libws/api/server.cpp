#include "libws/api/server.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/api/loop.hpp"
#include "libws/api/offers.hpp"
#include "libws/api/policy.hpp"
#include "libws/protocol/http_write.hpp"
#include "libws/protocol/limits.hpp"

#include <libws/router.h>
#include <libws/server.h>

using namespace libws;

namespace {

Server* impl(const ws_server* s) { return from_handle<Server>(s); }

Error check_field_value(const char* name, const char* value) {
  const ws_header field = {name, value};
  return check_caller_fields("server", {&field, 1});
}

// Limits against single addresses, the budget, proxies.
Error read_guard(const ws_server_config& c, ServerOptions* out) {
  if (c.max_connections_per_ip != 0) out->max_connections_per_ip = c.max_connections_per_ip;
  if (c.max_accept_rate_per_ip != 0) out->max_accept_rate_per_ip = c.max_accept_rate_per_ip;
  if (c.memory_budget_bytes != 0) out->memory_budget = c.memory_budget_bytes;
  const int field = number_in(c.proxy_field);
  if (field < WS_PROXY_FIELD_DEFAULT || field > WS_PROXY_FORWARDED) {
    return fail(WS_ERR_INVALID, "proxy_field: %d is not a ws_proxy_field", field);
  }
  if (field == WS_PROXY_FORWARDED) out->proxy_field = ForwardedField::kForwarded;
  Vector<String> proxies;
  if (Error e =
          copy_strings(c.trusted_proxies, c.trusted_proxy_count, "trusted_proxies", &proxies)) {
    return e;
  }
  for (const String& proxy : proxies) {
    if (Error e = out->trusted_proxies.add(proxy, "trusted_proxies")) return e;
  }
  return Error();
}

}  // namespace

Error libws::read_server_options(const ws_server_config& c, ServerOptions* out) {
  if (Error e = read_policy(c.conn, c.handlers, &out->policy)) return e;
  out->user = c.user;
  out->on_request = c.on_request;
  out->routed = c.on_request == ws_router_on_request;
  if (Error e = read_subprotocols(c.subprotocols, c.subprotocol_count, &out->subprotocols))
    return e;
  if (Error e = read_origins(c.origins, c.origin_count, &out->origins)) return e;
  if (c.max_connections != 0) out->max_connections = c.max_connections;
  if (Error e = read_guard(c, out)) return e;
  if (c.server_header != nullptr) {
    if (Error e = check_field_value("Server", c.server_header)) return e;
    out->server_header = c.server_header;
  }
  return Error();
}

Error libws::read_drain(const ws_drain* in, DrainOptions* out) {
  ws_drain c;
  if (Error e = read_config(in, &c, "ws_drain")) return e;
  if (c.code != 0) out->code = c.code;
  if (c.reason != nullptr) out->reason = c.reason;
  out->spread_ms = c.spread_ms;
  if (c.timeout_ms != 0) out->timeout_ms = c.timeout_ms;
  if ((c.flags & ~uint32_t{WS_DRAIN_FINISH}) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "shutdown: unknown flags 0x%x", c.flags);
  }
  out->finish = (c.flags & WS_DRAIN_FINISH) != 0;
  return Error();
}

int ws_server_new(ws_loop* l, const ws_server_config* cfg, ws_server** out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    if (out == nullptr) return null_argument("out");
    ws_server_config c;
    if (Error e = read_config(cfg, &c, "ws_server_config")) return e;
    ServerOptions options;
    if (Error e = read_server_options(c, &options)) return e;
    *out = to_handle(new Server(*from_handle<Loop>(l), std::move(options)));
    return Error();
  });
}

void ws_server_free(ws_server* s) {
  if (s != nullptr) impl(s)->free();
}

int ws_server_listen(ws_server* s, const ws_listen_config* cfg, ws_listener** out) {
  return guarded([&] {
    if (s == nullptr) return null_argument("server");
    ws_listen_config c;
    if (Error e = read_config(cfg, &c, "ws_listen_config")) return e;
    Listener* listener = nullptr;
    if (Error e = impl(s)->listen(c, &listener)) return e;
    if (out != nullptr) *out = to_handle(listener);
    return Error();
  });
}

int ws_server_listen_fd(ws_server* s, int fd, ws_listener** out) {
  return ws_server_listen_fd_config(s, fd, nullptr, out);
}

int ws_server_listen_fd_config(ws_server* s, int fd, const ws_listen_config* cfg,
                               ws_listener** out) {
  return guarded([&] {
    if (s == nullptr) return null_argument("server");
    ws_listen_config c;
    if (Error e = read_config(cfg, &c, "ws_listen_config")) return e;
    Listener* listener = nullptr;
    if (Error e = impl(s)->listen_fd(fd, c, &listener)) return e;
    if (out != nullptr) *out = to_handle(listener);
    return Error();
  });
}

int ws_listener_set_tls(ws_listener* ln, ws_tls* tls) {
  return guarded([&] {
    if (ln == nullptr) return null_argument("listener");
    TlsContext* context = tls != nullptr ? from_handle<TlsContext>(tls) : nullptr;
    if (Error e = check_server_tls(context)) return e;
    from_handle<Listener>(ln)->set_tls(Ref<TlsContext>::share(context));
    return Error();
  });
}

uint16_t ws_listener_port(const ws_listener* ln) {
  return ln != nullptr ? from_handle<Listener>(ln)->port() : uint16_t{0};
}

void ws_listener_close(ws_listener* ln) {
  if (ln == nullptr) return;
  Listener* listener = from_handle<Listener>(ln);
  listener->sink().close_listener(listener);
}

size_t ws_server_count(const ws_server* s) { return s != nullptr ? impl(s)->count() : 0; }

int ws_server_each(ws_server* s, int (*fn)(ws_conn* c, void* arg), void* arg) {
  if (s == nullptr) return null_argument("server").code();
  if (fn == nullptr) return null_argument("fn").code();
  return impl(s)->each(fn, arg);
}

int ws_listener_fd(const ws_listener* ln) {
  return ln != nullptr ? from_handle<Listener>(ln)->listening_fd() : -1;
}

void ws_listener_leave_file(ws_listener* ln) {
  if (ln != nullptr) from_handle<Listener>(ln)->leave_file();
}

int ws_server_drain(ws_server* s, const ws_drain* how, void (*done)(ws_server* s, void* arg),
                    void* arg) {
  return guarded([&] {
    if (s == nullptr) return null_argument("server");
    DrainOptions options;
    if (Error e = read_drain(how, &options)) return e;
    return impl(s)->drain(std::move(options), done, arg);
  });
}

int ws_server_shutdown(ws_server* s, uint16_t code, uint32_t timeout_ms,
                       void (*done)(ws_server* s, void* arg), void* arg) {
  return guarded([&] {
    if (s == nullptr) return null_argument("server");
    DrainOptions how;
    how.code = code;
    how.timeout_ms = timeout_ms;
    return impl(s)->drain(std::move(how), done, arg);
  });
}
