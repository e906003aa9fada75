// For tests of HTTP heads: feeds one input in every way it can be cut and insists on one result.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libws/protocol/chars.hpp"
#include "libws/protocol/extension.hpp"
#include "libws/protocol/handshake.hpp"
#include "libws/protocol/http.hpp"
#include "libws/protocol/http_fields.hpp"
#include "libws/protocol/http_write.hpp"
#include "libws/protocol/origin.hpp"
#include "libws/protocol/request.hpp"

// Last, because it defines fail() as a macro.
extern "C" {
#include <cmocka.h>
}

#ifndef LIBWS_TESTING
#error "these tests count steps and replace the allocator: build with LIBWS_TESTING"
#endif

namespace http_test {

using libws::Head;
using libws::HeadLimits;
using libws::HeadParser;
using std::string;
using std::string_view;
using namespace std::string_literals;
using namespace std::string_view_literals;
using Kind = HeadParser::Kind;
using Result = HeadParser::Result;

// Bytes for a failure message: what is not printable as \xHH.
inline string shown(string_view bytes) {
  string out;
  char hex[5];
  for (char b : bytes.substr(0, 400)) {
    const auto c = static_cast<unsigned char>(b);
    if (c >= 0x20 && c < 0x7f) {
      out.push_back(b);
    } else {
      std::snprintf(hex, sizeof hex, "\\x%02x", c);
      out += hex;
    }
  }
  return bytes.size() > 400 ? out + "..." : out;
}

struct Parsed {
  Result result = Result::kNeedMore;
  size_t used = 0;
  int status = 0;  // when it failed
  string why;
  Head head;  // when it is done
  uint64_t scanned = 0;
  size_t most_held = 0;

  // Everything that must not depend on the cuts.
  string dump() const {
    string out = result == Result::kDone     ? "done"
                 : result == Result::kFailed ? "failed"
                                             : "need more";
    out += " after " + std::to_string(used);
    if (result == Result::kFailed) out += ": " + std::to_string(status) + " " + why;
    if (result != Result::kDone) return out;
    out += ": [" + string(head.method()) + "] [" + string(head.target()) + "] ";
    out += std::to_string(head.status()) + " [" + string(head.reason()) + "] 1.";
    out += std::to_string(head.version_minor());
    for (size_t i = 0; i < head.field_count(); ++i) {
      out += " [" + string(head.name(i)) + "]=[" + string(head.value(i)) + "]";
    }
    return out;
  }
};

// `cuts` are positions in ascending order; each piece is a copy of its own size, so that a
// sanitizer sees a read past it.
inline Parsed parse_cut(Kind kind, const HeadLimits& limits, string_view input,
                        const std::vector<size_t>& cuts) {
  Parsed out;
  HeadParser parser(kind, limits);
  assert_false(parser.started());
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size() && out.result == Result::kNeedMore; ++i) {
    const size_t end = i < cuts.size() ? cuts[i] : input.size();
    const std::vector<char> piece(input.begin() + static_cast<ptrdiff_t>(begin),
                                  input.begin() + static_cast<ptrdiff_t>(end));
    size_t used = SIZE_MAX;
    out.result = parser.feed(libws::bytes(piece.data(), piece.size()), &used);
    assert_true(used <= piece.size());
    if (out.result == Result::kNeedMore) assert_int_equal(used, piece.size());
    out.used += used;
    begin = end;
    if (parser.bytes_held() > out.most_held) out.most_held = parser.bytes_held();
  }
  assert_int_equal(parser.started(), out.used != 0);
  out.scanned = parser.bytes_scanned();
  if (out.result == Result::kFailed) {
    out.status = parser.error_status();
    out.why = parser.error_text();
    assert_true(out.status >= 400 && !out.why.empty());
  }
  if (out.result == Result::kDone) out.head = parser.take();
  return out;
}

