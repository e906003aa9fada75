#include "messages.hpp"

#include <algorithm>
#include <string>

#include "codecs.hpp"
#include "payloads.hpp"

namespace bench {
namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kMasked = 0x80;

// As browsers compress what they send.
constexpr int kClientLevel = 6;
constexpr int kClientMemLevel = 8;

void append_big_endian(std::vector<uint8_t>& out, uint64_t value, unsigned bytes) {
  while (bytes-- > 0) out.push_back(static_cast<uint8_t>(value >> (8 * bytes)));
}

// A period that is no power of two: bytes moved by a buffer's size do not look right by chance.
std::vector<uint8_t> printable_bytes(size_t size) {
  constexpr size_t kPeriod = 8191;
  std::vector<uint8_t> period(kPeriod);
  uint32_t state = 1;
  for (uint8_t& byte : period) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(' ' + (state >> 24) % 95);
  }
  std::vector<uint8_t> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = period[i % kPeriod];
  return out;
}

// Enough of them that no window holds them all, and few enough to lie in a cache of today.
size_t documents_of(size_t size) {
  constexpr size_t kBytes = 1 << 20;
  return std::clamp<size_t>(kBytes / size, 4, 64);
}

// RFC 6455 5.2, without the key; with room for that and for the payload.
std::vector<uint8_t> frame_head(Opcode opcode, size_t size, uint8_t masked, uint8_t reserved) {
  std::vector<uint8_t> frame;
  frame.reserve(14 + size);
  frame.push_back(static_cast<uint8_t>(kFin | reserved | static_cast<uint8_t>(opcode)));
  if (size < 126) {
    frame.push_back(static_cast<uint8_t>(masked | size));
  } else if (size <= 0xffff) {
    frame.push_back(masked | 126);
    append_big_endian(frame, size, 2);
  } else {
    frame.push_back(masked | 127);
    append_big_endian(frame, size, 8);
  }
  return frame;
}

}  // namespace

std::vector<uint8_t> masked_frame(Opcode opcode, std::span<const uint8_t> payload,
                                  const std::array<uint8_t, 4>& key, uint8_t reserved) {
  std::vector<uint8_t> frame = frame_head(opcode, payload.size(), kMasked, reserved);
  frame.insert(frame.end(), key.begin(), key.end());
  for (size_t i = 0; i < payload.size(); ++i) {
    frame.push_back(static_cast<uint8_t>(payload[i] ^ key[i % 4]));
  }
  return frame;
}

std::vector<uint8_t> unmasked_frame(Opcode opcode, std::span<const uint8_t> payload) {
  std::vector<uint8_t> frame = frame_head(opcode, payload.size(), 0, 0);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Messages::Messages(Opcode kind, size_t size, bool verify_echo)
    : opcode(kind),
      verify(verify_echo),
      payloads{printable_bytes(size)},
      frames(masked_frame(kind, payloads.front())),
      ends{frames.size()} {}

Messages::Messages(Opcode kind, size_t size, bool verify_echo, const Deflate& how,
                   const std::array<uint8_t, 4>& key)
    : opcode(kind), verify(verify_echo), deflate(how) {
  ZlibDeflate zlib({how.takeover, how.window_bits, kClientMemLevel, kClientLevel});
  std::vector<uint8_t> out(zlib.bound(size));
  for (const std::string& text : make_payloads(Payload::kJson, documents_of(size), size)) {
    const std::vector<uint8_t>& payload = payloads.emplace_back(text.begin(), text.end());
    const std::span deflated = std::span(out).first(zlib.run(payload, out));
    const std::vector<uint8_t> frame = masked_frame(opcode, deflated, key, kReserved1);
    frames.insert(frames.end(), frame.begin(), frame.end());
    ends.push_back(frames.size());
  }
}

void Messages::repeat(size_t times) {
  const std::vector<uint8_t> once = frames;
  const std::vector<size_t> once_ends = ends;
  for (size_t i = 1; i < times; ++i) {
    for (size_t end : once_ends) ends.push_back(frames.size() + end);
    frames.insert(frames.end(), once.begin(), once.end());
  }
}

}  // namespace bench
