// A client of libws in C, to put beside one in another language: reads all it is sent, or sends a
// message whenever it got the last one back.  Ends with its connection; `host` measures it.

#include <libws/ws.h>

#include <string_view>

#include "common.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: client (echo | receive) [--size BYTES] [--text] ws://127.0.0.1:PORT/\n"
    "  --size BYTES  echo: payload of the message [20]\n"
    "  --text        echo: a text message, not binary\n";

void check(int result, const char* what) {
  if (result < 0) die("%s: %s", what, ws_last_detail());
}

struct Sender {
  std::string payload;
  ws_opcode opcode;

  void send(ws_conn* conn) const {
    check(ws_conn_send(conn, opcode, payload.data(), payload.size(), 0), "send");
  }
};

void on_open(ws_conn* conn, void* user) { static_cast<Sender*>(user)->send(conn); }

void on_echo(ws_conn* conn, ws_opcode, const void*, size_t, void* user) {
  static_cast<Sender*>(user)->send(conn);
}

void ignore(ws_conn*, ws_opcode, const void*, size_t, void*) {}

void on_down(ws_client*, const ws_close_info* why, uint32_t, void*) { die("%s", why->detail); }

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  const std::string what = argc > 2 ? argv[1] : "";
  const std::string url = argc > 2 ? argv[argc - 1] : "";
  Options options(argc > 2 ? argc - 2 : argc, argc > 2 ? argv + 1 : argv, kUsage);
  if (what != "echo" && what != "receive") options.fail("echo or receive", "is needed");
  Sender sender;
  sender.payload.assign(options.number("--size", 20, 0, 1 << 20), 'x');
  sender.opcode = options.flag("--text") ? WS_OP_TEXT : WS_OP_BINARY;
  options.finish();

  ws_handlers handlers;
  WS_INIT(&handlers);
  handlers.on_open = what == "echo" ? on_open : nullptr;
  handlers.on_message = what == "echo" ? on_echo : ignore;
  ws_conn_config conn;
  WS_INIT(&conn);
  conn.deflate = WS_DEFLATE_OFF;
  ws_client_config config;
  WS_INIT(&config);
  config.url = url.c_str();
  config.handlers = &handlers;
  config.conn = &conn;
  config.user = &sender;
  config.on_down = on_down;
  ws_loop* loop = nullptr;
  check(ws_loop_new(nullptr, &loop), "loop");
  ws_client* client = nullptr;
  check(ws_client_new(loop, &config, &client), "client");
  return ws_loop_run(loop) < 0;
}
