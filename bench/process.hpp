// What the kernel says about another process: the CPU time it used and the memory it holds.
// Measuring from outside asks nothing of the server, so any peer can be measured the same way.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include "common.hpp"

namespace bench {

struct CpuUse {
  uint64_t run_ns = 0;   // exact to one scheduler tick (a few ms) over the whole window
  uint64_t wait_ns = 0;  // ready to run while others had the CPU
  uint64_t threads = 0;
  uint64_t user_ticks = 0;  // sampled at the tick: a hint how run_ns splits, no more
  uint64_t system_ticks = 0;
};

inline std::string proc_path(pid_t pid, const char* leaf) {
  return "/proc/" + std::to_string(pid) + "/" + leaf;
}

// Sums over threads.  One that ends between two readings takes its time with it; echo servers
// keep theirs.
inline void read_schedstat(pid_t pid, CpuUse& use) {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(proc_path(pid, "task"), error)) {
    uint64_t run_ns = 0;
    uint64_t wait_ns = 0;
    std::ifstream(task.path() / "schedstat") >> run_ns >> wait_ns;
    use.run_ns += run_ns;
    use.wait_ns += wait_ns;
    ++use.threads;
  }
  if (use.run_ns == 0) die("no CPU times for process %ld; is it running?", static_cast<long>(pid));
}

inline CpuUse read_cpu(pid_t pid) {
  CpuUse use;
  read_schedstat(pid, use);
  std::ifstream file(proc_path(pid, "stat"));
  std::string stat;
  std::getline(file, stat);
  // The second field is the command in parentheses and may hold spaces, so count from its end:
  // user and system time are the 12th and 13th fields after it (proc(5): 14 and 15).
  const size_t end = stat.rfind(')');
  std::istringstream fields(end == stat.npos ? "" : stat.substr(end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  fields >> use.user_ticks >> use.system_ticks;
  return use;
}

// How a process spent a window of time.
struct Share {
  double busy;    // of one CPU
  double waited;  // of the window: what other programs took away
};

inline Share share_of(const CpuUse& begin, const CpuUse& end, double wall_ns) {
  // A thread that ended took its time along, and the difference would be nonsense.
  if (end.run_ns < begin.run_ns) die("server threads ended in the window");
  return {static_cast<double>(end.run_ns - begin.run_ns) / wall_ns,
          static_cast<double>(end.wait_ns - begin.wait_ns) / wall_ns};
}

struct Memory {
  uint64_t pss_bytes = 0;
  uint64_t anonymous_bytes = 0;
};

inline Memory read_memory(pid_t pid) {
  Memory memory;
  std::ifstream rollup(proc_path(pid, "smaps_rollup"));
  std::string line;
  while (std::getline(rollup, line)) {
    std::istringstream fields(line);
    std::string name;
    uint64_t kilobytes = 0;
    fields >> name >> kilobytes;
    if (name == "Pss:") memory.pss_bytes = kilobytes * 1024;
    if (name == "Anonymous:") memory.anonymous_bytes = kilobytes * 1024;
  }
  if (memory.pss_bytes == 0) {
    die("no memory figures for process %ld; is it running, and yours?", static_cast<long>(pid));
  }
  return memory;
}

}  // namespace bench
