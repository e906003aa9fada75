// What a route is for: a pattern of paths and a host.  Grammar, order and matching; router.h has
// the rules.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/protocol/origin.hpp"
#include "libws/protocol/path.hpp"
#include "libws/protocol/request.hpp"

namespace libws {

class RoutePattern {
 public:
  // Errors: INVALID.  Throws std::bad_alloc.
  Error parse(const char* pattern);

  bool matches(const Path& path) const;
  // Of a path that matches: the parameters, whose names are views into this pattern and whose
  // values are views into *values.  Throws std::bad_alloc.
  void read(const Path& path, Vector<RequestParam>* params, Vector<char>* values) const;

  // Negative when this one goes first, 0 when both match the same paths.  Of two that match one
  // path the more specific goes first.
  int compare(const RoutePattern& other) const;

  static constexpr size_t kMaxBytes = 1024;
  static constexpr size_t kMaxSegments = 64;

 private:
  enum class Kind : uint8_t { kLiteral, kParam, kRest };  // the most specific first
  struct Segment {
    Kind kind;
    String text;  // of a literal itself, of the others the name
  };
  Error add_segment(std::string_view text, bool last);
  bool has_name(std::string_view name) const;

  Vector<Segment> segments_;
};

class RouteHost {
 public:
  // Null: any.  Errors: INVALID.  Throws std::bad_alloc.
  Error parse(const char* host);

  // `host` null: the request names none.
  bool matches(const Authority* host) const;
  // As RoutePattern::compare.
  int compare(const RouteHost& other) const;

 private:
  enum class Kind : uint8_t { kName, kAddress, kBelow, kAny };  // the most specific first
  Kind kind_ = Kind::kAny;
  String name_;  // lower case, no dot at the end; of kBelow with its dot in front
  uint8_t ipv6_[16] = {};
};

}  // namespace libws
