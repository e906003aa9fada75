#include "connect.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "accept_key.hpp"
#include "common.hpp"
#include "payloads.hpp"

namespace bench {
namespace {

constexpr size_t kMostHeadBytes = 8192;

std::string new_key() {
  std::array<unsigned char, 16> nonce;  // RFC 6455 4.1: 16 random bytes
  if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) die("no random bytes");
  return base64(nonce.data(), nonce.size());
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

// What is offered of permessage-deflate, and the only answer that is taken: another one would be
// another measurement.
std::string deflate_offer(const Deflate& deflate) {
  if (!deflate.takeover) {
    return "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  }
  const std::string bits = std::to_string(deflate.window_bits);
  return "permessage-deflate; server_max_window_bits=" + bits + "; client_max_window_bits=" + bits;
}

// RFC 7692 7.1.  An answer may leave out what is so without it.
const char* fault_in_deflate(std::string_view answer, const Deflate& deflate) {
  if (trim(cut(answer, ";")) != "permessage-deflate") return "another extension";
  const std::string bits = std::to_string(deflate.window_bits);
  bool server_forgets = false;
  bool client_forgets = false;
  std::string_view server_bits = "15";
  while (!answer.empty()) {
    std::string_view value = cut(answer, ";");
    const std::string_view name = trim(cut(value, "="));
    value = trim(value);
    if (name == "server_no_context_takeover") {
      server_forgets = true;
    } else if (name == "client_no_context_takeover") {
      client_forgets = true;
    } else if (name == "server_max_window_bits") {
      server_bits = value;
    } else if (name != "client_max_window_bits") {
      return "an unknown parameter of compression";
    } else if (deflate.takeover && value != bits) {
      return "another window than was offered";
    }
  }
  if (server_forgets == deflate.takeover || client_forgets == deflate.takeover) {
    return deflate.takeover ? "no context takeover" : "context takeover";
  }
  if (deflate.takeover && server_bits != bits) return "another window than was offered";
  return nullptr;
}

// RFC 6455 4.1, what a client must check.  Returns what is wrong, or nullptr.
const char* fault_in_answer(std::string_view head, const std::string& accept,
                            const std::optional<Deflate>& deflate) {
  const std::string_view status = cut(head, "\r\n");
  if (!status.starts_with("HTTP/1.1 101")) return "no status 101";
  bool upgrade = false;
  bool connection = false;
  bool accepted = false;
  bool compressed = false;
  while (!head.empty()) {
    std::string_view value = cut(head, "\r\n");
    const std::string_view name = trim(cut(value, ":"));
    value = trim(value);
    if (same_word(name, "Upgrade")) upgrade = same_word(value, "websocket");
    if (same_word(name, "Connection")) connection = lists_word(value, "Upgrade");
    if (same_word(name, "Sec-WebSocket-Accept")) accepted = value == accept;
    if (same_word(name, "Sec-WebSocket-Extensions")) {
      if (!deflate) return "an extension nobody offered";
      if (const char* fault = fault_in_deflate(value, *deflate)) return fault;
      compressed = true;
    }
    if (same_word(name, "Sec-WebSocket-Protocol")) return "a subprotocol nobody offered";
  }
  if (!upgrade) return "no Upgrade: websocket";
  if (!connection) return "no Connection: Upgrade";
  if (!accepted) return "wrong or missing Sec-WebSocket-Accept";
  if (deflate && !compressed) return "compression was declined";
  return nullptr;
}

// The opening handshake, made by hand.
struct Attempt {
  explicit Attempt(Stream&& made) : stream(std::move(made)) {}

  Stream stream;
  bool is_connected = false;
  bool has_asked = false;
  std::string key;
  std::string request;
  std::string answer;
};

class Opener {
 public:
  Opener(const Target& target, const Opening& opening, const std::function<void(Opened&&)>& on_open)
      : target_(target),
        opening_(opening),
        on_open_(on_open),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        attempts_(opening.count) {
    if (epoll_ < 0) die_errno("epoll_create1");
  }

  ~Opener() { close(epoll_); }
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  void run() {
    const int stall_ms = static_cast<int>(opening_.stall_s * 1000);
    std::array<epoll_event, Opening::kUsualInFlight> events;
    while (done_ < opening_.count) {
      while (started_ < opening_.count && started_ - done_ < opening_.in_flight) start();
      const int ready =
          epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), stall_ms);
      if (ready < 0 && errno != EINTR) die_errno("epoll_wait");
      if (ready == 0) die("no progress with %zu of %zu open", done_, opening_.count);
      for (int i = 0; i < ready; ++i) {
        advance(static_cast<size_t>(events[static_cast<size_t>(i)].data.u64));
      }
    }
  }

 private:
  void watch(int operation, size_t index, uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.u64 = index;
    if (epoll_ctl(epoll_, operation, attempts_[index]->stream.fd(), &event) != 0) {
      die_errno("epoll_ctl");
    }
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
    attempts_[index].emplace(Stream(fd, target_.tls.get()));
    watch(EPOLL_CTL_ADD, index, EPOLLOUT);
  }

  void advance(size_t index) {
    Attempt& attempt = *attempts_[index];
    if (!attempt.is_connected) return on_connected(index, attempt);
    const auto received = attempt.stream.receive();
    if (!received) die("connection %zu ended in its handshake: %s", index, attempt.stream.fault());
    if (attempt.stream.is_open() && !attempt.has_asked) return ask(index, attempt);
    send_all(index, attempt, {});  // what TLS had to answer
    if (!received->empty()) on_answer(index, attempt, *received);
  }

