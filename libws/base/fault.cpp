#include "libws/base/fault.hpp"

#ifdef LIBWS_TESTING

#include "libws/base/system.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace libws {
namespace {

Faults active;
std::atomic<uint64_t> allocations{0};
std::atomic<int64_t> live{0};
std::atomic<uint32_t> dice{12345};  // a fixed seed: a failing run can be repeated

bool roll(uint32_t percent) {
  if (percent == 0) return false;
  uint32_t x = dice.load(std::memory_order_relaxed);
  x = x * 1664525u + 1013904223u;
  dice.store(x, std::memory_order_relaxed);
  return (x >> 8) % 100 < percent;
}

bool interrupt(int error, uint32_t percent) {
  if (!roll(percent)) return false;
  errno = error;
  return true;
}

bool stopped() { return interrupt(EINTR, active.eintr) || interrupt(EAGAIN, active.eagain); }

size_t shorten(size_t len) {
  if (len < 2 || !roll(active.short_io)) return len;
  return 1 + dice.load(std::memory_order_relaxed) % (len < 16 ? len : 16);
}

void* count_resize(void* ptr, size_t bytes) {
  if (bytes != 0) {
    uint64_t n = allocations.fetch_add(1, std::memory_order_relaxed) + 1;
    if (active.fail_alloc != 0 &&
        (n == active.fail_alloc || (active.fail_alloc_on && n > active.fail_alloc))) {
      return nullptr;
    }
  }
  void* result = real::resize(ptr, bytes);
  if (ptr == nullptr && result != nullptr) live.fetch_add(1, std::memory_order_relaxed);
  if (ptr != nullptr && bytes == 0) live.fetch_sub(1, std::memory_order_relaxed);
  return result;
}

ssize_t faulty_recv(int fd, void* buf, size_t len) {
  return stopped() ? -1 : real::recv(fd, buf, shorten(len));
}

ssize_t faulty_peek(int fd, void* buf, size_t len) {
  return stopped() ? -1 : real::peek(fd, buf, shorten(len));
}

ssize_t faulty_recvv(int fd, const iovec* iov, size_t count) {
  if (stopped()) return -1;
  size_t n = shorten(iov[0].iov_len);
  if (n == iov[0].iov_len) return real::recvv(fd, iov, count);
  return real::recv(fd, iov[0].iov_base, n);
}

ssize_t faulty_send(int fd, const void* buf, size_t len) {
  return stopped() ? -1 : real::send(fd, buf, shorten(len));
}

ssize_t faulty_sendv(int fd, const iovec* iov, size_t count) {
  if (stopped()) return -1;
  size_t n = shorten(iov[0].iov_len);
  if (n == iov[0].iov_len) return real::sendv(fd, iov, count);
  return real::send(fd, iov[0].iov_base, n);
}

int faulty_accept(int fd, sockaddr* addr, socklen_t* len) {
  return interrupt(EINTR, active.eintr) ? -1 : real::accept(fd, addr, len);
}

System table_with(const Faults& faults) {
  System s = kRealSystem;
  s.resize = count_resize;
  if (faults.eagain != 0 || faults.short_io != 0 || faults.eintr != 0) {
    s.recv = faulty_recv;
    s.peek = faulty_peek;
    s.recvv = faulty_recvv;
    s.send = faulty_send;
    s.sendv = faulty_sendv;
    s.accept = faulty_accept;
  }
  return s;
}

Faults from_environment() {
  Faults f;
  const char* text = std::getenv("LIBWS_FAULT");
  while (text != nullptr && *text != '\0') {
    const char* colon = std::strchr(text, ':');
    if (colon == nullptr) break;
    auto value = static_cast<uint32_t>(std::strtoul(colon + 1, nullptr, 10));
    size_t n = static_cast<size_t>(colon - text);
    if (n == 6 && std::memcmp(text, "eagain", n) == 0) f.eagain = value;
    if (n == 5 && std::memcmp(text, "short", n) == 0) f.short_io = value;
    if (n == 5 && std::memcmp(text, "eintr", n) == 0) f.eintr = value;
    const char* comma = std::strchr(colon, ',');
    text = comma != nullptr ? comma + 1 : nullptr;
  }
  return f;
}

System initial_table() {
  active = from_environment();
  return table_with(active);
}

}  // namespace

System system_table = initial_table();

void set_faults(const Faults& faults) {
  active = faults;
  allocations.store(0, std::memory_order_relaxed);
  system_table = table_with(faults);
}

void clear_faults() { set_faults(Faults{}); }

uint64_t allocations_seen() { return allocations.load(std::memory_order_relaxed); }
int64_t live_allocations() { return live.load(std::memory_order_relaxed); }

}  // namespace libws

#endif  // LIBWS_TESTING
