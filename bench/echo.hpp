// The message every connection sends, and counting its echoes: for a raw server the same bytes
// again, for a WebSocket server the same message in whatever frames it chooses.  No sockets here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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

std::vector<uint8_t> masked_frame(Opcode opcode, std::span<const uint8_t> payload);

// Made once and shared by all connections.  The payload is printable ASCII, good as text too.
struct Message {
  Message(Opcode kind, size_t size, bool verify_echo);

  Opcode opcode;
  bool verify;  // compare the echo with what was sent, byte by byte
  std::vector<uint8_t> payload;
  std::vector<uint8_t> frame;
};

// Both readers are fed what one connection receives, cut anywhere, and return how many echoes
// that completed.  Anything but a correct echo ends the program.

class RawReader {
 public:
  explicit RawReader(const Message& message) : message_(&message) {}

  size_t feed(std::span<const uint8_t> in);
  bool owes_pong() const { return false; }
  std::vector<uint8_t> take_pong() { return {}; }

 private:
  const Message* message_;
  size_t at_ = 0;
};

class WsReader {
 public:
  explicit WsReader(const Message& message) : message_(&message) {}

  size_t feed(std::span<const uint8_t> in);
  // RFC 6455 5.5.3: only the newest ping needs an answer, so one frame is all there ever is.
  bool owes_pong() const { return !pong_.empty(); }
  std::vector<uint8_t> take_pong();

 private:
  static constexpr size_t kMostHead = 10;               // a server's frames carry no mask
  static constexpr uint64_t kMostControlPayload = 125;  // RFC 6455 5.5

  std::span<const uint8_t> take_head(std::span<const uint8_t> in);
  size_t head_bytes() const;
  void begin_frame();
  void take_payload(std::span<const uint8_t> in);
  bool end_frame();

  const Message* message_;
  uint64_t frame_left_ = 0;
  uint64_t message_at_ = 0;
  bool in_frame_ = false;
  bool in_message_ = false;  // between the first frame of a message and its last
  uint8_t head_have_ = 0;
  std::array<uint8_t, kMostHead> head_{};
  std::vector<uint8_t> control_;  // payload of the control frame being read
  std::vector<uint8_t> pong_;
};

}  // namespace bench
