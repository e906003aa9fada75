// What the connections of one loop share: the engines' pools, and the gate through which other
// threads reach the loop for as long as it exists.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/ref.hpp"
#include "libws/net/loop.hpp"
#include "libws/protocol/engine.hpp"

#include <mutex>

namespace libws {

class ConnShared final : public LoopCompanion, public RefCounted<ConnShared>, public Allocated {
 public:
  // The loop's, made on first use and kept by the loop.  Throws std::bad_alloc.
  static ConnShared& of(Loop& loop);

  // Only while the loop exists: true for every connection that has not been retired.
  Loop& loop() const { return *loop_; }

  // Posts to the loop, or CLOSED when it is gone.  Thread: any.
  Error post(ws_task_fn fn, void* arg);

  void on_loop_gone() override;  // no more posts from here on
  void release() override { unref(); }

  EngineResources resources;

 private:
  friend class RefCounted<ConnShared>;
  explicit ConnShared(Loop& loop);
  ~ConnShared() = default;

  std::mutex gate_;
  Loop* loop_;
};

}  // namespace libws
