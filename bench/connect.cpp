#include "connect.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common.hpp"

namespace bench {
namespace {

// Far below any server's backlog, so that no SYN is dropped and retried a second later.
constexpr size_t kMostPending = 256;
constexpr size_t kMostHeadBytes = 8192;

std::string base64(const unsigned char* data, size_t size) {
  std::string out(4 * ((size + 2) / 3) + 1, '\0');  // EVP_EncodeBlock adds a NUL
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data, static_cast<int>(size));
  out.resize(static_cast<size_t>(length));
  return out;
}

std::string new_key() {
  std::array<unsigned char, 16> nonce;  // RFC 6455 4.1: 16 random bytes
  if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) die("no random bytes");
  return base64(nonce.data(), nonce.size());
}

std::string accept_for(const std::string& key) {
  // RFC 6455 1.3: proves that the server read this request and is not replaying an answer.
  const std::string input = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest.data());
  return base64(digest.data(), digest.size());
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes what stands before `separator` off the front of `text`.
std::string_view cut(std::string_view& text, std::string_view separator) {
  const size_t at = text.find(separator);
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + separator.size());
  return front;
}

bool lists_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (same_word(trim(cut(list, ",")), word)) return true;
  }
  return false;
}

// RFC 6455 4.1, what a client must check.  Returns what is wrong, or nullptr.
const char* fault_in_answer(std::string_view head, const std::string& accept) {
  const std::string_view status = cut(head, "\r\n");
  if (!status.starts_with("HTTP/1.1 101")) return "no status 101";
  bool upgrade = false;
  bool connection = false;
  bool accepted = false;
  while (!head.empty()) {
    std::string_view value = cut(head, "\r\n");
    const std::string_view name = trim(cut(value, ":"));
    value = trim(value);
    if (same_word(name, "Upgrade")) upgrade = same_word(value, "websocket");
    if (same_word(name, "Connection")) connection = lists_word(value, "Upgrade");
    if (same_word(name, "Sec-WebSocket-Accept")) accepted = value == accept;
    if (same_word(name, "Sec-WebSocket-Extensions")) return "an extension nobody offered";
    if (same_word(name, "Sec-WebSocket-Protocol")) return "a subprotocol nobody offered";
  }
  if (!upgrade) return "no Upgrade: websocket";
  if (!connection) return "no Connection: Upgrade";
  if (!accepted) return "wrong or missing Sec-WebSocket-Accept";
  return nullptr;
}

class Opener {
 public:
  Opener(const Target& target, size_t count, double stall_s)
      : target_(target),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        stall_ms_(static_cast<int>(stall_s * 1000)),
        attempts_(count),
        opened_(count) {
    if (epoll_ < 0) die_errno("epoll_create1");
  }

  std::vector<Opened> run() {
    std::array<epoll_event, kMostPending> events;
    while (done_ < attempts_.size()) {
      while (started_ < attempts_.size() && started_ - done_ < kMostPending) start();
      const int ready =
          epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), stall_ms_);
      if (ready < 0 && errno != EINTR) die_errno("epoll_wait");
      if (ready == 0) die("no progress with %zu of %zu open", done_, attempts_.size());
      for (int i = 0; i < ready; ++i) {
        advance(static_cast<size_t>(events[static_cast<size_t>(i)].data.u64));
      }
    }
    close(epoll_);
    return std::move(opened_);
  }

 private:
  struct Attempt {
    bool connected = false;
    std::string key;
    std::string answer;
  };

  void watch(int operation, size_t index, uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.u64 = index;
    if (epoll_ctl(epoll_, operation, opened_[index].fd, &event) != 0) die_errno("epoll_ctl");
  }

  void start() {
    const size_t index = started_++;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket %zu: %s", index, std::strerror(errno));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto* address = reinterpret_cast<const sockaddr*>(&target_.address);
    if (connect(fd, address, sizeof target_.address) != 0 && errno != EINPROGRESS) {
      die("connect %zu: %s", index, std::strerror(errno));
    }
    opened_[index].fd = fd;
    watch(EPOLL_CTL_ADD, index, EPOLLOUT);
  }

  void advance(size_t index) {
    if (!attempts_[index].connected) return on_connected(index);
    on_answer(index);
  }

  void on_connected(size_t index) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(opened_[index].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) die("connect %zu: %s", index, std::strerror(error));
    if (target_.raw) return finish(index);
    Attempt& attempt = attempts_[index];
    attempt.connected = true;
    attempt.key = new_key();
    const std::string request = "GET " + target_.path + " HTTP/1.1\r\nHost: " + target_.host +
                                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                                attempt.key + "\r\n\r\n";
    const ssize_t sent = send(opened_[index].fd, request.data(), request.size(), MSG_NOSIGNAL);
    // A fresh socket takes a few hundred bytes whole; anything else is an error.
    if (sent != static_cast<ssize_t>(request.size())) die("cannot send handshake %zu", index);
    watch(EPOLL_CTL_MOD, index, EPOLLIN);
  }

  void on_answer(size_t index) {
    Attempt& attempt = attempts_[index];
    std::array<char, 4096> buffer;
    const ssize_t got = recv(opened_[index].fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) die("connection %zu ended in its handshake", index);
    attempt.answer.append(buffer.data(), static_cast<size_t>(got));
    const size_t end = attempt.answer.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (attempt.answer.size() > kMostHeadBytes) die("handshake %zu: endless answer", index);
      return;
    }
    const std::string_view answer = attempt.answer;
    const char* fault = fault_in_answer(answer.substr(0, end), accept_for(attempt.key));
    if (fault != nullptr) die("handshake %zu: %s", index, fault);
    const std::string_view early = answer.substr(end + 4);
    opened_[index].early.assign(early.begin(), early.end());
    finish(index);
  }

  void finish(size_t index) {
    watch(EPOLL_CTL_DEL, index, 0);
    attempts_[index] = Attempt{};
    ++done_;
  }

  const Target& target_;
  int epoll_;
  int stall_ms_;
  size_t started_ = 0;
  size_t done_ = 0;
  std::vector<Attempt> attempts_;
  std::vector<Opened> opened_;
};

}  // namespace

Target parse_raw(std::string_view host_port) {
  Target target;
  target.raw = true;
  target.host = host_port;
  target.address.sin_family = AF_INET;
  const size_t colon = host_port.rfind(':');
  if (colon == host_port.npos) die("'%s' is not HOST:PORT", target.host.c_str());
  const std::string_view port = host_port.substr(colon + 1);
  uint16_t number = 0;
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || stop != port.data() + port.size() || number == 0) {
    die("'%s' has no port", target.host.c_str());
  }
  target.address.sin_port = htons(number);
  std::string host(host_port.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  if (inet_pton(AF_INET, host.c_str(), &target.address.sin_addr) != 1) {
    die("'%s' is not an IPv4 address", host.c_str());
  }
  return target;
}

Target parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "ws://";
  if (!url.starts_with(kScheme)) die("'%s' is not a ws:// URL", std::string(url).c_str());
  url.remove_prefix(kScheme.size());
  const size_t slash = std::min(url.find('/'), url.size());
  Target target = parse_raw(url.substr(0, slash));
  target.raw = false;
  target.path = slash == url.size() ? "/" : url.substr(slash);
  return target;
}

std::vector<Opened> open_connections(const Target& target, size_t count, double stall_s) {
  return Opener(target, count, stall_s).run();
}

void close_abruptly(int fd) {
  const linger reset{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
}

}  // namespace bench
