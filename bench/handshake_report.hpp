// What the programs that count handshakes say, whichever side of the connection they measure.
#pragma once

#include <unistd.h>

#include <cinttypes>

#include "common.hpp"
#include "process.hpp"

namespace bench {

struct HandshakeRun {
  const char* protocol;
  size_t connections;
  size_t in_flight;
  bool resumed;
  pid_t server_pid;  // 0: not known
  bool json;
};

struct HandshakeReading {
  uint64_t at_ns = 0;
  CpuUse load;
  CpuUse server;
};

inline HandshakeReading read_for(const HandshakeRun& run) {
  HandshakeReading reading;
  reading.load = read_cpu(getpid());
  if (run.server_pid != 0) reading.server = read_cpu(run.server_pid);
  reading.at_ns = now_ns();
  return reading;
}

inline void report(const HandshakeRun& run, const HandshakeReading& begin,
                   const HandshakeReading& end) {
  const auto wall_ns = static_cast<double>(end.at_ns - begin.at_ns);
  const auto count = static_cast<double>(run.connections);
  const double per_second = count * 1e9 / wall_ns;
  const Share load = share_of(begin.load, end.load, wall_ns);
  const Share server = share_of(begin.server, end.server, wall_ns);
  const double load_ns_each = load.busy * wall_ns / count;
  const double server_ns_each = server.busy * wall_ns / count;
  if (!run.json) {
    std::printf("%zu connections, %zu in flight, %s%s\n", run.connections, run.in_flight,
                run.protocol, run.resumed ? ", resumed" : "");
    std::printf("rate      %.0f/s in %.2f s\n", per_second, wall_ns / 1e9);
    std::printf("load      %.0f %% of a CPU, waited %.0f %%, %.1f CPU us per handshake\n",
                100 * load.busy, 100 * load.waited, load_ns_each / 1000);
    if (run.server_pid == 0) return;
    std::printf("server    %.0f %% of a CPU, waited %.0f %%, %.1f CPU us per handshake\n",
                100 * server.busy, 100 * server.waited, server_ns_each / 1000);
    return;
  }
  std::printf("{\"protocol\": \"%s\", \"connections\": %zu, \"in_flight\": %zu, \"resumed\": %s, ",
              run.protocol, run.connections, run.in_flight, run.resumed ? "true" : "false");
  std::printf("\"seconds\": %.4f, \"handshakes_per_s\": %.1f, \"load_ns_per_handshake\": %.1f, ",
              wall_ns / 1e9, per_second, load_ns_each);
  std::printf("\"load_busy\": %.4f, \"load_waited\": %.4f", load.busy, load.waited);
  if (run.server_pid != 0) {
    std::printf(", \"server_ns_per_handshake\": %.1f, \"server_busy\": %.4f", server_ns_each,
                server.busy);
    std::printf(", \"server_waited\": %.4f, \"server_threads\": %" PRIu64, server.waited,
                end.server.threads);
  }
  std::printf("}\n");
}

}  // namespace bench
