// Ending a connection from another thread; posting a message is in conn_write.cpp.
#include "libws/conn/conn.hpp"

#include <new>

namespace libws {
namespace {

struct PostedEnd : Allocated {
  Ref<Conn> conn;
  bool abort = false;
  uint16_t code = 0;
  uint8_t reason_len = 0;
  char reason[kMaxControlPayload];
};

void end_posted(ws_loop*, void* arg, int cancelled) {
  auto* posted = static_cast<PostedEnd*>(arg);
  Conn& conn = *posted->conn;
  if (cancelled == 0 && posted->abort) conn.abort();
  // One that has ended meanwhile needs no closing, and nobody waits for the answer.
  if (cancelled == 0 && !posted->abort) {
    (void)conn.close(posted->code, {posted->reason, posted->reason_len}).failed();
  }
  delete posted;
}

Error post_end(ConnShared& shared, PostedEnd* task) {
  Error e = shared.post(end_posted, task);
  if (e) delete task;
  return e;
}

}  // namespace

Error Conn::post_close(uint16_t code, std::string_view reason) {
  if (Error e = Engine::check_close(engine_.role(), code, reason)) return e;
  if (inert_.load(std::memory_order_acquire)) return fail(WS_ERR_CLOSED, "post_close: closed");
  auto* task = new (std::nothrow) PostedEnd;
  if (task == nullptr) return fail(WS_ERR_NOMEM, "post_close");
  task->conn = Ref<Conn>::share(this);
  task->code = code;
  task->reason_len = static_cast<uint8_t>(reason.size());
  copy_bytes(task->reason, reason.data(), reason.size());
  return post_end(*shared_, task);
}

Error Conn::post_abort() {
  if (inert_.load(std::memory_order_acquire)) return fail(WS_ERR_CLOSED, "post_abort: closed");
  auto* task = new (std::nothrow) PostedEnd;
  if (task == nullptr) return fail(WS_ERR_NOMEM, "post_abort");
  task->conn = Ref<Conn>::share(this);
  task->abort = true;
  return post_end(*shared_, task);
}

}  // namespace libws
