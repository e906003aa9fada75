// What the loop needs from the kernel: watch descriptors, wait for some to be ready.  Four
// operations, so that epoll, poll and kqueue each fit in one small file.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <cstdint>
#include <memory>

namespace libws {

class Watcher;

// Interest and readiness.  kHangup is only reported, whatever the interest: error or both
// directions closed; the watcher learns which from its next read or write.
enum : uint32_t { kReadable = 1u << 0, kWritable = 1u << 1, kHangup = 1u << 2 };

struct ReadyEvent {
  Watcher* watcher;
  uint32_t events;
};

class Poller : public Allocated {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  virtual ~Poller() = default;

  // Errors: IO, NOMEM; nothing has changed then.
  virtual Error add(int fd, uint32_t interest, Watcher* watcher) = 0;
  virtual Error modify(int fd, uint32_t interest, Watcher* watcher) = 0;
  // Before the descriptor is closed.
  virtual void remove(int fd) = 0;

  // Waits up to timeout_ms (-1: for ever) and writes at most `max` events; returns how many.
  // An interrupted wait is 0 events.  < 0: a ws_error, the detail is set.
  virtual int wait(int timeout_ms, ReadyEvent* out, int max) = 0;

  // A descriptor that is readable when something is ready, or -1.
  virtual int fd() const = 0;
  virtual const char* name() const = 0;
};

// `name` null: the best one here.  `max_events` bounds each wait.  Errors: UNSUPPORTED (no such
// poller here), IO, NOMEM.
Error make_poller(const char* name, int max_events, std::unique_ptr<Poller>* out);
Error make_epoll_poller(int max_events, std::unique_ptr<Poller>* out);
Error make_poll_poller(int max_events, std::unique_ptr<Poller>* out);

}  // namespace libws
