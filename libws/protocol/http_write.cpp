#include "libws/protocol/http_write.hpp"

#include "libws/base/log.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/http.hpp"

#include <charconv>

namespace libws {
namespace {

constexpr std::string_view kReserved[] = {"Connection", "Content-Length",    "Host",
                                          "Keep-Alive", "Transfer-Encoding", "Upgrade"};
constexpr std::string_view kReservedPrefix = "Sec-WebSocket-";

void append_number(String& out, uint64_t n) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, n);
  out.append(digits, end.ptr);
}

void append_padded(String& out, int64_t n, int width) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, n);
  for (auto have = end.ptr - digits; have < width; ++have) out.push_back('0');
  out.append(digits, end.ptr);
}

struct Phrase {
  int status;
  const char* text;
};
// The IANA registry as of RFC 9110, and 428 to 431 and 511 of RFC 6585.
constexpr Phrase kPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

// A year, month and day of the proleptic Gregorian calendar.  By hand, because gmtime and
// strftime read the locale, and English names are what RFC 9110 5.6.7 asks for.
struct Day {
  int64_t year;
  int month, day;  // 1..12, 1..31
};

Day day_from_epoch(int64_t days) {
  // Years are taken to begin in March, so that the leap day comes last, and eras of 400 years
  // repeat.  719468 days lie between 0000-03-01 and 1970-01-01.
  constexpr int64_t kEraDays = 146097;
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - kEraDays + 1) / kEraDays;
  const int64_t of_era = days - era * kEraDays;
  const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const int64_t shifted = (5 * of_year + 2) / 153;  // 0 is March
  Day d;
  d.day = static_cast<int>(of_year - (153 * shifted + 2) / 5 + 1);
  d.month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  d.year = year + era * 400 + (d.month <= 2 ? 1 : 0);
  return d;
}

}  // namespace

bool is_reserved_field(std::string_view name) {
  for (std::string_view reserved : kReserved) {
    if (equals_ignore_case(name, reserved)) return true;
  }
  return equals_ignore_case(name.substr(0, kReservedPrefix.size()), kReservedPrefix);
}

bool is_field_value(std::string_view value) { return all_chars_are(value, kValueChar); }

Error check_caller_fields(const char* what, std::span<const ws_header> fields) {
  if (fields.data() == nullptr && !fields.empty()) {
    return fail(WS_ERR_INVALID, "%s: headers is NULL", what);
  }
  for (const ws_header& field : fields) {
    if (field.name == nullptr || field.value == nullptr) {
      return fail(WS_ERR_INVALID, "%s: a header name or value is NULL", what);
    }
    const char* wrong = nullptr;
    if (!is_token(field.name)) {
      wrong = "is not a token";
    } else if (is_reserved_field(field.name)) {
      wrong = "is written by the library";
    } else if (!is_field_value(field.value)) {
      wrong = "has a control character in its value";
    }
    if (wrong != nullptr) {
      return fail(WS_ERR_INVALID, "%s: header '%s' %s", what, Escaped(field.name).c_str(), wrong);
    }
  }
  return {};
}

bool has_field(std::span<const ws_header> fields, std::string_view name) {
  for (const ws_header& field : fields) {
    if (equals_ignore_case(field.name, name)) return true;
  }
  return false;
}

void append_field(String& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_fields(String& out, std::span<const ws_header> fields) {
  for (const ws_header& field : fields) append_field(out, field.name, field.value);
}

const char* status_phrase(int status) {
  for (const Phrase& p : kPhrases) {
    if (p.status == status) return p.text;
  }
  return "";
}

bool status_has_body(int status) {
  return status >= 200 && status != 204 && status != 205 && status != 304;
}

void append_http_date(String& out, int64_t unix_seconds) {
  constexpr int64_t kDaySeconds = 24 * 60 * 60;
  static constexpr char kWeekdays[] = "ThuFriSatSunMonTueWed";  // day 0 was a Thursday
  static constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int64_t days = unix_seconds / kDaySeconds;
  int64_t rest = unix_seconds % kDaySeconds;
  if (rest < 0) {
    rest += kDaySeconds;
    --days;
  }
  const Day d = day_from_epoch(days);
  const auto weekday = static_cast<size_t>((days % 7 + 7) % 7);
  out.append(kWeekdays + 3 * weekday, 3).append(", ");
  append_padded(out, d.day, 2);
  out.append(" ").append(kMonths + 3 * (d.month - 1), 3).append(" ");
  append_padded(out, d.year, 4);
  out.append(" ");
  append_padded(out, rest / 3600, 2);
  out.append(":");
  append_padded(out, rest / 60 % 60, 2);
  out.append(":");
  append_padded(out, rest % 60, 2);
  out.append(" GMT");
}

void append_date(String& out, int64_t unix_seconds) {
  out.append("Date: ");
  append_http_date(out, unix_seconds);
  out.append("\r\n");
}

void append_response(String& out, const ResponseParts& parts) {
  const bool has_body = status_has_body(parts.status);
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<uint64_t>(parts.status));
  out.append(" ").append(status_phrase(parts.status)).append("\r\n");
  if (parts.date != 0 && !has_field(parts.extra, "Date")) append_date(out, parts.date);
  if (parts.server != nullptr && !has_field(parts.extra, "Server")) {
    append_field(out, "Server", parts.server);
  }
  if (parts.status == 426) {
    // RFC 9110 15.5.22 wants Upgrade, and 7.8 that Connection names it.
    out.append("Upgrade: websocket\r\nConnection: close, Upgrade\r\nSec-WebSocket-Version: 13\r\n");
  } else {
    out.append("Connection: close\r\n");
  }
  if (!parts.content_type.empty()) append_field(out, "Content-Type", parts.content_type);
  // RFC 9110 8.6: not in 1xx and 204; in 304 it would have to be that of the 200.
  if (has_body || parts.status == 205) {
    out.append("Content-Length: ");
    append_number(out, has_body ? parts.body.size() : 0);
    out.append("\r\n");
  }
  append_fields(out, parts.extra);
  out.append("\r\n");
  if (has_body && !parts.head_only) out.append(parts.body);
}

void append_refusal(String& out, int status, std::string_view why, int64_t date, const char* server,
                    bool head_only) {
  String body(why);
  body.push_back('\n');
  ws_header extra[2];
  size_t count = 0;
  if (status == 405) extra[count++] = {"Allow", "GET"};
  if (status != 426) extra[count++] = {"Sec-WebSocket-Version", "13"};
  ResponseParts parts;
  parts.status = status;
  parts.extra = {extra, count};
  parts.content_type = "text/plain";
  parts.body = body;
  parts.date = date;
  parts.server = server;
  parts.head_only = head_only;
  append_response(out, parts);
}

}  // namespace libws
