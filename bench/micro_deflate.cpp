// What compression brings and costs: for each set of messages (payloads.hpp), mode and level of
// zlib the bytes that are left, the time of a message in each direction, and the memory.  Then the
// libraries that could stand in for zlib where messages refer to nothing.  Times are CPU time of
// this thread, the median of several passes over the set.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "codecs.hpp"
#include "common.hpp"
#include "payloads.hpp"

namespace bench {
namespace {

constexpr const char* kUsage =
    "usage: micro_deflate [--sets NAMES] [--modes MODES] [--levels LEVELS] [--repeats N]\n"
    "                     [--tables NAMES]\n"
    "  --sets NAMES     of ticks, chat, json1K, json64K, html, packed [all]\n"
    "  --modes MODES    shared:BITS:MEM and dedicated:BITS:MEM: window bits and memory level\n"
    "                   [shared:15:8 and dedicated windows 9, 12 and 15 with 1, 5 and 8]\n"
    "  --levels LEVELS  [1,3,6,9]\n"
    "  --repeats N      passes over a set, of which the median counts [7]\n"
    "  --tables NAMES   of modes and libraries [both]\n";

struct Mode {
  std::string name;
  ZlibSettings zlib;
};

struct Settings {
  std::vector<std::string> sets;
  std::vector<Mode> modes;
  std::vector<int> levels;
  size_t repeats;
  bool modes_table;
  bool libraries_table;
};

uint64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

// A set of messages, and room to work in.
struct Bench {
  Bench(const PayloadSet& set, size_t times)
      : name(set.name), messages(make_payloads(set.kind, set.count, set.size)), repeats(times) {
    for (const std::string& message : messages) {
      plain_bytes += message.size();
      room.resize(std::max(room.size(), 2 * message.size() + 4096));
    }
  }

  std::string name;
  std::vector<std::string> messages;
  size_t repeats;
  size_t plain_bytes = 0;
  std::vector<uint8_t> room;
};

// A set as it travels, with kTail behind each message.
struct Wire {
  std::vector<std::vector<uint8_t>> messages;
  size_t bytes = 0;  // without the tails

