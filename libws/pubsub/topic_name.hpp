// What is a topic's name, and what is a pattern.
#pragma once

#include "libws/base/error.hpp"

#include <cstddef>
#include <string_view>

namespace libws {

inline constexpr size_t kMaxTopicBytes = 1024;
inline constexpr size_t kMaxPatternSegments = 32;

enum class TopicKind { kName, kPattern };

// Errors: INVALID (empty, too long, a '*' that is not a segment, "**" not at the end, or a pattern
// of too many segments).
Error check_topic(const char* topic, std::string_view* out, TopicKind* kind);

// Takes the first segment off *rest.  False, and *rest unchanged, when it was the last.
inline bool take_segment(std::string_view* rest, std::string_view* segment) {
  const size_t slash = rest->find('/');
  if (slash == std::string_view::npos) {
    *segment = *rest;
    return false;
  }
  *segment = rest->substr(0, slash);
  rest->remove_prefix(slash + 1);
  return true;
}

}  // namespace libws
