// What a connection costs a server that has nothing to do: opens many, lets them rest, and
// divides what the server process grew by their number.  Kernel memory is not in the figure; it
// is the same for every server.

#include <poll.h>

#include <cinttypes>
#include <optional>
#include <thread>

#include "common.hpp"
#include "connect.hpp"
#include "echo.hpp"
#include "process.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: idle " BENCH_TARGET_USAGE
    " --server-pid PID [options]\n"
    "  --connections N  how many to hold open [10000]\n"
    "  --talk BYTES     each echoes one message of this size before it rests [0: none]\n"
    "  --settle S       rest before each reading, for the server to tidy up [1]\n"
    "  --stall S        give up when nothing moves for so long [30]\n" BENCH_DEFLATE_USAGE
    "  --json           one line of JSON\n";

struct Settings {
  Target target;
  size_t connections;
  size_t talk;
  double settle;
  double stall;
  pid_t server_pid;
  bool json;
};

// Sends the message and reads its echo, on this connection alone.
template <class Reader>
void talk(Opened& opened, const Messages& messages, double stall_s) {
  Reader reader(messages);
  const auto frame = std::span(messages.frames).first(messages.ends.front());
  size_t echoes = reader.feed(opened.early);
  size_t sent = 0;
  Stream& stream = opened.stream;
  while (echoes == 0) {
    const bool sending = !stream.flush() || sent < frame.size();
    const auto wanted = static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN);
    pollfd waiting{stream.fd(), wanted, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(stall_s * 1000));
    if (ready < 0) die_errno("poll");
    if (ready == 0) die("no echo for %.0f s", stall_s);
    if ((waiting.revents & POLLOUT) != 0 && sent < frame.size()) {
      const ssize_t size = stream.send(frame.subspan(sent));
      if (size < 0 && errno != EAGAIN) die_errno("send");
      sent += size < 0 ? 0 : static_cast<size_t>(size);
    }
    if ((waiting.revents & ~POLLOUT) == 0) continue;
    const auto received = stream.receive();
    if (!received) die("ended before its echo: %s", stream.fault());
    echoes += reader.feed(*received);
  }
}

std::vector<Opened> open_and_talk(const Settings& settings, size_t count) {
  std::vector<Opened> opened = open_connections(settings.target, count, settings.stall);
  if (settings.talk == 0) return opened;
  const Messages messages = messages_for(settings.target, Opcode::kBinary, settings.talk, true);
  for (Opened& conn : opened) {
    if (settings.target.raw && !settings.target.deflate) {
      talk<RawReader>(conn, messages, settings.stall);
    } else {
      talk<WsReader>(conn, messages, settings.stall);
    }
  }
  return opened;
}

// A server that dropped some would look thrifty.
void expect_all_open(std::vector<Opened>& opened) {
  size_t closed = 0;
  for (Opened& conn : opened) {
    if (!conn.stream.receive()) ++closed;
  }
  if (closed != 0) die("the server closed %zu of %zu connections", closed, opened.size());
}

Memory settled_memory(const Settings& settings) {
  std::this_thread::sleep_for(std::chrono::duration<double>(settings.settle));
  return read_memory(settings.server_pid);
}

double per_connection(uint64_t before, uint64_t after, size_t connections) {
  return (static_cast<double>(after) - static_cast<double>(before)) /
         static_cast<double>(connections);
}

void measure(const Settings& settings) {
  // The first connection makes the server fill in what it does once in its life; that is not a
  // cost per connection.
  open_and_talk(settings, 1);
  const Memory before = settled_memory(settings);
  std::vector<Opened> opened = open_and_talk(settings, settings.connections);
  const Memory after = settled_memory(settings);
  expect_all_open(opened);

  const double pss = per_connection(before.pss_bytes, after.pss_bytes, settings.connections);
  const double anonymous =
      per_connection(before.anonymous_bytes, after.anonymous_bytes, settings.connections);
  if (settings.json) {
    std::printf("{\"protocol\": \"%s\", \"connections\": %zu, \"talk\": %zu, ",
                protocol_name(settings.target), settings.connections, settings.talk);
    std::printf("\"pss_before\": %" PRIu64 ", \"pss_after\": %" PRIu64
                ", \"anonymous_before\": %" PRIu64 ", \"anonymous_after\": %" PRIu64 ", ",
                before.pss_bytes, after.pss_bytes, before.anonymous_bytes, after.anonymous_bytes);
    std::printf("\"pss_per_connection\": %.1f, \"anonymous_per_connection\": %.1f}\n", pss,
                anonymous);
    return;
  }
  std::printf("%zu connections: %.0f bytes each (Pss), %.0f of anonymous memory\n",
              settings.connections, pss, anonymous);
}

Settings parse(Options& options) {
  Settings settings{};
  settings.target = target_option(options);
  settings.connections = options.number("--connections", 10000, 1, 60000);
  settings.talk = options.number("--talk", 0, 0, 1 << 20);
  settings.settle = options.seconds("--settle", 1);
  settings.stall = options.seconds("--stall", 30);
  settings.server_pid = static_cast<pid_t>(options.number("--server-pid", 0, 1, 1 << 22));
  settings.json = options.flag("--json");
  options.finish();
  if (settings.server_pid == 0) options.fail("--server-pid", "is needed");
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