  Input at(size_t i) const { return {messages[i].data(), messages[i].size() - kTail.size()}; }
};

Input bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Per message, of the pass in the middle.  `restart` begins a pass, `job` does the i-th message.
template <class Restart, class Job>
double median_ns(const Bench& bench, Restart restart, Job job) {
  std::vector<uint64_t> passes;
  for (size_t pass = 0; pass < bench.repeats; ++pass) {
    restart();
    const uint64_t start = cpu_ns();
    for (size_t i = 0; i < bench.messages.size(); ++i) job(i);
    passes.push_back(cpu_ns() - start);
  }
  std::nth_element(passes.begin(), passes.begin() + static_cast<ptrdiff_t>(passes.size() / 2),
                   passes.end());
  return static_cast<double>(passes[passes.size() / 2]) /
         static_cast<double>(bench.messages.size());
}

template <class Deflate>
Wire to_wire(Bench& bench, Deflate deflate) {
  Wire wire;
  for (const std::string& message : bench.messages) {
    const size_t size = deflate(bytes_of(message), Output(bench.room));
    std::vector<uint8_t>& out = wire.messages.emplace_back(
        bench.room.begin(), bench.room.begin() + static_cast<ptrdiff_t>(size));
    out.insert(out.end(), kTail.begin(), kTail.end());
    wire.bytes += size;
  }
  return wire;
}

// A figure of a codec that is wrong is worth nothing.
template <class Inflate>
void expect_same(Bench& bench, const Wire& wire, const char* who, Inflate inflate) {
  for (size_t i = 0; i < bench.messages.size(); ++i) {
    const std::string& message = bench.messages[i];
    const size_t size = inflate(wire.at(i), Output(bench.room));
    if (size != message.size() || std::memcmp(bench.room.data(), message.data(), size) != 0) {
      die("%s does not give %s back", who, bench.name.c_str());
    }
  }
}

double percent(const Bench& bench, const Wire& wire) {
  return 100 * static_cast<double>(wire.bytes) / static_cast<double>(bench.plain_bytes);
}

void print_mode(Bench& bench, const Mode& mode, int level) {
  ZlibSettings settings = mode.zlib;
  settings.level = level;
  ZlibDeflate deflate(settings);
  ZlibInflate inflate(settings);
  WindowInflate windowed(settings.window_bits);
  const Wire wire = to_wire(bench, [&](Input in, Output out) { return deflate.run(in, out); });
  expect_same(bench, wire, "zlib", [&](Input in, Output out) { return inflate.run(in, out); });
  if (settings.takeover) {
    expect_same(bench, wire, "the window",
                [&](Input in, Output out) { return windowed.run(in, out); });
  }

  const Output room(bench.room);
  const double deflate_ns = median_ns(
      bench, [&] { deflate.restart(); },
      [&](size_t i) { deflate.run(bytes_of(bench.messages[i]), room); });
  const double inflate_ns = median_ns(
      bench, [&] { inflate.restart(); }, [&](size_t i) { inflate.run(wire.at(i), room); });
  std::printf("%-8s %-15s %5d %7.1f %6.2f %10.0f %10.0f", bench.name.c_str(), mode.name.c_str(),
              level, percent(bench, wire), 100 / percent(bench, wire), deflate_ns, inflate_ns);
  if (settings.takeover) {
    const double windowed_ns = median_ns(
        bench, [&] { windowed.restart(); }, [&](size_t i) { windowed.run(wire.at(i), room); });
    std::printf(" %10.0f %9zu %9zu %9zu\n", windowed_ns, deflate.memory(), inflate.memory(),
                windowed.memory());
  } else {
    std::printf(" %10s %9zu %9zu %9s\n", "", deflate.memory(), inflate.memory(), "");
  }
}

void print_modes(const Settings& settings, std::vector<Bench>& benches) {
  std::printf("%-8s %-15s %5s %7s %6s %10s %10s %10s %9s %9s %9s\n", "set", "mode", "level",
              "wire %", "ratio", "deflate ns", "inflate ns", "by window", "deflate B", "inflate B",
              "window B");
  for (Bench& bench : benches) {
    for (const Mode& mode : settings.modes) {
      for (int level : settings.levels) print_mode(bench, mode, level);
    }
  }
}

void print_library(Bench& bench, Codec& codec, const Wire& from_zlib) {
  bench.room.resize(std::max(bench.room.size(), codec.most_deflated(bench.room.size() / 2)));
  const auto inflate = [&](Input in, Output out) { return codec.inflate(in, out); };
  const Wire wire = to_wire(bench, [&](Input in, Output out) { return codec.deflate(in, out); });
  expect_same(bench, wire, codec.name().c_str(), inflate);
  expect_same(bench, from_zlib, codec.name().c_str(), inflate);

  const Output room(bench.room);
  const auto nothing = [] {};
  const double deflate_ns = median_ns(
      bench, nothing, [&](size_t i) { codec.deflate(bytes_of(bench.messages[i]), room); });
  const double inflate_ns =
      median_ns(bench, nothing, [&](size_t i) { codec.inflate(from_zlib.at(i), room); });
  std::printf("%-8s %-15s %7.1f %6.2f %10.0f %10.0f\n", bench.name.c_str(), codec.name().c_str(),
              percent(bench, wire), 100 / percent(bench, wire), deflate_ns, inflate_ns);
}

void print_libraries(std::vector<Bench>& benches) {
  const ZlibSettings zlib{};
  std::printf("\neach message for itself; decompressed is what zlib %s made at level %d\n",
              zlibVersion(), zlib.level);
  std::printf("%-8s %-15s %7s %6s %10s %10s\n", "set", "library, level", "wire %", "ratio",
              "deflate ns", "inflate ns");
  const auto codecs = whole_message_codecs(zlib);
  for (Bench& bench : benches) {
    ZlibDeflate deflate(zlib);
    const Wire wire = to_wire(bench, [&](Input in, Output out) { return deflate.run(in, out); });
    for (const auto& codec : codecs) print_library(bench, *codec, wire);
  }
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int number_in(const std::string& text, int least, int most) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || value < least || value > most) {
    die("'%s' is not a number from %d to %d", text.c_str(), least, most);
  }
  return value;
}

Mode mode_from(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() != 3 || (parts[0] != "shared" && parts[0] != "dedicated")) {
    die("'%s' is not shared:BITS:MEM or dedicated:BITS:MEM", text.c_str());
  }
  Mode mode{text, {}};
  mode.zlib.takeover = parts[0] == "dedicated";
  mode.zlib.window_bits = number_in(parts[1], 9, 15);
  mode.zlib.mem_level = number_in(parts[2], 1, 9);
  return mode;
}

Settings parse(Options& options) {
  Settings settings{};
  settings.sets = split(options.text("--sets", "ticks,chat,json1K,json64K,html,packed"), ',');
  const std::string modes = options.text(
      "--modes",
      "shared:15:8,dedicated:9:1,dedicated:9:5,dedicated:9:8,dedicated:12:1,dedicated:12:5,"
      "dedicated:12:8,dedicated:15:1,dedicated:15:5,dedicated:15:8");
  for (const std::string& mode : split(modes, ',')) settings.modes.push_back(mode_from(mode));
  for (const std::string& level : split(options.text("--levels", "1,3,6,9"), ',')) {
    settings.levels.push_back(number_in(level, 1, 9));
  }
  settings.repeats = static_cast<size_t>(options.number("--repeats", 7, 1, 1000));
  const std::string tables = options.text("--tables", "modes,libraries");
  for (const std::string& table : split(tables, ',')) {
    if (table != "modes" && table != "libraries") options.fail("--tables", "names no such table");
    (table == "modes" ? settings.modes_table : settings.libraries_table) = true;
  }
  options.finish();
  return settings;
}

std::vector<Bench> make_benches(const Settings& settings) {
  std::vector<Bench> benches;
  for (const std::string& name : settings.sets) {
    const auto* set = std::find_if(std::begin(kPayloadSets), std::end(kPayloadSets),
                                   [&](const PayloadSet& known) { return known.name == name; });
    if (set == std::end(kPayloadSets)) die("no set '%s'", name.c_str());
    benches.emplace_back(*set, settings.repeats);
  }
  return benches;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const Settings settings = parse(options);
  std::vector<Bench> benches = make_benches(settings);
  for (const Bench& bench : benches) {
    std::printf("%-8s %zu messages, %zu bytes each on average\n", bench.name.c_str(),
                bench.messages.size(), bench.plain_bytes / bench.messages.size());
  }
  std::printf("\n");
  if (settings.modes_table) print_modes(settings, benches);
  if (settings.libraries_table) print_libraries(benches);
  return 0;
}
