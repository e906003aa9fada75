#include "libws/client/backoff.hpp"

#include "libws/protocol/chars.hpp"

#include <algorithm>

namespace libws {

Backoff::Backoff(uint32_t min_ms, uint32_t max_ms)
    : min_ms_(std::max(min_ms, 1u)), max_ms_(std::max(max_ms, min_ms_)), bound_ms_(min_ms_) {}

uint32_t Backoff::next_delay_ms(uint32_t random) {
  // 32 random bits as a fraction of 2^32: no division, and a bias below bound / 2^32.
  const uint64_t choices = uint64_t{bound_ms_} + 1;
  const auto delay = static_cast<uint32_t>(random * choices >> 32);
  bound_ms_ = bound_ms_ > max_ms_ / 2 ? max_ms_ : bound_ms_ * 2;
  return delay;
}

namespace {

constexpr int64_t kDaySeconds = 24 * 60 * 60;

constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view kDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                      "Friday", "Saturday", "Sunday"};

// Reads a date from the left.  After the first thing that is not there it stays failed, so that a
// form is one expression.  By hand, because strptime() reads the locale.
class DateReader {
 public:
  explicit DateReader(std::string_view rest) : rest_(rest) {}

  bool text(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  bool number(size_t digits, int64_t* out) {
    if (rest_.size() < digits) return false;
    *out = 0;
    for (char c : rest_.substr(0, digits)) {
      if (!char_is(c, kDigitChar)) return false;
      *out = *out * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return true;
  }

  bool month(int64_t* out) {
    for (*out = 1; *out <= 12; ++*out) {
      if (text(kMonths[*out - 1])) return true;
    }
    return false;
  }

  // Any name of a day, whole or its first three letters.  Whether it is the right one changes
  // nothing.
  bool day_name(bool whole) {
    for (std::string_view name : kDays) {
      if (text(whole ? name : name.substr(0, 3))) return true;
    }
    return false;
  }

  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

struct Date {
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

bool read_time(DateReader& r, Date* d) {
  return r.number(2, &d->hour) && r.text(":") && r.number(2, &d->minute) && r.text(":") &&
         r.number(2, &d->second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
bool read_imf_fixdate(std::string_view s, Date* d) {
  DateReader r(s);
  return r.day_name(false) && r.text(", ") && r.number(2, &d->day) && r.text(" ") &&
         r.month(&d->month) && r.text(" ") && r.number(4, &d->year) && r.text(" ") &&
         read_time(r, d) && r.text(" GMT") && r.at_end();
}

// "Sunday, 06-Nov-94 08:49:37 GMT"; the year is left with two digits.
bool read_rfc850(std::string_view s, Date* d) {
  DateReader r(s);
  return r.day_name(true) && r.text(", ") && r.number(2, &d->day) && r.text("-") &&
         r.month(&d->month) && r.text("-") && r.number(2, &d->year) && r.text(" ") &&
         read_time(r, d) && r.text(" GMT") && r.at_end();
}

// "Sun Nov  6 08:49:37 1994"
bool read_asctime(std::string_view s, Date* d) {
  DateReader r(s);
  return r.day_name(false) && r.text(" ") && r.month(&d->month) && r.text(" ") &&
         (r.text(" ") ? r.number(1, &d->day) : r.number(2, &d->day)) && r.text(" ") &&
         read_time(r, d) && r.text(" ") && r.number(4, &d->year) && r.at_end();
}

bool is_leap_year(int64_t y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

// 60 seconds: a leap second (RFC 9110 5.6.7).
bool is_date(const Date& d) {
  static constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int64_t length = kLengths[d.month - 1] + (d.month == 2 && is_leap_year(d.year) ? 1 : 0);
  return d.day >= 1 && d.day <= length && d.hour <= 23 && d.minute <= 59 && d.second <= 60;
}

int64_t unix_seconds(const Date& d) {
  static constexpr int kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  // Leap days of the years before this one, counted from year 1; 719162 days lie between
  // 0001-01-01 and 1970-01-01.
  const int64_t years = d.year - 1;
  int64_t days = years * 365 + years / 4 - years / 100 + years / 400 - 719162;
  days += kDaysBefore[d.month - 1] + d.day - 1;
  if (d.month > 2 && is_leap_year(d.year)) ++days;
  return days * kDaySeconds + d.hour * 3600 + d.minute * 60 + d.second;
}

// RFC 9110 5.6.7: a year of two digits is at most 50 years ahead, else in the past.
int64_t full_year(int64_t two_digits, int64_t now_s) {
  const int64_t last = 1970 + now_s / (kDaySeconds * 1461 / 4) + 50;  // good to a day
  const int64_t year = last - last % 100 + two_digits;
  return year > last ? year - 100 : year;
}

bool read_date(std::string_view s, int64_t now_s, Date* d) {
  if (read_imf_fixdate(s, d) || read_asctime(s, d)) return is_date(*d);
  if (!read_rfc850(s, d)) return false;
  d->year = full_year(d->year, now_s);
  return is_date(*d);
}

uint32_t capped_ms(int64_t seconds) {
  constexpr int64_t kMaxSeconds = kMaxRetryAfterMs / 1000;
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, kMaxSeconds) * 1000);
}

}  // namespace

uint32_t parse_retry_after(std::string_view value, int64_t now_s) {
  if (!value.empty() && all_chars_are(value, kDigitChar)) {
    int64_t seconds = 0;
    for (char c : value) seconds = std::min<int64_t>(seconds * 10 + (c - '0'), kMaxRetryAfterMs);
    return capped_ms(seconds);
  }
  Date date;
  if (!read_date(value, now_s, &date)) return 0;
  return capped_ms(unix_seconds(date) - now_s);
}

}  // namespace libws
