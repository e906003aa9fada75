// The bit layout of a frame header: decoding at every length form, encoding in the shortest.
#include "engine_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

FrameStatus decode(std::string_view bytes, bool masked, uint64_t max, FrameHeader* h,
                   const char** why) {
  return decode_frame(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), masked, false,
                      max, h, why);
}

// req: 59, 61
// bad: 89
void test_frame_lengths_use_the_shortest_form(void**) {
  const struct {
    uint64_t length;
    size_t header;
  } cases[] = {{0, 2},      {1, 2},      {124, 2},       {125, 2},
               {126, 4},    {127, 4},    {65534, 4},     {65535, 4},
               {65536, 10}, {65537, 10}, {1u << 31, 10}, {uint64_t{1} << 40, 10}};
  for (const auto& c : cases) {
    for (bool masked : {false, true}) {
      uint8_t out[kMaxFrameHeader];
      uint32_t key = kTestKey;
      size_t n = encode_frame(out, true, kBinary, c.length, masked ? &key : nullptr);
      assert_int_equal(n, c.header + (masked ? 4u : 0u));
      assert_int_equal(n, frame_header_size(c.length, masked));
      FrameHeader h;
      const char* why = nullptr;
      for (size_t cut = 0; cut < n; ++cut) {
        assert_int_equal(
            static_cast<int>(decode_frame(out, cut, masked, false, UINT64_MAX, &h, &why)),
            static_cast<int>(FrameStatus::kNeedMore));
      }
      assert_int_equal(static_cast<int>(decode_frame(out, n, masked, false, UINT64_MAX, &h, &why)),
                       static_cast<int>(FrameStatus::kOk));
      assert_true(h.length == c.length);
      assert_int_equal(h.size, n);
      assert_int_equal(h.opcode, kBinary);
      assert_true(h.fin);
      if (masked) assert_int_equal(h.key, kTestKey);
    }
  }
}

// req: 59
// bad: 86, 87
void test_frame_length_in_a_longer_form_is_refused(void**) {
  const char* const cases[] = {"82 7e 0000",
                               "82 7e 0005",
                               "82 7e 007d",
                               "82 7f 0000000000000000",
                               "82 7f 0000000000000005",
                               "82 7f 000000000000007d",
                               "82 7f 000000000000007e",
                               "82 7f 000000000000ffff"};
  for (const char* c : cases) {
    FrameHeader h;
    const char* why = nullptr;
    assert_int_equal(static_cast<int>(decode(unhex(c), false, UINT64_MAX, &h, &why)),
                     static_cast<int>(FrameStatus::kBad));
    assert_non_null(why);
  }
}

// req: 60
// bad: 81, 83
void test_frame_length_with_the_top_bit_is_refused(void**) {
  for (int low = 0; low < 16; ++low) {
    std::string bytes = unhex("82 7f fffffffffffffff0");
    bytes.back() = static_cast<char>(0xf0 + low);
    FrameHeader h;
    const char* why = nullptr;
    assert_int_equal(static_cast<int>(decode(bytes, false, UINT64_MAX, &h, &why)),
                     static_cast<int>(FrameStatus::kBad));
  }
  FrameHeader h;
  const char* why = nullptr;
  assert_int_equal(
      static_cast<int>(decode(unhex("82 7f 8000000000000001"), false, UINT64_MAX, &h, &why)),
      static_cast<int>(FrameStatus::kBad));
}

// bad: 82, 84, 85, 88
void test_frame_length_above_the_limit_is_told_from_the_header(void**) {
  const struct {
    uint64_t length, max;
    FrameStatus status;
  } cases[] = {{99, 100, FrameStatus::kOk},
               {100, 100, FrameStatus::kOk},
               {101, 100, FrameStatus::kTooBig},
               {(uint64_t{1} << 31) - 1, 1 << 20, FrameStatus::kTooBig},
               {uint64_t{1} << 31, 1 << 20, FrameStatus::kTooBig},
               {(uint64_t{1} << 32) - 1, 1 << 20, FrameStatus::kTooBig},
               {uint64_t{1} << 32, 1 << 20, FrameStatus::kTooBig},
               {(uint64_t{1} << 32) + 5, 1 << 20, FrameStatus::kTooBig},
               {(uint64_t{1} << 53) + 1, 1 << 20, FrameStatus::kTooBig},
               {INT64_MAX, 1 << 20, FrameStatus::kTooBig}};
  for (const auto& c : cases) {
    uint8_t bytes[kMaxFrameHeader];
    uint32_t key = kTestKey;
    size_t n = encode_frame(bytes, true, kBinary, c.length, &key);
    FrameHeader h;
    const char* why = nullptr;
    assert_int_equal(static_cast<int>(decode_frame(bytes, n, true, false, c.max, &h, &why)),
                     static_cast<int>(c.status));
    // The masking key is not needed to know.
    if (c.status == FrameStatus::kTooBig) {
      assert_int_equal(static_cast<int>(decode_frame(bytes, n - 4, true, false, c.max, &h, &why)),
                       static_cast<int>(FrameStatus::kTooBig));
    }
  }
}

