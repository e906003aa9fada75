// Following a stream of frames: every length form, however it is cut.
#include "engine_support.hpp"
#include "libws/protocol/frame_tap.hpp"

#include <random>
#include <string>
#include <vector>

using namespace libws;
using namespace libws::test;

namespace {

constexpr std::string_view kHeadBytes = "HTTP/1.1 101 X\r\nA: b\r\n\r\n";

struct Stream {
  std::string bytes{kHeadBytes};
  std::vector<PassedFrame> frames;

  void add(uint8_t first, uint64_t length, bool masked, uint16_t code = 0) {
    uint8_t header[kMaxFrameHeader];
    const uint32_t key = kTestKey;
    const size_t n = encode_frame(header, true, first & 0x0f, length, masked ? &key : nullptr);
    header[0] = first;
    bytes.append(reinterpret_cast<char*>(header), n);
    std::string payload(length, 'x');
    if (code != 0) {
      store_be16(reinterpret_cast<uint8_t*>(payload.data()), code);
      for (size_t i = 0; i < 2 && masked; ++i) {
        payload[i] = static_cast<char>(payload[i] ^ static_cast<char>(header[n - 4 + i]));
      }
    }
    bytes += payload;
    frames.push_back({length, code, static_cast<uint8_t>(first & 0x0f),
                      static_cast<uint8_t>((first & 0x70) >> 4), (first & 0x80) != 0, masked});
  }
};

Stream all_kinds() {
  Stream s;
  for (const bool masked : {false, true}) {
    for (const uint64_t length : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u}) {
      s.add(0x82, length, masked);
    }
    s.add(0x41, 3, masked);  // compressed, to be continued
    s.add(0x80, 2, masked);
    s.add(0xf3, 1, masked);  // reserved bits and opcode
    s.add(0x89, 4, masked);
    s.add(0x88, 0, masked);
    s.add(0x88, 1, masked);  // a Close that is too short for a code
    s.add(0x88, 2, masked, 1000);
    s.add(0x88, 12, masked, 4999);
    s.add(0x88, 130, masked, 1002);
    s.add(0x88, 65536, masked, 1003);
  }
  return s;
}

void check_same(const PassedFrame& got, const PassedFrame& want) {
  assert_int_equal(got.length, want.length);
  assert_int_equal(got.code, want.code);
  assert_int_equal(got.opcode, want.opcode);
  assert_int_equal(got.rsv, want.rsv);
  assert_int_equal(got.fin, want.fin);
  assert_int_equal(got.masked, want.masked);
}

// Gives the tap pieces of the sizes that `next_size` says.
template <class NextSize>
void check_cut(const Stream& stream, NextSize next_size) {
  FrameTap tap;
  size_t told = 0;
  for (size_t at = 0; at < stream.bytes.size();) {
    const size_t size = std::min(next_size(), stream.bytes.size() - at);
    Bytes piece = bytes(std::string_view(stream.bytes).substr(at, size));
    at += size;
    while (!piece.empty()) {
      PassedFrame frame;
      bool found = false;
      const size_t taken = tap.take(piece, &frame, &found);
      assert_true(taken != 0 && taken <= piece.size());
      piece = piece.subspan(taken);
      if (!found) {
        assert_true(piece.empty());
        continue;
      }
      assert_true(told < stream.frames.size());
      check_same(frame, stream.frames[told++]);
    }
  }
  assert_int_equal(told, stream.frames.size());
}

void test_frame_tap_whole_stream_tells_each_frame(void**) {
  check_cut(all_kinds(), [] { return SIZE_MAX; });
}

void test_frame_tap_byte_by_byte_tells_the_same(void**) {
  check_cut(all_kinds(), [] { return size_t{1}; });
}

void test_frame_tap_random_cuts_tell_the_same(void**) {
  const Stream stream = all_kinds();
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::minstd_rand random(seed + 1);
    check_cut(stream, [&] { return size_t{1} + random() % (seed % 3 == 0 ? 5 : 400); });
  }
}

void test_frame_tap_head_with_stray_returns_ends_at_the_empty_line(void**) {
  for (const std::string_view head :
       {"\r\r\n\r\n", "a\r\nb\r\r\n\r\n", "\r\n\r\n", "x\n\n\r\n\r\n"}) {
    Stream stream;
    stream.bytes = head;
    stream.add(0x81, 1, false);
    check_cut(stream, [] { return SIZE_MAX; });
    check_cut(stream, [] { return size_t{1}; });
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_frame_tap_whole_stream_tells_each_frame),
      cmocka_unit_test(test_frame_tap_byte_by_byte_tells_the_same),
      cmocka_unit_test(test_frame_tap_random_cuts_tell_the_same),
      cmocka_unit_test(test_frame_tap_head_with_stray_returns_ends_at_the_empty_line),
  };
  return cmocka_run_group_tests_name("frame_tap", tests, nullptr, nullptr);
}
