#include "libws/client/sync.hpp"

#include "libws/api/client.hpp"
#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"

#include <libws/sync.h>

using namespace libws;

namespace {

Sync* impl(const ws_sync* s) { return from_handle<Sync>(s); }

}  // namespace

int ws_sync_connect(const char* url, const ws_client_config* cfg, ws_sync** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    ws_client_config c;
    if (Error e = read_config(cfg, &c, "ws_client_config")) return e;
    if (c.url != nullptr || c.handlers != nullptr || c.on_attempt != nullptr ||
        c.on_down != nullptr) {
      return fail(WS_ERR_INVALID, "sync: url, handlers, on_attempt and on_down must be NULL");
    }
    ClientOptions options;
    if (Error e = read_client_options(c, url, &options)) return e;
    std::unique_ptr<Sync> s;
    if (Error e = Sync::connect(std::move(options), &s)) return e;
    *out = to_handle(s.release());
    return Error();
  });
}

void ws_sync_free(ws_sync* s) {
  if (s != nullptr) delete impl(s);
}

int ws_sync_send(ws_sync* s, ws_opcode op, const void* data, size_t len) {
  return guarded(
      [&] { return s != nullptr ? impl(s)->send(op, bytes(data, len)) : null_argument("sync"); });
}

int ws_sync_recv(ws_sync* s, uint32_t timeout_ms, ws_opcode* op, const void** data, size_t* len) {
  return guarded([&] {
    if (s == nullptr) return null_argument("sync");
    if (op == nullptr || data == nullptr || len == nullptr) return null_argument("op, data or len");
    const Message* m = nullptr;
    if (Error e = impl(s)->recv(timeout_ms, &m)) return e;
    *op = m->opcode();
    *data = m->data().data();
    *len = m->data().size();
    return Error();
  });
}

int ws_sync_close(ws_sync* s, uint16_t code, const char* reason) {
  return guarded([&] {
    if (s == nullptr) return null_argument("sync");
    return impl(s)->close(code, reason != nullptr ? reason : "");
  });
}

const ws_close_info* ws_sync_how(const ws_sync* s) {
  return s != nullptr ? impl(s)->how() : nullptr;
}

ws_client* ws_sync_client(const ws_sync* s) {
  return s != nullptr ? to_handle(impl(s)->client()) : nullptr;
}

ws_conn* ws_sync_conn(const ws_sync* s) {
  Conn* conn = s != nullptr ? impl(s)->conn() : nullptr;
  return conn != nullptr ? to_handle(conn) : nullptr;
}
