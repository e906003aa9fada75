// For tests of the streams behind permessage-deflate: samples to compress, and one message through
// a stream with its input and its output cut in any way.
#pragma once

#include "hex_support.hpp"

#include "libws/base/fault.hpp"
#include "libws/protocol/deflater.hpp"
#include "libws/protocol/inflater.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// Last: cmocka.h defines a macro named fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace libws::test {

constexpr size_t kAll = size_t{1} << 24;
constexpr std::string_view kTail{"\x00\x00\xff\xff", 4};

inline void assert_same(std::string_view got, std::string_view want) {
  assert_int_equal(got.size(), want.size());
  if (!want.empty()) assert_memory_equal(got.data(), want.data(), want.size());
}

// ---- samples: always the same ones ----

inline std::string noise(size_t n, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string out(n, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

inline std::string json(size_t n, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string out = "[";
  while (out.size() < n) {
    out += "{\"symbol\":\"S" + std::to_string(random() % 40) +
           "\",\"price\":" + std::to_string(random() % 100000) + "},";
  }
  out.resize(n);
  return out;
}

// ---- one message ----

// Where input is cut: at each of `places`, or behind every `each` bytes.
struct Cuts {
  std::vector<size_t> places;
  size_t each = kAll;

  size_t next(size_t at, size_t end) const {
    for (size_t place : places) {
      if (place > at && place < end) return place;
    }
    return each < end - at ? at + each : end;
  }
};

struct Inflated {
  Inflater::Result result = Inflater::Result::kOk;
  std::string data;
  std::string why;
  uint32_t restarts = 0;

  bool operator==(const Inflated&) const = default;
};

// The stream has begun already.  Output comes in steps of `room` bytes; each is memory of its own,
// so that a sanitizer sees a byte too many.
inline Inflated inflate_begun(Inflater& stream, std::string_view in, const Cuts& cuts = {},
                              size_t room = size_t{1} << 16) {
  Inflated got;
  auto step = [&](auto&& call) {
    auto buffer = std::make_unique<uint8_t[]>(room);
    std::span<uint8_t> out{buffer.get(), room};
    got.result = call(out);
    got.data.append(reinterpret_cast<char*>(buffer.get()), room - out.size());
    return got.result == Inflater::Result::kOk && out.empty();
  };
  for (size_t at = 0; at < in.size() && got.result == Inflater::Result::kOk;) {
    size_t end = cuts.next(at, in.size());
    std::vector<uint8_t> copy(in.begin() + static_cast<ptrdiff_t>(at),
                              in.begin() + static_cast<ptrdiff_t>(end));
    Bytes left(copy);
    while (step([&](auto& out) { return stream.run(left, out); })) {
    }
    if (got.result == Inflater::Result::kOk) assert_true(left.empty());
    at = end;
  }
  bool done = got.result != Inflater::Result::kOk;
  while (!done && got.result == Inflater::Result::kOk) {
    bool full = step([&](auto& out) { return stream.finish(out, &done); });
    assert_true(done || full || got.result != Inflater::Result::kOk);
  }
  got.why = stream.why();
  got.restarts = stream.restarts();
  assert_int_equal(stream.produced(), got.data.size());
  return got;
}

inline Inflated inflate_message(Inflater& stream, std::string_view in, std::string_view before = {},
                                const Cuts& cuts = {}, size_t room = size_t{1} << 16) {
  stream.begin(bytes(before), {});
  return inflate_begun(stream, in, cuts, room);
}

// Whole, byte by byte, at each single cut and at random ones, each into several sizes of output:
// nothing depends on it, neither what comes out nor what is wrong with it.
inline Inflated inflate_every_way(Inflater& stream, std::string_view in,
                                  std::string_view before = {}) {
  const Inflated want = inflate_message(stream, in, before);
  std::mt19937 random(7);
  auto check = [&](const Cuts& cuts, size_t room) {
    const Inflated got = inflate_message(stream, in, before, cuts, room);
    assert_same(got.data, want.data);
    assert_string_equal(got.why.c_str(), want.why.c_str());
    assert_true(got == want);
  };
  for (size_t room = 1; room <= 64; ++room) {
    check({}, room);
    check({{}, 1}, room);
    Cuts cuts;
    for (size_t at = 0; at < in.size(); at += 1 + random() % 40) cuts.places.push_back(at);
    check(cuts, room);
  }
  for (size_t cut = 1; cut < in.size(); ++cut) {
    check({{cut}, kAll}, 1);
    check({{cut}, kAll}, 1 + cut % 64);
    check({{cut}, kAll}, size_t{1} << 16);
  }
  return want;
}

// One piece, with output in steps of `room` bytes, each in memory of its own.
inline std::string deflate_piece(Deflater& stream, std::string_view in,
                                 size_t room = size_t{1} << 16) {
  std::string got;
  Bytes left = bytes(in);
  for (;;) {
    auto buffer = std::make_unique<uint8_t[]>(room);
    std::span<uint8_t> out{buffer.get(), room};
    bool done = stream.run(left, out);
    got.append(reinterpret_cast<char*>(buffer.get()), room - out.size());
    if (done) break;
    assert_true(out.empty());
  }
  assert_true(left.empty());
  return got;
}

// What comes out does not depend on where the room for it ends, nor what comes out after it.
inline void expect_pieces_whatever_the_room(Deflater& stream, const std::string& first,
                                            const std::string& second) {
  stream.restart();
  const std::string whole = deflate_piece(stream, first);
  const std::string next = deflate_piece(stream, second);
  assert_true(whole.ends_with(kTail) && next.ends_with(kTail));
  auto check = [&](size_t room) {
    stream.restart();
    assert_same(deflate_piece(stream, first, room), whole);
    assert_same(deflate_piece(stream, second, room), next);
  };
  for (size_t room = 1; room <= 64; ++room) check(room);
  for (size_t less = 0; less < 12 && less < whole.size(); ++less) check(whole.size() - less);
  for (size_t more = 1; more < 12; ++more) check(whole.size() + more);
  for (const size_t step : {size_t{16383}, size_t{16384}, size_t{16385}})
    check(step);  // what ISA-L gets at a time
}

// Full output says so until the last byte is out.
inline void expect_full_output_told(Deflater& stream) {
  const std::string whole = deflate_piece(stream, "Hello");
  for (size_t room = 1; room < whole.size() + 3; ++room) {
    stream.restart();
    std::vector<uint8_t> buffer(whole.size() + 3);
    Bytes in = bytes("Hello");
    std::span<uint8_t> out{buffer.data(), room};
    assert_true(stream.run(in, out) == (room >= whole.size()));
    assert_int_equal(out.size(), room > whole.size() ? room - whole.size() : 0);
    if (room >= whole.size()) continue;
    assert_false(stream.run(in, out));  // no room is no harm
    std::span<uint8_t> rest{buffer.data() + room, buffer.size() - room};
    assert_true(stream.run(in, rest));
    assert_int_equal(rest.size(), 3);
    assert_memory_equal(buffer.data(), whole.data(), whole.size());
  }
}

// As a message leaves: without the tail (RFC 7692 7.2.1).
inline std::string deflate_message(Deflater& stream, std::string_view in,
                                   size_t room = size_t{1} << 16) {
  std::string got = deflate_piece(stream, in, room);
  assert_true(got.ends_with(kTail));
  got.resize(got.size() - kTail.size());
  return got;
}

// Runs `what` with its first, second, ... allocation failing, as often as one does, and insists
// that all memory is given back each time.  Returns how many there were.
template <class What>
uint64_t with_each_allocation_failing(What&& what) {
  for (uint64_t n = 1;; ++n) {
    const int64_t before = live_allocations();
    Faults faults;
    faults.fail_alloc = n;
    set_faults(faults);
    what(n);
    const bool failed = allocations_seen() >= n;
    clear_faults();
    assert_true(live_allocations() == before);
    if (!failed) return n - 1;
  }
}

}  // namespace libws::test
