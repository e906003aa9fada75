// How much a new connection costs a server: opens many, some at a time, each with TCP, TLS if
// asked for and the WebSocket opening handshake, and closes each at once.  A client's half of a
// full TLS handshake costs more than the server's, so the CPU time of the server is the figure;
// the rate tells as much about this program.

#include "connect.hpp"
#include "handshake_report.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: handshake " BENCH_TARGET_USAGE
    " [options]\n"
    "  --connections N   how many are counted [2000]\n"
    "  --in-flight N     so many at a time [16]\n"
    "  --resume          TLS: each resumes a session with a ticket of an earlier connection\n"
    "  --server-pid PID  also report the CPU time this process used\n"
    "  --stall S         give up when nothing moves for so long [30]\n"
    "  --json            one line of JSON\n";

void open_and_close(const Target& target, const Opening& opening, bool resumed) {
  open_each(target, opening, [resumed](Opened&& opened) {
    if (opened.stream.was_resumed() == resumed) return;
    die(resumed ? "the server did not resume a session" : "the server resumed a session unasked");
  });
}

// Not counted: what both sides do once in their lives, and the first tickets.
void warm_up(const Target& target, const Opening& opening, bool resumed) {
  Opening few = opening;
  few.count = opening.in_flight;
  open_and_close(target, few, false);
  if (!resumed) return;
  target.tls->resume();
  open_and_close(target, few, true);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const Target target = target_option(options);
  Opening opening;
  opening.count = options.number("--connections", 2000, 1, 1000000);
  opening.in_flight = options.number("--in-flight", 16, 1, Opening::kUsualInFlight);
  opening.stall_s = options.seconds("--stall", 30);
  const bool resumed = options.flag("--resume");
  const auto server_pid = static_cast<pid_t>(options.number("--server-pid", 0, 1, 1 << 22));
  const bool json = options.flag("--json");
  options.finish();
  if (resumed && !target.tls) options.fail("--resume", "needs TLS");
  const HandshakeRun run{
      protocol_name(target), opening.count, opening.in_flight, resumed, server_pid, json};

  raise_descriptor_limit();
  warm_up(target, opening, resumed);
  const HandshakeReading begin = read_for(run);
  open_and_close(target, opening, resumed);
  report(run, begin, read_for(run));
  return 0;
}
