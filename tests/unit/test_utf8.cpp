// UTF-8: the validator against a decoder that knows nothing but how code points are encoded, then
// every implementation against the validator, on the same verdict and the same offset.  The
// functions that take no implementation use whatever LIBWS_CPU chose.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "libws/protocol/utf8.hpp"
#include "libws/protocol/utf8_unmask.hpp"

namespace {

using libws::CpuLevel;
using libws::Utf8Validator;
using std::string;
using std::string_view;
using namespace std::string_literals;

// RFC 3629 section 3: the bits of a code point spread over one to four bytes.
string encode(uint32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

bool is_surrogate(uint32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

// Knows validity as a list: all code points are encoded once, and a sequence of bytes is fine for
// as long as it begins one of them.
class Reference {
 public:
  Reference() {
    for (auto& set : whole_) set.resize(size_t{1} << 24);
    for (auto& set : begun_) set.resize(size_t{1} << 24);
    for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
      if (is_surrogate(c)) continue;
      const string bytes = encode(c);
      for (size_t n = 1; n < bytes.size(); ++n) begun_[n - 1][index(bytes, n)] = true;
      if (bytes.size() < 4) whole_[bytes.size() - 1][index(bytes, bytes.size())] = true;
    }
  }

  struct Verdict {
    size_t good;  // index of the first bad byte, or the length
    bool complete;
  };

  Verdict judge(string_view text) const {
    string point;
    for (size_t i = 0; i < text.size(); ++i) {
      point += text[i];
      const size_t n = point.size();
      // Every four bytes that begin like a code point of four and end in 80-BF are one.
      if (n == 4 ? (point[3] & 0xC0) == 0x80 : bool{whole_[n - 1][index(point, n)]}) {
        point.clear();
      } else if (n == 4 || !begun_[n - 1][index(point, n)]) {
        return {i, false};
      }
    }
    return {text.size(), point.empty()};
  }

 private:
  static size_t index(string_view bytes, size_t n) {
    size_t value = 0;
    for (size_t i = 0; i < n; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    return value;
  }

  std::vector<bool> whole_[3], begun_[3];  // of one, two and three bytes
};

const Reference& reference() {
  static const Reference r;
  return r;
}

const uint8_t* data_of(string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }

struct Named {
  const char* name;
  const libws::Utf8Ops& ops;
};

const std::vector<Named>& implementations() {
  static const std::vector<Named> list = [] {
    // At first this is the one that chooses; main() sees to it that nothing has chosen before.
    std::vector<Named> all{{"active", *libws::detail::utf8_active.load()}};
    for (CpuLevel level : libws::kCpuLevels) {
      if (const libws::Utf8Ops* ops = libws::utf8_ops(level)) {
        all.push_back({libws::cpu_level_name(level), *ops});
      }
    }
    return all;
  }();
  return list;
}

void report(const char* what, const Named& impl, string_view text, size_t got, size_t wanted) {
  string hex;
  for (char c : text) {
    const char* const digits = "0123456789abcdef";
    hex += digits[static_cast<uint8_t>(c) >> 4];
    hex += digits[c & 15];
  }
  print_error("%s, %s: bad at %zu instead of %zu in %s\n", impl.name, what, got, wanted,
              hex.c_str());
}

// Whole text, one implementation: offset and completeness.
void expect(const Named& impl, string_view text, size_t good, bool complete) {
  Utf8Validator v;
  const size_t got = v.validate_with(impl.ops, data_of(text), text.size());
  if (got != good || v.complete() != complete || v.failed() != (good != text.size())) {
    report("whole", impl, text, got, good);
    fail();
  }
}

// The text in the pieces that `cuts` (ascending) make of it; stops at the first bad byte.
void expect_in_pieces(const Named& impl, string_view text, const std::vector<size_t>& cuts,
                      size_t good, bool complete) {
  Utf8Validator v;
  size_t from = 0, got = text.size();
  for (size_t piece = 0; piece <= cuts.size(); ++piece) {
    const size_t to = piece < cuts.size() ? cuts[piece] : text.size();
    const size_t n = v.validate_with(impl.ops, data_of(text) + from, to - from);
    if (n != to - from) {
      got = from + n;
      break;
    }
    from = to;
  }
  if (got != good || v.complete() != complete) {
    report("in pieces", impl, text, got, good);
    fail();
  }
}

void expect_byte_by_byte(string_view text, size_t good, bool complete) {
  Utf8Validator v;
  size_t i = 0;
  while (i < text.size() && v.validate(data_of(text) + i, 1) == 1) ++i;
  assert_int_equal(i, good);
  assert_int_equal(v.complete(), complete);
}

// Everything above for one text, judged by the reference.
void expect_as_reference(string_view text) {
  const auto [good, complete] = reference().judge(text);
  for (const Named& impl : implementations()) {
    expect(impl, text, good, complete);
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      expect_in_pieces(impl, text, {cut}, good, complete);
    }
  }
  expect_byte_by_byte(text, good, complete);
  Utf8Validator v;
  assert_int_equal(v.validate(data_of(text), text.size()), good);
  assert_int_equal(libws::utf8_valid(data_of(text), text.size()), good == text.size() && complete);
}

// Each end of each range of bytes that the rules tell apart.
const uint8_t kCorners[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                            0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                            0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF};

void check_exhaustively(size_t len) {
  const Named scalar{"scalar", *libws::utf8_ops(CpuLevel::kScalar)};
  string text(len, '\0');
  for (uint32_t value = 0; value < 1u << 8 * len; ++value) {
    for (size_t i = 0; i < len; ++i) text[i] = static_cast<char>(value >> 8 * (len - 1 - i));
    const auto [good, complete] = reference().judge(text);
    expect(scalar, text, good, complete);
  }
}

void test_utf8_all_sequences_of_1_and_2_bytes_match_reference(void**) {
  check_exhaustively(1);
  check_exhaustively(2);
}

// req: 100
// bad: 114
void test_utf8_all_sequences_of_3_bytes_match_reference(void**) { check_exhaustively(3); }

// bad: 114
void test_utf8_sequences_of_4_bytes_in_class_corners_match_reference(void**) {
  const Named scalar{"scalar", *libws::utf8_ops(CpuLevel::kScalar)};
  for (unsigned a = 0xF0; a <= 0xF4; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      for (uint8_t c : kCorners) {
        for (uint8_t d : kCorners) {
          const string text{static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                            static_cast<char>(d)};
          const auto [good, complete] = reference().judge(text);
          expect(scalar, text, good, complete);
          expect_byte_by_byte(text, good, complete);
        }
      }
    }
  }
}

void test_utf8_every_code_point_is_accepted(void**) {
  string text;
  for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (!is_surrogate(c)) text += encode(c);
  }
  for (const Named& impl : implementations()) expect(impl, text, text.size(), true);
}