// req: 52, 53, 57, 58, 72, 73
// bad: 77, 78, 79, 80, 93, 94
void test_frame_start_verdict_of_all_two_byte_starts(void**) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      for (int setting = 0; setting < 4; ++setting) {
        const bool expect_masked = (setting & 1) != 0;
        const bool deflate = (setting & 2) != 0;
        int opcode = first & 15;
        bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
        bool control = opcode >= 8;
        bool marked = deflate && (first & 0x70) == 0x40 && (opcode == 1 || opcode == 2);
        bool good = ((first & 0x70) == 0 || marked) && known &&
                    ((second & 0x80) != 0) == expect_masked &&
                    !(control && ((first & 0x80) == 0 || (second & 0x7f) > 125));
        const char* why = check_frame_start(static_cast<uint8_t>(first),
                                            static_cast<uint8_t>(second), expect_masked, deflate);
        assert_int_equal(why == nullptr, good);
      }
    }
  }
}

// RFC 7692 6.1, 7.2.3: RSV1 stands on the first frame of a message and nowhere else, and only where
// the extension is in use; the other bits never.
// req: 57, 144
// bad: 79, 139, 140
void test_frame_rsv1_marks_a_message_where_the_extension_is_in_use(void**) {
  for (bool deflate : {false, true}) {
    for (bool masked : {false, true}) {
      for (bool fin : {false, true}) {
        for (uint8_t op : {kContinuation, kText, kBinary, kClose, kPing, kPong}) {
          for (uint8_t rsv = 0; rsv <= kRsvBits; rsv = static_cast<uint8_t>(rsv + 0x10)) {
            std::string bytes;
            bytes += static_cast<char>((fin ? kFinBit : 0) | rsv | op);
            bytes += static_cast<char>(masked ? kMaskBit | 1 : 1);
            bytes += masked ? "keysx" : "x";
            const char* want = nullptr;
            if (rsv != 0 && (rsv != kRsv1Bit || !deflate)) {
              want = "reserved bit set without an extension";
            } else if (rsv != 0 && op == kContinuation) {
              want = "continuation with RSV1 set";
            } else if (rsv != 0 && is_control(op)) {
              want = "control frame with RSV1 set";
            } else if (is_control(op) && !fin) {
              want = "fragmented control frame";
            }
            const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
            FrameHeader h = {};
            for (size_t n = 0; n <= bytes.size(); ++n) {
              const char* why = nullptr;
              const FrameStatus status = decode_frame(p, n, masked, deflate, UINT64_MAX, &h, &why);
              const size_t header = masked ? 6 : 2;
              const FrameStatus wanted = n < 2             ? FrameStatus::kNeedMore
                                         : want != nullptr ? FrameStatus::kBad
                                         : n < header      ? FrameStatus::kNeedMore
                                                           : FrameStatus::kOk;
              assert_int_equal(static_cast<int>(status), static_cast<int>(wanted));
              if (status == FrameStatus::kBad) assert_string_equal(why, want);
            }
            if (want != nullptr) continue;
            assert_int_equal(h.rsv1, rsv == kRsv1Bit);
            assert_int_equal(h.opcode, op);
            assert_int_equal(h.fin, fin);
          }
        }
      }
    }
  }
}

void test_frame_encoded_with_rsv1_decodes_to_it(void**) {
  for (uint8_t op : {kText, kBinary}) {
    for (bool masked : {false, true}) {
      uint8_t out[kMaxFrameHeader];
      const uint32_t key = kTestKey;
      const size_t n = encode_frame(out, true, op | kRsv1Bit, 300, masked ? &key : nullptr);
      FrameHeader h;
      const char* why = nullptr;
      assert_int_equal(static_cast<int>(decode_frame(out, n, masked, true, 300, &h, &why)),
                       static_cast<int>(FrameStatus::kOk));
      assert_true(h.rsv1 && h.fin);
      assert_int_equal(h.opcode, op);
      assert_int_equal(h.length, 300);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_frame_lengths_use_the_shortest_form),
      cmocka_unit_test(test_frame_length_in_a_longer_form_is_refused),
      cmocka_unit_test(test_frame_length_with_the_top_bit_is_refused),
      cmocka_unit_test(test_frame_length_above_the_limit_is_told_from_the_header),
      cmocka_unit_test(test_frame_start_verdict_of_all_two_byte_starts),
      cmocka_unit_test(test_frame_rsv1_marks_a_message_where_the_extension_is_in_use),
      cmocka_unit_test(test_frame_encoded_with_rsv1_decodes_to_it),
  };
  return cmocka_run_group_tests_name("frame", tests, nullptr, nullptr);
}
