#include "libws/protocol/deflate_block.hpp"

#include "libws/protocol/frame.hpp"

namespace libws {
namespace {

// Bytes looked at, in kRuns places.
constexpr size_t kRuns = 4;
constexpr size_t kShortSample = 256;
constexpr size_t kLongSample = 1024;
constexpr size_t kLong = 16 * 1024;

constexpr size_t kFirstRoom = 32 * 1024;

constexpr size_t kStoredMost = 0xffff;
constexpr size_t kStoredHeader = 5;

Block* take_with_header_room(BlockPool& pool, size_t n) {
  Block* b = pool.take(kMaxFrameHeader + n);
  if (b != nullptr) b->begin = b->end = kMaxFrameHeader;
  return b;
}

}  // namespace

bool looks_random(Bytes data) {
  const size_t sample = data.size() >= kLong ? kLongSample : kShortSample;
  if (data.size() < sample) return false;
  uint16_t count[256] = {};
  const size_t run = sample / kRuns;
  const size_t step = (data.size() - run) / (kRuns - 1);
  for (size_t r = 0; r < kRuns; ++r) {
    const uint8_t* p = data.data() + r * step;
    for (size_t i = 0; i < run; ++i) ++count[p[i]];
  }
  // The sum of squares is n + n*n/256 for evenly spread bytes, give or take a few per cent, and
  // three times that for text.
  uint32_t squares = 0;
  for (const uint32_t c : count) squares += c * c;
  return squares < sample + sample * sample / 256 * 5 / 4;
}

Block* deflate_block(BlockPool& pool, Deflater& deflater, Bytes in, size_t most) {
  const size_t limit = most < SIZE_MAX - kFlushTailBytes ? most + kFlushTailBytes : SIZE_MAX;
  // JSON and text become a third to a tenth.  What becomes less must not wait in a queue in a block
  // of a quarter, which nothing would count.
  const size_t quarter = in.size() / 4 + 256;
  Block* b = take_with_header_room(pool, quarter < kFirstRoom ? quarter : kFirstRoom);
  if (b == nullptr) return nullptr;
  for (;;) {
    std::span<uint8_t> out{b->tail(), b->room()};
    const bool whole = deflater.run(in, out);
    b->end = b->capacity - out.size();
    if (b->size() > limit) break;
    if (whole) return b;
    if (!BlockPool::grow(b, b->capacity * 2)) break;
  }
  pool.give(b);
  return nullptr;
}

Block* stored_block(BlockPool& pool, Bytes in, bool last) {
  const size_t blocks = in.size() / kStoredMost + 1;
  Block* b = take_with_header_room(pool, in.size() + blocks * kStoredHeader + 1);
  if (b == nullptr) return nullptr;
  uint8_t* out = b->tail();
  while (!in.empty()) {
    const size_t n = in.size() < kStoredMost ? in.size() : kStoredMost;
    out[0] = 0;
    out[1] = static_cast<uint8_t>(n & 0xff);
    out[2] = static_cast<uint8_t>(n >> 8);
    out[3] = static_cast<uint8_t>(~out[1]);
    out[4] = static_cast<uint8_t>(~out[2]);
    copy_bytes(out + kStoredHeader, in.data(), n);
    out += kStoredHeader + n;
    in = in.subspan(n);
  }
  if (last) *out++ = 0;
  b->end = static_cast<size_t>(out - b->bytes());
  return b;
}

}  // namespace libws