void test_utf8_every_surrogate_is_refused_at_its_second_byte(void**) {
  for (uint32_t c = 0xD800; c <= 0xDFFF; ++c) {
    const string text = string(100, 'a') + encode(c) + string(100, 'a');
    for (const Named& impl : implementations()) expect(impl, text, 101, false);
  }
}

void test_utf8_code_points_beyond_10ffff_are_refused(void**) {
  for (uint32_t c = 0x110000; c < 0x200000; c += 0x333) {
    const string text = string(70, 'a') + encode(c) + string(70, 'a');
    const size_t good = c < 0x140000 ? 71 : 70;  // F4 can still become valid, F5 cannot
    for (const Named& impl : implementations()) expect(impl, text, good, false);
  }
}

void test_utf8_noncharacters_and_extremes_are_accepted(void**) {
  for (uint32_t c : {0x0u, 0xFEFFu, 0xFFFEu, 0xFFFFu, 0xD7FFu, 0xE000u, 0x10FFFFu}) {
    expect_as_reference(encode(c));
    assert_true(libws::utf8_valid(data_of(encode(c)), encode(c).size()));
  }
}

// bad: 109
void test_utf8_overlong_and_malformed_are_refused_at_the_first_impossible_byte(void**) {
  const struct {
    string text;
    size_t good;
  } kCases[] = {
      {"\xC0\x80"s, 0},
      {"\xC1\xBF"s, 0},
      {"\xE0\x80\x80"s, 1},
      {"\xE0\x9F\xBF"s, 1},
      {"\xF0\x80\x80\x80"s, 1},
      {"\xF0\x8F\xBF\xBF"s, 1},
      {"\xED\xA0\x80"s, 1},
      {"\xED\xBF\xBF"s, 1},
      {"\xF4\x90\x80\x80"s, 1},
      {"\xF5\x80\x80\x80"s, 0},
      {"\xFF"s, 0},
      {"\x80"s, 0},
      {"\xC3\x28"s, 1},
      {"\xE2\x82\x41"s, 2},
      {"\xF0\x9F\x98\x41"s, 3},
      {"\xC3\xC3\xA9"s, 1},
      {"\xC3\xA9\xA9"s, 2},
  };
  for (const auto& [text, good] : kCases) {
    assert_int_equal(reference().judge(text).good, good);
    for (const string& around : {""s, string(15, 'a'), string(64, 'a'), string(200, 'a')}) {
      for (const Named& impl : implementations()) {
        expect(impl, around + text + around, around.size() + good, false);
      }
    }
  }
}

