// What a connection needs from below: read, write, end.  A plain socket, or a TLS session on one;
// the connection does not notice which.
#pragma once

#include "libws/net/socket.hpp"

#include <libws/tls.h>

#include <cerrno>
#include <utility>

namespace libws {

class TlsSession;

// Why a transport failed or ended.
struct TransportFault {
  int error;           // WS_ERR_IO, WS_ERR_EOF, WS_ERR_TLS, WS_ERR_TLS_VERIFY
  int sys_errno;       // 0 unless the system gave one
  const char* detail;  // valid until close()
};

class Transport {
 public:
  Transport() = default;
  // Owns fd.
  explicit Transport(int fd) : fd_(fd) {}
  // Owns the session, which owns what is below it; fd is the descriptor at the bottom, to watch.
  Transport(int fd, TlsSession* tls) : fd_(fd), tls_(tls) {}
  Transport(Transport&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), tls_(std::exchange(other.tls_, nullptr)) {}
  Transport& operator=(Transport&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(tls_, other.tls_);
    return *this;
  }
  ~Transport() { close(); }

  int fd() const { return fd_; }
  bool secure() const { return tls_ != nullptr; }
  TlsSession* tls() const { return tls_; }

  IoResult read(uint8_t* buf, size_t len) {
    if (tls_ != nullptr) return tls_read(buf, len, nullptr, 0);
    return socket_read(fd_, buf, len);
  }
  // Fills the first area, then the second, in one call.
  IoResult read_two(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len) {
    if (tls_ != nullptr) return tls_read(first, first_len, second, second_len);
    const iovec areas[2] = {{first, first_len}, {second, second_len}};
    return socket_readv(fd_, areas, 2);
  }
  IoResult write(const void* data, size_t len) {
    if (tls_ != nullptr) {
      const iovec only = {const_cast<void*>(data), len};
      return tls_write(&only, 1);
    }
    return socket_write(fd_, data, len);
  }
  IoResult write(const iovec* slices, size_t count) {
    if (tls_ != nullptr) return tls_write(slices, count);
    return socket_writev(fd_, slices, count);
  }

  // After kEof: the stream was cut instead of ended (RFC 8446 6.1).  Never for a plain socket.
  bool truncated() const { return tls_ != nullptr && tls_truncated(); }

  // Bytes were received that no readiness will tell of: read again without waiting.
  bool has_unread() const { return tls_ != nullptr && tls_has_unread(); }
  // read() finds nothing before flush() is done: TLS has something to say before it reads on.
  bool read_waits() const { return tls_ != nullptr && tls_read_waits(); }
  // After write() said kWouldBlock: it is not the descriptor that is full, TLS has to read first.
  bool write_waits() const { return tls_ != nullptr && tls_unsent() == 0; }
  // Bytes that write() took and the kernel did not: flush() when the descriptor is writable.
  // Until they are gone, write() takes nothing.
  size_t unsent() const { return tls_ != nullptr ? tls_unsent() : 0; }
  // kOk: nothing is unsent any more.
  IoResult flush() { return tls_ != nullptr ? tls_flush() : IoResult{IoResult::kOk, 0, 0}; }

  // After kFailed or kEof from any of the above.
  TransportFault fault(const IoResult& r, const char* doing) const;

  // Nothing more will be written; the peer sees the end after what is on its way.
  void end_writing();
  void close();
  // Only the descriptor, in silence; what was told about the stream stays readable until close().
  void close_descriptor();

  // How it is secured.  Errors: STATE (plain).
  Error info(ws_tls_info* out) const;

 private:
  IoResult tls_read(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len);
  IoResult tls_write(const iovec* slices, size_t count);
  bool tls_truncated() const;
  bool tls_has_unread() const;
  bool tls_read_waits() const;
  size_t tls_unsent() const;
  IoResult tls_flush();

  int fd_ = -1;
  TlsSession* tls_ = nullptr;
};

}  // namespace libws
