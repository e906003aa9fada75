// The path of a request, cut at its slashes and decoded after, so that an encoded slash never
// becomes one that separates.  What is decoded is never decoded again: "%252e" is the name "%2e".
#pragma once

#include "libws/base/alloc.hpp"

#include <string_view>

namespace libws {

// RFC 3986 2.1, appended to `out`; false for a '%' without two hexadecimal digits.
// Throws std::bad_alloc.
bool percent_decode(std::string_view text, Vector<char>& out);

// The segments of a path, decoded, each with a NUL behind it in one buffer.
class Path {
 public:
  // What may be wrong with one, in words for the peer; null: nothing.  `path` begins with '/'.
  // Refused are more than kMaxSegments, and everything router.h refuses with 400.
  // Throws std::bad_alloc.
  const char* parse(std::string_view path);

  size_t size() const { return ends_.size(); }  // at least 1; the last is "" behind a slash
  std::string_view operator[](size_t i) const {
    const size_t from = i == 0 ? 0 : ends_[i - 1] + size_t{1};
    return {text_.data() + from, ends_[i] - from};
  }

  static constexpr size_t kMaxSegments = 256;

 private:
  Vector<char> text_;
  Vector<uint32_t> ends_;  // where the NULs are
};

// Whether a segment, decoded, may be the name of a file that is served: not empty, no slash,
// backslash or NUL in it, and no dot in front, so neither "." nor ".." nor ".git"; the one
// exception is the place where RFC 8615 puts public files.
bool is_public_name(std::string_view name);

}  // namespace libws
