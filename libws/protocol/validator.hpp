// Whether the copy a client has is still good: entity tags, dates, and the two preconditions of a
// GET that ask for 304 (RFC 9110 8.8, 13.1).
#pragma once

#include "libws/protocol/http.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

// Stands for no time at all; no file has it.
constexpr int64_t kNoTime = INT64_MIN;

// RFC 9110 5.6.7, all three forms, the weekday only for its spelling; false for anything else.  The
// obsolete form of RFC 850 has two digits of the year: of the century that brings it nearest to
// `around`, which the RFC wants to be now and here is the time it will be compared with.
bool parse_http_date(std::string_view text, int64_t around, int64_t* unix_seconds);

// RFC 9110 13.2.2, steps 3 and 4: true when the answer is 304.  `etag` is a strong one with its
// quotes, `modified` may be kNoTime.
bool is_not_modified(const Head& head, std::string_view etag, int64_t modified);

}  // namespace libws
