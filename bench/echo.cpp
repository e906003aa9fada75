#include "echo.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "codecs.hpp"
#include "common.hpp"

namespace bench {
namespace {

// Of a reply: nothing here compresses to more.
constexpr uint64_t kMostDeflated = uint64_t{1} << 31;
// zlib is asked for more than there should be: a full output would not tell whether it was all.
constexpr size_t kInflateSlack = 64;

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kReserved = 0x70;
constexpr uint8_t kOpcodeBits = 0x0f;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthBits = 0x7f;

void expect_same(std::span<const uint8_t> expected, uint64_t at, std::span<const uint8_t> in) {
  if (std::memcmp(expected.data() + at, in.data(), in.size()) == 0) return;
  const auto where = std::mismatch(in.begin(), in.end(), expected.data() + at).first - in.begin();
  die("wrong echo: byte %llu differs",
      static_cast<unsigned long long>(at + static_cast<uint64_t>(where)));
}

}  // namespace

size_t RawReader::feed(std::span<const uint8_t> in) {
  const std::vector<uint8_t>& frames = messages_->frames;
  const size_t frame_bytes = messages_->ends.front();
  size_t completed = 0;
  if (!messages_->verify) {
    completed = (at_ + in.size()) / frame_bytes;
    at_ = (at_ + in.size()) % frame_bytes;
    return completed;
  }
  while (!in.empty()) {
    const size_t part = std::min(in.size(), frame_bytes - at_);
    expect_same(frames, at_, in.first(part));
    in = in.subspan(part);
    at_ += part;
    if (at_ < frame_bytes) break;
    at_ = 0;
    ++completed;
  }
  return completed;
}

WsReader::WsReader(const Messages& messages) : messages_(&messages) {
  if (!messages.deflate || !messages.verify) return;
  ZlibSettings settings;
  settings.takeover = messages.deflate->takeover;
  settings.window_bits = messages.deflate->window_bits;
  inflate_ = std::make_unique<ZlibInflate>(settings);
}

WsReader::~WsReader() = default;
WsReader::WsReader(WsReader&&) noexcept = default;

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
  const bool begins_message = opcode == Opcode::kText || opcode == Opcode::kBinary;
  if (messages_->deflate && begins_message) {
    // Allowed, but then what is measured is not compression.
    if ((head_[0] & kReserved) != kReserved1) die("reply is not compressed: 0x%02x", head_[0]);
  } else if ((head_[0] & kReserved) != 0) {
    die("reply with reserved bits: 0x%02x", head_[0]);
  }
  if ((head_[1] & kMasked) != 0) die("reply with a mask");
  switch (opcode) {
    case Opcode::kContinuation:
      if (!in_message_) die("reply continues no message");
      break;
    case Opcode::kText:
    case Opcode::kBinary:
      if (in_message_) die("reply begins inside another");
      if (opcode != messages_->opcode) die("reply of the wrong type");
      message_at_ = 0;
      deflated_.clear();
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
  const uint64_t most = messages_->deflate ? kMostDeflated : expected().size();
  if (!is_control && length > most - message_at_) die("reply is too long");
  frame_left_ = length;
  in_frame_ = true;
}

void WsReader::take_payload(std::span<const uint8_t> in) {
  if (static_cast<Opcode>(head_[0] & kOpcodeBits) >= Opcode::kClose) {
    control_.insert(control_.end(), in.begin(), in.end());
    return;
  }
  if (messages_->verify && !in.empty()) {
    if (messages_->deflate) {
      deflated_.insert(deflated_.end(), in.begin(), in.end());
    } else {
      expect_same(expected(), message_at_, in);
    }
  }
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
  if (inflate_) expect_inflated();
  if (!messages_->deflate && message_at_ != expected().size()) die("reply is too short");
  if (++which_ == messages_->payloads.size()) which_ = 0;
  in_message_ = false;
  return true;
}

void WsReader::expect_inflated() {
  std::vector<uint8_t> out(expected().size() + kInflateSlack);
  const size_t size = inflate_->run(deflated_, out);
  if (size != expected().size()) die("reply of %zu bytes, decompressed", size);
  expect_same(expected(), 0, std::span(out).first(size));
}

}  // namespace bench
