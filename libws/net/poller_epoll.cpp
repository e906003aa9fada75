// epoll, level-triggered: a watcher that leaves something unread is told again, so a turn may
// stop anywhere, and an event that is dropped (its watcher was unwatched in the same batch) costs
// nothing.  The kernel carries the Watcher*, so a ready descriptor needs no lookup.
#include "libws/base/system.hpp"
#include "libws/net/poller.hpp"

#ifdef __linux__

#include <cerrno>

namespace libws {
namespace {

class EpollPoller final : public Poller {
 public:
  explicit EpollPoller(int max_events) : max_events_(max_events) {}
  ~EpollPoller() override {
    if (fd_ >= 0) sys().close(fd_);
    release(events_);
  }

  Error open() {
    events_ = static_cast<epoll_event*>(
        try_alloc(sizeof(epoll_event) * static_cast<size_t>(max_events_)));
    if (events_ == nullptr) return fail(WS_ERR_NOMEM, "epoll: %d events", max_events_);
    fd_ = sys().epoll_create();
    if (fd_ < 0) return fail_errno(WS_ERR_IO, errno, "epoll_create");
    return {};
  }

  Error add(int fd, uint32_t interest, Watcher* watcher) override {
    return control(EPOLL_CTL_ADD, fd, interest, watcher);
  }

  Error modify(int fd, uint32_t interest, Watcher* watcher) override {
    return control(EPOLL_CTL_MOD, fd, interest, watcher);
  }

  void remove(int fd) override {
    epoll_event unused{};  // ignored, but Linux before 2.6.9 wants the pointer
    // Fails only when the descriptor is not there, which is what was asked for.
    sys().epoll_ctl(fd_, EPOLL_CTL_DEL, fd, &unused);
  }

  int wait(int timeout_ms, ReadyEvent* out, int max) override {
    int n = sys().epoll_wait(fd_, events_, max < max_events_ ? max : max_events_, timeout_ms);
    if (n < 0) {
      if (errno == EINTR) return 0;
      return fail_errno(WS_ERR_IO, errno, "epoll_wait").code();
    }
    for (int i = 0; i < n; ++i) {
      uint32_t got = events_[i].events;
      uint32_t events = 0;
      if (got & EPOLLIN) events |= kReadable;
      if (got & EPOLLOUT) events |= kWritable;
      if (got & (EPOLLERR | EPOLLHUP)) events |= kHangup;
      out[i] = {static_cast<Watcher*>(events_[i].data.ptr), events};
    }
    return n;
  }

  int fd() const override { return fd_; }
  const char* name() const override { return "epoll"; }

 private:
  Error control(int op, int fd, uint32_t interest, Watcher* watcher) {
    epoll_event ev{};
    if (interest & kReadable) ev.events |= EPOLLIN;
    if (interest & kWritable) ev.events |= EPOLLOUT;
    ev.data.ptr = watcher;
    if (sys().epoll_ctl(fd_, op, fd, &ev) == 0) return {};
    return fail_errno(WS_ERR_IO, errno, "epoll_ctl");
  }

  epoll_event* events_ = nullptr;
  int max_events_;
  int fd_ = -1;
};

}  // namespace

Error make_epoll_poller(int max_events, std::unique_ptr<Poller>* out) {
  std::unique_ptr<EpollPoller> poller(new (std::nothrow) EpollPoller(max_events));
  if (poller == nullptr) return fail(WS_ERR_NOMEM, "epoll poller");
  if (Error e = poller->open()) return e;
  *out = std::move(poller);
  return {};
}

}  // namespace libws

#endif  // __linux__
