// The messages every connection sends, and counting their echoes: for a raw server the same bytes
// again, for a WebSocket server the same messages in whatever frames it chooses.  No sockets here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "messages.hpp"

namespace bench {

class ZlibInflate;

// Both readers are fed what one connection receives, cut anywhere, and return how many echoes
// that completed.  Anything but a correct echo ends the program.

class RawReader {
 public:
  explicit RawReader(const Messages& messages) : messages_(&messages) {}

  size_t feed(std::span<const uint8_t> in);
  bool owes_pong() const { return false; }
  std::vector<uint8_t> take_pong() { return {}; }

 private:
  const Messages* messages_;
  size_t at_ = 0;
};

class WsReader {
 public:
  explicit WsReader(const Messages& messages);
  ~WsReader();
  WsReader(WsReader&&) noexcept;

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

  void expect_inflated();
  const std::vector<uint8_t>& expected() const { return messages_->payloads[which_]; }

  const Messages* messages_;
  size_t which_ = 0;  // of the payloads
  uint64_t frame_left_ = 0;
  uint64_t message_at_ = 0;
  bool in_frame_ = false;
  bool in_message_ = false;  // between the first frame of a message and its last
  uint8_t head_have_ = 0;
  std::array<uint8_t, kMostHead> head_{};
  std::vector<uint8_t> control_;  // payload of the control frame being read
  std::vector<uint8_t> pong_;
  std::vector<uint8_t> deflated_;         // of a message being read, when it is to be verified
  std::unique_ptr<ZlibInflate> inflate_;  // null: none is
};

}  // namespace bench
