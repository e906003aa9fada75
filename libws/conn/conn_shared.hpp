// What the connections of one loop share: the engines' pools, and the gate through which other
// threads reach the loop for as long as it exists.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/ref.hpp"
#include "libws/conn/connect_turn.hpp"
#include "libws/conn/tracer.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/tls_context.hpp"
#include "libws/protocol/engine.hpp"

#include <memory>
#include <mutex>

namespace libws {

class ConnShared final : public LoopCompanion, public RefCounted<ConnShared>, public Allocated {
 public:
  // The loop's, made on first use and kept by the loop.  Throws std::bad_alloc.
  static ConnShared& of(Loop& loop);

  // Only while the loop exists: true for every connection that has not been retired.
  Loop& loop() const { return *loop_; }

  // Adds what Loop::add_stats() leaves out, which is compression, to `out`.
  static void add_stats(const Loop& loop, ws_loop_stats* out);

  // Posts to the loop, as PostQueue::push_ours(), or CLOSED when it is gone.  Thread: any.
  Error post(ws_task_fn fn, void* arg);

  // The settings of a client that has none of its own: the system's roots.  Made on first use.
  // Errors: TLS_CONFIG, NOMEM.
  Error default_tls(Ref<TlsContext>* out);

  void on_loop_gone() override;  // no more posts from here on
  void on_loop_abandoned() override { loop_ = nullptr; }
  void release() override { unref(); }

  EngineResources resources;
  ConnectTurns connect_turns;
  std::unique_ptr<Tracer> tracer;  // of a loop that traces

 private:
  friend class RefCounted<ConnShared>;
  explicit ConnShared(Loop& loop);
  ~ConnShared() = default;

  Ref<TlsContext> default_tls_;
  std::mutex gate_;
  Loop* loop_;
};

}  // namespace libws
