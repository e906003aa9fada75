// ISA-L behind the interface of the deflater: the same promises as zlib's, and that a window it is
// told of is kept to, which zlib itself checks here.
#include "stream_support.hpp"

#include "libws/protocol/isal_deflater.hpp"

#include <zlib.h>

using namespace libws;
using namespace libws::test;

namespace {

// After this much a new context begins.
constexpr size_t kStream = size_t{16} << 20;

std::unique_ptr<Deflater> make(int bits = 15, int level = 1) {
  std::unique_ptr<Deflater> made{create_isal_deflater(bits, level)};
  assert_non_null(made.get());
  assert_int_equal(made->level(), level);
  return made;
}

// Inflates into `room` bytes at a time with a window of `bits` and no more: with 1 byte of room all
// that a distance reaches is in zlib's window.
std::string inflate_with_window(std::string_view in, int bits, size_t room = 1) {
  z_stream zlib = {};
  assert_int_equal(inflateInit2(&zlib, -bits), Z_OK);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  zlib.avail_in = static_cast<uInt>(in.size());
  std::string got;
  std::vector<uint8_t> buffer(room);
  do {
    zlib.next_out = buffer.data();
    zlib.avail_out = static_cast<uInt>(room);
    const int result = inflate(&zlib, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) got += zlib.msg != nullptr ? zlib.msg : "ended";
    if (result != Z_OK && result != Z_BUF_ERROR) break;
    got.append(reinterpret_cast<char*>(buffer.data()), room - zlib.avail_out);
  } while (zlib.avail_out == 0);
  inflateEnd(&zlib);
  return got;
}

std::vector<std::string> samples() {
  return {"x",
          "Hello",
          json(300),
          json(70000),
          noise(90),
          noise(40000),
          std::string(60000, '\0'),
          noise(3000) + json(9000) + noise(3000) + json(9000, 2)};
}

// req: 156
void test_isal_deflater_every_level_and_window_is_undone(void**) {
  for (int bits = 9; bits <= 15; ++bits) {
    for (int level = 1; level <= kMostIsalLevel; ++level) {
      auto deflater = make(bits, level);
      for (const std::string& data : samples()) {
        deflater->restart();
        const std::string message = deflate_piece(*deflater, data);
        assert_true(message.ends_with(kTail));
        assert_same(inflate_with_window(message, bits), data);
        assert_true(message.size() <= data.size() + data.size() / 1000 + 32);
      }
    }
  }
}

// What comes again does so just inside the window, at its bound, and outside.
// bad: 156
void test_isal_deflater_refers_to_no_more_than_its_window(void**) {
  for (int bits = 9; bits <= 15; ++bits) {
    const size_t window = size_t{1} << bits;
    for (int level = 1; level <= kMostIsalLevel; ++level) {
      auto deflater = make(bits, level);
      for (size_t period : {window - 300, window - 1, window, window + 1, window + 200}) {
        const std::string part = noise(period, static_cast<unsigned>(period));
        const std::string data = part + part + part;
        deflater->restart();
        const std::string message = deflate_piece(*deflater, data);
        // The lower levels look for matches in few places where there are none.
        const bool found = message.size() < 2 * part.size();
        if (period <= window && (level == 3 || bits < 12)) assert_true(found);
        if (period > window) assert_true(message.size() > data.size());
        assert_same(inflate_with_window(message, bits), data);
      }
    }
  }
}

// req: 156
// bad: 160
void test_isal_deflater_output_does_not_depend_on_room(void**) {
  for (int level = 1; level <= kMostIsalLevel; ++level) {
    auto deflater = make(15, level);
    for (const std::string& first : samples()) {
      expect_pieces_whatever_the_room(*deflater, first, json(200, 9));
    }
  }
}

void test_isal_deflater_full_output_says_so_until_the_last_byte_is_out(void**) {
  expect_full_output_told(*make());
}

// Pieces of one message each end in the tail, and later ones refer to earlier ones.
// req: 156
void test_isal_deflater_pieces_of_a_message_are_one_stream(void**) {
  for (int level = 1; level <= kMostIsalLevel; ++level) {
    auto deflater = make(15, level);
    std::string sent;
    std::string want;
    size_t longest = 0;
    for (int i = 0; i < 50; ++i) {
      const std::string piece = noise(static_cast<size_t>(400 + i), 3);
      const std::string out = deflate_piece(*deflater, piece, static_cast<size_t>(1 + i));
      if (i > 0) longest = std::max(longest, out.size());
      sent += out;
      want += piece;
    }
    assert_true(longest < 100);
    assert_same(inflate_with_window(sent, 15), want);
  }
}

// Given up in the middle, with output waiting: what follows is not touched by it.
void test_isal_deflater_restart_forgets_what_was_under_way(void**) {
  const std::string data = json(3000);
  const std::string longer = json(90000, 5) + noise(60000);
  for (int level = 1; level <= kMostIsalLevel; ++level) {
    const std::string want = deflate_piece(*make(15, level), data);
    auto deflater = make(15, level);
    for (size_t room = 1; room < 60000; room += 1 + room / 3) {
      for (const std::string& dropped : {data, longer}) {
        for (int other = 1; other <= kMostIsalLevel; ++other) {
          deflater->restart(other);
          std::vector<uint8_t> buffer(room);
          Bytes in = bytes(dropped);
          std::span<uint8_t> out(buffer);
          (void)deflater->run(in, out);
          deflater->restart(level);
          assert_same(deflate_piece(*deflater, data), want);
        }
      }
    }
  }
}

// A new context begins by itself: nothing is lost, and only what came before cannot be referred to.
void test_isal_deflater_long_input_is_several_contexts(void**) {
  std::string data;
  const std::string part = json(100000) + noise(5000);
  while (data.size() < 2 * kStream + 2) data += part;
  for (size_t size : {kStream - 1, kStream, kStream + 1, 2 * kStream, 2 * kStream + 1}) {
    auto deflater = make(15, 1);
    const std::string_view in{data.data(), size};
    const std::string got = deflate_piece(*deflater, in, 100000);
    assert_same(inflate_with_window(got, 15, 65536), in);
    assert_true(got.ends_with(kTail));
    // At the bound the next piece is as after restart(); one byte of context does not show.
    const std::string next = deflate_piece(*deflater, part);
    deflater->restart();
    const bool fresh = deflate_piece(*deflater, part) == next;
    assert_true(fresh == (size % kStream <= 1));
  }
}

// bad: 158
void test_isal_deflater_each_allocation_failing_makes_none(void**) {
  const uint64_t tried = with_each_allocation_failing([&](uint64_t n) {
    std::unique_ptr<Deflater> deflater{create_isal_deflater(12, 3)};
    assert_true((deflater == nullptr) == (allocations_seen() >= n));
    if (deflater != nullptr) deflate_message(*deflater, json(5000), 100);
  });
  assert_int_equal(tried, 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_isal_deflater_every_level_and_window_is_undone),
      cmocka_unit_test(test_isal_deflater_refers_to_no_more_than_its_window),
      cmocka_unit_test(test_isal_deflater_output_does_not_depend_on_room),
      cmocka_unit_test(test_isal_deflater_full_output_says_so_until_the_last_byte_is_out),
      cmocka_unit_test(test_isal_deflater_pieces_of_a_message_are_one_stream),
      cmocka_unit_test(test_isal_deflater_restart_forgets_what_was_under_way),
      cmocka_unit_test(test_isal_deflater_long_input_is_several_contexts),
      cmocka_unit_test(test_isal_deflater_each_allocation_failing_makes_none),
  };
  return cmocka_run_group_tests_name("isal_deflater", tests, nullptr, nullptr);
}
