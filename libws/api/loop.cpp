#include "libws/api/loop.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/conn/conn_shared.hpp"
#include "libws/protocol/limits.hpp"

#include <libws/loop.h>

#include <algorithm>
#include <iterator>

using namespace libws;

namespace {

// After a turn, in which a callback may have abandoned the loop: it was needed for as long as the
// turn was on the stack.
Error turned(Loop* loop, Error result) {
  if (loop->abandoned() && !loop->in_turn()) delete loop;
  return result;
}

Error check_watch_events(uint32_t events) {
  if ((events & ~(kReadable | kWritable)) == 0) return {};
  return fail(WS_ERR_INVALID, "watch: events 0x%x", events);
}

}  // namespace

Error libws::make_loop(const ws_loop_config* cfg, std::unique_ptr<Loop>* out) {
  ws_loop_config c;
  if (Error e = read_config(cfg, &c, "ws_loop_config")) return e;
  LoopConfig config;
  config.poller = c.poller;
  if (c.read_bytes != 0) config.read_bytes = c.read_bytes;
  if (c.max_events != 0) config.max_events = c.max_events;
  constexpr uint32_t kMinRead = 4 * 1024, kMaxRead = 16 * 1024 * 1024, kMaxEvents = 1 << 20;
  if (config.read_bytes < kMinRead || config.read_bytes > kMaxRead) {
    return fail(WS_ERR_INVALID, "read_bytes is %u, not 4 KiB to 16 MiB", config.read_bytes);
  }
  if (config.max_events > kMaxEvents) {
    return fail(WS_ERR_INVALID, "max_events is %u, at most %u", config.max_events, kMaxEvents);
  }
  if ((c.flags & ~uint32_t{WS_LOOP_TIME_CALLBACKS}) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_loop_config.flags: 0x%x", c.flags);
  }
  config.time_callbacks = (c.flags & WS_LOOP_TIME_CALLBACKS) != 0;
  config.log = Log(c.log_level, c.log, c.log_user);
  std::unique_ptr<Loop> loop;
  if (Error e = Loop::create(config, &loop)) return e;
  if (c.deflate_budget_bytes != 0) {
    ConnShared::of(*loop).resources.deflate.set_budget(c.deflate_budget_bytes);
  }
  if (c.trace != nullptr) {
    ConnShared::of(*loop).tracer.reset(new Tracer(c.trace, c.trace_user));
  }
  *out = std::move(loop);
  return Error();
}

int ws_loop_new(const ws_loop_config* cfg, ws_loop** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    std::unique_ptr<Loop> loop;
    if (Error e = make_loop(cfg, &loop)) return e;
    *out = to_handle(loop.release());
    return Error();
  });
}

int ws_loop_free(ws_loop* l) {
  return guarded([&] {
    if (l == nullptr) return Error();
    Loop* loop = from_handle<Loop>(l);
    if (Error e = loop->shut_down()) return e;
    delete loop;
    return Error();
  });
}

void ws_loop_abandon(ws_loop* l) {
  if (l != nullptr && from_handle<Loop>(l)->abandon()) delete from_handle<Loop>(l);
}

int ws_loop_run(ws_loop* l) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    Loop* loop = from_handle<Loop>(l);
    return turned(loop, loop->run());
  });
}

int ws_loop_dispatch(ws_loop* l, uint32_t timeout_ms) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    Loop* loop = from_handle<Loop>(l);
    return turned(loop, Error(loop->dispatch(timeout_ms)));
  });
}

int ws_loop_set_turn_end(ws_loop* l, ws_turn_fn fn, void* user) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    from_handle<Loop>(l)->set_turn_end(fn, user);
    return Error();
  });
}

int ws_loop_fd(ws_loop* l) {
  return guarded([&] {
    return l != nullptr ? Error(from_handle<Loop>(l)->pollable_fd()) : null_argument("loop");
  });
}

uint64_t ws_loop_now(const ws_loop* l) { return l != nullptr ? from_handle<Loop>(l)->now_ms() : 0; }

void ws_loop_stop(ws_loop* l) {
  if (l != nullptr) from_handle<Loop>(l)->stop();
}

int ws_loop_post(ws_loop* l, ws_task_fn fn, void* arg) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    if (fn == nullptr) return null_argument("fn");
    return from_handle<Loop>(l)->post(fn, arg);
  });
}

int ws_timer_new(ws_loop* l, void (*fn)(ws_timer* t, void* user), void* user, ws_timer** out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    if (fn == nullptr) return null_argument("fn");
    if (out == nullptr) return null_argument("out");
    *out = to_handle(new UserTimer(*from_handle<Loop>(l), fn, user));
    return Error();
  });
}

void ws_timer_free(ws_timer* t) {
  if (t != nullptr) delete from_handle<UserTimer>(t);
}

int ws_timer_start(ws_timer* t, uint32_t after_ms) {
  return guarded([&] {
    if (t == nullptr) return null_argument("timer");
    if (after_ms > INT32_MAX) return fail(WS_ERR_INVALID, "timer: %u ms is out of range", after_ms);
    from_handle<UserTimer>(t)->start(after_ms);
    return Error();
  });
}

void ws_timer_stop(ws_timer* t) {
  if (t != nullptr) from_handle<UserTimer>(t)->stop();
}

int ws_watch_new(ws_loop* l, int fd, uint32_t events, ws_watch_fn fn, void* user, ws_watch** out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    if (fn == nullptr) return null_argument("fn");
    if (out == nullptr) return null_argument("out");
    if (fd < 0) return fail(WS_ERR_INVALID, "watch: descriptor %d", fd);
    if (Error e = check_watch_events(events)) return e;
    std::unique_ptr<UserWatch> watch(new UserWatch(*from_handle<Loop>(l), fn, user));
    if (Error e = watch->start(fd, events)) return e;
    *out = to_handle(watch.release());
    return Error();
  });
}

int ws_watch_set(ws_watch* w, uint32_t events) {
  return guarded([&] {
    if (w == nullptr) return null_argument("watch");
    if (Error e = check_watch_events(events)) return e;
    return from_handle<UserWatch>(w)->set(events);
  });
}

void ws_watch_free(ws_watch* w) {
  if (w != nullptr) from_handle<UserWatch>(w)->end();
}

int ws_loop_get_stats(ws_loop* l, ws_loop_stats* out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    if (out == nullptr) return null_argument("out");
    ws_loop_stats stats = {};
    Loop& loop = *from_handle<Loop>(l);
    loop.get_stats(&stats);
    ConnShared::add_stats(loop, &stats);
    return write_struct(stats, out, "ws_loop_stats");
  });
}

int ws_loop_get_times(const ws_loop* l, ws_times which, ws_histogram* out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    const Loop& loop = *from_handle<Loop>(l);
    const int number = number_in(which);
    if (number != WS_TIMES_TURNS && number != WS_TIMES_CALLBACKS) {
      return fail(WS_ERR_INVALID, "get_times: there are no times %d", number);
    }
    const bool turns = number == WS_TIMES_TURNS;
    if (!turns && !loop.times_callbacks()) {
      return fail(WS_ERR_STATE, "get_times: the loop does not time callbacks");
    }
    const Histogram& times = turns ? loop.turn_times() : loop.callback_times();
    ws_histogram told = {sizeof told, times.count, times.sum_us, {}};
    std::copy(std::begin(times.buckets), std::end(times.buckets), told.buckets);
    return write_struct(told, out, "ws_histogram");
  });
}
