// Keeps an echo server busy and counts.  One thread, closed loop: each connection has `depth`
// messages in flight and sends as many new ones as it has read echoes, in one write.  So the load
// adapts to the server, batches stay batches, and what is compared is the CPU time the server
// spends on a message, not how fast this program is.

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <optional>

#include "common.hpp"
#include "connect.hpp"
#include "echo.hpp"
#include "histogram.hpp"
#include "process.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: load " BENCH_TARGET_USAGE
    " [options]\n"
    "  --connections N   open before anything is sent [1]\n"
    "  --size BYTES      payload of a message [20]\n"
    "  --depth N         messages in flight on each connection [1]\n"
    "  --text, --binary  type of the messages [binary]\n" BENCH_DEFLATE_USAGE
    "  --seconds S       length of the measured window [2]\n"
    "  --warmup S        the same load before it, not counted [0.5]\n"
    "  --messages N      instead: stop after N messages, all of them counted\n"
    "  --server-pid PID  also report the CPU time this process used\n"
    "  --verify          compare every echo byte by byte\n"
    "  --stall S         give up when nothing moves for so long [30]\n"
    "  --json            one line of JSON\n";

// One write must carry the whole depth of a connection, yet the copies must stay in the cache.
constexpr size_t kMostStreamBytes = 4 * 1024 * 1024;
constexpr size_t kEventsPerTurn = 1024;
constexpr int kTickMs = 100;  // how late a silent server is noticed, or the end of the window

struct Settings {
  Target target;
  size_t connections;
  size_t size;
  size_t depth;
  Opcode opcode;
  bool verify;
  double seconds;
  double warmup;
  double stall;
  uint64_t messages;  // 0: as many as fit into `seconds`
  pid_t server_pid;   // 0: not known
  bool json;
};

struct Reading {
  uint64_t at_ns = 0;
  uint64_t messages = 0;
  CpuUse load;
  CpuUse server;
};

// One write must carry the whole depth of a connection.
Messages messages_to_send(const Settings& settings) {
  Messages messages =
      messages_for(settings.target, settings.opcode, settings.size, settings.verify);
  const size_t bytes = std::max<size_t>(messages.frames.size(), 1);
  const size_t most = std::max<size_t>(settings.depth / messages.ends.size(), 1);
  messages.repeat(std::clamp<size_t>(kMostStreamBytes / bytes, 1, most));
  return messages;
}

template <class Reader>
class Load {
 public:
  Load(const Settings& settings, const Messages& messages)
      : settings_(settings),
        messages_(messages),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        to_ask_(settings.messages == 0 ? UINT64_MAX : settings.messages),
        asked_at_(settings.connections * settings.depth) {
    if (epoll_ < 0) die_errno("epoll_create1");
    std::vector<Opened> opened =
        open_connections(settings.target, settings.connections, settings.stall);
    conns_.reserve(opened.size());
    for (size_t i = 0; i < opened.size(); ++i) add(i, opened[i]);
  }

  ~Load() { close(epoll_); }

  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void run() {
    last_progress_ns_ = now_ns();
    const bool counted = settings_.messages != 0;
    if (counted) begin_ = read();
    measuring_ = counted;
    for (Conn& conn : conns_) {
      ask(conn, settings_.depth, now_ns());
      flush(conn);
    }
    if (counted) {
      while (completed_ < settings_.messages) turn();
    } else {
      turn_for(settings_.warmup);
      begin_ = read();
      measuring_ = true;
      turn_for(settings_.seconds);
    }
    end_ = read();
  }

  const Reading& begin() const { return begin_; }
  const Reading& end() const { return end_; }
  const Histogram& latencies() const { return latencies_; }

 private:
  struct Conn {
    Conn(Stream&& opened, size_t number, const Messages& messages)
        : stream(std::move(opened)), index(number), reader(messages) {}

    Stream stream;
    bool waits_to_send = false;
    size_t index;
    size_t oldest = 0;  // slot of the oldest message in flight
    size_t in_flight = 0;
    uint64_t to_send = 0;  // frames asked for, the one that is being sent among them
    size_t frame = 0;      // which that is
    size_t at = 0;         // how far into all frames
    std::vector<uint8_t> pong;
    Reader reader;
  };

  void add(size_t index, Opened& opened) {
    Conn& conn = conns_.emplace_back(std::move(opened.stream), index, messages_);
    watch(EPOLL_CTL_ADD, conn, EPOLLIN);
    // Only a ping may come before our first message; feed() ends the program on anything else.
    if (conn.reader.feed(opened.early) != 0) die("an echo before the first message");
  }

  void watch(int operation, const Conn& conn, uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.u64 = conn.index;
    if (epoll_ctl(epoll_, operation, conn.stream.fd(), &event) != 0) die_errno("epoll_ctl");
  }

  Reading read() const {
    Reading reading;
    reading.messages = completed_;
    reading.load = read_cpu(getpid());
    if (settings_.server_pid != 0) reading.server = read_cpu(settings_.server_pid);
    reading.at_ns = now_ns();
    return reading;
  }

