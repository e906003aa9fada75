// What the connections send: one message of any size, or, compressed, a number of JSON documents.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace bench {

enum class Opcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

// How messages are compressed, both ways alike (RFC 7692).
struct Deflate {
  bool takeover = false;  // messages may refer to earlier ones, this far back:
  int window_bits = 15;
};

// Not zero, so that the server has to unmask, and the same each time: RFC 6455 10.3 wants fresh
// keys against hostile proxies, of which loopback has none, and masking anew would slow the load.
inline constexpr std::array<uint8_t, 4> kMaskKey = {0x9d, 0x3b, 0x62, 0xe5};
// For a floor that is to see what is in the frames, and not to pay for it.
inline constexpr std::array<uint8_t, 4> kNoMaskKey = {};

constexpr uint8_t kReserved1 = 0x40;  // RFC 7692 6: the message is compressed

std::vector<uint8_t> masked_frame(Opcode opcode, std::span<const uint8_t> payload,
                                  const std::array<uint8_t, 4>& key = kMaskKey,
                                  uint8_t reserved = 0);
// As servers send it (RFC 6455 5.1).
std::vector<uint8_t> unmasked_frame(Opcode opcode, std::span<const uint8_t> payload);

// What every connection sends, again and again; made once and shared by all of them.
struct Messages {
  // One message of printable ASCII, good as text too.
  Messages(Opcode kind, size_t size, bool verify_echo);
  // Several JSON documents, compressed.  The first refers to nothing, so that it may also follow
  // the last.
  Messages(Opcode kind, size_t size, bool verify_echo, const Deflate& how,
           const std::array<uint8_t, 4>& key);

  // The frames over again, so many times.
  void repeat(size_t times);

  Opcode opcode;
  bool verify;  // compare the echo with what was sent, byte by byte
  std::optional<Deflate> deflate;
  std::vector<std::vector<uint8_t>> payloads;  // in the order in which they are sent
  std::vector<uint8_t> frames;                 // back to back
  std::vector<size_t> ends;                    // of each frame in `frames`
};

}  // namespace bench
