#include "libws/net/socket.hpp"

#include "libws/base/log.hpp"
#include "libws/base/system.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace libws {
namespace {

#ifdef IOV_MAX
constexpr size_t kMaxSlices = IOV_MAX;
#else
constexpr size_t kMaxSlices = 1024;
#endif

// Connections that ended before they were accepted, skipped in one call.  A system that refuses
// every accept (EPERM from a sandbox) must not hold the loop.
constexpr int kMaxSkippedAccepts = 64;

bool would_block(int e) { return e == EAGAIN || e == EWOULDBLOCK || e == ENOBUFS || e == ENOMEM; }

IoResult failed(int e) {
  if (would_block(e)) return {IoResult::kWouldBlock, 0, 0};
  return {IoResult::kFailed, e, 0};
}

// A write that took nothing is a write that has to wait.
IoResult written(ssize_t n) {
  if (n > 0) return {IoResult::kOk, 0, static_cast<size_t>(n)};
  return n == 0 ? IoResult{IoResult::kWouldBlock, 0, 0} : failed(errno);
}

// Closes on every way out that does not hand the descriptor on.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) socket_close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  int get() const { return fd_; }
  int hand_on() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

// The path of a unix socket that is a file, else null.
const char* socket_file(const Address& a) {
  if (a.family() != AF_UNIX) return nullptr;
  const char* path = reinterpret_cast<const char*>(&a.storage) + offsetof(sockaddr_un, sun_path);
  return path[0] == '\0' ? nullptr : path;
}

// How error details name an address.
class Name {
 public:
  explicit Name(const Address& a) {
    if (a.family() != AF_UNIX) {
      char printed[kAddressTextBytes];
      address_print(a, printed);
      std::snprintf(text_, sizeof text_, "%s", printed);
      return;
    }
    const char* path = reinterpret_cast<const char*>(&a.storage) + offsetof(sockaddr_un, sun_path);
    size_t len = a.len - offsetof(sockaddr_un, sun_path);
    bool abstract = path[0] == '\0';
    // The first byte of an abstract name and the last of a path are NUL.
    Escaped escaped({abstract ? path + 1 : path, len - 1});
    std::snprintf(text_, sizeof text_, "unix:%s%s", abstract ? "@" : "", escaped.c_str());
  }
  const char* c_str() const { return text_; }

 private:
  char text_[128];
};

Error set_option(int fd, int level, int option, int value, const Name& name, const char* what) {
  if (sys().setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
  return fail_errno(WS_ERR_IO, errno, "listen %s: %s", name.c_str(), what);
}

Error set_options(int fd, const Address& address, const ListenOptions& options, const Name& name) {
  if (address.family() == AF_UNIX) return {};
  // Without it a restarted server waits for its old connections' TIME_WAIT to end.
  if (Error e = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, name, "SO_REUSEADDR")) return e;
  if (options.reuse_port) {
    if (Error e = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, name, "SO_REUSEPORT")) return e;
  }
  if (address.family() == AF_INET6) {
    // Set both ways: the default is the administrator's (net.ipv6.bindv6only).
    return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only ? 1 : 0, name, "IPV6_V6ONLY");
  }
  return {};
}

