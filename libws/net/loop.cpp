#include "libws/net/loop.hpp"

#include "libws/base/system.hpp"
#include "libws/net/resolver.hpp"

#include <unistd.h>
#include <cerrno>
#include <climits>
#include <utility>
#ifdef __linux__
#include <sys/timerfd.h>
#endif

namespace libws {

namespace {

thread_local const Loop* current_loop = nullptr;

}  // namespace

const Loop* Loop::current() { return current_loop; }

static_assert(sizeof(void*) != 8 || sizeof(Watcher) == 64, "every idle connection pays for it");

// Marks the loop as entered.  On the way out the kernel timer and the wake-up descriptor are left
// so that a program which watches ws_loop_fd() comes back in time; inside, the wait's own timeout
// does that, so run() makes no timer system calls.
class Loop::Entered {
 public:
  explicit Entered(Loop& loop) : loop_(loop), outer_(std::exchange(current_loop, &loop)) {
    loop_.thread_ = std::this_thread::get_id();
    loop_.in_turn_ = true;
    loop_.woken_ = false;
  }
  ~Entered() {
    current_loop = outer_;
    loop_.in_turn_ = false;
    if (loop_.timer_fd_ < 0) return;
    loop_.arm_kernel_timer();
    if (loop_.work_pending()) loop_.wake_if_idle();
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  Loop& loop_;
  const Loop* outer_;  // a callback of that one has entered this one
};

Loop::Loop(const LoopConfig& config)
    : log_(config.log),
      now_us_(sys().now_us()),
      turn_end_us_(now_us_),
      timers_(now_us_ / 1000),
      read_bytes_(config.read_bytes),
      max_events_(static_cast<int>(config.max_events)),
      time_callbacks_(config.time_callbacks) {}

Loop::~Loop() {
  if (abandoned_) let_go();
  unwatch(&kernel_timer_);
  unwatch(&wakeup_);
  if (timer_fd_ >= 0) sys().close(timer_fd_);
  release(events_);
  release(read_buffer_);
}

Error Loop::create(const LoopConfig& config, std::unique_ptr<Loop>* out) {
  std::unique_ptr<Loop> loop(new (std::nothrow) Loop(config));
  if (loop == nullptr) return fail(WS_ERR_NOMEM, "loop");
  if (Error e = loop->open(config)) return e;
  *out = std::move(loop);
  return {};
}

Error Loop::open(const LoopConfig& config) {
  if (Error e = make_poller(config.poller, max_events_, &poller_)) return e;
  events_ =
      static_cast<ReadyEvent*>(try_alloc(sizeof(ReadyEvent) * static_cast<size_t>(max_events_)));
  read_buffer_ = static_cast<uint8_t*>(try_alloc(read_bytes_));
  if (events_ == nullptr || read_buffer_ == nullptr) {
    return fail(WS_ERR_NOMEM, "loop: %d events, %zu bytes to read into", max_events_, read_bytes_);
  }
  if (Error e = posts_.open()) return e;
  return watch(&wakeup_, posts_.fd(), kReadable);
}

// ---- turns ----

Error Loop::run() {
  if (in_turn_) return fail(WS_ERR_REENTRANT, "run: the loop is already running");
  Entered entered(*this);
  turn_end_us_ = sys().now_us();
  while (!stop_.exchange(false, std::memory_order_acquire)) {
    int n = turn(WS_NEVER);
    if (n < 0) return Error(n);
  }
  return {};
}

int Loop::dispatch(uint32_t timeout_ms) {
  if (in_turn_) return fail(WS_ERR_REENTRANT, "dispatch: the loop is already running").code();
  Entered entered(*this);
  if (timeout_ms != 0) turn_end_us_ = sys().now_us();
  return turn(timeout_ms);
}

// How long the poller may sleep, counted from turn_end_us_.  Whole milliseconds rounded down there
// and added to here give a wake-up at the deadline or up to 1 ms after it, never before.
int Loop::wait_timeout(uint32_t timeout_ms) const {
  if (timeout_ms == 0 || work_pending() || posts_.pending()) return 0;
  uint64_t wait = timeout_ms == WS_NEVER ? UINT64_MAX : timeout_ms;
  if (timers_.count() != 0) {
    uint64_t now = turn_end_us_ / 1000;
    uint64_t next = timers_.next_deadline();
    uint64_t until = next > now ? next - now : 0;
    if (until < wait) wait = until;
    if (wait > INT_MAX) return INT_MAX;
  }
  if (wait == UINT64_MAX) return -1;
  return wait > INT_MAX ? INT_MAX : static_cast<int>(wait);
}

int Loop::turn(uint32_t timeout_ms) {
  waiting_.store(true, std::memory_order_release);
  int ready = poller_->wait(wait_timeout(timeout_ms), events_, max_events_);
  waiting_.store(false, std::memory_order_release);
  if (ready < 0) return ready;
  ++turns_;
  now_us_ = sys().now_us();

  size_t handled = run_ready(ready);
  handled_ += handled;
  handled += timers_.advance(now_ms());
  handled += run_posts(0);
  run_deferred();
  if (turn_end_ != nullptr && !abandoned_) turn_end_(handle(), turn_end_user_);
  run_flush();
  run_retired();
  // Since a callback abandoned it, nothing was left for the rest of the turn to do.
  if (abandoned_) return fail(WS_ERR_CLOSED, "the loop was abandoned").code();

  turn_end_us_ = sys().now_us();
  uint64_t took = turn_end_us_ > now_us_ ? turn_end_us_ - now_us_ : 0;
  if (took > longest_turn_us_) longest_turn_us_ = took;
  turn_times_.add(took);
  return handled > INT_MAX ? INT_MAX : static_cast<int>(handled);
}

size_t Loop::run_ready(int count) {
  size_t handled = 0;
  events_next_ = 0;
  events_end_ = count;
  while (events_next_ < events_end_) {
    ReadyEvent event = events_[events_next_++];
    Watcher* w = event.watcher;
    // Null: taken back by drop_ready().  No descriptor: unwatched earlier in this batch; the
    // object is still there, because none dies before run_retired().
    if (w == nullptr || w->fd_ < 0) continue;
    if (w != &wakeup_ && w != &kernel_timer_) ++handled;
    w->on_ready(event.events);
  }
  return handled;
}

// A watcher that was unwatched and is watched again in the same batch, with another descriptor,
// must not get the event of the old one.
void Loop::drop_ready(const Watcher* w) {
  for (int i = events_next_; i < events_end_; ++i) {
    if (events_[i].watcher == w) events_[i].watcher = nullptr;
  }
}

size_t Loop::run_posts(int cancelled) {
  if (!posts_.pending()) return 0;
  size_t count = posts_.run(handle(), cancelled);
  tasks_ += count;
  return count;
}

// Both phases take the list as it is when they begin, so work that asks for itself again goes on
// in the next turn and descriptors get their share in between.
void Loop::run_deferred() {
  deferred_now_ = std::exchange(deferred_, {});
  while (Watcher* w = deferred_now_.pop()) {
    w->deferred_ = 0;
    deferring_ = w;
    w->on_deferred();
  }
  deferring_ = nullptr;
}

void Loop::run_flush() {
  auto batch = flush_;
  flush_ = {};
  while (Watcher* w = batch.pop()) {
    w->flushing_ = 0;
    if (!w->retired_) w->on_flush();
  }
}

void Loop::run_retired() {
  List<TimerNode> waiting;
  while (TimerNode* node = retired_.pop_front()) {
    Watcher* w = static_cast<Watcher*>(node);
    if (w->deferred_ || w->flushing_) {
      waiting.push_back(w);  // a list of the next turn still names it
    } else {
      w->on_retired();
    }
  }
  retired_.splice(waiting);
}

bool Loop::work_pending() const {
  return deferred_.head != nullptr || flush_.head != nullptr || !retired_.empty();
}

Error Loop::shut_down() {
  if (in_turn_) return fail(WS_ERR_REENTRANT, "free: the loop is running");
  Entered entered(*this);
  now_us_ = sys().now_us();
  // Descriptors and timers are not served any more: their owners are members, or belong to one.
  // Members live until the last callback is over, because those may still use them: on_close that
  // frees its connection's timer, or the server.  A callback may make a new member or post a
  // task, so this ends when all lists are empty.
  for (;;) {
    for (LoopMember* m = members_.front(); m != nullptr; m = members_.next(m)) m->on_loop_stop();
    run_posts(1);
    run_deferred();
    run_flush();
    run_retired();
    if (abandoned_) return {};
    if (posts_.pending() || work_pending()) continue;
    if (LoopMember* member = members_.pop_front()) {
      member->on_loop_free();
      continue;
    }
    // Nobody is left to tell the answers of look-ups to.
    if (resolver_ != nullptr) {
      resolver_.reset();
      continue;
    }
    if (companion_ == nullptr) return {};
    // Other threads post through the companion until it closes; what they posted by then is next.
    companion_->on_loop_gone();
    std::exchange(companion_, nullptr)->release();
  }
}

// ---- the child of a fork ----

// The poller goes first: without it no descriptor that is closed is taken from what the parent
// watches.  Whatever has a descriptor is a member, belongs to one, or has lost its owner, and then
// it waits on the list of deferred work for its end.
bool Loop::abandon() {
  if (abandoned_) return false;
  abandoned_ = true;
  const bool turning = in_turn_ && !waiting_.load(std::memory_order_acquire);
  poller_.reset();
  posts_.abandon();
  if (timer_fd_ >= 0) sys().close(std::exchange(timer_fd_, -1));
  if (turning && thread_ != std::this_thread::get_id()) return false;
  while (LoopMember* member = members_.pop_front()) member->on_loop_abandoned();
  abandon_deferred();
  return !turning;
}

void Loop::abandon_deferred() {
  if (deferring_ != nullptr) deferring_->on_abandoned();
  for (auto* queue : {&deferred_now_, &deferred_}) {
    while (Watcher* w = queue->pop()) {
      w->deferred_ = 0;
      w->on_abandoned();
    }
  }
  while (Watcher* w = flush_.pop()) w->flushing_ = 0;
}

// No turn is on the stack any more.
void Loop::let_go() {
  run_retired();
  if (resolver_ != nullptr) resolver_->abandon();
  resolver_.reset();
  if (companion_ == nullptr) return;
  companion_->on_loop_abandoned();
  std::exchange(companion_, nullptr)->release();
}

void Loop::stop() {
  stop_.store(true, std::memory_order_release);
  posts_.wake();
}

Resolver& Loop::resolver() {
  if (resolver_ == nullptr) resolver_.reset(new Resolver(*this));
  return *resolver_;
}

void Loop::add_stats(ws_loop_stats* out) const {
  out->turns += turns_;
  out->events += handled_;
  out->tasks += tasks_;
  out->connections += connections_;
  out->timers += timers_.count();
}

void Loop::get_stats(ws_loop_stats* out) {
  *out = {};
  add_stats(out);
  out->longest_turn_us = std::exchange(longest_turn_us_, 0);
}

// ---- watchers ----

Error Loop::watch(Watcher* w, int fd, uint32_t interest) {
  assert(fd >= 0 && w->fd_ < 0 && !w->retired_);
  if (abandoned_) return fail(WS_ERR_CLOSED, "the loop was abandoned");
  if (Error e = poller_->add(fd, interest, w)) return e;
  if (w->watched_before_) drop_ready(w);
  w->fd_ = fd;
  w->interest_ = interest & (kReadable | kWritable);
  return {};
}

Error Loop::set_interest(Watcher* w, uint32_t interest) {
  if (w->fd_ < 0 || w->interest_ == interest || abandoned_) return {};
  if (Error e = poller_->modify(w->fd_, interest, w)) return e;
  w->interest_ = interest & (kReadable | kWritable);
  return {};
}

void Loop::unwatch(Watcher* w) {
  if (w->fd_ < 0) return;
  if (poller_ != nullptr) poller_->remove(w->fd_);
  w->fd_ = -1;
  w->watched_before_ = 1;
}

void Loop::defer(Watcher* w) {
  if (w->deferred_ || w->retired_) return;
  w->deferred_ = 1;
  deferred_.push(w);
  wake_if_idle();
}

void Loop::flush_later(Watcher* w) {
  if (w->flushing_ || w->retired_) return;
  w->flushing_ = 1;
  flush_.push(w);
  wake_if_idle();
}

void Loop::retire(Watcher* w) {
  if (w->retired_) return;
  unwatch(w);
  timers_.stop(w);
  w->retired_ = 1;
  retired_.push_back(w);
  wake_if_idle();
}

// ---- the descriptor of ws_loop_fd() ----

int Loop::pollable_fd() {
  if (abandoned_) return fail(WS_ERR_CLOSED, "the loop was abandoned").code();
  if (poller_->fd() < 0) {
    return fail(WS_ERR_UNSUPPORTED, "the \"%s\" poller has no descriptor", poller_->name()).code();
  }
  if (timer_fd_ >= 0) return poller_->fd();
  int fd = sys().timerfd();
  if (fd < 0) return fail_errno(WS_ERR_IO, errno, "timerfd").code();
  if (Error e = watch(&kernel_timer_, fd, kReadable)) {
    sys().close(fd);
    return e.code();
  }
  timer_fd_ = fd;
  if (!in_turn_) {
    arm_kernel_timer();
    if (work_pending()) wake_if_idle();
  }
  return poller_->fd();
}

// Only for an earlier deadline than the kernel has, which has none once its timer was read.  A
// deadline that moved later, as keepalives do with every message, leaves the kernel's where it is:
// one turn too many at that time is cheaper than a system call after every turn.
void Loop::arm_kernel_timer() {
#ifdef __linux__
  if (timers_.count() == 0) return;
  uint64_t deadline = timers_.next_deadline();
  if (deadline >= kernel_deadline_ms_) return;
  // Seconds are kept within what every time_t holds; zero would disarm.
  uint64_t seconds = deadline / 1000 < INT32_MAX ? deadline / 1000 : INT32_MAX;
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(seconds);
  spec.it_value.tv_nsec = static_cast<long>(deadline % 1000 * 1000000);
  if (deadline == 0) spec.it_value.tv_nsec = 1;
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
  kernel_deadline_ms_ = deadline;
#endif
}

void Loop::wake_if_idle() {
  if (in_turn_ || timer_fd_ < 0 || woken_) return;
  woken_ = true;
  posts_.wake();
}

void Loop::Wakeup::on_ready(uint32_t) { loop_.posts_.clear_wake(); }

void Loop::KernelTimer::on_ready(uint32_t) {
  uint64_t expirations;
  while (read(fd(), &expirations, sizeof expirations) < 0 && errno == EINTR) {
  }
  loop_.kernel_deadline_ms_ = UINT64_MAX;
}

}  // namespace libws
