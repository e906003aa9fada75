// Sends a server messages on one connection as fast as it reads them: what receiving alone costs.

#include "common.hpp"
#include "connect.hpp"
#include "flood.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: one_way --url ws://127.0.0.1:PORT/ [options]\n"
    "  --size BYTES      payload of a message [200]\n"
    "  --text            text messages, not binary\n"
    "  --seconds S       length of the measured window [2]\n"
    "  --warmup S        the same before it, not counted [0.5]\n"
    "  --server-pid PID  also report the CPU time this process used\n"
    "  --stall S         give up when nothing moves for so long [30]\n"
    "  --json            one line of JSON\n";

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const Target target = target_option(options);
  if (target.raw || target.tls || target.deflate) options.fail("--url", "is ws:// only here");
  const size_t size = options.number("--size", 200, 0, uint64_t{1} << 30);
  const Opcode opcode = options.flag("--text") ? Opcode::kText : Opcode::kBinary;
  Flood flood{};
  flood.seconds = options.seconds("--seconds", 2);
  flood.warmup = options.seconds("--warmup", 0.5);
  flood.stall = options.seconds("--stall", 30);
  flood.reader = static_cast<pid_t>(options.number("--server-pid", 0, 1, 1 << 22));
  const bool json = options.flag("--json");
  options.finish();

  const std::vector<Opened> opened = open_connections(target, 1, flood.stall);
  if (!opened.front().early.empty()) die("the server spoke first");
  flood.fd = opened.front().stream.fd();
  flood.frame = Messages(opcode, size, false).frames;
  const FloodReadings readings = run_flood(flood);
  print_window({"server", "messages", 1, size, flood.reader, json}, readings.begin, readings.end);
  return 0;
}
