#include "libws/net/socket_pass.hpp"

#include "libws/base/system.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstring>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

namespace libws {
namespace {

// What Linux allows in one message (SCM_MAX_FD); no more are ever sent.
constexpr size_t kMaxPassed = 253;

union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(kMaxPassed * sizeof(int))];
};

}  // namespace

Error socket_send_fds(int fd, std::span<const uint8_t> data, std::span<const int> fds) {
  assert(!fds.empty() && fds.size() <= kMaxPassed);
  Control control = {};
  iovec part = {const_cast<uint8_t*>(data.data()), data.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  ssize_t n;
  do {
    n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno(WS_ERR_IO, errno, "sending %zu descriptors", fds.size());
  if (static_cast<size_t>(n) == data.size()) return Error();
  return fail(WS_ERR_IO, "sending %zu descriptors: only in part", fds.size());
}

IoResult socket_recv_fds(int fd, std::span<uint8_t> into, std::span<int> fds, size_t* count) {
  Control control = {};
  iovec part = {into.data(), into.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t n;
  do {
    n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {IoResult::kWouldBlock, 0, 0};
  if (n < 0) return {IoResult::kFailed, errno, 0};
  bool too_many = (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < got; ++i) {
      int passed;
      std::memcpy(&passed, CMSG_DATA(c) + i * sizeof passed, sizeof passed);
      if (*count < fds.size()) {
        fds[(*count)++] = passed;
      } else {
        too_many = true;
        socket_close(passed);
      }
    }
  }
  if (too_many) return {IoResult::kFailed, EMSGSIZE, 0};
  if (n == 0) return {IoResult::kEof, 0, 0};
  return {IoResult::kOk, 0, static_cast<size_t>(n)};
}

bool socket_peer_is_trusted(int fd) {
#ifdef SO_PEERCRED
  ucred peer = {};
  socklen_t len = sizeof peer;
  if (sys().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return false;
  const uid_t user = peer.uid;
#else
  uid_t user;
  gid_t group;
  if (getpeereid(fd, &user, &group) != 0) return false;
#endif
  return user == 0 || user == geteuid();
}

bool socket_wait(int fd, bool writing, uint64_t deadline_us) {
  for (;;) {
    const uint64_t now = sys().now_us();
    if (now >= deadline_us) return false;
    uint64_t ms = (deadline_us - now + 999) / 1000;
    if (ms > INT_MAX) ms = INT_MAX;
    pollfd wait = {fd, static_cast<short>(writing ? POLLOUT : POLLIN), 0};
    if (sys().poll(&wait, 1, static_cast<int>(ms)) > 0) return true;
  }
}

}  // namespace libws
