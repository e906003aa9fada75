// The one door to the operating system: memory, clock, random bytes and system calls.
//
// In a test build (LIBWS_TESTING) every entry is a slot in a table, so a test can put a fake
// clock, a failing allocator or a short write behind any of them; see base/fault.hpp.  In a
// release build the same names are plain calls with no indirection.
#pragma once

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <cstddef>
#include <cstdint>
#ifdef __linux__
#include <sys/epoll.h>
#endif

namespace libws {

// Each returns what the call of the same name returns, errno included.
struct System {
  void* (*resize)(void* ptr, size_t bytes);  // the allocator hook: see alloc.hpp
  uint64_t (*now_us)();                      // CLOCK_MONOTONIC in microseconds
  int (*random)(void* out, size_t len);      // 0, or -1
  ssize_t (*recv)(int fd, void* buf, size_t len);
  ssize_t (*peek)(int fd, void* buf, size_t len);
  ssize_t (*recvv)(int fd, const iovec* iov, size_t count);
  ssize_t (*send)(int fd, const void* buf, size_t len);      // never raises SIGPIPE
  ssize_t (*sendv)(int fd, const iovec* iov, size_t count);  // never raises SIGPIPE
  int (*accept)(int fd, sockaddr* addr, socklen_t* len);     // non-blocking, close-on-exec
  int (*socket)(int family, int type, int protocol);         // non-blocking, close-on-exec
  int (*bind)(int fd, const sockaddr* addr, socklen_t len);
  int (*listen)(int fd, int backlog);
  int (*connect)(int fd, const sockaddr* addr, socklen_t len);
  int (*setsockopt)(int fd, int level, int name, const void* value, socklen_t len);
  int (*getsockopt)(int fd, int level, int name, void* value, socklen_t* len);
  int (*shutdown)(int fd, int how);
  int (*close)(int fd);
  int (*eventfd)();  // non-blocking, close-on-exec
  int (*timerfd)();
#ifdef __linux__
  int (*epoll_create)();
  int (*epoll_ctl)(int epfd, int op, int fd, epoll_event* ev);
  int (*epoll_wait)(int epfd, epoll_event* out, int max, int timeout_ms);
#endif
  int (*poll)(pollfd* fds, nfds_t count, int timeout_ms);
  int (*getaddrinfo)(const char* host, const char* service, const addrinfo* hints, addrinfo** out);
  void (*freeaddrinfo)(addrinfo* list);
  // Runs run(arg) on a new thread, detached and with all signals blocked; 0, or an errno.
  int (*start_thread)(void* (*run)(void*), void* arg);
  // The same with a thread to be joined, and room on its stack for the program's own callbacks.
  int (*start_joinable)(pthread_t* out, void* (*run)(void*), void* arg);
};

// How many threads can run at a time: the processors this process may use, at least 1.
uint32_t processors();

// What the operating system really does.
namespace real {
void* resize(void* ptr, size_t bytes);
uint64_t now_us();
int random(void* out, size_t len);
ssize_t recv(int fd, void* buf, size_t len);
ssize_t peek(int fd, void* buf, size_t len);
ssize_t recvv(int fd, const iovec* iov, size_t count);
ssize_t send(int fd, const void* buf, size_t len);
ssize_t sendv(int fd, const iovec* iov, size_t count);
int accept(int fd, sockaddr* addr, socklen_t* len);
int socket(int family, int type, int protocol);
int bind(int fd, const sockaddr* addr, socklen_t len);
int listen(int fd, int backlog);
int connect(int fd, const sockaddr* addr, socklen_t len);
int setsockopt(int fd, int level, int name, const void* value, socklen_t len);
int getsockopt(int fd, int level, int name, void* value, socklen_t* len);
int shutdown(int fd, int how);
int close(int fd);
int eventfd();
int timerfd();
#ifdef __linux__
int epoll_create();
int epoll_ctl(int epfd, int op, int fd, epoll_event* ev);
int epoll_wait(int epfd, epoll_event* out, int max, int timeout_ms);
#endif
int poll(pollfd* fds, nfds_t count, int timeout_ms);
int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** out);
void freeaddrinfo(addrinfo* list);
int start_thread(void* (*run)(void*), void* arg);
int start_joinable(pthread_t* out, void* (*run)(void*), void* arg);
}  // namespace real

inline constexpr System kRealSystem = {
    real::resize,         real::now_us,      real::random,       real::recv,
    real::peek,           real::recvv,       real::send,         real::sendv,
    real::accept,         real::socket,      real::bind,         real::listen,
    real::connect,        real::setsockopt,  real::getsockopt,   real::shutdown,
    real::close,          real::eventfd,     real::timerfd,
#ifdef __linux__
    real::epoll_create,   real::epoll_ctl,   real::epoll_wait,
#endif
    real::poll,           real::getaddrinfo, real::freeaddrinfo, real::start_thread,
    real::start_joinable,
};

#ifdef LIBWS_TESTING
extern System system_table;  // starts as kRealSystem, with LIBWS_FAULT applied
inline const System& sys() { return system_table; }
#else
constexpr const System& sys() { return kRealSystem; }
#endif

}  // namespace libws
