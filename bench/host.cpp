// The load for a client: listens, starts the client with the URL behind its arguments, and sends it
// messages as fast as it reads them, or echoes what it sends.  What is measured is that process.
// One connection, and no library: the same host for every client.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "accept_key.hpp"
#include "flood.hpp"
#include "messages.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: host (--echo | --flood) [options] -- COMMAND [ARGUMENT]...\n"
    "starts COMMAND, a client, with the URL to connect to as its last argument\n"
    "  --echo            the client sends messages, and gets each back\n"
    "  --flood           the client reads what it is sent\n"
    "  --size BYTES      payload of a message; with --echo it is the client's choice [200]\n"
    "  --text            --flood: text messages, not binary\n"
    "  --seconds S       length of the measured window [2]\n"
    "  --warmup S        the same before it, not counted [0.5]\n"
    "  --client-cpu N    let the client run on this CPU only\n"
    "  --stall S         give up when nothing moves for so long [30]\n"
    "  --json            one line of JSON\n";

constexpr size_t kMostHeadBytes = 8192;
constexpr int kLookMs = 100;  // how late the end of the client is noticed

struct Settings {
  bool echo;
  size_t size;
  Opcode opcode;
  double seconds;
  double warmup;
  double stall;
  int client_cpu;  // -1: any
  bool json;
  char** command;
};

int listen_on_loopback(uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die_errno("socket");
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || listen(fd, 1) != 0) die_errno("listen");
  if (getsockname(fd, generic, &size) != 0) die_errno("getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

// The process that is measured; ended with this object, and with this program however it ends.
class Client {
 public:
  Client(const Settings& settings, const std::string& url) {
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) die_errno("fork");
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    if (settings.client_cpu >= 0) {
      cpu_set_t cpus;
      CPU_ZERO(&cpus);
      CPU_SET(static_cast<size_t>(settings.client_cpu), &cpus);
      if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) die_errno("--client-cpu");
    }
    std::vector<char*> words;
    for (char** word = settings.command; *word != nullptr; ++word) words.push_back(*word);
    std::string last = url;
    words.push_back(last.data());
    words.push_back(nullptr);
    execvp(words[0], words.data());
    die("%s: %s", words[0], std::strerror(errno));
  }

  ~Client() { end(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  pid_t pid() const { return pid_; }

  void end() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = 0;
  }

  void expect_running() const {
    siginfo_t info{};
    const int options = WEXITED | WNOHANG | WNOWAIT;
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, options) != 0) die_errno("waitid");
    if (info.si_pid != 0) die("the client ended with status %d", info.si_status);
  }

 private:
  pid_t pid_;
};

