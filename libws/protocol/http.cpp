// The state machine of http.hpp.  RFC 9112 leaves a recipient some freedom (bare LF, folded
// lines, white space here and there); every such freedom is declined, because two parsers that
// use it differently disagree where a request ends, which is how requests are smuggled.
#include "libws/protocol/http.hpp"

#include "libws/protocol/chars.hpp"

#include <algorithm>

namespace libws {
namespace {

constexpr size_t kMaxMethod = 64;  // bad_inputs 5; the longest registered one has 17
constexpr uint64_t kMaxHeadBytes = uint64_t{1} << 30;  // offsets are 32 bits
constexpr size_t kFirstTextBytes = 512;
constexpr size_t kFirstFields = 16;
constexpr std::string_view kProtocolName = "HTTP/";

// Doubles, from `first`, but never beyond `most`: what a peer makes us hold is what it may send.
template <class T>
void make_room(Vector<T>& v, size_t first, uint64_t most) {
  if (v.size() < v.capacity()) return;
  const uint64_t wanted = std::max<uint64_t>(first, uint64_t{v.capacity()} * 2);
  v.reserve(static_cast<size_t>(std::max<uint64_t>(std::min(wanted, most), v.size() + 1)));
}

}  // namespace

bool is_token(std::string_view s) { return !s.empty() && all_chars_are(s, kTokenChar); }

bool equals_ignore_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

size_t Head::find(std::string_view name, size_t from) const {
  for (size_t i = from; i < fields_.size(); ++i) {
    if (equals_ignore_case(this->name(i), name)) return i;
  }
  return SIZE_MAX;
}

size_t Head::count(std::string_view name) const {
  size_t n = 0;
  for (size_t i = find(name); i != SIZE_MAX; i = find(name, i + 1)) ++n;
  return n;
}

HeadParser::HeadParser(Kind kind, const HeadLimits& limits) : limits_(limits), kind_(kind) {
  limits_.max_bytes = std::min(limits_.max_bytes, kMaxHeadBytes);
}

HeadParser::Result HeadParser::feed(Bytes data, size_t* used) {
  size_t i = 0;
  Result result = Result::kNeedMore;
  while (i < data.size() && result == Result::kNeedMore) {
    result = step(static_cast<char>(data[i++]));
  }
  *used = i;
  return result;
}

HeadParser::Result HeadParser::step(char c) {
#ifdef LIBWS_TESTING
  ++steps_;
#endif
  if (!within_limits(c)) return Result::kFailed;
  return in_start_line() ? start_line(c) : field_line(c);
}

// Counted per line and per head, never per feed: a dribbled line meets the same limit.
bool HeadParser::within_limits(char c) {
  const int too_long = in_start_line() && kind_ == Kind::kRequest ? 414 : 431;
  if (total_ == limits_.max_bytes) {
    fail(too_long, "head too long");
    return false;
  }
  ++total_;
  if (c == '\r' || c == '\n') return true;
  if (line_ == (in_start_line() ? limits_.max_start_line : limits_.max_field_line)) {
    fail(too_long, in_start_line() ? "start line too long" : "field line too long");
    return false;
  }
  ++line_;
  return true;
}

HeadParser::Result HeadParser::start_line(char c) {
  switch (state_) {
    case State::kStart:
      if (kind_ == Kind::kResponse) {
        state_ = State::kProtocol;
        return version(c);
      }
      // RFC 9112 2.2: one empty line is ignored, some clients end a body with it.
      if (c == '\r') return go(State::kEmptyLineLf);
      [[fallthrough]];
    case State::kMethod:
      if (char_is(c, kTokenChar)) {
        if (text_size() == kMaxMethod) return fail(400, "method too long");
        put(c);
        return go(State::kMethod);
      }
      if (c != ' ' || text_size() == 0) return refuse(c, "bad method");
      head_.method_len_ = text_size();
      put('\0');
      head_.target_ = text_size();
      return go(State::kTarget);
    case State::kEmptyLineLf: return c == '\n' ? go(State::kMethod) : refuse(c, "bare CR");
    case State::kTarget:
      if (char_is(c, kTargetChar)) {
        put(c);
        return Result::kNeedMore;
      }
      if (c != ' ' || text_size() == head_.target_) return refuse(c, "bad request target");
      head_.target_len_ = text_size() - head_.target_;
      put('\0');
      return go(State::kProtocol);
    case State::kStartLf: return c == '\n' ? start_line_done() : refuse(c, "bare CR");
    case State::kStatus:
    case State::kStatusEnd:
    case State::kReason: return status_line(c);
    default: return version(c);
  }
}

// RFC 9112 2.3: "HTTP/" in upper case, one digit, a dot, one digit.
HeadParser::Result HeadParser::version(char c) {
  switch (state_) {
    case State::kProtocol:
      if (c != kProtocolName[matched_]) break;
      if (++matched_ < kProtocolName.size()) return Result::kNeedMore;
      matched_ = 0;
      return go(State::kMajor);
    case State::kMajor:
      if (!char_is(c, kDigitChar)) break;
      major_ = static_cast<uint8_t>(c - '0');
      return go(State::kDot);
    case State::kDot:
      if (c != '.') break;
      return go(State::kMinor);
    case State::kMinor:
      if (!char_is(c, kDigitChar)) break;
      head_.minor_ = c - '0';
      return go(State::kVersionEnd);
    default:
      if (kind_ == Kind::kRequest && c == '\r') return go(State::kStartLf);
      if (kind_ == Kind::kResponse && c == ' ') return go(State::kStatus);
      break;
  }
  return refuse(c, "bad HTTP version");
}

HeadParser::Result HeadParser::status_line(char c) {
  switch (state_) {
    case State::kStatus:
      // RFC 9110 15: the first digit names the class; there is none for 0.
      if (!char_is(c, kDigitChar) || (matched_ == 0 && c == '0')) return refuse(c, "bad status");
      head_.status_ = head_.status_ * 10 + (c - '0');
      return ++matched_ == 3 ? go(State::kStatusEnd) : Result::kNeedMore;
    case State::kStatusEnd:
      head_.reason_ = text_size();
      if (c == ' ') return go(State::kReason);
      // RFC 9112 4 wants the space even without a reason; servers that forget it are harmless.
      if (c != '\r') return refuse(c, "bad status");
      break;
    default:
      if (c != '\r') {
        if (!char_is(c, kValueChar)) return refuse(c, "bad reason phrase");
        put(c);
        return Result::kNeedMore;
      }
      break;
  }
  head_.reason_len_ = text_size() - head_.reason_;
  put('\0');
  return go(State::kStartLf);
}

HeadParser::Result HeadParser::start_line_done() {
  if (major_ != 1) {
    return fail(kind_ == Kind::kRequest ? 505 : 400, "HTTP version is not 1.x");
  }
  line_ = 0;
  return go(State::kLine);
}

HeadParser::Result HeadParser::field_line(char c) {
  switch (state_) {
    case State::kLine:
      if (c == '\r') return go(State::kEndLf);
      if (char_is(c, kTokenChar)) return open_field(c);
      // RFC 9112 2.2 and 5.2: a line that starts with white space is either a fold or a trick.
      if (is_ows(c)) {
        return fail(400, head_.fields_.empty() ? "space before fields" : "folded line");
      }
      return refuse(c, "bad field name");
    case State::kName:
      if (char_is(c, kTokenChar)) {
        put(c);
        return Result::kNeedMore;
      }
      if (c == ':') {
        Head::Field& field = head_.fields_.back();
        field.name_len = text_size() - field.name;
        put('\0');
        field.value = value_end_ = text_size();
        return go(State::kBeforeValue);
      }
      if (is_ows(c)) return fail(400, "space before colon");
      return refuse(c, "bad field name");
    case State::kBeforeValue:
      if (is_ows(c)) return Result::kNeedMore;
      state_ = State::kValue;
      [[fallthrough]];
    case State::kValue:
      if (c == '\r') return close_field();
      if (!char_is(c, kValueChar)) return refuse(c, "control character in a field");
      put(c);
      if (!is_ows(c)) value_end_ = text_size();
      return Result::kNeedMore;
    case State::kFieldLf:
      if (c != '\n') return refuse(c, "bare CR");
      line_ = 0;
      return go(State::kLine);
    case State::kEndLf:
      if (c != '\n') return refuse(c, "bare CR");
      state_ = State::kDone;
      return Result::kDone;
    default: return fail(400, "bytes after the head");
  }
}

HeadParser::Result HeadParser::open_field(char c) {
  if (head_.fields_.size() >= limits_.max_fields) return fail(431, "too many fields");
  make_room(head_.fields_, kFirstFields, limits_.max_fields);
  head_.fields_.push_back({text_size(), 0, 0, 0});
  put(c);
  return go(State::kName);
}

HeadParser::Result HeadParser::close_field() {
  Head::Field& field = head_.fields_.back();
  field.value_len = value_end_ - field.value;
  head_.text_.resize(value_end_);  // trailing OWS goes
  put('\0');
  return go(State::kFieldLf);
}

HeadParser::Result HeadParser::fail(int status, const char* text) {
  error_status_ = status;
  error_text_ = text;
  state_ = State::kDone;
  return Result::kFailed;
}

HeadParser::Result HeadParser::refuse(char c, const char* text) {
  if (c == '\n') return fail(400, "bare LF");
  if (c == '\r' && state_ == State::kName) return fail(400, "field without a colon");
  return fail(400, text);
}

// Never more text than bytes of the head: each NUL stands for a separator that was dropped.
void HeadParser::put(char c) {
  make_room(head_.text_, kFirstTextBytes, limits_.max_bytes);
  head_.text_.push_back(c);
}

}  // namespace libws
