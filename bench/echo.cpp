#include "echo.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common.hpp"

namespace bench {
namespace {

// Not zero, so that the server has to unmask, and the same each time: RFC 6455 10.3 wants fresh
// keys against hostile proxies, of which loopback has none, and masking anew would slow the load.
constexpr std::array<uint8_t, 4> kMaskKey = {0x9d, 0x3b, 0x62, 0xe5};

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kReserved = 0x70;
constexpr uint8_t kOpcodeBits = 0x0f;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthBits = 0x7f;

void append_big_endian(std::vector<uint8_t>& out, uint64_t value, unsigned bytes) {
  while (bytes-- > 0) out.push_back(static_cast<uint8_t>(value >> (8 * bytes)));
}

void expect_same(std::span<const uint8_t> expected, uint64_t at, std::span<const uint8_t> in) {
  if (std::memcmp(expected.data() + at, in.data(), in.size()) == 0) return;
  const auto where = std::mismatch(in.begin(), in.end(), expected.data() + at).first - in.begin();
  die("wrong echo: byte %llu differs",
      static_cast<unsigned long long>(at + static_cast<uint64_t>(where)));
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

}  // namespace

std::vector<uint8_t> masked_frame(Opcode opcode, std::span<const uint8_t> payload) {
  std::vector<uint8_t> frame;
  frame.reserve(14 + payload.size());
  frame.push_back(static_cast<uint8_t>(kFin | static_cast<uint8_t>(opcode)));
  if (payload.size() < 126) {
    frame.push_back(static_cast<uint8_t>(kMasked | payload.size()));
  } else if (payload.size() <= 0xffff) {
    frame.push_back(kMasked | 126);
    append_big_endian(frame, payload.size(), 2);
  } else {
    frame.push_back(kMasked | 127);
    append_big_endian(frame, payload.size(), 8);
  }
  frame.insert(frame.end(), kMaskKey.begin(), kMaskKey.end());
  for (size_t i = 0; i < payload.size(); ++i) {
    frame.push_back(static_cast<uint8_t>(payload[i] ^ kMaskKey[i % 4]));
  }
  return frame;
}

Message::Message(Opcode kind, size_t size, bool verify_echo)
    : opcode(kind),
      verify(verify_echo),
      payload(printable_bytes(size)),
      frame(masked_frame(kind, payload)) {}

size_t RawReader::feed(std::span<const uint8_t> in) {
  const size_t frame_bytes = message_->frame.size();
  size_t completed = 0;
  if (!message_->verify) {
    completed = (at_ + in.size()) / frame_bytes;
    at_ = (at_ + in.size()) % frame_bytes;
    return completed;
  }
  while (!in.empty()) {
    const size_t part = std::min(in.size(), frame_bytes - at_);
    expect_same(message_->frame, at_, in.first(part));
    in = in.subspan(part);
    at_ += part;
    if (at_ < frame_bytes) break;
    at_ = 0;
    ++completed;
  }
  return completed;
}

size_t WsReader::feed(std::span<const uint8_t> in) {
  size_t completed = 0;
  while (!in.empty()) {
    if (!in_frame_) in = take_head(in);
    if (!in_frame_) break;
    const auto part = static_cast<size_t>(std::min<uint64_t>(frame_left_, in.size()));
    take_payload(in.first(part));
    in = in.subspan(part);
    frame_left_ -= part;
    // An empty frame is complete with its head; so this runs even when `in` is used up.
    if (frame_left_ == 0 && end_frame()) ++completed;
  }
  return completed;
}

std::vector<uint8_t> WsReader::take_pong() { return std::exchange(pong_, {}); }

std::span<const uint8_t> WsReader::take_head(std::span<const uint8_t> in) {
  while (!in.empty() && head_have_ < head_bytes()) {
    head_[head_have_++] = in.front();
    in = in.subspan(1);
  }
  if (head_have_ == head_bytes()) begin_frame();
  return in;
}

// How long the head is going to be, as far as its first two bytes tell.
size_t WsReader::head_bytes() const {
  if (head_have_ < 2) return 2;
  const unsigned length = head_[1] & kLengthBits;
  if (length < 126) return 2;
  return length == 126 ? 4 : 10;
}

void WsReader::begin_frame() {
  uint64_t length = head_[1] & kLengthBits;
  if (length >= 126) {
    length = 0;
    for (size_t i = 2; i < head_have_; ++i) length = length << 8 | head_[i];
  }
  const auto opcode = static_cast<Opcode>(head_[0] & kOpcodeBits);
  if ((head_[0] & kReserved) != 0) die("reply with reserved bits: 0x%02x", head_[0]);
  if ((head_[1] & kMasked) != 0) die("reply with a mask");
  switch (opcode) {
    case Opcode::kContinuation:
      if (!in_message_) die("reply continues no message");
      break;
    case Opcode::kText:
    case Opcode::kBinary:
      if (in_message_) die("reply begins inside another");
      if (opcode != message_->opcode) die("reply of the wrong type");
      message_at_ = 0;
      in_message_ = true;
      break;
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      if (length > kMostControlPayload) die("control frame of %llu bytes", 1ULL * length);
      control_.clear();
      break;
    default: die("reply with unknown opcode: 0x%02x", head_[0]);
  }
  const bool is_control = opcode >= Opcode::kClose;
  if (is_control && (head_[0] & kFin) == 0) die("control frame in fragments");
  if (!is_control && length > message_->payload.size() - message_at_) die("reply is too long");
  frame_left_ = length;
  in_frame_ = true;
}

void WsReader::take_payload(std::span<const uint8_t> in) {
  if (static_cast<Opcode>(head_[0] & kOpcodeBits) >= Opcode::kClose) {
    control_.insert(control_.end(), in.begin(), in.end());
    return;
  }
  if (message_->verify && !in.empty()) expect_same(message_->payload, message_at_, in);
  message_at_ += in.size();
}

// Whether this was the last frame of a message.
bool WsReader::end_frame() {
  in_frame_ = false;
  head_have_ = 0;
  const auto opcode = static_cast<Opcode>(head_[0] & kOpcodeBits);
  if (opcode == Opcode::kPing) pong_ = masked_frame(Opcode::kPong, control_);
  if (opcode == Opcode::kClose) {
    const int code = control_.size() < 2 ? 1005 : control_[0] << 8 | control_[1];
    const int reason_bytes = static_cast<int>(control_.size()) - 2;
    die("the server closed with %d %.*s", code, std::max(reason_bytes, 0),
        reinterpret_cast<const char*>(control_.data()) + (reason_bytes > 0 ? 2 : 0));
  }
  if (opcode >= Opcode::kClose) return false;
  if ((head_[0] & kFin) == 0) return false;
  if (message_at_ != message_->payload.size()) die("reply is too short");
  in_message_ = false;
  return true;
}

}  // namespace bench
