// How fast payloads are masked, in GB/s, with memcpy beside it: memcpy is what the same bytes
// cost without the protocol, and the aim is to stay within 10 % of it from 64 B to 1 MiB.
//
// Every figure is the best of many short runs, so that a busy machine shows less; runs of all
// columns alternate, so that what remains hits them alike.  The payload moves on from one call to
// the next, as frames do in a read buffer: masking the same bytes again at once would wait for its
// own stores to leave the store buffer, and measure that.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "common.hpp"
#include "libws/base/cpu.hpp"
#include "libws/protocol/mask.hpp"

namespace {

constexpr const char* kUsage =
    "usage: micro_mask [--dst-offset 0-63] [--src-offset 0-63] [--rounds N]\n"
    "GB/s of masking by size and implementation.  Offsets are from a multiple of 64 bytes.\n";

constexpr uint32_t kKey = 0x3D21FA37;
constexpr size_t kRing = 12288;           // with a copy of it, still inside a 32 KiB L1
constexpr size_t kSlack = 1024;           // how far payloads move that the ring cannot hold twice
constexpr size_t kBytesPerRun = 1 << 20;  // about 20 us: long for the clock, short for the noise

using Job = void (*)(uint8_t* dst, uint8_t* src, size_t len, libws::MaskFn fn);

// Keeps the compiler from knowing a value, above all that a length is constant.
template <class T>
void hide(T& value) {
  asm volatile("" : "+r"(value) : : "memory");
}

void* (*volatile copy_function)(void*, const void*, size_t) = std::memcpy;

void run_memcpy(uint8_t* dst, uint8_t* src, size_t len, libws::MaskFn) {
  copy_function(dst, src, len);
}
void run_in_place(uint8_t*, uint8_t* src, size_t len, libws::MaskFn) {
  libws::mask_in_place(src, len, kKey);
}
void run_copy(uint8_t* dst, uint8_t* src, size_t len, libws::MaskFn) {
  libws::mask_copy(dst, src, len, kKey);
}
void run_function_in_place(uint8_t*, uint8_t* src, size_t len, libws::MaskFn fn) {
  fn(src, src, len, kKey);
}

struct Column {
  const char* name;
  libws::MaskFn fn;
  double best;
};

// The job is a template argument, so that the public functions are inlined as in the library.
template <Job kJob>
double time_run(uint8_t* dst, uint8_t* src, size_t len, libws::MaskFn fn, size_t times) {
  // A line is left between payloads, else those of 4 KiB would follow at 4 KiB and look to the
  // processor as if they overlapped.
  const size_t step = 2 * len < kRing ? (len + 63) / 64 * 64 + 64 : 128;
  const size_t last = 2 * len < kRing ? kRing - step : kSlack - step;
  size_t at = 0;
  const uint64_t start = bench::now_ns();
  for (size_t i = 0; i < times; ++i) {
    hide(len);
    kJob(dst + at, src + at, len, fn);
    at += step;
    if (at > last) at = 0;
  }
  const uint64_t took = std::max<uint64_t>(bench::now_ns() - start, 1);
  return static_cast<double>(len * times) / static_cast<double>(took);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, kUsage);
  const size_t dst_offset = options.number("--dst-offset", 0, 0, 63);
  const size_t src_offset = options.number("--src-offset", 0, 0, 63);
  const size_t rounds = options.number("--rounds", 200, 1, 1000000);
  options.finish();

  constexpr size_t kMost = 1 << 20;
  const auto aligned = [](std::vector<uint8_t>& v, size_t offset) {
    return v.data() + (64 - reinterpret_cast<uintptr_t>(v.data()) % 64) + offset;
  };
  std::vector<uint8_t> from(kMost + kSlack + 128, 'a'), to(kMost + kSlack + 128);
  uint8_t* const src = aligned(from, src_offset);
  uint8_t* const dst = aligned(to, dst_offset);

  std::vector<Column> functions;
  for (libws::CpuLevel level : libws::kCpuLevels) {
    if (libws::MaskFn fn = libws::mask_function(level)) {
      functions.push_back({libws::cpu_level_name(level), fn, 0});
    }
  }

  std::printf("mask_in_place and mask_copy use %s\n", libws::cpu_level_name(libws::cpu_level()));
  std::printf("%8s %8s | %8s %4s %8s %4s |", "bytes", "memcpy", "in_place", "%", "copy", "%");
  for (const Column& c : functions) std::printf(" %8s", c.name);
  std::printf("   (in place)\n");

  for (size_t len :
       {20u,   48u,   64u,   65u,    100u,   128u,   200u,    256u,    300u,    512u,    1000u,
        2048u, 4096u, 8192u, 16384u, 32768u, 65536u, 131072u, 262144u, 524288u, 1048576u}) {
    const size_t times = std::max<size_t>(kBytesPerRun / len / (len < 256 ? 4 : 1), 1);
    double copied = 0, in_place = 0, masked_copy = 0;
    for (Column& c : functions) c.best = 0;
    for (size_t round = 0; round < rounds; ++round) {
      copied = std::max(copied, time_run<run_memcpy>(dst, src, len, nullptr, times));
      in_place = std::max(in_place, time_run<run_in_place>(dst, src, len, nullptr, times));
      masked_copy = std::max(masked_copy, time_run<run_copy>(dst, src, len, nullptr, times));
      for (Column& c : functions) {
        c.best = std::max(c.best, time_run<run_function_in_place>(dst, src, len, c.fn, times));
      }
    }
    std::printf("%8zu %8.1f | %8.1f %4.0f %8.1f %4.0f |", len, copied, in_place,
                in_place / copied * 100, masked_copy, masked_copy / copied * 100);
    for (const Column& c : functions) std::printf(" %8.1f", c.best);
    std::printf("\n");
  }
  return 0;
}