void test_utf8_text_ending_inside_a_code_point_is_not_complete(void**) {
  for (const string& part :
       {"\xC3"s, "\xE2"s, "\xE2\x82"s, "\xF0"s, "\xF0\x9F"s, "\xF0\x9F\x98"s}) {
    for (size_t before = 0; before < 300; ++before) {
      const string text = string(before, 'a') + part;
      for (const Named& impl : implementations()) expect(impl, text, text.size(), false);
      assert_false(libws::utf8_valid(data_of(text), text.size()));
    }
  }
}

void test_utf8_corner_sequences_in_ascii_match_reference_at_any_position(void**) {
  const size_t kPositions[] = {0,  1,  2,  3,  4,  12, 13, 14, 15, 16, 17,  29,  30,  31,
                               32, 33, 60, 61, 62, 63, 64, 65, 66, 93, 124, 125, 126, 127};
  string text(128, 'a');
  for (uint8_t a : kCorners) {
    for (uint8_t b : kCorners) {
      for (uint8_t c : kCorners) {
        const char sequence[] = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)};
        for (size_t at : kPositions) {
          const size_t n = std::min<size_t>(3, text.size() - at);
          text.replace(at, n, sequence, n);
          // The reference is slow on long texts, and all the text around is ASCII.
          const string_view near = string_view(text).substr(at, 4);
          const auto [good, complete] = reference().judge(near);
          const bool fine = good == near.size();
          for (const Named& impl : implementations()) {
            expect(impl, text, fine ? text.size() : at + good, complete);
          }
          text.replace(at, n, n, 'a');
        }
      }
    }
  }
}

void test_utf8_corner_sequences_of_4_bytes_in_ascii_match_reference(void**) {
  const size_t kPositions[] = {0, 29, 61, 62, 63, 100};
  string text(128, 'a');
  for (uint8_t a = 0xEF; a <= 0xF5; ++a) {
    for (uint8_t b : kCorners) {
      for (uint8_t c : kCorners) {
        for (uint8_t d : kCorners) {
          const char sequence[] = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                                   static_cast<char>(d), 'a'};
          const auto [good, complete] = reference().judge(string_view(sequence, 5));
          for (size_t at : kPositions) {
            text.replace(at, 4, sequence, 4);
            for (const Named& impl : implementations()) {
              expect(impl, text, good == 5 ? text.size() : at + good, complete);
            }
            text.replace(at, 4, 4, 'a');
          }
        }
      }
    }
  }
}

// bad: 115
void test_utf8_bad_byte_in_long_ascii_is_found_at_its_offset(void**) {
  for (size_t len : {66u, 67u, 100u, 128u, 131u, 200u, 300u, 400u}) {
    string text(len, 'a');
    for (size_t at = 0; at < len; ++at) {
      for (char bad : {'\x80', '\xBF', '\xC0', '\xC1', '\xF5', '\xFF'}) {
        text[at] = bad;
        for (const Named& impl : implementations()) expect(impl, text, at, false);
      }
      for (char lead : {'\xC2', '\xE1', '\xF1'}) {  // bad because of what follows, if anything does
        text[at] = lead;
        for (const Named& impl : implementations()) expect(impl, text, at + 1, false);
      }
      text[at] = 'a';
    }
  }
}

string sample_text() {
  string text;
  for (uint32_t c : {0x41u, 0xE9u, 0x20ACu, 0x1F600u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xFFFFu,
                     0x10000u, 0x10FFFFu, 0xD7FFu, 0xE000u}) {
    text += encode(c);
  }
  return text;
}

