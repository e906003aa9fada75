#include "libws/api/engine.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"

#include <libws/engine.h>

using namespace libws;

namespace {

ApiEngine* impl(const ws_engine* e) { return from_handle<ApiEngine>(e); }

Error read_engine_config(const ws_engine_config* cfg, ws_engine_config* out, Limits* limits) {
  if (Error e = read_config(cfg, out, "ws_engine_config")) return e;
  if ((out->flags & ~uint32_t{WS_ENGINE_CHUNKS}) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_engine_config.flags: unknown bits 0x%x", out->flags);
  }
  ws_conn_config conn;
  if (Error e = read_config(out->conn, &conn, "ws_conn_config")) return e;
  return Limits::from(conn, limits);
}

Error make(Role role, const ws_engine_config* cfg, const OpenRequest* open, ws_engine** out) {
  ws_engine_config c;
  Limits limits;
  if (Error e = read_engine_config(cfg, &c, &limits)) return e;
  std::unique_ptr<ApiEngine> engine(new ApiEngine(role, limits, c));
  if (open != nullptr) {
    if (Error e = engine->engine().start_client(*open)) return e;
  }
  *out = to_handle(engine.release());
  return Error();
}

}  // namespace

int ws_engine_new_server(const ws_engine_config* cfg, ws_engine** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    return make(Role::kServer, cfg, nullptr, out);
  });
}

int ws_engine_new_client(const ws_engine_config* cfg, const ws_open* open, ws_engine** out) {
  return guarded([&] {
    if (open == nullptr) return null_argument("open");
    if (out == nullptr) return null_argument("out");
    ws_open o;
    if (Error e = read_config(open, &o, "ws_open")) return e;
    if (o.host == nullptr) return null_argument("ws_open.host");
    if (o.headers == nullptr && o.header_count != 0) return null_argument("ws_open.headers");
    if (o.subprotocols == nullptr && o.subprotocol_count != 0) {
      return null_argument("ws_open.subprotocols");
    }
    OpenRequest request;
    request.host = o.host;
    request.target = o.target != nullptr ? o.target : "/";
    request.headers = {o.headers, o.header_count};
    request.subprotocols = {o.subprotocols, o.subprotocol_count};
    return make(Role::kClient, cfg, &request, out);
  });
}

void ws_engine_free(ws_engine* e) {
  if (e != nullptr) delete impl(e);
}

int ws_engine_feed(ws_engine* e, const void* data, size_t len) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (data == nullptr && len != 0) return null_argument("data");
    return impl(e)->feed_copy(bytes(data, len));
  });
}

int ws_engine_feed_inplace(ws_engine* e, void* data, size_t len) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (data == nullptr && len != 0) return null_argument("data");
    return impl(e)->feed(static_cast<uint8_t*>(data), len);
  });
}

void ws_engine_landing(ws_engine* e, void** buf, size_t* len) {
  std::span<uint8_t> area;
  if (e != nullptr) area = impl(e)->landing();
  if (buf != nullptr) *buf = area.data();
  if (len != nullptr) *len = area.size();
}

int ws_engine_landed(ws_engine* e, size_t n) {
  return guarded([&] { return e != nullptr ? impl(e)->landed(n) : null_argument("engine"); });
}

int ws_engine_feed_eof(ws_engine* e) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    impl(e)->engine().feed_eof();
    return Error();
  });
}

int ws_engine_next(ws_engine* e, ws_event* ev) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (ev == nullptr) return null_argument("event");
    return impl(e)->next(ev);
  });
}

size_t ws_engine_output(ws_engine* e, ws_slice* out, size_t max) {
  return e != nullptr && out != nullptr ? impl(e)->engine().output(out, max) : 0;
}

int ws_engine_sent(ws_engine* e, size_t n) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (n > impl(e)->engine().buffered()) {
      return fail(WS_ERR_INVALID, "sent: %zu bytes, but only %zu were queued", n,
                  impl(e)->engine().buffered());
    }
    impl(e)->engine().sent(n);
    return Error();
  });
}

uint32_t ws_engine_want(const ws_engine* e) { return e != nullptr ? impl(e)->engine().want() : 0; }

int ws_engine_tick(ws_engine* e, uint64_t now_ms) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    impl(e)->tick(now_ms);
    return Error();
  });
}

uint64_t ws_engine_deadline(const ws_engine* e) {
  return e != nullptr ? impl(e)->deadline_ms() : UINT64_MAX;
}

ws_request* ws_engine_request(ws_engine* e) {
  return e != nullptr ? impl(e)->pending_request() : nullptr;
}

const char* ws_engine_response_header(const ws_engine* e, const char* name, size_t* len) {
  if (e == nullptr || name == nullptr) return nullptr;
  const char* value = nullptr;
  guarded([&] {
    value = impl(e)->engine().response_header(name, len);
    return Error();
  });
  return value;
}

ws_slice ws_engine_response_body(const ws_engine* e) {
  if (e == nullptr) return {nullptr, 0};
  Bytes body = impl(e)->engine().response_body();
  return {body.data(), body.size()};
}

const char* ws_engine_subprotocol(const ws_engine* e) {
  return e != nullptr ? impl(e)->engine().subprotocol() : "";
}

int ws_engine_get_deflate(const ws_engine* e, ws_deflate_info* out) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    ws_deflate_info info;
    impl(e)->engine().deflate_info(&info);
    return write_struct(info, out, "ws_deflate_info");
  });
}

uint64_t ws_engine_buffered(const ws_engine* e) {
  return e != nullptr ? impl(e)->engine().buffered() : 0;
}

int ws_engine_send(ws_engine* e, ws_opcode op, const void* data, size_t len, uint32_t flags) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    return impl(e)->engine().send(op, bytes(data, len), flags);
  });
}

int ws_engine_begin_parts(ws_engine* e, uint32_t flags) {
  return guarded([&] {
    return e != nullptr ? impl(e)->engine().begin_parts(flags) : null_argument("engine");
  });
}

int ws_engine_send_part(ws_engine* e, ws_opcode op, const void* data, size_t len, int last) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    return impl(e)->engine().send_part(op, bytes(data, len), last != 0);
  });
}

int ws_engine_send_message(ws_engine* e, ws_message* m) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (m == nullptr) return null_argument("message");
    return impl(e)->engine().send_message(*from_handle<Message>(m));
  });
}

int ws_engine_ping(ws_engine* e, const void* data, size_t len) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (data == nullptr && len != 0) return null_argument("data");
    return impl(e)->engine().ping(bytes(data, len));
  });
}

int ws_engine_pong(ws_engine* e, const void* data, size_t len) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    if (data == nullptr && len != 0) return null_argument("data");
    return impl(e)->engine().pong(bytes(data, len));
  });
}

int ws_engine_close(ws_engine* e, uint16_t code, const char* reason) {
  return guarded([&] {
    if (e == nullptr) return null_argument("engine");
    return impl(e)->engine().close(code, reason != nullptr ? reason : "");
  });
}
