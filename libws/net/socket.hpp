// Sockets: the only file with socket system calls.  Everything is non-blocking and
// close-on-exec; SIGPIPE is never raised; EINTR is retried here and seen nowhere else.
#pragma once

#include "libws/base/error.hpp"
#include "libws/net/address.hpp"

#include <sys/uio.h>
#include <cstddef>
#include <cstdint>

namespace libws {

// Outcome of one read or write.
struct IoResult {
  enum Status : uint8_t { kOk, kWouldBlock, kEof, kFailed };
  Status status;
  int sys_errno;  // when kFailed
  size_t bytes;   // when kOk, at least 1
};

IoResult socket_read(int fd, void* buf, size_t len);
// Fills the slices in order with one call.
IoResult socket_readv(int fd, const iovec* iov, size_t count);
IoResult socket_write(int fd, const void* data, size_t len);
// Writes from at most the first IOV_MAX slices.  In all three, ENOBUFS and ENOMEM count as
// kWouldBlock: the kernel is short of memory for the moment, and nothing is lost by asking again.
// Such a socket may be reported ready at once, so a caller that waits for readiness asks once a
// turn until the memory is there or its own timeout ends it; other connections are not held up.
IoResult socket_writev(int fd, const iovec* iov, size_t count);

// Reads and leaves what it read in the socket.
IoResult socket_peek(int fd, void* buf, size_t len);

void socket_close(int fd);  // keeps errno
// Closes without a goodbye: the peer is told by a reset, and nothing waits here (TIME_WAIT).
void socket_reset(int fd);
void socket_shutdown_write(int fd);
void socket_set_nodelay(int fd, bool on = true);  // ignored on sockets that are not TCP

struct ListenOptions {
  bool reuse_port = false;
  bool v6_only = false;
  int backlog = 511;
  uint32_t unix_mode = 0600;
};

// A listening socket on one address.  Errors: ADDR (with "listen HOST:PORT: reason"), IO.  A unix
// socket file: a stale one (connecting gives ECONNREFUSED) is removed first; a live one, or
// anything that is not a socket, is ADDR.
Error socket_listen(const Address& address, const ListenOptions& options, int* out);

// Makes an inherited descriptor usable.  Errors: INVALID when it is not a listening stream socket.
Error socket_adopt_listening(int fd);

// A descriptor that somebody else has connected.  Errors: INVALID when it is not a connected stream
// socket.
Error socket_check_connected(int fd);
// Makes it usable.  Errors: IO.
Error socket_adopt_connected(int fd);

// Accepts one.  kWouldBlock: none waiting.  kFailed: stop for a while; EMFILE, ENFILE, ENOBUFS and
// ENOMEM pass when something is freed.  Errors that belong to one connection (ECONNABORTED, EPERM,
// EPROTO...) are skipped here, up to a bound, then they are kFailed too.  On kOk `bytes` is not
// meaningful; *out and *peer are set.
IoResult socket_accept(int listen_fd, int* out, Address* peer);

// Starts connecting a new stream socket.  kOk: connected.  kWouldBlock: once it is writable, ask
// socket_connect_result().  kFailed: there is no socket; EAGAIN on a unix address means that the
// listener's queue is full for the moment.
IoResult socket_connect(const Address& to, int* out);
// kWouldBlock: not yet.
IoResult socket_connect_result(int fd, const Address& to);

bool socket_local_address(int fd, Address* out);
// Where it is, as address_print() says it; a unix socket with its path, escaped, or '@' and its
// name.
void socket_print_local(int fd, char (&out)[256]);
bool socket_peer_address(int fd, Address* out);

}  // namespace libws
