#include "libws/net/transport.hpp"

#include "libws/net/transport_tls.hpp"

namespace libws {

IoResult Transport::tls_read(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len) {
  return tls_->read(first, first_len, second, second_len);
}

IoResult Transport::tls_write(const iovec* slices, size_t count) {
  return tls_->write(slices, count);
}

bool Transport::tls_has_unread() const { return tls_->has_unread(); }
bool Transport::tls_truncated() const { return tls_->truncated(); }
bool Transport::tls_read_waits() const { return tls_->read_waits(); }
size_t Transport::tls_unsent() const { return tls_->unsent(); }
IoResult Transport::tls_flush() { return tls_->flush(); }

TransportFault Transport::fault(const IoResult& r, const char* doing) const {
  if (tls_ != nullptr && tls_->error() != 0) {
    return {tls_->error(), tls_->sys_errno(), tls_->detail()};
  }
  if (r.status == IoResult::kEof) return {WS_ERR_EOF, 0, "the peer closed the connection"};
  if (r.sys_errno == ECONNRESET || r.sys_errno == EPIPE) {
    return {WS_ERR_EOF, r.sys_errno, "the peer reset the connection"};
  }
  return {WS_ERR_IO, r.sys_errno, doing};
}

void Transport::end_writing() {
  if (tls_ != nullptr) return tls_->end_writing();
  socket_shutdown_write(fd_);
}

void Transport::close() {
  const int fd = std::exchange(fd_, -1);
  // A session owns what is below it, the descriptor at the bottom included.
  if (tls_ != nullptr) {
    delete std::exchange(tls_, nullptr);
  } else if (fd >= 0) {
    socket_close(fd);
  }
}

void Transport::close_descriptor() {
  const int fd = std::exchange(fd_, -1);
  if (tls_ != nullptr) {
    tls_->close_descriptor();
  } else if (fd >= 0) {
    socket_close(fd);
  }
}

Error Transport::info(ws_tls_info* out) const {
  if (tls_ == nullptr) return fail(WS_ERR_STATE, "the connection is not secured");
  return tls_->info(out);
}

}  // namespace libws