void test_utf8_short_texts_with_one_other_byte_are_exact(void**) {
  for (size_t len = 1; len <= 140; ++len) {
    string text(len, 'a');
    assert_true(libws::utf8_valid(data_of(text), len));
    for (size_t at = 0; at < len; ++at) {
      text[at] = '\x80';
      Utf8Validator v;
      assert_int_equal(v.validate(data_of(text), len), at);
      text[at] = 'a';
    }
  }
}

// bad: 108
void test_utf8_code_points_cut_at_every_position_are_accepted(void**) {
  for (size_t before : {0u, 1u, 30u, 61u, 64u, 100u}) {
    const string text = string(before, 'a') + sample_text() + string(70, 'b') + sample_text();
    for (const Named& impl : implementations()) {
      for (size_t i = 0; i <= text.size(); ++i) {
        for (size_t j = i; j <= std::min(i + 5, text.size()); ++j) {
          expect_in_pieces(impl, text, {i, j}, text.size(), true);
        }
      }
    }
    expect_byte_by_byte(text, text.size(), true);
  }
}

void test_utf8_bad_byte_is_refused_before_the_sequence_is_over(void**) {
  // Autobahn 6.4: fail at the byte that makes it impossible, not at the end of the code point.
  Utf8Validator v;
  assert_int_equal(v.validate(data_of("\xCE\xBA\xE1\xBD\xB9"), 5), 5);
  assert_int_equal(v.validate(data_of("\xF4"), 1), 1);
  assert_false(v.complete());
  assert_int_equal(v.validate(data_of("\x90"), 1), 0);
  assert_true(v.failed());
}

void test_utf8_failed_validator_refuses_everything_until_reset(void**) {
  Utf8Validator v;
  assert_int_equal(v.validate(data_of("ab\xFFZ"), 4), 2);
  assert_int_equal(v.validate(data_of("abcd"), 4), 0);
  const string ascii(300, 'a');
  assert_int_equal(v.validate(data_of(ascii), ascii.size()), 0);
  assert_int_equal(v.validate(nullptr, 0), 0);
  assert_true(v.failed());
  assert_false(v.complete());
  v.reset();
  assert_false(v.failed());
  assert_true(v.complete());
  assert_int_equal(v.validate(data_of("abcd"), 4), 4);
}

void test_utf8_empty_text_is_valid(void**) {
  assert_true(libws::utf8_valid(nullptr, 0));
  Utf8Validator v;
  assert_int_equal(v.validate(nullptr, 0), 0);
  assert_true(v.complete());
  assert_int_equal(v.validate(data_of("\xC3"), 1), 1);
  assert_int_equal(v.validate(nullptr, 0), 0);
  assert_false(v.complete());
  assert_false(v.failed());
}

void test_utf8_copied_validator_goes_its_own_way(void**) {
  static_assert(sizeof(Utf8Validator) <= 4 && std::is_trivially_copyable_v<Utf8Validator>);
  Utf8Validator v;
  assert_int_equal(v.validate(data_of("\xE2\x82"), 2), 2);
  Utf8Validator ahead = v;
  assert_int_equal(ahead.validate(data_of("\x41"), 1), 0);
  assert_int_equal(v.validate(data_of("\xAC"), 1), 1);
  assert_true(v.complete());
}

uint32_t random_code_point(std::mt19937& random) {
  static constexpr uint32_t kEnds[] = {0x80, 0x800, 0x10000, 0x110000};
  const auto kind = random() % 8;
  const auto c = static_cast<uint32_t>(random() % kEnds[kind < 4 ? 0 : kind - 4]);
  return is_surrogate(c) ? 0xFFFD : c;
}

// Words of one script each, so that there are runs of ASCII and runs of wide code points as well
// as changes between them.
string random_text(std::mt19937& random, size_t least) {
  string text;
  while (text.size() < least) {
    const uint32_t base = random_code_point(random) & ~0x1Fu;
    const bool mixed = random() % 4 == 0;
    for (auto i = random() % 40; i > 0; --i) {
      const uint32_t c = mixed ? random_code_point(random) : base | (random() & 0x1F);
      text += encode(is_surrogate(c) ? 0x20 : c);
    }
  }
  return text;
}

