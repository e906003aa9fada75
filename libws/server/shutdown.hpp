// The graceful stop of a server: closes its connections, all at once or one after the other, waits
// until the last is gone or the time is up, then tells once, from the loop.
#pragma once

#include "libws/net/loop.hpp"
#include "libws/server/server.hpp"

#include <libws/server.h>

namespace libws {

class Shutdown final : public Watcher, public Allocated {
 public:
  using Done = void (*)(ws_server* s, void* arg);
  Shutdown(Server& server, DrainOptions&& how, Done done, void* arg)
      : server_(&server), how_(std::move(how)), done_(done), arg_(arg) {}

  void start();
  // Requests are answered as ever, and who opens meanwhile is closed after on_open.
  bool finishes() const { return how_.finish; }
  void opened();
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
  void close_due(uint64_t now_ms);
  bool spread_is_over(uint64_t now_ms) const {
    return closed_ == total_ && now_ms >= began_ms_ + how_.spread_ms;
  }

  Server* server_;
  DrainOptions how_;
  Done done_;
  void* arg_;
  uint64_t began_ms_ = 0;
  uint64_t total_ = 0;   // to be closed, when it began
  uint64_t closed_ = 0;  // of those, so far
  bool told_ = false;
};

// Errors: INVALID.
Error check_drain(const DrainOptions& how);

}  // namespace libws