inline void expect_same(const Parsed& whole, const Parsed& cut, string_view input,
                        const char* how) {
  // However it is cut, each byte is looked at once.
  assert_int_equal(cut.scanned, cut.used);
  if (whole.dump() == cut.dump()) return;
  print_error("input: %s\nwhole: %s\n%s: %s\n", shown(input).c_str(), whole.dump().c_str(), how,
              cut.dump().c_str());
  fail();
}

// The result of `input`, after it came out the same whole, byte by byte, at every 2-way split and
// at 16 seeded sets of cuts.  Long inputs (above 2 KiB) are split at both ends and at every 61st
// byte only: all splits of 16 KiB would be 2^28 steps each.
inline Parsed parse(Kind kind, string_view input, const HeadLimits& limits = {}) {
  constexpr size_t kLong = 2048, kEnds = 32, kStride = 61;
  Parsed whole = parse_cut(kind, limits, input, {});
  assert_int_equal(whole.scanned, whole.used);
  std::vector<size_t> every;
  for (size_t i = 1; i < input.size(); ++i) every.push_back(i);
  expect_same(whole, parse_cut(kind, limits, input, every), input, "byte by byte");
  for (size_t i = 0; i <= input.size(); ++i) {
    const bool skip = input.size() > kLong && i > kEnds && i + kEnds < input.size();
    if (skip && i % kStride != 0) continue;
    expect_same(whole, parse_cut(kind, limits, input, {i}), input, "split in two");
  }
  std::mt19937 random(20111201);
  for (int round = 0; round < 16; ++round) {
    std::vector<size_t> cuts;
    for (size_t at = 0; at < input.size();) {
      at += random() % (round % 2 == 0 ? 7 : 97);
      if (at < input.size()) cuts.push_back(at);
    }
    expect_same(whole, parse_cut(kind, limits, input, cuts), input, "random cuts");
  }
  return whole;
}

inline Parsed parse_request(string_view input, const HeadLimits& limits = {}) {
  return parse(Kind::kRequest, input, limits);
}
inline Parsed parse_response(string_view input, const HeadLimits& limits = {}) {
  return parse(Kind::kResponse, input, limits);
}

// A head that must be fine, in every cut.
inline Head head_of(Kind kind, string_view input, const HeadLimits& limits = {}) {
  Parsed parsed = parse(kind, input, limits);
  if (parsed.result != Result::kDone || parsed.used != input.size()) {
    print_error("input: %s\n%s\n", shown(input).c_str(), parsed.dump().c_str());
    fail();
  }
  return std::move(parsed.head);
}

// Reports which row of a table differs, then fails.
inline void expect_text(string_view row, string_view got, string_view wanted) {
  if (got == wanted) return;
  print_error("%s\n  got:    %s\n  wanted: %s\n", shown(row).c_str(), shown(got).c_str(),
              shown(wanted).c_str());
  fail();
}

// Fails every allocation in turn: the first, the second..., until the scenario no longer reaches
// the one that fails.  Only std::bad_alloc may come out, and nothing may be left behind.
class FailingAllocator {
 public:
  template <class Scenario>
  static int run(Scenario scenario) {
    const libws::System saved = libws::system_table;
    libws::system_table.resize = resize;
    int n = 0;
    for (bool failed = true; failed; ++n) {
      left_ = n;
      live_ = 0;
      failed = false;
      try {
        scenario();
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      assert_int_equal(live_, 0);
    }
    libws::system_table = saved;
    return n - 1;  // allocations of the scenario
  }

 private:
  static void* resize(void* p, size_t bytes) {
    if (bytes == 0) {
      if (p != nullptr) --live_;
      return libws::real::resize(p, 0);
    }
    if (left_-- == 0) return nullptr;
    void* q = libws::real::resize(p, bytes);
    if (p == nullptr && q != nullptr) ++live_;
    return q;
  }
  static inline int left_ = 0;
  static inline int live_ = 0;
};

}  // namespace http_test
