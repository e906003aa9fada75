#include "libws/protocol/validator.hpp"

#include "libws/protocol/chars.hpp"

namespace libws {
namespace {

// Reads a date from the front; the first thing that is not there ends it.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : rest_(text) {}

  bool text(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  // Exactly that many digits.
  bool number(size_t digits, int64_t* out) {
    if (rest_.size() < digits || !all_chars_are(rest_.substr(0, digits), kDigitChar)) return false;
    *out = 0;
    for (char c : rest_.substr(0, digits)) *out = *out * 10 + (c - '0');
    rest_.remove_prefix(digits);
    return true;
  }

  // One of `names`, `*out` counted from 1.
  template <size_t N>
  bool one_of(const std::string_view (&names)[N], int64_t* out) {
    for (size_t i = 0; i < N; ++i) {
      if (!text(names[i])) continue;
      *out = static_cast<int64_t>(i) + 1;
      return true;
    }
    return false;
  }

  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

constexpr std::string_view kDays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::string_view kLongDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                          "Friday", "Saturday", "Sunday"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Date {
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  bool short_year = false;
};

bool read_time(DateReader& in, Date* d) {
  return in.number(2, &d->hour) && in.text(":") && in.number(2, &d->minute) && in.text(":") &&
         in.number(2, &d->second);
}

// Sun, 06 Nov 1994 08:49:37 GMT
bool read_fixdate(DateReader in, Date* d) {
  int64_t weekday = 0;
  return in.one_of(kDays, &weekday) && in.text(", ") && in.number(2, &d->day) && in.text(" ") &&
         in.one_of(kMonths, &d->month) && in.text(" ") && in.number(4, &d->year) && in.text(" ") &&
         read_time(in, d) && in.text(" GMT") && in.at_end();
}

// Sunday, 06-Nov-94 08:49:37 GMT
bool read_rfc850(DateReader in, Date* d) {
  int64_t weekday = 0;
  d->short_year = true;
  return in.one_of(kLongDays, &weekday) && in.text(", ") && in.number(2, &d->day) && in.text("-") &&
         in.one_of(kMonths, &d->month) && in.text("-") && in.number(2, &d->year) && in.text(" ") &&
         read_time(in, d) && in.text(" GMT") && in.at_end();
}

// Sun Nov  6 08:49:37 1994
bool read_asctime(DateReader in, Date* d) {
  int64_t weekday = 0;
  return in.one_of(kDays, &weekday) && in.text(" ") && in.one_of(kMonths, &d->month) &&
         in.text(" ") && (in.text(" ") ? in.number(1, &d->day) : in.number(2, &d->day)) &&
         in.text(" ") && read_time(in, d) && in.text(" ") && in.number(4, &d->year) && in.at_end();
}

bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

bool exists(const Date& d) {
  constexpr int kMonthDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int64_t days = kMonthDays[d.month - 1] + (d.month == 2 && is_leap(d.year) ? 1 : 0);
  // A leap second may be told of (second 60).
  return d.day >= 1 && d.day <= days && d.hour <= 23 && d.minute <= 59 && d.second <= 60;
}

// Of the proleptic Gregorian calendar; see append_http_date(), which goes the other way.
int64_t seconds_of(const Date& d) {
  const int64_t year = d.month <= 2 ? d.year - 1 : d.year;
  const int64_t of_year = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;
  const int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719468;
  return ((days * 24 + d.hour) * 60 + d.minute) * 60 + d.second;
}

constexpr int64_t kYearSeconds = 31'556'952;

int64_t full_year(int64_t two_digits, int64_t around) {
  const int64_t year = 1970 + around / kYearSeconds;
  int64_t out = year - year % 100 + two_digits;
  if (out > year + 50) out -= 100;
  if (out < year - 49) out += 100;
  return out;
}

// RFC 9110 8.8.3: the next tag of a list, without its W/; false at the end or at what is none.
bool next_tag(std::string_view& list, std::string_view* tag) {
  while (!list.empty() && (is_ows(list.front()) || list.front() == ',')) {
    scan_step();
    list.remove_prefix(1);
  }
  if (list.starts_with("W/")) list.remove_prefix(2);
  if (!list.starts_with('"')) return false;
  const size_t end = list.find('"', 1);
  if (end == std::string_view::npos) return false;
  *tag = list.substr(0, end + 1);
  list.remove_prefix(end + 1);
  return true;
}

}  // namespace

bool parse_http_date(std::string_view text, int64_t around, int64_t* unix_seconds) {
  Date d;
  if (!read_fixdate(DateReader(text), &d) && !read_asctime(DateReader(text), &(d = Date())) &&
      !read_rfc850(DateReader(text), &(d = Date()))) {
    return false;
  }
  if (d.short_year) d.year = full_year(d.year, around);
  if (!exists(d)) return false;
  *unix_seconds = seconds_of(d);
  return true;
}

bool is_not_modified(const Head& head, std::string_view etag, int64_t modified) {
  size_t i = head.find("If-None-Match");
  if (i != SIZE_MAX) {
    for (; i != SIZE_MAX; i = head.find("If-None-Match", i + 1)) {
      std::string_view list = head.value(i);
      if (list == "*") return true;
      // Weak comparison (RFC 9110 13.1.2): the W/ does not count.
      for (std::string_view tag; next_tag(list, &tag);) {
        if (tag == etag) return true;
      }
    }
    return false;  // and If-Modified-Since is not looked at
  }
  i = head.find("If-Modified-Since");
  int64_t since = 0;
  return i != SIZE_MAX && modified != kNoTime && head.count("If-Modified-Since") == 1 &&
         parse_http_date(head.value(i), modified, &since) && modified <= since;
}

}  // namespace libws
