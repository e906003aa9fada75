#include "stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common.hpp"

namespace bench {
namespace {

// More than that is not encrypted ahead of a full socket...
constexpr size_t kMostUnsent = 64 * 1024;
// ...and that much leaves with one call, like a message of 256 KiB without TLS.
constexpr size_t kMostAtOnce = 512 * 1024;

}  // namespace

Stream::Stream(int fd, TlsContext* tls) : fd_(fd) {
  if (tls == nullptr) return;
  tls_.emplace(*tls);
  tls_->decrypt({}, unsent_);  // the client speaks first
}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      fault_(other.fault_),
      tls_(std::move(other.tls_)),
      unsent_(std::move(other.unsent_)),
      sent_(std::exchange(other.sent_, 0)) {}

Stream::~Stream() {
  if (fd_ < 0) return;
  const linger reset{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd_);
}

std::optional<std::span<const uint8_t>> Stream::receive() {
  static std::vector<uint8_t> buffer(kMostReceived);
  const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::span<const uint8_t>{};
  if (got <= 0) return end(got == 0 ? "closed by the server" : std::strerror(errno));
  const std::span<const uint8_t> arrived(buffer.data(), static_cast<size_t>(got));
  if (!tls_) return arrived;
  const std::span<const uint8_t> plain = tls_->decrypt(arrived, unsent_);
  if (plain.empty() && tls_->has_ended()) {
    return end(tls_->fault().empty() ? "closed by the server" : tls_->fault().c_str());
  }
  return plain;
}

std::optional<std::span<const uint8_t>> Stream::end(const char* fault) {
  fault_ = fault;
  return std::nullopt;
}

ssize_t Stream::send(std::span<const uint8_t> bytes) {
  if (!tls_) return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  size_t taken = 0;
  while (taken < bytes.size() && (unsent_.size() - sent_ <= kMostUnsent || flush())) {
    const size_t part = std::min(bytes.size() - taken, kMostAtOnce);
    tls_->encrypt(bytes.subspan(taken, part), unsent_);
    flush();
    taken += part;
  }
  if (taken != 0) return static_cast<ssize_t>(taken);
  errno = EAGAIN;
  return -1;
}

bool Stream::flush() {
  if (unsent_.empty()) return true;
  const ssize_t sent = ::send(fd_, unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) die_errno("send");
  sent_ += sent < 0 ? 0 : static_cast<size_t>(sent);
  if (sent_ < unsent_.size()) return false;
  unsent_.clear();
  sent_ = 0;
  return true;
}

}  // namespace bench
