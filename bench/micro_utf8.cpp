// How fast text is validated, in GB/s, by script, size and implementation, with memcpy beside it;
// then what unmasking and validating cost together: as the library does it, in two passes over the
// whole frame, and in two passes block by block.  Every figure is the best of many short runs,
// which alternate between the columns.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "common.hpp"
#include "libws/base/cpu.hpp"
#include "libws/protocol/utf8.hpp"
#include "libws/protocol/utf8_unmask.hpp"

namespace {

constexpr const char* kUsage =
    "usage: micro_utf8 [--offset 0-63] [--rounds N]\n"
    "GB/s of UTF-8 validation by text, size and implementation, then of unmasking with it.\n"
    "Offset is from a multiple of 64 bytes.\n";

constexpr size_t kSizes[] = {20,   48,   64,    100,   128,    256,     512,    1024,
                             4096, 8192, 16384, 65536, 262144, 1048576, 8388608};
constexpr size_t kMost = 8 << 20;
constexpr size_t kBytesPerRun = 1 << 19;

template <class T>
void hide(T& value) {
  asm volatile("" : "+r"(value) : : "memory");
}

// The phrase over and over.
struct Text {
  const char* name;
  std::string phrase;
};

const Text kTexts[] = {
    {"ASCII", R"({"type":"trade","symbol":"ABC","price":101.25,"size":300},)"},
    {"Latin",
     "Voix ambigu\xC3\xAB d'un c\xC5\x93ur qui au z\xC3\xA9phyr pr\xC3\xA9"
     "f\xC3\xA8re les jattes de kiwis. "},
    {"Cyrillic",
     "\xD0\xA1\xD1\x8A\xD0\xB5\xD1\x88\xD1\x8C \xD0\xB5\xD1\x89\xD1\x91 "
     "\xD1\x8D\xD1\x82\xD0\xB8\xD1\x85 \xD0\xBC\xD1\x8F\xD0\xB3\xD0\xBA\xD0\xB8\xD1\x85, "},
    {"CJK",
     "\xE5\xA4\xA9\xE5\x9C\xB0\xE7\x8E\x84\xE9\xBB\x84\xE5\xAE\x87\xE5\xAE\x99"
     "\xE6\xB4\xAA\xE8\x8D\x92\xE3\x80\x82"},
    {"mixed",
     "ab \xC3\xA9\xC3\xA8 \xE2\x82\xAC 12 \xF0\x9F\x98\x80 \xE5\xA4\xA9 xyz \xD0\xB5"
     " plain words in between, "},
};

struct Column {
  std::string name;
  double best = 0;
};

void print_head(const char* title, const std::vector<Column>& columns) {
  std::printf("\n%s\n%8s", title, "bytes");
  for (const Column& c : columns) std::printf(" %9s", c.name.c_str());
  std::printf("\n");
}

void print_row(size_t len, std::vector<Column>& columns) {
  std::printf("%8zu", len);
  for (Column& c : columns) {
    std::printf(" %9.2f", c.best);
    c.best = 0;
  }
  std::printf("\n");
}

// Where the payload is in each call.  It moves on, as frames do in a read buffer, because unmasking
// the same bytes again at once would wait for its own stores to leave the store buffer.
struct Places {
  size_t step, count;
};

Places places_for(size_t len) {
  constexpr size_t kRing = 12288;  // with a copy of it, still inside a 32 KiB L1
  const size_t step = (len + 63) / 64 * 64 + 64;
  return {step, std::max<size_t>(kRing / step, 1)};
}

// `job(at, len)` returns how many bytes were good, which must be all of them.
template <class Job>
void time_run(Column& column, size_t len, Job job) {
  const size_t times = std::max<size_t>(kBytesPerRun / len / (len < 256 ? 8 : 1), 1);
  const Places places = places_for(len);
  size_t good = 0, place = 0;
  const uint64_t start = bench::now_ns();
  for (size_t i = 0; i < times; ++i) {
    size_t n = len;
    hide(n);
    good += job(place * places.step, n);
    if (++place == places.count) place = 0;
  }
  const uint64_t took = std::max<uint64_t>(bench::now_ns() - start, 1);
  if (good != len * times) bench::die("%s refused valid text", column.name.c_str());
  column.best = std::max(column.best, static_cast<double>(len * times) / static_cast<double>(took));
}

// The text in every place of the buffer: as much of it as fits `size` without a cut code point.
size_t fill(const Text& text, uint8_t* data, size_t size) {
  const auto byte = [&](size_t i) {
    return static_cast<uint8_t>(text.phrase[i % text.phrase.size()]);
  };
  size_t len = size;
  while ((byte(len) & 0xC0) == 0x80) --len;
  const Places places = places_for(len);
  for (size_t place = 0; place < places.count; ++place) {
    for (size_t i = 0; i < len; ++i) data[place * places.step + i] = byte(i);
  }
  return len;
}

void* (*volatile copy_function)(void*, const void*, size_t) = std::memcpy;

void bench_validate(const Text& text, uint8_t* data, uint8_t* out, size_t rounds) {
  std::vector<Column> columns{{"memcpy"}, {"utf8_valid"}};
  std::vector<const libws::Utf8Ops*> functions;
  for (libws::CpuLevel level : libws::kCpuLevels) {
    if (const libws::Utf8Ops* ops = libws::utf8_ops(level)) {
      functions.push_back(ops);
      columns.push_back({libws::cpu_level_name(level)});
    }
  }
  print_head(text.name, columns);
  for (size_t size : kSizes) {
    const size_t len = fill(text, data, size);
    for (size_t round = 0; round < rounds; ++round) {
      time_run(columns[0], len, [&](size_t at, size_t n) {
        copy_function(out + at, data + at, n);
        return n;
      });
      time_run(columns[1], len,
               [&](size_t at, size_t n) { return libws::utf8_valid(data + at, n) ? n : 0; });
      for (size_t i = 0; i < functions.size(); ++i) {
        time_run(columns[2 + i], len, [&](size_t at, size_t n) {
          libws::Utf8Validator v;
          return v.validate_with(*functions[i], data + at, n);
        });
      }
    }
    print_row(len, columns);
  }
}

size_t unmask_by_blocks(uint8_t* data, size_t len, uint32_t key, size_t block) {
  libws::Utf8Validator v;
  for (size_t i = 0; i < len; i += block) {
    const size_t n = std::min(block, len - i);
    libws::mask_in_place(data + i, n, key);
    const size_t good = v.validate(data + i, n);
    if (good != n) return i + good;
  }
  return len;
}

void bench_unmask(const Text& text, uint8_t* data, size_t rounds) {
  constexpr size_t kBlocks[] = {1024, 4096, 8192, 16384, 65536};
  // With a key of zero the text survives being unmasked again and again, and nothing is quicker.
  uint32_t key = 0;
  hide(key);
  std::vector<Column> columns{{"mask only"}, {"library"}, {"two pass"}};
  for (size_t block : kBlocks) columns.push_back({"by " + std::to_string(block)});
  print_head((std::string("unmask and validate ") + text.name).c_str(), columns);
  for (size_t size : kSizes) {
    const size_t len = fill(text, data, size);
    for (size_t round = 0; round < rounds; ++round) {
      time_run(columns[0], len, [&](size_t at, size_t n) {
        libws::mask_in_place(data + at, n, key);
        return n;
      });
      time_run(columns[1], len, [&](size_t at, size_t n) {
        libws::Utf8Validator v;
        return libws::unmask_validate(data + at, n, key, v);
      });
      time_run(columns[2], len,
               [&](size_t at, size_t n) { return unmask_by_blocks(data + at, n, key, n); });
      for (size_t i = 0; i < std::size(kBlocks); ++i) {
        time_run(columns[3 + i], len, [&](size_t at, size_t n) {
          return unmask_by_blocks(data + at, n, key, kBlocks[i]);
        });
      }
    }
    print_row(len, columns);
  }
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, kUsage);
  const size_t offset = options.number("--offset", 0, 0, 63);
  const size_t rounds = options.number("--rounds", 100, 1, 1000000);
  options.finish();

  std::printf("The library uses %s\n", libws::cpu_level_name(libws::cpu_level()));
  const auto aligned = [offset](std::vector<uint8_t>& v) {
    return v.data() + (64 - reinterpret_cast<uintptr_t>(v.data()) % 64) + offset;
  };
  std::vector<uint8_t> from(kMost + 256), to(kMost + 256);
  for (const Text& text : kTexts) bench_validate(text, aligned(from), aligned(to), rounds);
  for (const Text& text : kTexts) bench_unmask(text, aligned(from), rounds);
  return 0;
}
