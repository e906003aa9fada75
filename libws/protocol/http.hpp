// The HTTP/1.1 head parser: requests and responses, strict, bounded and resumable (RFC 9110,
// 9112).  Each byte is looked at once, however the head is cut, and a bad byte is refused when
// it is seen.  It knows grammar and limits only; what a handshake needs is in handshake.hpp.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

// RFC 9110 5.6.2 token characters, at least one.
bool is_token(std::string_view s);
bool equals_ignore_case(std::string_view a, std::string_view b);  // ASCII

// Each limit is the largest that passes.  Lines are counted without their CRLF; the head with
// everything, a leading empty line included.
struct HeadLimits {
  uint64_t max_bytes = 16 * 1024;  // the whole head; above 1 GiB it is taken as 1 GiB
  uint32_t max_fields = 100;
  size_t max_start_line = 8 * 1024;  // RFC 9112 3 recommends at least 8000
  size_t max_field_line = 8 * 1024;
};

// A parsed head.  Text is kept in one buffer with a NUL after each name and value, so the
// getters of the C API return pointers into it.  Views stay valid when the head is moved.
class Head {
 public:
  struct Field {
    uint32_t name, name_len, value, value_len;  // offsets into the buffer
  };

  // Request.  Both as received and NUL-terminated.
  std::string_view method() const { return view(0, method_len_); }
  std::string_view target() const { return view(target_, target_len_); }
  // Response.  The reason may be "".
  int status() const { return status_; }
  std::string_view reason() const { return view(reason_, reason_len_); }
  int version_minor() const { return minor_; }  // HTTP/1.x

  size_t field_count() const { return fields_.size(); }
  std::string_view name(size_t i) const { return view(fields_[i].name, fields_[i].name_len); }
  // OWS trimmed, NUL-terminated.
  std::string_view value(size_t i) const { return view(fields_[i].value, fields_[i].value_len); }

  // The first field of that name at or after `from`; SIZE_MAX if none.  Linear: at most
  // max_fields comparisons, so no hash to attack (bad_inputs 24).
  size_t find(std::string_view name, size_t from = 0) const;
  size_t count(std::string_view name) const;
  size_t bytes_held() const { return text_.capacity() + fields_.capacity() * sizeof(Field); }

 private:
  friend class HeadParser;
  std::string_view view(uint32_t at, uint32_t len) const {
    return text_.empty() ? std::string_view("", 0) : std::string_view(text_.data() + at, len);
  }

  Vector<char> text_;
  Vector<Field> fields_;
  uint32_t method_len_ = 0, target_ = 0, target_len_ = 0, reason_ = 0, reason_len_ = 0;
  int status_ = 0;
  int minor_ = 1;
};

class HeadParser {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };
  enum class Result : uint8_t { kNeedMore, kDone, kFailed };

  HeadParser(Kind kind, const HeadLimits& limits);

  // Takes bytes up to the end of the head, or up to and including the byte that is refused; *used
  // says how many, the rest is not part of it.  Throws std::bad_alloc.  After kDone, kFailed or a
  // throw it must not be called again.
  Result feed(Bytes data, size_t* used);

  bool started() const { return total_ != 0; }  // any byte seen
  Head take() { return std::move(head_); }      // after kDone

  // After kFailed.  For a request the status to answer with (400, 414, 431, 505); for a response
  // 400 or 431 all the same, the caller only needs "malformed" or "too big".
  int error_status() const { return error_status_; }
  const char* error_text() const { return error_text_; }  // static, e.g. "space before colon"

  size_t bytes_held() const { return head_.bytes_held(); }  // capacity of what it has allocated
#ifdef LIBWS_TESTING
  uint64_t bytes_scanned() const { return steps_; }
#endif

 private:
  // What the next byte must be.
  //
  //   state        next byte                        then
  //   kStart       CR (request, the first byte)     kEmptyLineLf
  //                as kMethod, or as kProtocol for a response
  //   kEmptyLineLf LF                               kMethod
  //   kMethod      tchar                            kMethod
  //                SP after at least one            kTarget
  //   kTarget      target character                 kTarget
  //                SP after at least one            kProtocol
  //   kProtocol    the five bytes "HTTP/"           kMajor
  //   kMajor       DIGIT                            kDot
  //   kDot         "."                              kMinor
  //   kMinor       DIGIT                            kVersionEnd
  //   kVersionEnd  CR (request)                     kStartLf
  //                SP (response)                    kStatus
  //   kStatus      the three DIGITs                 kStatusEnd
  //   kStatusEnd   SP                               kReason
  //                CR                               kStartLf
  //   kReason      field byte                       kReason
  //                CR                               kStartLf
  //   kStartLf     LF                               kLine
  //   kLine        tchar                            kName
  //                CR                               kEndLf
  //   kName        tchar                            kName
  //                ":"                              kBeforeValue
  //   kBeforeValue SP HTAB                          kBeforeValue
  //                as kValue
  //   kValue       field byte                       kValue
  //                CR                               kFieldLf
  //   kFieldLf     LF                               kLine
  //   kEndLf       LF                               kDone
  //   kDone        none
  //
  // Anything else is refused with 400.
  enum class State : uint8_t {
    kStart,
    kEmptyLineLf,
    kMethod,
    kTarget,
    kProtocol,
    kMajor,
    kDot,
    kMinor,
    kVersionEnd,
    kStatus,
    kStatusEnd,
    kReason,
    kStartLf,
    kLine,
    kName,
    kBeforeValue,
    kValue,
    kFieldLf,
    kEndLf,
    kDone,
  };

  Result step(char c);
  Result start_line(char c);
  Result version(char c);
  Result status_line(char c);
  Result field_line(char c);
  bool within_limits(char c);
  bool in_start_line() const { return state_ < State::kLine; }

  Result go(State next) {
    state_ = next;
    return Result::kNeedMore;
  }
  Result start_line_done();
  Result open_field(char c);
  Result close_field();
  Result fail(int status, const char* text);
  Result refuse(char c, const char* text);  // 400, with a better text for a stray CR or LF
  void put(char c);
  uint32_t text_size() const { return static_cast<uint32_t>(head_.text_.size()); }

  HeadLimits limits_;
  Head head_;
  Kind kind_;
  State state_ = State::kStart;
  uint8_t matched_ = 0;  // bytes of "HTTP/", or digits of the status
  uint8_t major_ = 0;
  uint64_t total_ = 0;      // bytes of the head so far
  size_t line_ = 0;         // bytes of this line so far
  uint32_t value_end_ = 0;  // where the value ends if nothing but OWS follows
  int error_status_ = 0;
  const char* error_text_ = "";
#ifdef LIBWS_TESTING
  uint64_t steps_ = 0;
#endif
};

}  // namespace libws
