// What a connection needs from below: read, write, end.  Plain sockets today; a TLS session goes
// between these calls and the descriptor without the connection noticing.
#pragma once

#include "libws/base/system.hpp"
#include "libws/net/socket.hpp"

#include <cerrno>

namespace libws {

class Transport {
 public:
  explicit Transport(int fd) : fd_(fd) {}
  int fd() const { return fd_; }

  IoResult read(uint8_t* buf, size_t len) { return socket_read(fd_, buf, len); }
  // Fills the first area, then the second, in one call.
  IoResult read_two(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len) {
    const iovec areas[2] = {{first, first_len}, {second, second_len}};
    return socket_readv(fd_, areas, 2);
  }
  IoResult write(const void* data, size_t len) { return socket_write(fd_, data, len); }
  IoResult write(const iovec* slices, size_t count) { return socket_writev(fd_, slices, count); }

  // Nothing more will be written; the peer sees the end after what is on its way.
  void end_writing() { socket_shutdown_write(fd_); }
  void close() {
    if (fd_ >= 0) socket_close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace libws
