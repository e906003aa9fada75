// One connection talks, and the server sends each of its messages to all the others: what a
// broadcast costs the server.  Closed loop: the next burst is sent when everybody has the last one.
// Whether the server sends the talker its own messages too makes no difference here.

#include <sys/epoll.h>

#include <array>

#include "common.hpp"
#include "connect.hpp"
#include "echo.hpp"
#include "window.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: fanout --url ws://127.0.0.1:PORT/ [options]\n"
    "  --connections N   that listen; one more talks [2000]\n"
    "  --size BYTES      payload of a message [100]\n"
    "  --burst N         messages sent at once [1]\n"
    "  --text            text messages, not binary\n"
    "  --seconds S       length of the measured window [2]\n"
    "  --warmup S        the same before it, not counted [0.5]\n"
    "  --server-pid PID  also report the CPU time this process used\n"
    "  --stall S         give up when nothing moves for so long [30]\n"
    "  --json            one line of JSON\n";

constexpr size_t kEventsPerTurn = 1024;

struct Settings {
  Target target;
  size_t connections;
  size_t size;
  size_t burst;
  Opcode opcode;
  double seconds;
  double warmup;
  double stall;
  pid_t server_pid;
  bool json;
};

class Fanout {
 public:
  Fanout(const Settings& settings, const Messages& messages)
      : settings_(settings), messages_(messages), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die_errno("epoll_create1");
    std::vector<Opened> opened =
        open_connections(settings.target, settings.connections + 1, settings.stall);
    conns_.reserve(opened.size());
    for (Opened& one : opened) add(one);
  }

  ~Fanout() { close(epoll_); }
  Fanout(const Fanout&) = delete;
  Fanout& operator=(const Fanout&) = delete;

  void run_for(double seconds) {
    const uint64_t end = now_ns() + static_cast<uint64_t>(seconds * 1e9);
    while (now_ns() < end) talk_once();
  }

  WindowReading read() const {
    return read_window(static_cast<double>(broadcasts_), settings_.server_pid);
  }

 private:
  struct Conn {
    Conn(Stream&& opened, const Messages& messages) : stream(std::move(opened)), reader(messages) {}

    Stream stream;
    uint64_t received = 0;
    WsReader reader;
  };

  static constexpr size_t kTalker = 0;

  void add(Opened& opened) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = conns_.size();
    Conn& conn = conns_.emplace_back(std::move(opened.stream), messages_);
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, conn.stream.fd(), &event) != 0) die_errno("epoll_ctl");
    if (conn.reader.feed(opened.early) != 0) die("a message before the first");
  }

  void talk_once() {
    const std::span frames(messages_.frames);
    if (conns_[kTalker].stream.send(frames) != static_cast<ssize_t>(frames.size())) {
      die("the burst does not fit into the socket");
    }
    broadcasts_ += settings_.burst;
    waiting_ = settings_.connections;
    while (waiting_ > 0) turn();
  }

  void turn() {
    const int timeout_ms = static_cast<int>(settings_.stall * 1000);
    const int size = static_cast<int>(events_.size());
    const int ready = epoll_wait(epoll_, events_.data(), size, timeout_ms);
    if (ready < 0 && errno != EINTR) die_errno("epoll_wait");
    if (ready == 0) die("%zu still wait for a message after %.0f s", waiting_, settings_.stall);
    for (int i = 0; i < ready; ++i) receive(events_[static_cast<size_t>(i)].data.u64);
  }

  void receive(uint64_t index) {
    Conn& conn = conns_[index];
    const auto received = conn.stream.receive();
    if (!received) die("connection %" PRIu64 " lost: %s", index, conn.stream.fault());
    const size_t messages = conn.reader.feed(*received);
    conn.received += messages;
    if (conn.received > broadcasts_) die("more messages than were sent");
    if (messages != 0 && index != kTalker && conn.received == broadcasts_) --waiting_;
  }

  const Settings& settings_;
  const Messages& messages_;
  int epoll_;
  uint64_t broadcasts_ = 0;
  size_t waiting_ = 0;  // how many have not got all of them
  std::vector<Conn> conns_;
  std::array<epoll_event, kEventsPerTurn> events_;
};

void measure(const Settings& settings) {
  Messages messages(settings.opcode, settings.size, false);
  messages.repeat(settings.burst);
  Fanout fanout(settings, messages);
  fanout.run_for(settings.warmup);
  const WindowReading begin = fanout.read();
  fanout.run_for(settings.seconds);
  const WindowReading end = fanout.read();
  print_window({"server", "broadcasts", settings.connections, settings.size, settings.server_pid,
                settings.json},
               begin, end);
}

Settings parse(Options& options) {
  Settings settings{};
  settings.target = target_option(options);
  if (settings.target.raw || settings.target.tls || settings.target.deflate) {
    options.fail("--url", "is ws:// only here");
  }
  settings.connections = options.number("--connections", 2000, 1, 60000);
  settings.size = options.number("--size", 100, 0, 1 << 16);
  settings.burst = options.number("--burst", 1, 1, 256);
  settings.opcode = options.flag("--text") ? Opcode::kText : Opcode::kBinary;
  settings.seconds = options.seconds("--seconds", 2);
  settings.warmup = options.seconds("--warmup", 0.5);
  settings.stall = options.seconds("--stall", 30);
  settings.server_pid = static_cast<pid_t>(options.number("--server-pid", 0, 1, 1 << 22));
  settings.json = options.flag("--json");
  options.finish();
  return settings;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const Settings settings = parse(options);
  raise_descriptor_limit();
  measure(settings);
  return 0;
}