void mutate(std::mt19937& random, string& text) {
  if (text.empty()) return;
  const size_t at = random() % text.size();
  switch (random() % 5) {
    case 0: text[at] = static_cast<char>(random()); break;
    case 1: text[at] = static_cast<char>(kCorners[random() % std::size(kCorners)]); break;
    case 2: text[at] = static_cast<char>(text[at] ^ 1 << random() % 8); break;
    case 3: text.erase(at, 1 + random() % 3); break;
    default: text.insert(at, 1, static_cast<char>(random())); break;
  }
}

void test_utf8_mutated_texts_have_one_verdict_in_all_implementations_and_cuts(void**) {
  std::mt19937 random(20240229);
  for (int round = 0; round < 6000; ++round) {
    string text = random_text(random, random() % 400);
    for (auto changes = random() % 3; changes > 0; --changes) mutate(random, text);
    const auto [good, complete] = reference().judge(text);
    for (const Named& impl : implementations()) {
      expect(impl, text, good, complete);
      for (int i = 0; i < 4; ++i) {
        std::vector<size_t> cuts(random() % 6);
        for (size_t& cut : cuts) cut = random() % (text.size() + 1);
        std::sort(cuts.begin(), cuts.end());
        expect_in_pieces(impl, text, cuts, good, complete);
      }
    }
    expect_byte_by_byte(text, good, complete);
  }
}

void test_utf8_mutated_texts_have_one_verdict_at_every_cut(void**) {
  std::mt19937 random(20240301);
  for (int round = 0; round < 300; ++round) {
    string text = random_text(random, random() % 260);
    for (auto changes = random() % 2; changes > 0; --changes) mutate(random, text);
    expect_as_reference(text);
  }
}

void test_utf8_random_bytes_match_reference(void**) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    string text(random() % 140, 'a');
    for (size_t at = random() % 70; at < text.size(); ++at) {
      text[at] = static_cast<char>(kCorners[random() % std::size(kCorners)]);
    }
    const auto [good, complete] = reference().judge(text);
    for (const Named& impl : implementations()) expect(impl, text, good, complete);
  }
}

// The prefix functions alone: what they promise to their one caller.
void test_utf8_prefix_ends_on_a_code_point_near_the_end_or_the_bad_byte(void**) {
  std::mt19937 random(11);
  for (int round = 0; round < 5000; ++round) {
    string text = random_text(random, random() % 500);
    if (random() % 2 == 0) mutate(random, text);
    const size_t good = reference().judge(text).good;
    for (const Named& impl : implementations()) {
      const size_t n = impl.ops.prefix(data_of(text), text.size());
      assert_true(n <= good && good - n <= 66);
      assert_true(reference().judge(string_view(text).substr(0, n)).complete);
    }
  }
}