  void on_connected(size_t index, Attempt& attempt) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(attempt.stream.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) die("connect %zu: %s", index, std::strerror(error));
    attempt.is_connected = true;
    watch(EPOLL_CTL_MOD, index, EPOLLIN);
    if (attempt.stream.is_open()) return ask(index, attempt);
    send_all(index, attempt, {});
  }

  void ask(size_t index, Attempt& attempt) {
    attempt.has_asked = true;
    attempt.key = new_key();
    attempt.request = "GET " + target_.path + " HTTP/1.1\r\nHost: " + target_.host +
                      "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                      attempt.key + "\r\n";
    if (target_.deflate) {
      attempt.request += "Sec-WebSocket-Extensions: " + deflate_offer(*target_.deflate) + "\r\n";
    }
    attempt.request += "\r\n";
    send_all(index, attempt, attempt.request);
  }

  // A fresh socket takes a few hundred bytes whole; anything else is an error.
  void send_all(size_t index, Attempt& attempt, std::string_view text) {
    const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    const ssize_t sent = text.empty() ? 0 : attempt.stream.send(bytes);
    if (sent != static_cast<ssize_t>(text.size()) || !attempt.stream.flush()) {
      die("cannot send handshake %zu", index);
    }
  }

  void on_answer(size_t index, Attempt& attempt, std::span<const uint8_t> received) {
    attempt.answer.append(received.begin(), received.end());
    const size_t end = attempt.answer.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (attempt.answer.size() > kMostHeadBytes) die("handshake %zu: endless answer", index);
      return;
    }
    const std::string_view answer = attempt.answer;
    const char* fault = nullptr;
    if (!target_.raw) {
      fault = fault_in_answer(answer.substr(0, end), accept_for(attempt.key), target_.deflate);
    } else if (answer != attempt.request) {
      fault = "not the bytes that were sent";
    }
    if (fault != nullptr) die("handshake %zu: %s", index, fault);
    const std::string_view early = answer.substr(end + 4);
    watch(EPOLL_CTL_DEL, index, 0);
    Opened opened{std::move(attempt.stream), {early.begin(), early.end()}};
    attempts_[index].reset();
    ++done_;
    on_open_(std::move(opened));
  }

  const Target& target_;
  const Opening& opening_;
  const std::function<void(Opened&&)>& on_open_;
  int epoll_;
  size_t started_ = 0;
  size_t done_ = 0;
  std::vector<std::optional<Attempt>> attempts_;
};

Target parse_raw(std::string_view host_port) {
  Target target;
  target.raw = true;
  target.path = "/";
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
  const bool secure = url.starts_with("wss://");
  if (!secure && !url.starts_with("ws://")) {
    die("'%s' is not a ws:// or wss:// URL", std::string(url).c_str());
  }
  url.remove_prefix(url.find("//") + 2);
  const size_t slash = std::min(url.find('/'), url.size());
  Target target = parse_raw(url.substr(0, slash));
  target.raw = false;
  if (slash != url.size()) target.path = url.substr(slash);
  if (secure) target.tls = TlsContext::client();
  return target;
}

Deflate parse_deflate(std::string_view mode) {
  Deflate deflate;
  if (mode == "shared") return deflate;
  deflate.takeover = true;
  deflate.window_bits = 12;
  std::string_view bits = mode;
  const std::string_view kind = cut(bits, ":");
  if (kind == "dedicated" && kind == mode) return deflate;
  const auto [stop, error] =
      std::from_chars(bits.data(), bits.data() + bits.size(), deflate.window_bits);
  const bool is_number = error == std::errc{} && stop == bits.data() + bits.size();
  if (kind != "dedicated" || !is_number || deflate.window_bits < 9 || deflate.window_bits > 15) {
    die("'%s' is neither shared nor dedicated with 9 to 15", std::string(mode).c_str());
  }
  return deflate;
}

}  // namespace

Target target_option(Options& options) {
  const std::string url = options.text("--url", "");
  const std::string raw = options.text("--raw", "");
  if (url.empty() == raw.empty()) options.fail("--url or --raw", "is needed, one of them");
  Target target = raw.empty() ? parse_url(url) : parse_raw(raw);
  if (options.flag("--tls") && !target.tls) target.tls = TlsContext::client();
  const std::string deflate = options.text("--deflate", "");
  if (!deflate.empty()) target.deflate = parse_deflate(deflate);
  return target;
}

Messages messages_for(const Target& target, Opcode opcode, size_t size, bool verify) {
  if (!target.deflate) return Messages(opcode, size, verify);
  if (size < kLeastJson) die("compressed messages are JSON of %zu bytes or more", kLeastJson);
  return Messages(opcode, size, verify, *target.deflate, target.raw ? kNoMaskKey : kMaskKey);
}

const char* protocol_name(const Target& target) {
  if (target.raw) return target.tls ? "raw over TLS" : "raw";
  return target.tls ? "wss" : "ws";
}

void open_each(const Target& target, const Opening& opening,
               const std::function<void(Opened&&)>& on_open) {
  Opener(target, opening, on_open).run();
}

std::vector<Opened> open_connections(const Target& target, size_t count, double stall_s) {
  std::vector<Opened> opened;
  opened.reserve(count);
  Opening opening;
  opening.count = count;
  opening.stall_s = stall_s;
  open_each(target, opening, [&](Opened&& conn) { opened.push_back(std::move(conn)); });
  return opened;
}

}  // namespace bench