int connect_once(const Address& address) {
  OwnedFd probe(sys().socket(AF_UNIX, SOCK_STREAM, 0));
  if (probe.get() < 0) return errno;
  int rc;
  do {
    rc = sys().connect(probe.get(), address.get(), address.len);
  } while (rc < 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

// Removes a socket file that nobody listens behind.  The file is looked at again before it goes,
// so that one which another server put there meanwhile stays; what is left is the moment between
// that look and unlink(), and the moment between another server's bind() and listen().
Error remove_stale(const Address& address, const char* path, const Name& name) {
  struct stat before;
  if (lstat(path, &before) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(WS_ERR_ADDR, errno, "listen %s", name.c_str());
  }
  if (!S_ISSOCK(before.st_mode)) {
    return fail(WS_ERR_ADDR, "listen %s: the file exists and is not a socket", name.c_str());
  }
  int answer = connect_once(address);
  if (answer == ENOENT) return {};
  if (answer == 0 || answer == EAGAIN) {  // EAGAIN: somebody's queue is full
    return fail_errno(WS_ERR_ADDR, EADDRINUSE, "listen %s", name.c_str());
  }
  if (answer != ECONNREFUSED) return fail_errno(WS_ERR_ADDR, answer, "listen %s", name.c_str());
  struct stat now;
  if (lstat(path, &now) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(WS_ERR_ADDR, errno, "listen %s", name.c_str());
  }
  if (now.st_dev != before.st_dev || now.st_ino != before.st_ino) {
    return fail_errno(WS_ERR_ADDR, EADDRINUSE, "listen %s", name.c_str());
  }
  if (unlink(path) != 0 && errno != ENOENT) {
    return fail_errno(WS_ERR_ADDR, errno, "listen %s: remove the stale socket", name.c_str());
  }
  return {};
}

Error bind_to(int fd, const Address& address, const Name& name) {
  if (sys().bind(fd, address.get(), address.len) == 0) return {};
  int reason = errno;
  const char* path = socket_file(address);
  if (reason == EADDRINUSE && path != nullptr) {
    if (Error e = remove_stale(address, path, name)) return e;
    if (sys().bind(fd, address.get(), address.len) == 0) return {};
    reason = errno;
  }
  return fail_errno(WS_ERR_ADDR, reason, "listen %s", name.c_str());
}

// Nobody listens there, but the system picked that very port for our end, and TCP lets a socket
// open a connection with itself (RFC 9293 3.5, simultaneous open).
bool connected_to_itself(int fd, const Address& to) {
  if (to.family() == AF_UNIX) return false;
  Address local;
  return socket_local_address(fd, &local) && address_equal(local, to);
}

}  // namespace

IoResult socket_read(int fd, void* buf, size_t len) {
  assert(len != 0);  // 0 bytes read would look like the end of the stream
  ssize_t n;
  do {
    n = sys().recv(fd, buf, len);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {IoResult::kOk, 0, static_cast<size_t>(n)};
  if (n == 0) return {IoResult::kEof, 0, 0};
  return failed(errno);
}

IoResult socket_peek(int fd, void* buf, size_t len) {
  assert(len != 0);
  ssize_t n;
  do {
    n = sys().peek(fd, buf, len);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {IoResult::kOk, 0, static_cast<size_t>(n)};
  if (n == 0) return {IoResult::kEof, 0, 0};
  return failed(errno);
}

IoResult socket_readv(int fd, const iovec* iov, size_t count) {
  ssize_t n;
  do {
    n = sys().recvv(fd, iov, count);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {IoResult::kOk, 0, static_cast<size_t>(n)};
  if (n == 0) return {IoResult::kEof, 0, 0};
  return failed(errno);
}

IoResult socket_write(int fd, const void* data, size_t len) {
  ssize_t n;
  do {
    n = sys().send(fd, data, len);
  } while (n < 0 && errno == EINTR);
  return written(n);
}

IoResult socket_writev(int fd, const iovec* iov, size_t count) {
  // send() is cheaper than sendmsg(): no message header and no array to copy into the kernel.
  if (count == 1) return socket_write(fd, iov[0].iov_base, iov[0].iov_len);
  if (count > kMaxSlices) count = kMaxSlices;
  ssize_t n;
  do {
    n = sys().sendv(fd, iov, count);
  } while (n < 0 && errno == EINTR);
  return written(n);
}

void socket_close(int fd) {
  int saved = errno;
  // Never again after EINTR: Linux has released the number, which may be another thread's by now.
  sys().close(fd);
  errno = saved;
}

void socket_reset(int fd) {
  const linger now = {1, 0};
  sys().setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  socket_close(fd);
}

void socket_shutdown_write(int fd) { sys().shutdown(fd, SHUT_WR); }

void socket_set_nodelay(int fd, bool on) {
  int value = on ? 1 : 0;
  sys().setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);
}

Error socket_listen(const Address& address, const ListenOptions& options, int* out) {
  Name name(address);
  OwnedFd fd(sys().socket(address.family(), SOCK_STREAM, 0));
  if (fd.get() < 0) {
    int code = errno == EAFNOSUPPORT ? WS_ERR_ADDR : WS_ERR_IO;
    return fail_errno(code, errno, "listen %s: socket", name.c_str());
  }
  if (Error e = set_options(fd.get(), address, options, name)) return e;
  if (Error e = bind_to(fd.get(), address, name)) return e;

  // bind() gives the file the bits that umask leaves, and umask belongs to the whole process, so
  // it is not touched here.  Until listen() nobody can connect, whatever the bits are: setting
  // them in between leaves no moment in which too many may.
  const char* path = socket_file(address);
  Error e;
  if (path != nullptr && chmod(path, static_cast<mode_t>(options.unix_mode & 0777)) != 0) {
    e = fail_errno(WS_ERR_IO, errno, "listen %s: chmod", name.c_str());
  } else if (sys().listen(fd.get(), options.backlog) != 0) {
    e = fail_errno(WS_ERR_ADDR, errno, "listen %s", name.c_str());
  }
  if (e) {
    if (path != nullptr) unlink(path);
    return e;
  }
  *out = fd.hand_on();
  return {};
}

namespace {

// What this library's own sockets are from the start.
bool make_ours(int fd) {
  const int status = fcntl(fd, F_GETFL);
  const int flags = fcntl(fd, F_GETFD);
  return status >= 0 && flags >= 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) >= 0 &&
         fcntl(fd, F_SETFL, status | O_NONBLOCK) >= 0;
}

}  // namespace

Error socket_adopt_listening(int fd) {
  int type = 0, listening = 0;
  socklen_t len = sizeof type;
  if (sys().getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
    return fail_errno(WS_ERR_INVALID, errno, "listen on descriptor %d", fd);
  }
  len = sizeof listening;
  if (sys().getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0) {
    return fail_errno(WS_ERR_INVALID, errno, "listen on descriptor %d", fd);
  }
  if (type != SOCK_STREAM || listening == 0) {
    return fail(WS_ERR_INVALID, "listen on descriptor %d: not a listening stream socket", fd);
  }
  if (!make_ours(fd)) return fail_errno(WS_ERR_IO, errno, "listen on descriptor %d", fd);
  return {};
}

Error socket_check_connected(int fd) {
  int type = 0;
  socklen_t len = sizeof type;
  Address peer;
  if (sys().getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
    return fail_errno(WS_ERR_INVALID, errno, "descriptor %d", fd);
  }
  if (type == SOCK_STREAM && socket_peer_address(fd, &peer)) {
    const int family = peer.family();
    if (family == AF_INET || family == AF_INET6 || family == AF_UNIX) return {};
  }
  return fail(WS_ERR_INVALID, "descriptor %d: not a connected stream socket", fd);
}

Error socket_adopt_connected(int fd) {
  if (!make_ours(fd)) return fail_errno(WS_ERR_IO, errno, "descriptor %d", fd);
  return {};
}

IoResult socket_accept(int listen_fd, int* out, Address* peer) {
  int reason = 0;
  for (int skipped = 0; skipped < kMaxSkippedAccepts;) {
    Address from;
    from.len = sizeof from.storage;
    int fd = sys().accept(listen_fd, reinterpret_cast<sockaddr*>(&from.storage), &from.len);
    if (fd >= 0) {
      *out = fd;
      *peer = from;
      return {IoResult::kOk, 0, 1};
    }
    reason = errno;
    switch (reason) {
      case EINTR: break;
      // accept(2): errors that the connection already has, and a firewall's refusal.
      case ECONNABORTED:
      case ECONNRESET:
      case EPERM:
      case EPROTO:
      case ENETDOWN:
      case ENOPROTOOPT:
      case EHOSTDOWN:
      case EHOSTUNREACH:
      case ENETUNREACH:
      case ETIMEDOUT:
#ifdef ENONET
      case ENONET:
#endif
        ++skipped;
        break;
      case EAGAIN:
#if EWOULDBLOCK != EAGAIN
      case EWOULDBLOCK:
#endif
        return {IoResult::kWouldBlock, 0, 0};
      default: return {IoResult::kFailed, reason, 0};
    }
  }
  return {IoResult::kFailed, reason, 0};
}

IoResult socket_connect(const Address& to, int* out) {
  OwnedFd fd(sys().socket(to.family(), SOCK_STREAM, 0));
  if (fd.get() < 0) return {IoResult::kFailed, errno, 0};
  int rc;
  do {
    rc = sys().connect(fd.get(), to.get(), to.len);
  } while (rc < 0 && errno == EINTR);
  // EALREADY and EISCONN: what a call that was interrupted had begun, under way or done.
  if (rc == 0 || errno == EISCONN) {
    if (connected_to_itself(fd.get(), to)) return {IoResult::kFailed, ECONNREFUSED, 0};
    *out = fd.hand_on();
    return {IoResult::kOk, 0, 1};
  }
  if (errno != EINPROGRESS && errno != EALREADY) return {IoResult::kFailed, errno, 0};
  *out = fd.hand_on();
  return {IoResult::kWouldBlock, 0, 0};
}

IoResult socket_connect_result(int fd, const Address& to) {
  int error = 0;
  socklen_t len = sizeof error;
  if (sys().getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
  if (error == EINPROGRESS || error == EALREADY) return {IoResult::kWouldBlock, 0, 0};
  if (error == 0 && connected_to_itself(fd, to)) error = ECONNREFUSED;
  if (error != 0) return {IoResult::kFailed, error, 0};
  return {IoResult::kOk, 0, 1};
}

bool socket_peer_address(int fd, Address* out) {
  Address a;
  a.len = sizeof a.storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.len) != 0) return false;
  *out = a;
  return true;
}

bool socket_local_address(int fd, Address* out) {
  Address a;
  a.len = sizeof a.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.len) != 0) return false;
  *out = a;
  return true;
}

void socket_print_local(int fd, char (&out)[256]) {
  Address local;  // none
  const bool known = socket_local_address(fd, &local);
  if (!known || (local.family() == AF_UNIX && local.len <= offsetof(sockaddr_un, sun_path))) {
    local = Address();
  }
  std::snprintf(out, sizeof out, "%s", Name(local).c_str());
}

}  // namespace libws