// A page between two that fault.
class Guarded {
 public:
  Guarded() : size_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    void* const all = mmap(nullptr, 3 * size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(all != MAP_FAILED);
    begin_ = static_cast<uint8_t*>(all) + size_;
    assert_int_equal(mprotect(begin_, size_, PROT_READ | PROT_WRITE), 0);
  }
  ~Guarded() { munmap(begin_ - size_, 3 * size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + size_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  uint8_t* begin_;
};

void test_utf8_lengths_0_to_300_beside_guard_pages_stay_inside(void**) {
  const Guarded area;
  std::mt19937 random(13);
  const string mixed = random_text(random, 400), ascii(400, 'a');
  const string bad = "\xFF" + ascii, bad2 = "a\xC3" + ascii, bad3 = "\xC3\xA9\x80" + mixed;
  const string wide = "\xF0\x9F\x98\x80" + mixed;
  for (size_t len = 0; len <= 300; ++len) {
    for (const string& source : {mixed, ascii, bad, bad2, bad3, wide}) {
      const string_view text = string_view(source).substr(0, len);
      const auto [good, complete] = reference().judge(text);
      for (uint8_t* at : {area.begin(), area.end() - len}) {
        if (len != 0) std::memcpy(at, text.data(), len);
        const string_view there(reinterpret_cast<const char*>(at), len);
        for (const Named& impl : implementations()) expect(impl, there, good, complete);
        assert_int_equal(libws::utf8_valid(at, len), good == len && complete);
      }
    }
  }
}

// With a key below 0x80, ASCII unmasked by the wrong byte of it is still ASCII.
constexpr uint32_t kKey = 0x3D21FA37, kAsciiKey = 0x13254719;

string masked(string_view text, uint32_t key) {
  string out(text);
  libws::mask_in_place(reinterpret_cast<uint8_t*>(out.data()), out.size(), key);
  return out;
}

// In place and copied, by one implementation or (null) by the public function.
void expect_unmasked(const Named* impl, const string& text, uint32_t key, size_t good,
                     bool complete) {
  const string wire = masked(text, key);
  string data = wire, copy(text.size(), '\0');
  for (string* out : {&data, &copy}) {
    auto* const dst = reinterpret_cast<uint8_t*>(out->data());
    const uint8_t* const src = out == &data ? dst : data_of(wire);
    Utf8Validator v;
    const size_t got = impl == nullptr ? libws::unmask_copy_validate(dst, src, text.size(), key, v)
                                       : libws::detail::unmask_copy_validate_with(
                                             impl->ops, dst, src, text.size(), key, v);
    if (got != good || v.complete() != complete) {
      report("unmasked", impl == nullptr ? implementations()[0] : *impl, text, got, good);
      fail();
    }
    // Up to and with the bad byte the text must be there.
    const size_t readable = std::min(good + 1, text.size());
    assert_true(out->compare(0, readable, text, 0, readable) == 0);
  }
}

void expect_unmasked_by_all(const string& text, size_t good, bool complete) {
  for (uint32_t key : {kKey, kAsciiKey}) {
    expect_unmasked(nullptr, text, key, good, complete);
    for (const Named& impl : implementations()) expect_unmasked(&impl, text, key, good, complete);
  }
}

void test_utf8_unmask_validate_equals_unmask_then_validate(void**) {
  std::mt19937 random(17);
  for (size_t len : {0u, 20u, 64u, 65u, 130u, 300u, 4096u, 16383u, 16384u, 16385u, 40000u}) {
    for (int round = 0; round < 20; ++round) {
      string text = random_text(random, len);
      if (round % 2 == 1) mutate(random, text);
      const auto [good, complete] = reference().judge(text);
      expect_unmasked_by_all(text, good, complete);
    }
  }
}

void test_utf8_unmask_validate_of_ascii_with_one_other_byte_is_exact(void**) {
  for (size_t len = 0; len <= 300; ++len) {
    string text(len, 'a');
    expect_unmasked_by_all(text, len, true);
    for (size_t at = 0; at < len; at += 1 + len / 66) {
      text[at] = '\xFF';
      expect_unmasked_by_all(text, at, false);
      text[at] = 'a';
    }
    text += "\xC3\xA9";
    expect_unmasked_by_all(text, len + 2, true);
  }
}

void test_utf8_unmask_validate_of_ascii_inside_a_code_point_is_refused(void**) {
  for (size_t len = 1; len <= 300; ++len) {
    const string wire = masked(string(len, 'a'), kAsciiKey);
    for (const Named& impl : implementations()) {
      string data = wire;
      Utf8Validator v;
      assert_int_equal(v.validate(data_of("\xE2\x82"), 2), 2);
      Utf8Validator w = v;
      auto* const p = reinterpret_cast<uint8_t*>(data.data());
      assert_int_equal(
          libws::detail::unmask_copy_validate_with(impl.ops, p, data_of(wire), len, kAsciiKey, v),
          0);
      assert_int_equal(libws::unmask_copy_validate(p, data_of(wire), len, kAsciiKey, w), 0);
      assert_true(v.failed() && w.failed());
      assert_int_equal(libws::unmask_copy_validate(p, data_of(wire), len, kAsciiKey, w), 0);
    }
  }
}

void test_utf8_unmask_validate_in_pieces_equals_whole(void**) {
  std::mt19937 random(19);
  for (int round = 0; round < 3000; ++round) {
    string text = random_text(random, random() % 300);
    if (round % 2 == 1) mutate(random, text);
    const auto [good, complete] = reference().judge(text);
    string data = masked(text, kKey);
    const size_t cut = random() % (data.size() + 1);
    auto* const p = reinterpret_cast<uint8_t*>(data.data());
    Utf8Validator v;
    size_t got = libws::unmask_validate(p, cut, kKey, v);
    if (got == cut) {
      got += libws::unmask_validate(p + cut, data.size() - cut, libws::mask_rotate(kKey, cut), v);
    }
    assert_int_equal(got, good);
    assert_int_equal(v.complete(), complete);
  }
}

void test_utf8_unmask_validate_beside_guard_pages_stays_inside(void**) {
  const Guarded area, other;
  std::mt19937 random(23);
  const string mixed = random_text(random, 400), ascii(400, 'a');
  for (size_t len = 0; len <= 300; ++len) {
    for (const string& source : {mixed, ascii}) {
      const string text = source.substr(0, len), wire = masked(text, kKey);
      const auto [good, complete] = reference().judge(text);
      for (const bool at_end : {false, true}) {
        uint8_t* const src = at_end ? area.end() - len : area.begin();
        uint8_t* const dst = at_end ? other.begin() : other.end() - len;
        for (const Named& impl : implementations()) {
          std::memset(other.begin(), 0xA5, other.size());
          if (len != 0) std::memcpy(src, wire.data(), len);
          Utf8Validator v, w;
          assert_int_equal(
              libws::detail::unmask_copy_validate_with(impl.ops, dst, src, len, kKey, v), good);
          assert_int_equal(
              libws::detail::unmask_copy_validate_with(impl.ops, src, src, len, kKey, w), good);
          assert_int_equal(w.complete(), complete);
          if (len != 0) assert_memory_equal(src, text.data(), len);
          if (len != 0) assert_memory_equal(dst, text.data(), len);
          const size_t rest = other.size() - len;
          const auto untouched = std::count(at_end ? dst + len : other.begin(),
                                            at_end ? other.end() : dst, uint8_t{0xA5});
          assert_int_equal(untouched, rest);
        }
      }
    }
  }
}

}  // namespace

int main() {
  implementations();
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_utf8_all_sequences_of_1_and_2_bytes_match_reference),
      cmocka_unit_test(test_utf8_all_sequences_of_3_bytes_match_reference),
      cmocka_unit_test(test_utf8_sequences_of_4_bytes_in_class_corners_match_reference),
      cmocka_unit_test(test_utf8_every_code_point_is_accepted),
      cmocka_unit_test(test_utf8_every_surrogate_is_refused_at_its_second_byte),
      cmocka_unit_test(test_utf8_code_points_beyond_10ffff_are_refused),
      cmocka_unit_test(test_utf8_noncharacters_and_extremes_are_accepted),
      cmocka_unit_test(test_utf8_overlong_and_malformed_are_refused_at_the_first_impossible_byte),
      cmocka_unit_test(test_utf8_text_ending_inside_a_code_point_is_not_complete),
      cmocka_unit_test(test_utf8_corner_sequences_in_ascii_match_reference_at_any_position),
      cmocka_unit_test(test_utf8_corner_sequences_of_4_bytes_in_ascii_match_reference),
      cmocka_unit_test(test_utf8_bad_byte_in_long_ascii_is_found_at_its_offset),
      cmocka_unit_test(test_utf8_short_texts_with_one_other_byte_are_exact),
      cmocka_unit_test(test_utf8_code_points_cut_at_every_position_are_accepted),
      cmocka_unit_test(test_utf8_bad_byte_is_refused_before_the_sequence_is_over),
      cmocka_unit_test(test_utf8_failed_validator_refuses_everything_until_reset),
      cmocka_unit_test(test_utf8_empty_text_is_valid),
      cmocka_unit_test(test_utf8_copied_validator_goes_its_own_way),
      cmocka_unit_test(test_utf8_mutated_texts_have_one_verdict_in_all_implementations_and_cuts),
      cmocka_unit_test(test_utf8_mutated_texts_have_one_verdict_at_every_cut),
      cmocka_unit_test(test_utf8_random_bytes_match_reference),
      cmocka_unit_test(test_utf8_prefix_ends_on_a_code_point_near_the_end_or_the_bad_byte),
      cmocka_unit_test(test_utf8_lengths_0_to_300_beside_guard_pages_stay_inside),
      cmocka_unit_test(test_utf8_unmask_validate_equals_unmask_then_validate),
      cmocka_unit_test(test_utf8_unmask_validate_of_ascii_with_one_other_byte_is_exact),
      cmocka_unit_test(test_utf8_unmask_validate_of_ascii_inside_a_code_point_is_refused),
      cmocka_unit_test(test_utf8_unmask_validate_in_pieces_equals_whole),
      cmocka_unit_test(test_utf8_unmask_validate_beside_guard_pages_stays_inside),
  };
  return cmocka_run_group_tests_name("utf8", tests, nullptr, nullptr);
}
