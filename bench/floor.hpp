// What the floors share: one thread, one epoll, one shared buffer; a ready connection costs one
// receive and one send, and the turn one epoll_wait.  Nothing here may know about frames, and
// nothing may be clever in a way a library for general use could not be.
#pragma once

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
#include <utility>

#include "common.hpp"

namespace bench {

constexpr size_t kFloorReadBytes = 256 * 1024;

// A connection gets its echo from `Answer`:
//   void opened(int fd);
//   ssize_t receive(int fd, std::span<uint8_t> into);
//   bool answer(int fd, std::span<const uint8_t> in, std::span<const uint8_t>& out);
//   ssize_t send(int fd, std::span<const uint8_t> from);
//   bool holds_more(int fd);
//   void closed(int fd);
// receive() and send() return what the system calls would.  answer() says false to end the
// connection; `out` is valid until the next call.  holds_more() tells of bytes that have left the
// socket already, so that epoll will not report them.
template <class Answer>
class Floor {
 public:
  template <class... Arguments>
  Floor(uint16_t port, size_t read_bytes, Arguments&&... arguments)
      : answer_(std::forward<Arguments>(arguments)...),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen_on_loopback(port)),
        signals_(stop_signals()),
        buffer_(read_bytes) {
    if (epoll_ < 0) die_errno("epoll_create1");
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
    watch(EPOLL_CTL_ADD, signals_, EPOLLIN);
  }

  // Until SIGTERM or SIGINT.
  void run() {
    std::printf("listening on 127.0.0.1:%u\n", static_cast<unsigned>(port_of(listener_)));
    std::fflush(stdout);
    while (!stopping_) {
      const int ready = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), -1);
      if (ready < 0 && errno != EINTR) die_errno("epoll_wait");
      for (int i = 0; i < ready; ++i) dispatch(events_[static_cast<size_t>(i)]);
    }
  }

 private:
  static constexpr int kBacklog = 4096;
  // One epoll_wait must be able to return every connection of the usual cells (200), or the floor
  // would pay for more turns than the servers it is compared with.
  static constexpr size_t kEventsPerTurn = 1024;

  // What a short write left behind.  While there is any, the connection is not read, so this
  // never holds more than one answer.
  struct Unsent {
    std::vector<uint8_t> bytes;
    size_t sent = 0;
  };

  static int listen_on_loopback(uint16_t port) {
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

  static uint16_t port_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      die_errno("getsockname");
    }
    return ntohs(address.sin_port);
  }

  // Signals arrive as a descriptor, so stopping needs no check on the hot path and loses no race
  // against epoll_wait.
  static int stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) die_errno("sigprocmask");
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) die_errno("signalfd");
    return fd;
  }

  void watch(int operation, int fd, uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, operation, fd, &event) != 0) die_errno("epoll_ctl");
  }

  // A connection waits for EPOLLIN or for EPOLLOUT, never for both, and a dead socket reports
  // whichever is waited for: so the event alone says what to do, and the usual echo touches no
  // state of the connection here at all.
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
      answer_.opened(fd);
      watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  void echo(int fd) {
    do {
      const ssize_t got = answer_.receive(fd, buffer_);
      if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        return drop(fd);
      }
      std::span<const uint8_t> out;
      if (!answer_.answer(fd, {buffer_.data(), static_cast<size_t>(got)}, out)) return drop(fd);
      if (out.empty()) return;
      const ssize_t sent = answer_.send(fd, out);
      if (sent != static_cast<ssize_t>(out.size())) {
        if (sent < 0 && errno != EAGAIN) return drop(fd);
        return keep_unsent(fd, out.subspan(sent < 0 ? 0 : static_cast<size_t>(sent)));
      }
    } while (answer_.holds_more(fd));
  }

  void keep_unsent(int fd, std::span<const uint8_t> rest) {
    Unsent& unsent = unsent_[static_cast<size_t>(fd)];
    unsent.bytes.assign(rest.begin(), rest.end());
    unsent.sent = 0;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
  }

  void send_unsent(int fd) {
    Unsent& unsent = unsent_[static_cast<size_t>(fd)];
    const ssize_t sent = answer_.send(fd, std::span(unsent.bytes).subspan(unsent.sent));
    if (sent < 0) {
      if (errno != EAGAIN) drop(fd);
      return;
    }
    unsent.sent += static_cast<size_t>(sent);
    if (unsent.sent < unsent.bytes.size()) return;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    if (answer_.holds_more(fd)) echo(fd);
  }

  void drop(int fd) {
    unsent_[static_cast<size_t>(fd)] = Unsent{};
    answer_.closed(fd);
    close(fd);
  }

  Answer answer_;
  int epoll_;
  int listener_;
  int signals_;
  bool stopping_ = false;
  std::vector<uint8_t> buffer_;
  std::vector<Unsent> unsent_;  // by descriptor
  std::array<epoll_event, kEventsPerTurn> events_;
};

// For an `Answer` that leaves the socket to the floor.
class PlainSocket {
 public:
  static ssize_t receive(int fd, std::span<uint8_t> into) {
    return recv(fd, into.data(), into.size(), 0);
  }
  static ssize_t send(int fd, std::span<const uint8_t> from) {
    return ::send(fd, from.data(), from.size(), MSG_NOSIGNAL);
  }
  static constexpr bool holds_more(int) { return false; }
};

}  // namespace bench
