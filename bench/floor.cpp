// The floor: what an echo costs when nobody looks at the bytes.  One thread, one epoll, one
// shared buffer; a ready connection costs one recv and one send, and the turn one epoll_wait.  A
// WebSocket server with the same socket calls can only add to this, so its cost is given as a
// ratio to it.  Nothing here may know about frames, and nothing may be clever in a way a library
// for general use could not be.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <span>

#include "common.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: floor [--port N] [--read-bytes BYTES]\n"
    "  --port N            listen on 127.0.0.1:N; 0 takes a free port [0]\n"
    "  --read-bytes BYTES  size of the one read buffer [262144]\n";

constexpr uint64_t kDefaultReadBytes = 256 * 1024;
constexpr int kBacklog = 4096;
// One epoll_wait must be able to return every connection of the usual cells (200), or the floor
// would pay for more turns than the servers it is compared with.
constexpr size_t kEventsPerTurn = 1024;

int listen_on_loopback(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die_errno("socket");
  const int on = 1;
  // Otherwise the next run could not take the port while the last one's sockets expire.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die_errno("bind");
  if (listen(fd, kBacklog) != 0) die_errno("listen");
  return fd;
}

uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) die_errno("getsockname");
  return ntohs(address.sin_port);
}

// Signals arrive as a descriptor, so stopping needs no check on the hot path and loses no race
// against epoll_wait.
int stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) die_errno("sigprocmask");
  const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) die_errno("signalfd");
  return fd;
}

class Floor {
 public:
  Floor(uint16_t port, size_t read_bytes)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen_on_loopback(port)),
        signals_(stop_signals()),
        buffer_(read_bytes) {
    if (epoll_ < 0) die_errno("epoll_create1");
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
    watch(EPOLL_CTL_ADD, signals_, EPOLLIN);
  }

  uint16_t port() const { return port_of(listener_); }

  void run() {
    while (!stopping_) {
      const int ready = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), -1);
      if (ready < 0 && errno != EINTR) die_errno("epoll_wait");
      for (int i = 0; i < ready; ++i) dispatch(events_[static_cast<size_t>(i)]);
    }
  }

 private:
  // What a short write left behind.  While there is any, the connection is not read, so this
  // never holds more than one read buffer.
  struct Unsent {
    std::vector<char> bytes;
    size_t sent = 0;
  };

  void watch(int operation, int fd, uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, operation, fd, &event) != 0) die_errno("epoll_ctl");
  }

  // A connection waits for EPOLLIN or for EPOLLOUT, never for both, and a dead socket reports
  // whichever is waited for: so the event alone says what to do, and the usual echo touches no
  // state of the connection at all.
  void dispatch(const epoll_event& event) {
    const int fd = event.data.fd;
    if (fd == listener_) return accept_waiting();
    if (fd == signals_) {
      stopping_ = true;
      return;
    }
    if ((event.events & EPOLLOUT) != 0) return send_unsent(fd);
    echo(fd);
  }

  void accept_waiting() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EAGAIN) return;
        if (errno == ECONNABORTED || errno == EINTR) continue;
        die_errno("accept4");
      }
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const auto slot = static_cast<size_t>(fd);
      if (slot >= unsent_.size()) unsent_.resize(slot + 1);
      watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  void echo(int fd) {
    const ssize_t got = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) {
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      return drop(fd);
    }
    const auto size = static_cast<size_t>(got);
    const ssize_t sent = send(fd, buffer_.data(), size, MSG_NOSIGNAL);
    if (sent == got) return;
    if (sent < 0 && errno != EAGAIN) return drop(fd);
    keep_unsent(fd,
                std::span(buffer_.data(), size).subspan(sent < 0 ? 0 : static_cast<size_t>(sent)));
  }

  void keep_unsent(int fd, std::span<const char> rest) {
    Unsent& unsent = unsent_[static_cast<size_t>(fd)];
    unsent.bytes.assign(rest.begin(), rest.end());
    unsent.sent = 0;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
  }

  void send_unsent(int fd) {
    Unsent& unsent = unsent_[static_cast<size_t>(fd)];
    const size_t left = unsent.bytes.size() - unsent.sent;
    const ssize_t sent = send(fd, unsent.bytes.data() + unsent.sent, left, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) drop(fd);
      return;
    }
    unsent.sent += static_cast<size_t>(sent);
    if (unsent.sent < unsent.bytes.size()) return;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  void drop(int fd) {
    unsent_[static_cast<size_t>(fd)] = Unsent{};
    close(fd);
  }

  int epoll_;
  int listener_;
  int signals_;
  bool stopping_ = false;
  std::vector<char> buffer_;
  std::vector<Unsent> unsent_;  // by descriptor
  std::array<epoll_event, kEventsPerTurn> events_;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const auto port = static_cast<uint16_t>(options.number("--port", 0, 0, 65535));
  const auto read_bytes =
      static_cast<size_t>(options.number("--read-bytes", kDefaultReadBytes, 1, 1 << 30));
  options.finish();

  raise_descriptor_limit();
  Floor floor(port, read_bytes);
  std::printf("listening on 127.0.0.1:%u\n", static_cast<unsigned>(floor.port()));
  std::fflush(stdout);
  floor.run();
  return 0;
}
