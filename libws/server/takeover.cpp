#include "libws/server/takeover.hpp"

#include "libws/base/system.hpp"
#include "libws/net/address.hpp"
#include "libws/net/socket_pass.hpp"
#include "libws/server/handover_wire.hpp"

#include <cerrno>
#include <cstring>

namespace libws {
namespace {

constexpr uint32_t kDefaultTimeoutMs = 5000;
constexpr uint64_t kRetryUs = 10'000;

// Saturating: WS_NEVER is far enough away too.
uint64_t deadline(uint32_t timeout_ms) {
  return sys().now_us() + uint64_t{timeout_ms != 0 ? timeout_ms : kDefaultTimeoutMs} * 1000;
}

Error malformed(const char* what) { return fail(WS_ERR_PROTOCOL, "takeover: %s", what); }

}  // namespace

Takeover::~Takeover() {
  if (socket_ >= 0) socket_close(socket_);
  for (size_t i = 0; i < fd_count_; ++i) {
    if (fds_[i] >= 0) socket_close(fds_[i]);
  }
}

Error Takeover::take(const char* path, uint32_t timeout_ms, std::unique_ptr<Takeover>* out) {
  auto taken = std::make_unique<Takeover>();
  const uint64_t until = deadline(timeout_ms);
  if (Error e = taken->connect(path, until)) return e;
  if (!socket_peer_is_trusted(taken->socket_)) {
    return fail(WS_ERR_INVALID, "takeover: %s is another user's", path);
  }
  if (Error e = taken->receive(until)) return e;
  if (Error e = taken->check()) return e;
  *out = std::move(taken);
  return Error();
}

// EAGAIN: others ask too, and the queue is full.  Nothing tells when it is not.
Error Takeover::connect(const char* path, uint64_t deadline_us) {
  Address address;
  if (Error e = address_unix(path, &address)) return e;
  for (;;) {
    const IoResult r = socket_connect(address, &socket_);
    if (r.status == IoResult::kOk) return Error();
    if (r.sys_errno == ENOENT || r.sys_errno == ECONNREFUSED) {
      return fail_errno(WS_ERR_CONNECT, r.sys_errno, "takeover: %s", path);
    }
    if (r.status == IoResult::kFailed && r.sys_errno != EAGAIN) {
      return fail_errno(WS_ERR_IO, r.sys_errno, "takeover: %s", path);
    }
    if (socket_ >= 0) socket_close(std::exchange(socket_, -1));
    const uint64_t now = sys().now_us();
    if (now >= deadline_us) return fail(WS_ERR_TIMEOUT, "takeover: %s: too many ask", path);
    const uint64_t again = now + kRetryUs;
    while (sys().now_us() < again) (void)sys().poll(nullptr, 0, 1);
  }
}

Error Takeover::receive(uint64_t deadline_us) {
  Vector<uint8_t> in(kMaxHandoverBytes + 1);
  size_t len = 0;
  for (bool complete = false; !complete;) {
    if (!socket_wait(socket_, false, deadline_us)) {
      return fail(WS_ERR_TIMEOUT, "takeover: no sockets came in time");
    }
    const IoResult r =
        socket_recv_fds(socket_, {in.data() + len, in.size() - len}, fds_, &fd_count_);
    if (r.status == IoResult::kWouldBlock) continue;
    if (r.status == IoResult::kEof || r.sys_errno == ECONNRESET) {
      return fail(WS_ERR_EOF, "takeover: the other process ended, or has been taken over");
    }
    if (r.sys_errno == EMSGSIZE) return malformed("more descriptors than there may be");
    if (r.status == IoResult::kFailed) return fail_errno(WS_ERR_IO, r.sys_errno, "takeover");
    len += r.bytes;
    if (Error e = parse(in.data(), len, &complete)) return e;
  }
  return Error();
}

// From the beginning each time: it comes in one piece, as good as always.
Error Takeover::parse(const uint8_t* data, size_t len, bool* complete) {
  const size_t magic = len < kHandoverMagic.size() ? len : kHandoverMagic.size();
  if (std::memcmp(data, kHandoverMagic.data(), magic) != 0) return malformed("not a handover");
  size_t at = kHandoverMagic.size();
  if (len <= at) return Error();
  const size_t count = data[at++];
  if (count == 0 || count > WS_HANDOVER_MAX) return malformed("a bad number of sockets");
  names_.clear();
  while (names_.size() < count) {
    if (at == len || len - at - 1 < data[at]) return Error();
    const String name(reinterpret_cast<const char*>(data + at + 1), data[at]);
    for (char c : name) {
      if (c < ' ' || c > '~') return malformed("a name that is not printable");
    }
    at += 1 + name.size();
    names_.push_back(name);
  }
  if (at != len) return malformed("bytes after the last name");
  if (fd_count_ != count) return malformed("names without descriptors, or the other way round");
  *complete = true;
  return Error();
}

Error Takeover::check() const {
  for (size_t i = 0; i < fd_count_; ++i) {
    if (socket_adopt_listening(fds_[i])) return malformed("a descriptor that does not listen");
  }
  return Error();
}

Error Takeover::ready(uint32_t timeout_ms) {
  if (socket_ < 0) return fail(WS_ERR_STATE, "takeover: told already");
  const uint64_t until = deadline(timeout_ms);
  const int fd = std::exchange(socket_, -1);
  uint8_t word = kHandoverReady;
  IoResult r = socket_write(fd, &word, 1);
  while (r.status == IoResult::kWouldBlock && socket_wait(fd, true, until)) {
    r = socket_write(fd, &word, 1);
  }
  bool in_time = true;
  if (r.status == IoResult::kOk) {
    do {
      in_time = socket_wait(fd, false, until);
      if (in_time) r = socket_read(fd, &word, 1);
    } while (in_time && r.status == IoResult::kWouldBlock);
  }
  socket_close(fd);
  if (!in_time || r.status == IoResult::kWouldBlock) {
    return fail(WS_ERR_TIMEOUT, "takeover: the old process does not answer");
  }
  if (r.status != IoResult::kOk) return fail(WS_ERR_EOF, "takeover: the old process has gone");
  if (word != kHandoverTaken) return malformed("a bad answer");
  return Error();
}

}  // namespace libws
