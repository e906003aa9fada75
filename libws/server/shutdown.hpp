// The graceful stop of a server: waits until the last connection is gone or the time is up, then
// tells once, from the loop.
#pragma once

#include "libws/net/loop.hpp"

#include <libws/server.h>

namespace libws {

class Server;

class Shutdown final : public Watcher, public Allocated {
 public:
  using Done = void (*)(ws_server* s, void* arg);
  Shutdown(Server& server, Done done, void* arg) : server_(&server), done_(done), arg_(arg) {}

  void start(uint32_t timeout_ms);
  // The last connection is gone: done() follows from the loop.
  void finish();
  // The server is being freed: done() will not be called.
  void cancel();

  void on_ready(uint32_t) override {}
  void on_timeout() override;
  void on_deferred() override;
  void on_retired() override { delete this; }

 private:
  ~Shutdown() override = default;

  Server* server_;
  Done done_;
  void* arg_;
  bool told_ = false;
};

}  // namespace libws
