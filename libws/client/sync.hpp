// The blocking client behind ws_sync: a loop of its own that turns while a call waits.
//
// Messages that arrive while nobody is in recv() (during send and close) are kept, up to the
// connection's send_limit_bytes; above that the connection is paused, so that the peer is slowed
// down instead.
#pragma once

#include "libws/client/client.hpp"
#include "libws/net/loop.hpp"
#include "libws/protocol/message.hpp"

#include <libws/sync.h>

#include <deque>
#include <memory>

namespace libws {

class Sync final : public Allocated {
 public:
  // `options` without handlers and callbacks.  Errors: as ws_sync_connect().  Throws
  // std::bad_alloc.
  static Error connect(ClientOptions options, std::unique_ptr<Sync>* out);
  ~Sync();
  Sync(const Sync&) = delete;
  Sync& operator=(const Sync&) = delete;

  // ---- the public calls of sync.h, same contracts ----
  Error send(ws_opcode op, Bytes data);
  // Null after a failure.
  Error recv(uint32_t timeout_ms, const Message** out);
  Error close(uint16_t code, std::string_view reason);
  const ws_close_info* how() const { return ended_ ? &outcome_.info() : nullptr; }
  Client* client() const { return client_; }
  Conn* conn() const { return client_->conn(); }

 private:
  Sync() = default;

  static void on_open(ws_conn* c, void* user);
  static void on_message(ws_conn* c, ws_opcode op, const void* data, size_t len, void* user);
  static void on_down(ws_client* cl, const ws_close_info* why, uint32_t retry_in_ms, void* user);

  // Turns once, at most until deadline_ms.  Errors: TIMEOUT, IO.
  Error turn(uint64_t deadline_ms);
  Error closed();
  Error send_ended();
  void keep(Conn& conn);

  std::unique_ptr<Loop> loop_;
  Client* client_ = nullptr;
  Outcome outcome_;
  std::deque<Ref<Message>, Allocator<Ref<Message>>> inbox_;
  Ref<Message> current_;  // what recv() gave last
  uint64_t inbox_bytes_ = 0;
  uint64_t inbox_limit_ = 0;
  int failure_ = 0;  // a message could not be kept
  bool opened_ = false;
  bool ended_ = false;
};
LIBWS_HANDLE(Sync, ws_sync);

}  // namespace libws