  void turn_for(double seconds) {
    const uint64_t end = now_ns() + static_cast<uint64_t>(seconds * 1e9);
    while (now_ns() < end) turn();
  }

  void turn() {
    const int ready = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), kTickMs);
    if (ready < 0 && errno != EINTR) die_errno("epoll_wait");
    if (ready <= 0) return check_stall();
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events_[static_cast<size_t>(i)];
      Conn& conn = conns_[static_cast<size_t>(event.data.u64)];
      if ((event.events & ~uint32_t{EPOLLOUT}) != 0) receive(conn);
      if ((event.events & EPOLLOUT) != 0 || !conn.waits_to_send) flush(conn);
    }
    silent_ = false;
  }

  void check_stall() {
    if (!silent_) last_progress_ns_ = now_ns();
    silent_ = true;
    const uint64_t silence = now_ns() - last_progress_ns_;
    if (static_cast<double>(silence) > settings_.stall * 1e9) {
      die("nothing moved for %.0f s after %" PRIu64 " messages", settings_.stall, completed_);
    }
  }

  void receive(Conn& conn) {
    const auto received = conn.stream.receive();
    if (!received) {
      die("connection %zu lost after %" PRIu64 " messages: %s", conn.index, completed_,
          conn.stream.fault());
    }
    const uint64_t now = now_ns();
    const size_t echoes = conn.reader.feed(*received);
    if (echoes == 0) return;
    if (echoes > conn.in_flight) die("more echoes than messages");
    complete(conn, echoes, now);
    ask(conn, echoes, now);
  }

  // The times of messages in flight, a ring for each connection.
  uint64_t& asked_at(const Conn& conn, size_t slot) {
    return asked_at_[conn.index * settings_.depth + slot % settings_.depth];
  }

  void complete(Conn& conn, size_t echoes, uint64_t now) {
    for (size_t i = 0; measuring_ && i < echoes; ++i) {
      latencies_.add(now - asked_at(conn, conn.oldest + i));
    }
    conn.oldest = (conn.oldest + echoes) % settings_.depth;
    conn.in_flight -= echoes;
    completed_ += echoes;
  }

  void ask(Conn& conn, size_t wanted, uint64_t now) {
    const auto count = static_cast<size_t>(std::min<uint64_t>(wanted, to_ask_));
    for (size_t i = 0; i < count; ++i) asked_at(conn, conn.oldest + conn.in_flight + i) = now;
    conn.in_flight += count;
    conn.to_send += count;
    to_ask_ -= count;
  }

  // What to send next: a pong, which may stand only between two frames, or more frames.
  std::span<const uint8_t> next_bytes(Conn& conn) const {
    const std::vector<size_t>& ends = messages_.ends;
    const bool between = conn.at == (conn.frame == 0 ? 0 : ends[conn.frame - 1]);
    if (between && conn.pong.empty() && conn.reader.owes_pong()) {
      conn.pong = conn.reader.take_pong();
    }
    if (!conn.pong.empty()) return conn.pong;
    if (conn.to_send == 0) return {};
    const uint64_t last = std::min<uint64_t>(conn.frame + conn.to_send, ends.size()) - 1;
    return std::span(messages_.frames).subspan(conn.at, ends[last] - conn.at);
  }

  void mark_sent(Conn& conn, size_t size) {
    if (!conn.pong.empty()) {
      conn.pong.erase(conn.pong.begin(), conn.pong.begin() + static_cast<ptrdiff_t>(size));
      return;
    }
    conn.at += size;
    for (; conn.frame < messages_.ends.size() && messages_.ends[conn.frame] <= conn.at;
         ++conn.frame) {
      --conn.to_send;
    }
    if (conn.frame == messages_.ends.size()) conn.frame = conn.at = 0;
  }

  void flush(Conn& conn) {
    for (;;) {
      const std::span<const uint8_t> next = next_bytes(conn);
      if (next.empty()) return wait_to_send(conn, !conn.stream.flush());
      const ssize_t sent = conn.stream.send(next);
      if (sent < 0 && errno == EAGAIN) return wait_to_send(conn, true);
      if (sent < 0) die("send on connection %zu: %s", conn.index, std::strerror(errno));
      const auto size = static_cast<size_t>(sent);
      mark_sent(conn, size);
      if (size < next.size()) return wait_to_send(conn, true);
    }
  }

  void wait_to_send(Conn& conn, bool wait) {
    if (conn.waits_to_send == wait) return;
    conn.waits_to_send = wait;
    watch(EPOLL_CTL_MOD, conn, wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  const Settings& settings_;
  const Messages& messages_;
  int epoll_;
  uint64_t to_ask_;         // messages that may still be started
  uint64_t completed_ = 0;  // warm-up included
  uint64_t last_progress_ns_ = 0;
  bool silent_ = false;
  bool measuring_ = false;
  Reading begin_;
  Reading end_;
  Histogram latencies_;
  std::vector<Conn> conns_;
  std::vector<uint64_t> asked_at_;
  std::array<epoll_event, kEventsPerTurn> events_;
};

struct Result {
  uint64_t messages;
  double seconds;
  double per_second;
  uint64_t p50_ns, p99_ns, p999_ns, max_ns;
  Share load;
  Share server;
  double server_ns_per_message;
  uint64_t server_threads;  // with several, they also wait for each other
  uint64_t user_ticks, system_ticks;
};

Result summarize(const Reading& begin, const Reading& end, const Histogram& latencies) {
  Result result{};
  result.messages = end.messages - begin.messages;
  if (result.messages == 0) die("no message completed; use a longer --seconds");
  const auto messages = static_cast<double>(result.messages);
  const auto wall_ns = static_cast<double>(end.at_ns - begin.at_ns);
  result.seconds = wall_ns / 1e9;
  result.per_second = messages / result.seconds;
  result.p50_ns = latencies.quantile(0.5);
  result.p99_ns = latencies.quantile(0.99);
  result.p999_ns = latencies.quantile(0.999);
  result.max_ns = latencies.largest();
  result.load = share_of(begin.load, end.load, wall_ns);
  result.server = share_of(begin.server, end.server, wall_ns);
  result.server_ns_per_message =
      static_cast<double>(end.server.run_ns - begin.server.run_ns) / messages;
  result.server_threads = end.server.threads;
  result.user_ticks = end.server.user_ticks - begin.server.user_ticks;
  result.system_ticks = end.server.system_ticks - begin.server.system_ticks;
  return result;
}

void print_json(const Settings& settings, const Result& result) {
  std::printf("{\"protocol\": \"%s\", \"connections\": %zu, \"size\": %zu, \"depth\": %zu, ",
              protocol_name(settings.target), settings.connections, settings.size, settings.depth);
  std::printf("\"messages\": %" PRIu64 ", \"seconds\": %.4f, \"messages_per_s\": %.1f, ",
              result.messages, result.seconds, result.per_second);
  std::printf("\"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"p999_ns\": %" PRIu64
              ", \"max_ns\": %" PRIu64,
              result.p50_ns, result.p99_ns, result.p999_ns, result.max_ns);
  std::printf(", \"load_busy\": %.4f, \"load_waited\": %.4f", result.load.busy, result.load.waited);
  if (settings.server_pid != 0) {
    std::printf(", \"server_busy\": %.4f, \"server_waited\": %.4f, \"server_threads\": %" PRIu64,
                result.server.busy, result.server.waited, result.server_threads);
    std::printf(", \"server_ns_per_message\": %.1f, \"server_user_ticks\": %" PRIu64
                ", \"server_system_ticks\": %" PRIu64,
                result.server_ns_per_message, result.user_ticks, result.system_ticks);
  }
  std::printf("}\n");
}

double us(uint64_t ns) { return static_cast<double>(ns) / 1000; }

void print_text(const Settings& settings, const Result& result) {
  std::printf("%zu connections, %zu bytes, depth %zu\n", settings.connections, settings.size,
              settings.depth);
  std::printf("messages  %" PRIu64 " in %.2f s, %.0f/s\n", result.messages, result.seconds,
              result.per_second);
  std::printf("latency   p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n", us(result.p50_ns),
              us(result.p99_ns), us(result.p999_ns), us(result.max_ns));
  std::printf("load      %.0f %% of a CPU, waited %.0f %%\n", 100 * result.load.busy,
              100 * result.load.waited);
  if (settings.server_pid == 0) return;
  std::printf("server    %.0f %% of a CPU, waited %.0f %%, %.0f CPU ns per message",
              100 * result.server.busy, 100 * result.server.waited, result.server_ns_per_message);
  const uint64_t ticks = result.user_ticks + result.system_ticks;
  if (ticks != 0) std::printf(", about %" PRIu64 " %% of it user", 100 * result.user_ticks / ticks);
  std::printf("\n");
}

template <class Reader>
void measure(const Settings& settings) {
  const Messages messages = messages_to_send(settings);
  Load<Reader> load(settings, messages);
  load.run();
  const Result result = summarize(load.begin(), load.end(), load.latencies());
  settings.json ? print_json(settings, result) : print_text(settings, result);
}

Settings parse(Options& options) {
  Settings settings{};
  settings.target = target_option(options);
  settings.connections = options.number("--connections", 1, 1, 60000);
  settings.size = options.number("--size", 20, 0, uint64_t{1} << 30);
  settings.depth = options.number("--depth", 1, 1, 4096);
  const bool text = options.flag("--text");
  if (options.flag("--binary") && text) options.fail("--text", "excludes --binary");
  settings.opcode = text ? Opcode::kText : Opcode::kBinary;
  settings.verify = options.flag("--verify");
  settings.seconds = options.seconds("--seconds", 2);
  settings.warmup = options.seconds("--warmup", 0.5);
  settings.stall = options.seconds("--stall", 30);
  settings.messages = options.number("--messages", 0, 1, UINT64_MAX - 1);
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
  if (settings.target.raw && !settings.target.deflate) {
    measure<RawReader>(settings);
  } else {
    measure<WsReader>(settings);
  }
  return 0;
}
