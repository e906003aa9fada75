// How much a new connection costs a client of libws: the same as handshake.cpp does, through the
// public API, against a server that costs little (floor --upgrade, floor_tls --upgrade).  What
// counts is the CPU time of this program beside that of handshake.

#include <libws/ws.h>

#include <string_view>

#include "handshake_report.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: client_handshake --url ws[s]://127.0.0.1:PORT/ [options]\n"
    "  --connections N   how many are counted [2000]\n"
    "  --in-flight N     so many at a time [16, or 1 with --resume]\n"
    "  --resume          TLS: each resumes a session\n"
    "  --server-pid PID  also report the CPU time this process used\n"
    "  --json            one line of JSON\n";

void check(int result, const char* what) {
  if (result < 0) die("%s: %s", what, ws_last_detail());
}

class Clients {
 public:
  Clients(const std::string& url, ws_tls* tls, size_t in_flight) : slots_(in_flight) {
    check(ws_loop_new(nullptr, &loop_), "loop");
    WS_INIT(&handlers_);
    handlers_.on_open = on_open;
    WS_INIT(&config_);
    config_.url = url.c_str();
    config_.tls = tls;
    config_.handlers = &handlers_;
    config_.on_down = on_down;
  }

  ~Clients() { ws_loop_free(loop_); }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Opens and closes so many.  `resumed`: what each must be.
  void run(size_t count, bool resumed) {
    to_start_ = count;
    to_open_ = count;
    resumed_ = resumed;
    for (Slot& slot : slots_) start(slot);
    check(ws_loop_run(loop_), "loop");
    if (to_open_ != 0) die("the loop ended with %zu to open", to_open_);
  }

 private:
  struct Slot {
    Clients* owner = nullptr;
    ws_client* client = nullptr;
  };

  void start(Slot& slot) {
    if (to_start_ == 0) return;
    --to_start_;
    slot.owner = this;
    config_.user = &slot;
    check(ws_client_new(loop_, &config_, &slot.client), "client");
  }

  static void on_open(ws_conn* conn, void* user) {
    Slot& slot = *static_cast<Slot*>(user);
    Clients& self = *slot.owner;
    self.expect_resumed(conn);
    ws_client_free(slot.client);
    if (--self.to_open_ == 0) return ws_loop_stop(self.loop_);
    self.start(slot);
  }

  void expect_resumed(ws_conn* conn) const {
    if (config_.tls == nullptr) return;
    ws_tls_info info;
    WS_INIT(&info);
    check(ws_conn_get_tls(conn, &info), "TLS");
    if ((info.resumed != 0) == resumed_) return;
    die(resumed_ ? "the session was not resumed" : "the session was resumed unasked");
  }

  // A client that is freed has no on_down, so this one failed.
  static void on_down(ws_client*, const ws_close_info* why, uint32_t, void*) {
    die("a connection failed: %s", why->detail);
  }

  ws_loop* loop_ = nullptr;
  ws_handlers handlers_;
  ws_client_config config_;
  std::vector<Slot> slots_;
  size_t to_start_ = 0;
  size_t to_open_ = 0;
  bool resumed_ = false;
};

// As TlsContext::client() has it.
ws_tls* new_tls(bool resume) {
  ws_tls_config config;
  WS_INIT(&config);
  config.verify = WS_TLS_VERIFY_NONE;
  config.min_version = 0x0304;
  config.ciphersuites = "TLS_AES_128_GCM_SHA256";
  if (!resume) config.flags = WS_TLS_NO_TICKETS;
  ws_tls* tls = nullptr;
  check(ws_tls_new(&config, &tls), "TLS");
  return tls;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const std::string url = options.text("--url", "");
  const bool secure = url.starts_with("wss:");
  HandshakeRun run{};
  run.protocol = secure ? "wss" : "ws";
  run.connections = options.number("--connections", 2000, 1, 1000000);
  run.resumed = options.flag("--resume");
  // Of each server the library keeps one ticket: a second connection at the same time has none.
  run.in_flight = options.number("--in-flight", run.resumed ? 1 : 16, 1, 4096);
  run.server_pid = static_cast<pid_t>(options.number("--server-pid", 0, 1, 1 << 22));
  run.json = options.flag("--json");
  options.finish();
  if (url.empty()) options.fail("--url", "is needed");
  if (run.resumed && !secure) options.fail("--resume", "needs TLS");

  raise_descriptor_limit();
  ws_tls* tls = secure ? new_tls(run.resumed) : nullptr;
  {
    Clients clients(url, tls, run.in_flight);
    // Not counted: what both sides do once in their lives, and the first session.
    clients.run(1, false);
    if (run.resumed) clients.run(run.in_flight, true);
    const HandshakeReading begin = read_for(run);
    clients.run(run.connections, run.resumed);
    report(run, begin, read_for(run));
  }
  ws_tls_unref(tls);
  return 0;
}
