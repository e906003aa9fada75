// What field values have in common: comma-separated lists spread over several lines, the rules
// of Content-Length and Transfer-Encoding, and repeated fields as one string.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/protocol/http.hpp"

#include <string_view>
#include <utility>

namespace libws {

// Takes the next member off a list (RFC 9110 5.6.1): OWS trimmed, "" for an empty member.  False
// when the list is used up.  It knows no quoted strings: none of the lists read with it has them.
bool next_member(std::string_view* rest, std::string_view* member);

// True if a field of that name, any of several, has the member, compared without case: a whole
// member, not a prefix (bad_inputs 8, 9).
bool list_has(const Head& head, std::string_view field, std::string_view member);

// How a head frames a body (RFC 9112 6).  The number itself is never needed, so none can overflow.
enum class Framing : uint8_t {
  kNone,     // neither Content-Length nor Transfer-Encoding, or a length of 0
  kLength,   // a Content-Length above 0
  kChunked,  // Transfer-Encoding whose last coding is chunked
  kInvalid,  // anything else; *why says what
};
Framing body_framing(const Head& head, const char** why);

// Values by field name as the C API returns them: NUL-terminated, repeated fields joined with
// ", " (RFC 9110 5.3).  Joined text is kept, so pointers are good for the life of this object.
class JoinedFields {
 public:
  JoinedFields() = default;
  JoinedFields(JoinedFields&& o) noexcept : first_(std::exchange(o.first_, nullptr)) {}
  JoinedFields(const JoinedFields&) = delete;
  JoinedFields& operator=(const JoinedFields&) = delete;
  ~JoinedFields();

  // Null if absent.  `len` may be null.  Always the same head.  Throws std::bad_alloc.
  const char* get(const Head& head, std::string_view name, size_t* len);

 private:
  struct Entry;
  Entry* first_ = nullptr;
};

}  // namespace libws
