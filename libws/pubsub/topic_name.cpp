#include "libws/pubsub/topic_name.hpp"

#include "libws/base/log.hpp"

#include <cstring>

namespace libws {

Error check_topic(const char* topic, std::string_view* out, TopicKind* kind) {
  const size_t len = strnlen(topic, kMaxTopicBytes + 1);
  if (len == 0) return fail(WS_ERR_INVALID, "topic: it is empty");
  if (len > kMaxTopicBytes) {
    return fail(WS_ERR_INVALID, "topic: more than %zu bytes", kMaxTopicBytes);
  }
  const std::string_view name(topic, len);
  *out = name;
  *kind = TopicKind::kName;
  if (name.find('*') == std::string_view::npos) return Error();
  *kind = TopicKind::kPattern;
  std::string_view rest = name, segment;
  for (size_t count = 1;; ++count) {
    if (count > kMaxPatternSegments) {
      return fail(WS_ERR_INVALID, "topic: a pattern of more than %zu segments",
                  kMaxPatternSegments);
    }
    const bool more = take_segment(&rest, &segment);
    const bool plain = segment.find('*') == std::string_view::npos;
    if (!plain && segment != "*" && (segment != "**" || more)) {
      return fail(WS_ERR_INVALID, "topic '%s': '*' is a segment of its own, '**' the last one",
                  Escaped(name).c_str());
    }
    if (!more) return Error();
  }
}

}  // namespace libws
