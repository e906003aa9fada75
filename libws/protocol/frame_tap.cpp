#include "libws/protocol/frame_tap.hpp"

#include <algorithm>

namespace libws {

size_t FrameTap::take(Bytes in, PassedFrame* out, bool* found) {
  *found = false;
  size_t taken = 0;
  while (taken < in.size() && !*found) {
    const Bytes rest = in.subspan(taken);
    switch (state_) {
      case State::kHead: taken += take_head(rest); break;
      case State::kHeader: taken += take_header(rest, out, found); break;
      case State::kCode: taken += take_code(rest, out, found); break;
      case State::kPayload: {
        const uint64_t passed = std::min<uint64_t>(left_, rest.size());
        left_ -= passed;
        taken += static_cast<size_t>(passed);
        if (left_ == 0) state_ = State::kHeader;
        break;
      }
    }
  }
  return taken;
}

// The opening handshake ends with an empty line (RFC 9112 2.1).
size_t FrameTap::take_head(Bytes in) {
  static constexpr uint8_t kEnd[] = {'\r', '\n', '\r', '\n'};
  for (size_t i = 0; i < in.size(); ++i) {
    have_ = in[i] == kEnd[have_] ? static_cast<uint8_t>(have_ + 1) : in[i] == kEnd[0] ? 1 : 0;
    if (have_ < sizeof kEnd) continue;
    have_ = 0;
    state_ = State::kHeader;
    return i + 1;
  }
  return in.size();
}

// Where the masking key stands, if there is one (RFC 6455 5.2).
size_t FrameTap::key_at() const {
  const uint8_t length = header_[1] & 0x7f;
  return length == 127 ? 10 : length == 126 ? 4 : 2;
}

// As far as it is known: the second byte tells the rest.
size_t FrameTap::header_size() const {
  if (have_ < 2) return 2;
  return key_at() + ((header_[1] & kMaskBit) != 0 ? 4 : 0);
}

void FrameTap::read_header(PassedFrame* out) const {
  const uint8_t length = header_[1] & 0x7f;
  out->length = length == 127   ? load_be64(header_ + 2)
                : length == 126 ? load_be16(header_ + 2)
                                : length;
  out->code = 0;
  out->opcode = header_[0] & 0x0f;
  out->rsv = static_cast<uint8_t>((header_[0] & kRsvBits) >> 4);
  out->fin = (header_[0] & kFinBit) != 0;
  out->masked = (header_[1] & kMaskBit) != 0;
}

void FrameTap::begin_payload(uint64_t length) {
  have_ = 0;
  left_ = length;
  state_ = length != 0 ? State::kPayload : State::kHeader;
}

size_t FrameTap::take_header(Bytes in, PassedFrame* out, bool* found) {
  size_t taken = 0;
  while (have_ < header_size()) {
    if (taken == in.size()) return taken;
    header_[have_++] = in[taken++];
  }
  read_header(out);
  if (out->opcode == kClose && out->length >= sizeof code_) {
    state_ = State::kCode;
    have_ = 0;
    return taken;
  }
  *found = true;
  begin_payload(out->length);
  return taken;
}

size_t FrameTap::take_code(Bytes in, PassedFrame* out, bool* found) {
  size_t taken = 0;
  while (have_ < sizeof code_ && taken < in.size()) code_[have_++] = in[taken++];
  if (have_ < sizeof code_) return taken;
  read_header(out);
  for (size_t i = 0; i < sizeof code_ && out->masked; ++i) code_[i] ^= header_[key_at() + i];
  out->code = load_be16(code_);
  *found = true;
  begin_payload(out->length - sizeof code_);
  return taken;
}

}  // namespace libws
