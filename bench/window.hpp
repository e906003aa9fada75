// The measured part of a run: how many messages passed in it, and the CPU time it cost this program
// and the one that is measured.  What is printed has the names that `load` uses.
#pragma once

#include <unistd.h>

#include <cinttypes>

#include "common.hpp"
#include "process.hpp"

namespace bench {

struct WindowReading {
  uint64_t at_ns = 0;
  double messages = 0;
  CpuUse load;
  CpuUse measured;
};

// `pid`: the program that is measured, 0 if it is not known.
inline WindowReading read_window(double messages, pid_t pid) {
  WindowReading reading;
  reading.messages = messages;
  reading.load = read_cpu(getpid());
  if (pid != 0) reading.measured = read_cpu(pid);
  reading.at_ns = now_ns();
  return reading;
}

struct WindowReport {
  const char* role;  // "server" or "client": what is measured
  const char* what;  // "messages" or "broadcasts"
  size_t connections;
  size_t size;
  pid_t pid;
  bool json;
};

inline void print_window(const WindowReport& report, const WindowReading& begin,
                         const WindowReading& end) {
  const double count = end.messages - begin.messages;
  if (count <= 0) die("nothing was completed; use a longer --seconds");
  const auto wall_ns = static_cast<double>(end.at_ns - begin.at_ns);
  const Share load = share_of(begin.load, end.load, wall_ns);
  const Share measured = share_of(begin.measured, end.measured, wall_ns);
  const double ns_each = measured.busy * wall_ns / count;
  const char* role = report.role;
  if (!report.json) {
    std::printf("%zu connections, %zu bytes\n", report.connections, report.size);
    std::printf("%.0f %s in %.2f s, %.0f/s\n", count, report.what, wall_ns / 1e9,
                count * 1e9 / wall_ns);
    std::printf("load      %.0f %% of a CPU, waited %.0f %%\n", 100 * load.busy, 100 * load.waited);
    if (report.pid == 0) return;
    std::printf("%-9s %.0f %% of a CPU, waited %.0f %%, %.0f CPU ns each\n", role,
                100 * measured.busy, 100 * measured.waited, ns_each);
    return;
  }
  std::printf("{\"connections\": %zu, \"size\": %zu, \"%s\": %.0f, \"seconds\": %.4f, ",
              report.connections, report.size, report.what, count, wall_ns / 1e9);
  std::printf("\"%s_per_s\": %.2f, \"load_busy\": %.4f, \"load_waited\": %.4f", report.what,
              count * 1e9 / wall_ns, load.busy, load.waited);
  if (report.pid != 0) {
    std::printf(", \"%s_busy\": %.4f, \"%s_waited\": %.4f, \"%s_threads\": %" PRIu64, role,
                measured.busy, role, measured.waited, role, end.measured.threads);
    std::printf(", \"%s_ns_per_%.*s\": %.1f", role, static_cast<int>(std::strlen(report.what)) - 1,
                report.what, ns_each);
  }
  std::printf("}\n");
}

}  // namespace bench
