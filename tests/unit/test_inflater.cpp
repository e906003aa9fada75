// Decompressing a message: the published vectors, what is not DEFLATE, what a message may refer to,
// final blocks, and that nothing depends on how input and output are cut.
#include "stream_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

using Result = Inflater::Result;

struct Stream {
  std::unique_ptr<Inflater> made{Inflater::create()};
  Inflater& operator*() { return *made; }
};

void expect_data(const Inflated& got, std::string_view want) {
  assert_int_equal(got.result, Result::kOk);
  assert_same(got.data, want);
  assert_string_equal(got.why.c_str(), "");
}

void expect_corrupt(const Inflated& got, const char* why) {
  assert_int_equal(got.result, Result::kCorrupt);
  assert_string_equal(got.why.c_str(), why);
}

// req: 157, 159
// bad: 148, 149, 150, 160
void test_inflater_published_vectors_are_hello(void**) {
  Stream stream;
  for (const char* vector : {
           "f248cdc9c90700",              // RFC 7692 7.2.3.1
           "000500faff48656c6c6f00",      // 7.2.3.3, not compressed
           "f348cdc9c9070000",            // 7.2.3.4, in a final block
           "f24805000000ffffcac9c90700",  // 7.2.3.5, in two blocks
       }) {
    expect_data(inflate_every_way(*stream, unhex(vector)), "Hello");
  }
}

// req: 157, 159
// bad: 152
void test_inflater_empty_message_is_empty(void**) {
  Stream stream;
  for (const char* vector : {
           "00",                        // RFC 7692 7.2.3.6
           "",                          // a frame without payload
           "0200",                      // an empty block with fixed codes, and the usual end
           "0300",                      // a final one, and nothing behind it
           "01",                        // a final stored block, whose end is the tail
           "000000ffff00",              // an empty stored block before
           "000000ffff000000ffff0200",  // and more of them
       }) {
    expect_data(inflate_every_way(*stream, unhex(vector)), "");
  }
}

// req: 159
// bad: 150
void test_inflater_second_message_refers_to_the_first(void**) {
  Stream stream;
  expect_data(inflate_every_way(*stream, unhex("f200110000"), "Hello"), "Hello");  // 7.2.3.2
}

// bad: 151
void test_inflater_reference_without_a_window_is_corrupt(void**) {
  Stream stream;
  expect_data(inflate_message(*stream, unhex("f248cdc9c90700")), "Hello");
  expect_corrupt(inflate_every_way(*stream, unhex("f200110000")), "invalid distance too far back");
}

void test_inflater_window_in_two_pieces_is_one(void**) {
  Stream stream;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  for (size_t size : {5u, 1000u, 32767u, 32768u}) {
    const std::string before = noise(size);
    const std::string data = before + before.substr(0, 100);
    deflater->restart();
    deflate_message(*deflater, before);
    const std::string message = deflate_message(*deflater, data);
    for (size_t cut : {size_t{0}, size_t{1}, size / 2, size - 1, size}) {
      (*stream).begin(bytes(before).first(cut), bytes(before).subspan(cut));
      expect_data(inflate_begun(*stream, message), data);
    }
  }
}

// A distance of 1,000 where a window of 512 was agreed: the data is what it is, however it comes.
// bad: 154
void test_inflater_distance_beyond_the_agreed_window_does_not_depend_on_cuts(void**) {
  Stream stream;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string data = noise(1000) + noise(1000);
  const std::string message = deflate_message(*deflater, data);
  assert_true(message.size() < 1100);
  expect_data(inflate_every_way(*stream, message), data);
}

// As far back as there is something, a byte more and a byte less.
// bad: 146
void test_inflater_distance_of_all_there_is_and_one_more(void**) {
  Stream stream;
  const std::string five = unhex("f200110000");  // an H, then 4 bytes from 5 before
  expect_data(inflate_every_way(*stream, five, "Hello"), "Hello");
  expect_data(inflate_every_way(*stream, five, "ello"), "Hello");
  expect_corrupt(inflate_every_way(*stream, five, "llo"), "invalid distance too far back");
  const std::string farthest = unhex("02deff0f00");  // 3 bytes from 32768 before
  const std::string before = noise(32768);
  expect_data(inflate_every_way(*stream, farthest, before), before.substr(0, 3));
  expect_corrupt(inflate_every_way(*stream, farthest, before.substr(1)),
                 "invalid distance too far back");
}

// req: 158
// bad: 147
void test_inflater_final_block_does_not_end_the_window(void**) {
  Stream stream;
  const std::string final_block = unhex("f348cdc9c90700");
  Inflated got = inflate_every_way(*stream, final_block + unhex("f200110000"));
  expect_data(got, "HelloHello");
  assert_int_equal(got.restarts, 1);
  // Nothing behind it, or only the octet that a sender leaves of an empty block.
  got = inflate_every_way(*stream, final_block);
  expect_data(got, "Hello");
  assert_int_equal(got.restarts, 0);
  got = inflate_every_way(*stream, final_block + unhex("00"));
  expect_data(got, "Hello");
  assert_int_equal(got.restarts, 1);
  // And the next message refers to what was in it.
  expect_data(inflate_every_way(*stream, unhex("f200110000"), got.data), "Hello");
}

