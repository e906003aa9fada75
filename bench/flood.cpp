#include "flood.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

namespace bench {
namespace {

// One send() carries many small messages, so that this program is faster than any reader.
constexpr size_t kBytesPerSend = 256 * 1024;

uint16_t port_of(int fd, bool peer) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  auto* out = reinterpret_cast<sockaddr*>(&address);
  if ((peer ? getpeername(fd, out, &size) : getsockname(fd, out, &size)) != 0) {
    die_errno("address of a socket");
  }
  return ntohs(address.sin_port);
}

// What lies in the receive buffer of the socket at the other end, which is on this machine.
uint64_t unread_by_peer(int fd) {
  const unsigned ours = port_of(fd, false);
  const unsigned theirs = port_of(fd, true);
  std::ifstream table("/proc/net/tcp");
  std::string line;
  while (std::getline(table, line)) {
    unsigned local = 0;
    unsigned remote = 0;
    unsigned long received = 0;
    const int found =
        std::sscanf(line.c_str(), " %*d: %*x:%x %*x:%x %*x %*x:%lx", &local, &remote, &received);
    if (found == 3 && local == theirs && remote == ours) return received;
  }
  die("the socket of the reader is not in /proc/net/tcp; is it on this machine?");
}

class Sender {
 public:
  explicit Sender(const Flood& flood) : flood_(flood) {
    const size_t times = std::max<size_t>(kBytesPerSend / flood.frame.size(), 1);
    for (size_t i = 0; i < times; ++i) {
      bytes_.insert(bytes_.end(), flood.frame.begin(), flood.frame.end());
    }
  }

  void run_for(double seconds) {
    const uint64_t end = now_ns() + static_cast<uint64_t>(seconds * 1e9);
    while (now_ns() < end) send_some();
  }

  WindowReading read() const {
    int unsent = 0;
    if (ioctl(flood_.fd, SIOCOUTQ, &unsent) != 0) die_errno("SIOCOUTQ");
    const uint64_t taken = sent_ - static_cast<uint64_t>(unsent) - unread_by_peer(flood_.fd);
    const double messages = static_cast<double>(taken) / static_cast<double>(flood_.frame.size());
    return read_window(messages, flood_.reader);
  }

 private:
  void send_some() {
    const auto next = std::span(bytes_).subspan(at_);
    const ssize_t sent = send(flood_.fd, next.data(), next.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      sent_ += static_cast<uint64_t>(sent);
      at_ = (at_ + static_cast<size_t>(sent)) % bytes_.size();
      return;
    }
    if (errno != EAGAIN && errno != EINTR) die_errno("send");
    wait_for_room();
  }

  void wait_for_room() const {
    pollfd waiting{flood_.fd, POLLOUT | POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(flood_.stall * 1000));
    if (ready < 0 && errno != EINTR) die_errno("poll");
    if (ready == 0) die("nothing was read for %.0f s", flood_.stall);
    if ((waiting.revents & POLLIN) != 0) die("the reader closed, or had something to say");
  }

  const Flood& flood_;
  std::vector<uint8_t> bytes_;  // the frame, several times
  size_t at_ = 0;               // what is sent next of them
  uint64_t sent_ = 0;
};

}  // namespace

FloodReadings run_flood(const Flood& flood) {
  Sender sender(flood);
  sender.run_for(flood.warmup);
  const WindowReading begin = sender.read();
  sender.run_for(flood.seconds);
  return {begin, sender.read()};
}

}  // namespace bench
