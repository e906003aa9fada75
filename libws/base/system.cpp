#include "libws/base/system.hpp"

#include "libws/base/alloc.hpp"
#include "libws/base/crypto.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#ifdef __linux__
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

namespace libws {
namespace {

// Address space, of which only what is touched costs memory.  getaddrinfo keeps answers of up to
// 64 KiB on the stack, and what the system's nsswitch modules do there is not ours to know.
constexpr size_t kThreadStackBytes = size_t{512} << 10;

}  // namespace

uint32_t processors() {
#ifdef __linux__
  cpu_set_t set;  // of 1,024; with more processors than that the call fails
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<uint32_t>(CPU_COUNT(&set));
#endif
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<uint32_t>(online) : 1;
}

namespace real {

void* resize(void* ptr, size_t bytes) { return hook_resize(ptr, bytes); }

uint64_t now_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000u + static_cast<uint64_t>(t.tv_nsec) / 1000u;
}

int random(void* out, size_t len) { return crypto_random(out, len) ? 0 : -1; }

ssize_t recv(int fd, void* buf, size_t len) { return ::recv(fd, buf, len, 0); }

ssize_t peek(int fd, void* buf, size_t len) { return ::recv(fd, buf, len, MSG_PEEK); }

ssize_t recvv(int fd, const iovec* iov, size_t count) {
  return ::readv(fd, iov, static_cast<int>(count));
}

ssize_t send(int fd, const void* buf, size_t len) { return ::send(fd, buf, len, MSG_NOSIGNAL); }

ssize_t sendv(int fd, const iovec* iov, size_t count) {
  msghdr message;
  std::memset(&message, 0, sizeof message);
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = count;
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

int accept(int fd, sockaddr* addr, socklen_t* len) {
  return ::accept4(fd, addr, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int socket(int family, int type, int protocol) {
  return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

int bind(int fd, const sockaddr* addr, socklen_t len) { return ::bind(fd, addr, len); }
int listen(int fd, int backlog) { return ::listen(fd, backlog); }
int connect(int fd, const sockaddr* addr, socklen_t len) { return ::connect(fd, addr, len); }

int setsockopt(int fd, int level, int name, const void* value, socklen_t len) {
  return ::setsockopt(fd, level, name, value, len);
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* len) {
  return ::getsockopt(fd, level, name, value, len);
}

int shutdown(int fd, int how) { return ::shutdown(fd, how); }
int close(int fd) { return ::close(fd); }

#ifdef __linux__
int eventfd() { return ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
int timerfd() { return ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC); }
int epoll_create() { return ::epoll_create1(EPOLL_CLOEXEC); }

int epoll_ctl(int epfd, int op, int fd, epoll_event* ev) { return ::epoll_ctl(epfd, op, fd, ev); }

int epoll_wait(int epfd, epoll_event* out, int max, int timeout_ms) {
  return ::epoll_wait(epfd, out, max, timeout_ms);
}
#else
int eventfd() {
  errno = ENOSYS;
  return -1;
}
int timerfd() {
  errno = ENOSYS;
  return -1;
}
#endif

int poll(pollfd* fds, nfds_t count, int timeout_ms) { return ::poll(fds, count, timeout_ms); }

int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** out) {
  return ::getaddrinfo(host, service, hints, out);
}

void freeaddrinfo(addrinfo* list) { ::freeaddrinfo(list); }

// The thread inherits the mask: the program's signals are its own threads' to handle.
static int start_masked(pthread_t* out, const pthread_attr_t* attributes, void* (*run)(void*),
                        void* arg) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(out, attributes, run, arg);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return rc;
}

int start_thread(void* (*run)(void*), void* arg) {
  pthread_attr_t attributes;
  if (int e = pthread_attr_init(&attributes)) return e;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // A failure (the program's thread-local data needs more) leaves the default, which does too.
  pthread_attr_setstacksize(&attributes, kThreadStackBytes);
  pthread_t thread;
  int rc = start_masked(&thread, &attributes, run, arg);
  pthread_attr_destroy(&attributes);
  return rc;
}

int start_joinable(pthread_t* out, void* (*run)(void*), void* arg) {
  return start_masked(out, nullptr, run, arg);
}

}  // namespace real
}  // namespace libws