// req: 158
void test_inflater_final_block_keeps_a_full_window(void**) {
  Stream stream;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string before = noise(32000, 3);
  deflate_message(*deflater, before);
  const std::string again = deflate_message(*deflater, before.substr(0, 300));
  const Inflated got = inflate_message(*stream, unhex("0300") + unhex("0300") + again, before);
  expect_data(got, before.substr(0, 300));
  assert_int_equal(got.restarts, 2);
}

// req: 158
// bad: 147
void test_inflater_thousand_final_blocks_are_counted(void**) {
  Stream stream;
  std::string message;
  std::string want;
  for (int i = 0; i < 1000; ++i) {
    message += unhex("f348cdc9c90700");
    want += "Hello";
  }
  const Inflated got = inflate_message(*stream, message + unhex("00"));
  expect_data(got, want);
  assert_int_equal(got.restarts, 1000);
  assert_true(inflate_message(*stream, message + unhex("00"), {}, {{}, 1}, 3) == got);
  (*stream).begin({}, {});
  assert_int_equal((*stream).restarts(), 0);
  assert_int_equal((*stream).produced(), 0);
}

// req: 160
// bad: 146
void test_inflater_what_is_not_deflate_is_corrupt(void**) {
  const struct {
    const char* message;
    const char* why;
  } table[] = {
      {"ffffffffff", "invalid block type"},
      {"06", "invalid block type"},
      {"f24807", "message ends inside a block"},
      {"000500fbff48656c6c6f00", "invalid stored block lengths"},
      {"fcffff", "too many length or distance symbols"},
      {"04009204", "invalid code lengths set"},
      {"02ffff", "invalid distance code"},
  };
  Stream stream;
  for (const auto& entry : table) {
    expect_corrupt(inflate_every_way(*stream, unhex(entry.message)), entry.why);
    // Behind data that is right, and as what follows a final block.
    expect_corrupt(
        inflate_every_way(*stream, unhex("f248cdc9c907000000ffff") + unhex(entry.message)),
        entry.why);
    expect_corrupt(inflate_every_way(*stream, unhex("f348cdc9c90700") + unhex(entry.message)),
                   entry.why);
  }
  expect_data(inflate_message(*stream, unhex("f248cdc9c90700")), "Hello");
}

// The tail completes nothing but the block that it is the end of.
// req: 157, 160
// bad: 146
void test_inflater_message_that_is_cut_short_is_corrupt(void**) {
  Stream stream;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  std::vector<std::string> messages;
  for (const char* vector : {"f248cdc9c90700", "000500faff48656c6c6f00", "f348cdc9c90700",
                             "00000a00f5ff30313233343536373839"}) {
    messages.push_back(unhex(vector));
  }
  messages.push_back(deflate_message(*deflater, json(150)));
  messages.push_back(deflate_message(*deflater, noise(60)));
  for (const std::string& message : messages) {
    for (size_t n = 1; n < message.size(); ++n) {
      const std::string cut = message.substr(0, n);
      if (cut == unhex("00")) continue;  // which is an empty message
      const Inflated got = inflate_every_way(*stream, cut);
      if (got.result == Result::kCorrupt) continue;
      print_error("%zu of %zu bytes\n", n, message.size());
      assert_int_equal(got.result, Result::kCorrupt);
    }
  }
}

// Cut in the middle of a table of codes which the tail completes, and its end of block as well;
// only the two bits that are left over then show it. bad: 146
void test_inflater_tail_that_ends_another_block_is_corrupt(void**) {
  Stream stream;
  expect_corrupt(inflate_every_way(*stream, unhex("0208200041702002000000006854")),
                 "message ends inside a block");
}

// The tail that a sender should have taken away is not the end of a message.
// req: 157
void test_inflater_message_with_its_tail_needs_one_more_octet(void**) {
  Stream stream;
  expect_corrupt(inflate_every_way(*stream, unhex("f248cdc9c907000000ffff")),
                 "message ends inside a block");
  expect_data(inflate_every_way(*stream, unhex("f248cdc9c907000000ffff00")), "Hello");
}