class Host {
 public:
  Host(const Settings& settings, int listener, const Client& client)
      : settings_(settings), client_(client) {
    wait_for(listener);
    fd_ = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd_ < 0) die_errno("accept4");
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  ~Host() { close(fd_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void shake_hands() {
    std::string request;
    size_t end = std::string::npos;
    while ((end = request.find("\r\n\r\n")) == std::string::npos) {
      const std::span<const uint8_t> got = receive();
      request.append(got.begin(), got.end());
      if (request.size() > kMostHeadBytes) die("endless request");
    }
    in_.assign(request.begin() + static_cast<ptrdiff_t>(end + 4), request.end());
    std::string lower = request;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::string_view kField = "\r\nsec-websocket-key:";
    const size_t at = lower.find(kField);
    if (at == lower.npos) die("no opening handshake");
    const size_t key = request.find_first_not_of(" \t", at + kField.size());
    const size_t key_end = request.find_first_of(" \t\r", key);
    const std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        accept_for(request.substr(key, key_end - key)) + "\r\n\r\n";
    send_all({reinterpret_cast<const uint8_t*>(answer.data()), answer.size()});
  }

  FloodReadings run() { return settings_.echo ? run_echo() : run_one_way(); }

 private:
  FloodReadings run_one_way() const {
    Flood flood{};
    flood.fd = fd_;
    flood.frame = unmasked_frame(
        settings_.opcode, Messages(settings_.opcode, settings_.size, false).payloads.front());
    flood.seconds = settings_.seconds;
    flood.warmup = settings_.warmup;
    flood.stall = settings_.stall;
    flood.reader = client_.pid();
    return run_flood(flood);
  }

  FloodReadings run_echo() {
    echo_for(settings_.warmup);
    const WindowReading begin = read_window(static_cast<double>(echoed_), client_.pid());
    echo_for(settings_.seconds);
    return {begin, read_window(static_cast<double>(echoed_), client_.pid())};
  }

  void echo_for(double seconds) {
    const uint64_t end = now_ns() + static_cast<uint64_t>(seconds * 1e9);
    while (now_ns() < end) {
      while (echo_one()) {
      }
      const std::span<const uint8_t> got = receive();
      in_.insert(in_.end(), got.begin(), got.end());
    }
  }

  // Answers the first frame of `in_`, when it is all there.
  bool echo_one() {
    constexpr size_t kMaskBytes = 4;
    if (in_.size() < 2) return false;
    const auto opcode = static_cast<Opcode>(in_[0] & 0x0f);
    if (opcode != Opcode::kText && opcode != Opcode::kBinary) die("only whole messages here");
    if ((in_[0] & 0xf0) != 0x80 || (in_[1] & 0x80) == 0) die("a frame that is not a whole message");
    size_t length = in_[1] & 0x7f;
    const size_t more = length == 127 ? 8 : length == 126 ? 2 : 0;
    const size_t head = 2 + more + kMaskBytes;
    if (in_.size() < head) return false;
    if (more != 0) length = 0;
    for (size_t i = 0; i < more; ++i) length = length << 8 | in_[2 + i];
    if (in_.size() - head < length) return false;
    std::vector<uint8_t> payload(length);
    for (size_t i = 0; i < length; ++i) {
      payload[i] = static_cast<uint8_t>(in_[head + i] ^ in_[2 + more + i % kMaskBytes]);
    }
    in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(head + length));
    send_all(unmasked_frame(opcode, payload));
    ++echoed_;
    return true;
  }

  // Something, or the program ends.
  std::span<const uint8_t> receive() {
    for (;;) {
      const ssize_t got = recv(fd_, buffer_.data(), buffer_.size(), 0);
      if (got > 0) return std::span(buffer_).first(static_cast<size_t>(got));
      if (got == 0) die("the client closed");
      if (errno != EAGAIN && errno != EINTR) die_errno("recv");
      wait_for(fd_);
    }
  }

  // There is never more than one answer in flight, so only one larger than a socket's buffer would
  // be cut short.
  void send_all(std::span<const uint8_t> bytes) const {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) die_errno("send");
    if (static_cast<size_t>(sent) != bytes.size()) die("the answer does not fit into the socket");
  }

  void wait_for(int fd) const {
    const uint64_t end = now_ns() + static_cast<uint64_t>(settings_.stall * 1e9);
    pollfd waiting{fd, POLLIN, 0};
    for (;;) {
      const int ready = poll(&waiting, 1, kLookMs);
      if (ready < 0 && errno != EINTR) die_errno("poll");
      if (ready > 0) return;
      client_.expect_running();
      if (now_ns() > end) die("nothing came for %.0f s", settings_.stall);
    }
  }

  const Settings& settings_;
  const Client& client_;
  int fd_ = -1;
  uint64_t echoed_ = 0;
  std::vector<uint8_t> in_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(64 * 1024);
};

Settings parse(Options& options, char** command) {
  Settings settings{};
  settings.echo = options.flag("--echo");
  if (options.flag("--flood") == settings.echo) options.fail("--echo or --flood", "is needed");
  settings.size = options.number("--size", 200, 0, uint64_t{1} << 30);
  settings.opcode = options.flag("--text") ? Opcode::kText : Opcode::kBinary;
  settings.seconds = options.seconds("--seconds", 2);
  settings.warmup = options.seconds("--warmup", 0.5);
  settings.client_cpu = static_cast<int>(options.number("--client-cpu", CPU_SETSIZE, 0, 1023));
  if (settings.client_cpu == CPU_SETSIZE) settings.client_cpu = -1;
  settings.stall = options.seconds("--stall", 30);
  settings.json = options.flag("--json");
  options.finish();
  if (*command == nullptr) options.fail("COMMAND", "is needed");
  settings.command = command;
  return settings;
}

void measure(const Settings& settings) {
  uint16_t port = 0;
  const int listener = listen_on_loopback(port);
  Client client(settings, "ws://127.0.0.1:" + std::to_string(port) + "/");
  Host host(settings, listener, client);
  host.shake_hands();
  const FloodReadings readings = host.run();
  print_window({"client", "messages", 1, settings.size, client.pid(), settings.json},
               readings.begin, readings.end);
  client.end();  // before its connection: it has no business complaining about that
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  char** dashes = std::find(argv, argv + argc, std::string_view("--"));
  Options options(static_cast<int>(dashes - argv), argv, kUsage);
  const Settings settings = parse(options, dashes == argv + argc ? dashes : dashes + 1);
  measure(settings);
  return 0;
}
