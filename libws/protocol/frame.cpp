#include "libws/protocol/frame.hpp"

namespace libws {

const char* check_frame_start(uint8_t first, uint8_t second, bool expect_masked, bool deflate) {
  uint8_t opcode = first & 0x0f;
  if ((first & kRsvBits) != 0) {
    if ((first & kRsvBits) != kRsv1Bit || !deflate) return "reserved bit set without an extension";
    // RFC 7692 6.1: it marks a message, by its first frame.
    if (opcode == kContinuation) return "continuation with RSV1 set";
    if (is_control(opcode)) return "control frame with RSV1 set";
  }
  if ((opcode > kBinary && opcode < kClose) || opcode > kPong) return "reserved opcode";
  // RFC 6455 5.1: clients mask every frame, servers none.
  if (expect_masked != ((second & kMaskBit) != 0)) {
    return expect_masked ? "frame from a client is not masked" : "frame from a server is masked";
  }
  if (is_control(opcode)) {
    if ((first & kFinBit) == 0) return "fragmented control frame";
    if ((second & 0x7f) > kMaxControlPayload) return "control frame longer than 125 bytes";
  }
  return nullptr;
}

FrameStatus decode_frame(const uint8_t* p, size_t n, bool expect_masked, bool deflate,
                         uint64_t max_length, FrameHeader* out, const char** why) {
  if (n < 2) return FrameStatus::kNeedMore;
  *why = check_frame_start(p[0], p[1], expect_masked, deflate);
  if (*why != nullptr) return FrameStatus::kBad;

  uint64_t length = p[1] & 0x7f;
  size_t size = 2;
  if (length == 126) {
    if (n < 4) return FrameStatus::kNeedMore;
    length = load_be16(p + 2);
    size = 4;
    if (length <= 125) {
      *why = "length not in its shortest form";
      return FrameStatus::kBad;
    }
  } else if (length == 127) {
    if (n < 10) return FrameStatus::kNeedMore;
    length = load_be64(p + 2);
    size = 10;
    if ((length >> 63) != 0) {
      *why = "length with its most significant bit set";
      return FrameStatus::kBad;
    }
    if (length <= 0xffff) {
      *why = "length not in its shortest form";
      return FrameStatus::kBad;
    }
  }
  out->opcode = p[0] & 0x0f;
  if (!is_control(out->opcode) && length > max_length) return FrameStatus::kTooBig;

  out->key = 0;
  if (expect_masked) {
    if (n < size + 4) return FrameStatus::kNeedMore;
    std::memcpy(&out->key, p + size, 4);
    size += 4;
  }
  out->fin = (p[0] & kFinBit) != 0;
  out->rsv1 = (p[0] & kRsv1Bit) != 0;
  out->length = length;
  out->size = static_cast<uint8_t>(size);
  return FrameStatus::kOk;
}

}  // namespace libws