// How a limit is kept: with exactly the room that a message takes, then a byte more.
void test_inflater_message_of_exactly_the_room_is_whole(void**) {
  Stream stream;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string data = json(1000);
  const std::string message = deflate_message(*deflater, data) + unhex("0000ffff0300030000");
  std::vector<uint8_t> buffer(data.size() + 1);
  (*stream).begin({}, {});
  Bytes in = bytes(message);
  std::span<uint8_t> out{buffer.data(), data.size()};
  assert_int_equal((*stream).run(in, out), Result::kOk);
  assert_true(out.empty());
  // With no room left, what needs none is passed: empty blocks, and final ones.
  assert_int_equal((*stream).run(in, out), Result::kOk);
  assert_true(in.empty());
  bool done = true;
  assert_int_equal((*stream).finish(out, &done), Result::kOk);
  assert_false(done);
  std::span<uint8_t> one{buffer.data() + data.size(), 1};
  assert_int_equal((*stream).finish(one, &done), Result::kOk);
  assert_true(done);
  assert_int_equal(one.size(), 1);
  assert_memory_equal(buffer.data(), data.data(), data.size());
}

// A message that is a thousand times as long as its frames takes no more memory than any other.
void test_inflater_bomb_comes_in_steps(void**) {
  Stream stream;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 9)};
  const std::string message = deflate_message(*deflater, std::string(1 << 24, '\0'));
  assert_true(message.size() < 20000);
  const int64_t before = live_allocations();
  (*stream).begin({}, {});
  Bytes in = bytes(message);
  std::vector<uint8_t> buffer(4096, 1);
  size_t total = 0;
  do {
    std::span<uint8_t> out(buffer);
    assert_int_equal((*stream).run(in, out), Result::kOk);
    total += buffer.size() - out.size();
    assert_true(out.empty() || in.empty());
    if (!out.empty()) break;
  } while (total < size_t{1} << 25);
  assert_int_equal(total, 1 << 24);
  assert_true(live_allocations() <= before + 1);  // zlib's window
}

// A stream that has met nonsense serves the next message, and shows it nothing of the last.
void test_inflater_begins_anew_after_anything(void**) {
  Stream stream;
  const std::string other = noise(40000, 5);
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string secret = deflate_message(*deflater, other);
  const std::string refers = deflate_message(*deflater, other.substr(20000, 300));
  for (const std::string& first : {secret, secret.substr(0, 3000), unhex("ffffffffff"),
                                   secret + unhex("0300"), std::string()}) {
    inflate_message(*stream, first);
    expect_data(inflate_message(*stream, unhex("f248cdc9c90700")), "Hello");
    inflate_message(*stream, first);
    expect_corrupt(inflate_message(*stream, refers), "invalid distance too far back");
  }
}

// bad: 158
void test_inflater_each_allocation_failing_is_out_of_memory(void**) {
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string data = json(70000);
  const std::string message = unhex("f348cdc9c90700") + deflate_message(*deflater, data);
  const std::string before = noise(100);
  int64_t not_made = 0, began_badly = 0;
  const uint64_t tried = with_each_allocation_failing([&](uint64_t n) {
    std::unique_ptr<Inflater> stream{Inflater::create()};
    if (stream == nullptr) {
      ++not_made;
      return;
    }
    const Inflated got = inflate_message(*stream, message, before, {{}, 1000}, 5000);
    if (allocations_seen() < n) return expect_data(got, "Hello" + data);
    assert_int_equal(got.result, Result::kOutOfMemory);
    if (got.data.empty()) ++began_badly;
    // It is good for the next message.
    expect_data(inflate_message(*stream, message, before), "Hello" + data);
  });
  assert_true(tried >= 4);  // the object, zlib's state, its window, a window to restart with
  assert_int_equal(not_made, 2);
  assert_int_equal(began_badly, 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_inflater_published_vectors_are_hello),
      cmocka_unit_test(test_inflater_empty_message_is_empty),
      cmocka_unit_test(test_inflater_second_message_refers_to_the_first),
      cmocka_unit_test(test_inflater_reference_without_a_window_is_corrupt),
      cmocka_unit_test(test_inflater_window_in_two_pieces_is_one),
      cmocka_unit_test(test_inflater_distance_beyond_the_agreed_window_does_not_depend_on_cuts),
      cmocka_unit_test(test_inflater_distance_of_all_there_is_and_one_more),
      cmocka_unit_test(test_inflater_final_block_does_not_end_the_window),
      cmocka_unit_test(test_inflater_final_block_keeps_a_full_window),
      cmocka_unit_test(test_inflater_thousand_final_blocks_are_counted),
      cmocka_unit_test(test_inflater_what_is_not_deflate_is_corrupt),
      cmocka_unit_test(test_inflater_message_that_is_cut_short_is_corrupt),
      cmocka_unit_test(test_inflater_tail_that_ends_another_block_is_corrupt),
      cmocka_unit_test(test_inflater_message_with_its_tail_needs_one_more_octet),
      cmocka_unit_test(test_inflater_message_of_exactly_the_room_is_whole),
      cmocka_unit_test(test_inflater_bomb_comes_in_steps),
      cmocka_unit_test(test_inflater_begins_anew_after_anything),
      cmocka_unit_test(test_inflater_each_allocation_failing_is_out_of_memory),
  };
  return cmocka_run_group_tests_name("inflater", tests, nullptr, nullptr);
}
