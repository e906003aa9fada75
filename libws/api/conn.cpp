#include "libws/conn/conn.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"

#include <libws/conn.h>

using namespace libws;

namespace {

Conn* impl(const ws_conn* c) { return from_handle<Conn>(c); }

}  // namespace

ws_conn* ws_conn_ref(ws_conn* c) {
  if (c != nullptr) impl(c)->ref();
  return c;
}

void ws_conn_unref(ws_conn* c) {
  if (c != nullptr) impl(c)->unref();
}

uint64_t ws_conn_id(const ws_conn* c) { return c != nullptr ? impl(c)->id() : 0; }

ws_loop* ws_conn_loop(const ws_conn* c) { return c != nullptr ? impl(c)->loop_handle() : nullptr; }

void* ws_conn_user(const ws_conn* c) { return c != nullptr ? impl(c)->user() : nullptr; }

void ws_conn_set_user(ws_conn* c, void* user) {
  if (c != nullptr) impl(c)->set_user(user);
}

const char* ws_conn_peer(const ws_conn* c) {
  if (c == nullptr) return "";
  // A connection keeps its peer packed, so the text lives per thread, as ws_last_detail's does.
  thread_local char text[kAddressTextBytes];
  impl(c)->peer().print(text);
  return text;
}

const char* ws_conn_local(const ws_conn* c) {
  if (c == nullptr) return "";
  thread_local char text[kAddressTextBytes];
  impl(c)->print_local(text);
  return text;
}

const char* ws_conn_subprotocol(const ws_conn* c) {
  return c != nullptr ? impl(c)->subprotocol() : "";
}

int ws_conn_is_open(const ws_conn* c) { return c != nullptr && impl(c)->is_open() ? 1 : 0; }

int ws_conn_get_tls(const ws_conn* c, ws_tls_info* out) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    if (out == nullptr) return null_argument("out");
    ws_tls_info info;
    if (Error e = impl(c)->get_tls(&info)) return e;
    return write_struct(info, out, "ws_tls_info");
  });
}

int ws_conn_get_deflate(const ws_conn* c, ws_deflate_info* out) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    ws_deflate_info info;
    impl(c)->get_deflate(&info);
    return write_struct(info, out, "ws_deflate_info");
  });
}

int ws_conn_send(ws_conn* c, ws_opcode op, const void* data, size_t len, uint32_t flags) {
  return guarded([&] {
    return c != nullptr ? impl(c)->send(op, bytes(data, len), flags) : null_argument("connection");
  });
}

int ws_conn_begin_parts(ws_conn* c, uint32_t flags) {
  return guarded(
      [&] { return c != nullptr ? impl(c)->begin_parts(flags) : null_argument("connection"); });
}

int ws_conn_send_part(ws_conn* c, ws_opcode op, const void* data, size_t len, int last) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    return impl(c)->send_part(op, bytes(data, len), last != 0);
  });
}

int ws_conn_send_message(ws_conn* c, ws_message* m) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    if (m == nullptr) return null_argument("message");
    return impl(c)->send_message(*from_handle<Message>(m));
  });
}

int ws_conn_post_message(ws_conn* c, ws_message* m) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    if (m == nullptr) return null_argument("message");
    return impl(c)->post_message(*from_handle<Message>(m));
  });
}

int ws_conn_post_close(ws_conn* c, uint16_t code, const char* reason) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    return impl(c)->post_close(code, reason != nullptr ? reason : "");
  });
}

int ws_conn_post_abort(ws_conn* c) {
  return guarded(
      [&] { return c != nullptr ? impl(c)->post_abort() : null_argument("connection"); });
}

int ws_conn_keep_message(ws_conn* c, ws_message** out) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    if (out == nullptr) return null_argument("out");
    Ref<Message> m;
    if (Error e = impl(c)->keep_message(&m)) return e;
    *out = to_handle(m.release());
    return Error();
  });
}

int ws_conn_ping(ws_conn* c, const void* data, size_t len) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    if (data == nullptr && len != 0) return null_argument("data");
    return impl(c)->ping(bytes(data, len));
  });
}

int ws_conn_pong(ws_conn* c, const void* data, size_t len) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    if (data == nullptr && len != 0) return null_argument("data");
    return impl(c)->pong(bytes(data, len));
  });
}

int ws_conn_flush(ws_conn* c) {
  return guarded([&] { return c != nullptr ? impl(c)->flush() : null_argument("connection"); });
}

uint64_t ws_conn_buffered(const ws_conn* c) { return c != nullptr ? impl(c)->buffered() : 0; }

int ws_conn_pause(ws_conn* c) {
  return guarded([&] { return c != nullptr ? impl(c)->pause() : null_argument("connection"); });
}

int ws_conn_resume(ws_conn* c) {
  return guarded([&] { return c != nullptr ? impl(c)->resume() : null_argument("connection"); });
}

int ws_conn_demand(ws_conn* c, uint32_t n) {
  return guarded([&] { return c != nullptr ? impl(c)->demand(n) : null_argument("connection"); });
}

int ws_conn_set_chunks(ws_conn* c, int on) {
  return guarded(
      [&] { return c != nullptr ? impl(c)->set_chunks(on != 0) : null_argument("connection"); });
}

int ws_conn_close(ws_conn* c, uint16_t code, const char* reason) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    return impl(c)->close(code, reason != nullptr ? reason : "");
  });
}

void ws_conn_abort(ws_conn* c) {
  if (c != nullptr) impl(c)->abort();
}

int ws_conn_get_stats(const ws_conn* c, ws_conn_stats* out) {
  return guarded([&] {
    if (c == nullptr) return null_argument("connection");
    ws_conn_stats stats = {};
    impl(c)->get_stats(&stats);
    return write_struct(stats, out, "ws_conn_stats");
  });
}
