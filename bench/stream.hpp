// A connected socket, or TLS over one, with the one interface that the programs read and write by.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tls.hpp"

namespace bench {

class Stream {
 public:
  // The most that one receive() returns without TLS, and about that with it.
  static constexpr size_t kMostReceived = kMostWireBytes;

  // Takes the descriptor over, which does not block.  `tls` null: none.
  Stream(int fd, TlsContext* tls);
  // Ends the connection without TIME_WAIT: 15,000 of those per run would eat the local ports.
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) = delete;

  int fd() const { return fd_; }
  bool is_open() const { return !tls_ || tls_->is_open(); }
  bool was_resumed() const { return tls_ && tls_->was_resumed(); }

  // What has arrived, with one recv(), valid until the next call for any stream.  May be empty:
  // nothing for the caller yet.  Null: it has ended, see fault().
  std::optional<std::span<const uint8_t>> receive();

  // As send(2), whose errno it leaves.  With TLS what was taken may still wait here for flush().
  ssize_t send(std::span<const uint8_t> bytes);

  // Sends what waits here.  False: some still does, and flush() wants to be called when the
  // descriptor is writable.  The program ends on an error.
  bool flush();

  const char* fault() const { return fault_; }

 private:
  std::optional<std::span<const uint8_t>> end(const char* fault);

  int fd_;
  const char* fault_ = "";
  std::optional<Tls> tls_;
  std::vector<uint8_t> unsent_;  // ciphertext
  size_t sent_ = 0;              // of it
};

}  // namespace bench
