#include "libws/protocol/random_pool.hpp"

#include "libws/base/system.hpp"

#include <pthread.h>
#include <atomic>

namespace libws {
namespace {

// A forked child must not repeat its parent's masks (bad_inputs 215), so pools filled before the
// fork are dropped.  A counter moved by pthread_atfork costs one load a frame; getpid() would
// cost a system call.
std::atomic<uint32_t> generation{0};

void count_fork() { generation.fetch_add(1, std::memory_order_relaxed); }

const int registered = pthread_atfork(nullptr, nullptr, count_fork);

}  // namespace

uint32_t RandomPool::current_generation() { return generation.load(std::memory_order_relaxed); }

bool RandomPool::fill(void* out, size_t len) {
  return (source_ != nullptr ? source_(user_, out, len) : sys().random(out, len)) == 0;
}

bool RandomPool::take_slow(void* out, size_t len) {
  (void)registered;
  if (len > kPoolBytes) return fill(out, len);
  left_ = 0;
  if (!fill(bytes_, kPoolBytes)) return false;
  fork_generation_ = current_generation();
  left_ = kPoolBytes - len;
  std::memcpy(out, bytes_ + left_, len);
  return true;
}

}  // namespace libws
