// poll(2): for systems with nothing better, and to test the loop against a second kernel
// interface.  The descriptors lie in one dense array for the kernel; a table indexed by descriptor
// says where, so that adding, changing and removing are O(1).  The wait itself is O(watched).
#include "libws/base/system.hpp"
#include "libws/net/poller.hpp"

#include <cassert>
#include <cerrno>

namespace libws {
namespace {

constexpr int kAbsent = -1;

// Grows `array` to hold at least `need` items; false, and nothing changed, without memory.
template <class T>
bool grow(T*& array, size_t& capacity, size_t need) {
  if (need <= capacity) return true;
  size_t wanted = capacity < 32 ? 64 : capacity * 2;
  if (wanted < need) wanted = need;
  if (wanted > SIZE_MAX / sizeof(T)) return false;
  void* p = try_resize(array, wanted * sizeof(T));
  if (p == nullptr) return false;
  array = static_cast<T*>(p);
  capacity = wanted;
  return true;
}

short to_poll(uint32_t interest) {
  int events = 0;
  if (interest & kReadable) events |= POLLIN;
  if (interest & kWritable) events |= POLLOUT;
  return static_cast<short>(events);
}

uint32_t from_poll(short got) {
  uint32_t events = 0;
  if (got & POLLIN) events |= kReadable;
  if (got & POLLOUT) events |= kWritable;
  // POLLNVAL means that a descriptor was closed while watched; its owner's next read says so.
  if (got & (POLLERR | POLLHUP | POLLNVAL)) events |= kHangup;
  return events;
}

class PollPoller final : public Poller {
 public:
  ~PollPoller() override {
    release(fds_);
    release(watchers_);
    release(position_);
  }

  Error add(int fd, uint32_t interest, Watcher* watcher) override {
    if (fd < 0) return fail_errno(WS_ERR_IO, EBADF, "poll: descriptor %d", fd);
    size_t index = static_cast<size_t>(fd);
    size_t known = position_capacity_;
    if (!grow(position_, position_capacity_, index + 1)) return out_of_memory();
    for (; known < position_capacity_; ++known) position_[known] = kAbsent;
    if (position_[index] != kAbsent) {
      return fail_errno(WS_ERR_IO, EEXIST, "poll: descriptor %d", fd);
    }
    if (!grow(fds_, fds_capacity_, count_ + 1)) return out_of_memory();
    if (!grow(watchers_, watchers_capacity_, count_ + 1)) return out_of_memory();
    fds_[count_] = {fd, to_poll(interest), 0};
    watchers_[count_] = watcher;
    position_[index] = static_cast<int>(count_++);
    return {};
  }

  Error modify(int fd, uint32_t interest, Watcher* watcher) override {
    int at = find(fd);
    if (at == kAbsent) return fail_errno(WS_ERR_IO, ENOENT, "poll: descriptor %d", fd);
    fds_[at].events = to_poll(interest);
    watchers_[at] = watcher;
    return {};
  }

  // The last entry moves into the gap.  That is safe while a batch is dispatched, because wait()
  // has copied the batch out of these arrays.
  void remove(int fd) override {
    int at = find(fd);
    if (at == kAbsent) return;
    size_t last = --count_;
    fds_[at] = fds_[last];
    watchers_[at] = watchers_[last];
    position_[static_cast<size_t>(fds_[at].fd)] = at;
    position_[static_cast<size_t>(fd)] = kAbsent;  // second, for when both are the same
  }

  int wait(int timeout_ms, ReadyEvent* out, int max) override {
    int ready = sys().poll(fds_, static_cast<nfds_t>(count_), timeout_ms);
    if (ready < 0) {
      if (errno == EINTR) return 0;
      return fail_errno(WS_ERR_IO, errno, "poll").code();
    }
    if (ready > max) ready = max;
    // When more are ready than fit, the next wait goes on where this one stopped; from the start
    // each time, the front of the array would starve the rest.
    int n = 0;
    size_t at = next_ < count_ ? next_ : 0;
    for (size_t left = count_; left != 0 && n < ready; --left) {
      if (fds_[at].revents != 0) out[n++] = {watchers_[at], from_poll(fds_[at].revents)};
      if (++at == count_) at = 0;
    }
    next_ = at;
    return n;
  }

  int fd() const override { return -1; }
  const char* name() const override { return "poll"; }

 private:
  static Error out_of_memory() { return fail(WS_ERR_NOMEM, "poll: descriptor table"); }

  int find(int fd) const {
    if (fd < 0 || static_cast<size_t>(fd) >= position_capacity_) return kAbsent;
    return position_[fd];
  }

  pollfd* fds_ = nullptr;         // [0, count_) are watched
  Watcher** watchers_ = nullptr;  // beside fds_
  int* position_ = nullptr;       // by descriptor: its index in fds_, or kAbsent
  size_t fds_capacity_ = 0, watchers_capacity_ = 0, position_capacity_ = 0;
  size_t count_ = 0;
  size_t next_ = 0;
};

}  // namespace

Error make_poll_poller(int, std::unique_ptr<Poller>* out) {
  std::unique_ptr<Poller> poller(new (std::nothrow) PollPoller);
  if (poller == nullptr) return fail(WS_ERR_NOMEM, "poll poller");
  *out = std::move(poller);
  return {};
}

}  // namespace libws
