// Delays between attempts, and the date or the seconds that a server asks for.

#include "url_support.hpp"

#include "libws/client/backoff.hpp"

using namespace http_test;
using libws::Backoff;
using libws::kMaxRetryAfterMs;
using libws::parse_retry_after;

namespace {

constexpr uint32_t kLeast = 0;
constexpr uint32_t kMost = UINT32_MAX;

// The bounds of the first delays: what the largest random number gives.
std::vector<uint32_t> bounds(Backoff b, size_t n) {
  std::vector<uint32_t> out;
  while (out.size() < n) out.push_back(b.next_delay_ms(kMost));
  return out;
}

using Delays = std::vector<uint32_t>;

// req: 30
void test_backoff_bound_doubles_up_to_its_maximum(void**) {
  assert_true(bounds(Backoff(500, 30000), 9) ==
              Delays({500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000}));
  assert_true(bounds(Backoff(500, 1000), 4) == Delays({500, 1000, 1000, 1000}));
  assert_true(bounds(Backoff(500, 999), 3) == Delays({500, 999, 999}));
  assert_true(bounds(Backoff(500, 1001), 4) == Delays({500, 1000, 1001, 1001}));
  assert_true(bounds(Backoff(7, 7), 3) == Delays({7, 7, 7}));
}

void test_backoff_does_not_overflow(void**) {
  const Delays out = bounds(Backoff(1, kMost), 40);
  for (size_t i = 0; i < out.size(); ++i) {
    assert_int_equal(out[i], i < 32 ? uint32_t{1} << i : kMost);
  }
  assert_true(bounds(Backoff(kMost, kMost), 3) == Delays({kMost, kMost, kMost}));
  assert_true(bounds(Backoff(kMost - 1, kMost), 3) == Delays({kMost - 1, kMost, kMost}));
  assert_true(bounds(Backoff(uint32_t{1} << 31, kMost), 2) == Delays({uint32_t{1} << 31, kMost}));
}

void test_backoff_bounds_that_make_no_sense_are_mended(void**) {
  assert_true(bounds(Backoff(0, 8), 5) == Delays({1, 2, 4, 8, 8}));
  assert_true(bounds(Backoff(0, 0), 2) == Delays({1, 1}));
  assert_true(bounds(Backoff(500, 10), 2) == Delays({500, 500}));
}

// req: 30
void test_backoff_delay_is_spread_evenly_from_zero_to_the_bound(void**) {
  for (uint32_t bound : {1u, 3u, 500u}) {
    const auto first = [&](uint32_t random) { return Backoff(bound, 30000).next_delay_ms(random); };
    assert_int_equal(first(kLeast), 0);
    assert_int_equal(first(kMost), bound);
    // Each delay has the same share of the 2^32 random numbers: it begins at share * delay.
    const double share = 4294967296.0 / (bound + 1);
    for (uint32_t delay = 1; delay <= bound; ++delay) {
      const auto begin = static_cast<uint32_t>(share * delay);
      assert_int_equal(first(begin - 1), delay - 1);
      assert_int_equal(first(begin + 1), delay);
    }
  }
}

void test_backoff_reset_begins_again(void**) {
  Backoff b(500, 30000);
  b.next_delay_ms(kLeast);
  assert_int_equal(b.next_delay_ms(kMost), 1000);
  b.reset();
  assert_int_equal(b.next_delay_ms(kMost), 500);
  assert_int_equal(b.next_delay_ms(kMost), 1000);
}

void test_retry_after_seconds_are_capped_at_an_hour(void**) {
  const std::vector<std::pair<const char*, uint32_t>> rows = {
      {"0", 0},
      {"1", 1000},
      {"007", 7000},
      {"3599", 3599000},
      {"3600", kMaxRetryAfterMs},
      {"3601", kMaxRetryAfterMs},
      {"4294967", kMaxRetryAfterMs},
      {"4294968", kMaxRetryAfterMs},
      {"9223372036854775808", kMaxRetryAfterMs},
      {"99999999999999999999999999999999999999999", kMaxRetryAfterMs},
  };
  for (const auto& [value, ms] : rows) assert_int_equal(parse_retry_after(value, 0), ms);
}

// 1994-11-06 08:49:37, the example of RFC 9110 5.6.7.
constexpr int64_t kExample = 784111777;

void test_retry_after_date_is_read_in_all_three_forms(void**) {
  for (const char* date : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994"}) {
    assert_int_equal(parse_retry_after(date, kExample - 1), 1000);
    assert_int_equal(parse_retry_after(date, kExample), 0);
    assert_int_equal(parse_retry_after(date, kExample + 1), 0);
    assert_int_equal(parse_retry_after(date, kExample - 3599), 3599000);
    assert_int_equal(parse_retry_after(date, kExample - 3600), kMaxRetryAfterMs);
    assert_int_equal(parse_retry_after(date, kExample - 3601), kMaxRetryAfterMs);
    assert_int_equal(parse_retry_after(date, 0), kMaxRetryAfterMs);
  }
}

// The dates, one second before which the clock stands.
void test_retry_after_date_is_counted_over_months_and_leap_years(void**) {
  const std::vector<std::pair<const char*, int64_t>> rows = {
      {"Thu, 01 Jan 1970 00:00:01 GMT", 1},
      {"Sat, 01 Jan 2000 00:00:00 GMT", 946684800},
      {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
      {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
      {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
      {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
      {"Tue, 31 Dec 2024 23:59:59 GMT", 1735689599},
      {"Tue, 31 Dec 2024 23:59:60 GMT", 1735689600},
      {"Wed, 01 Jan 2025 00:00:00 GMT", 1735689600},
      {"Mon, 01 Mar 2100 00:00:00 GMT", 4107542400},
      {"Tue Jan 19 03:14:08 2038", 2147483648},
      {"Wed Apr 30 00:00:00 2025", 1745971200},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
  };
  for (const auto& [date, seconds] : rows) {
    assert_int_equal(parse_retry_after(date, seconds - 1), 1000);
    assert_int_equal(parse_retry_after(date, seconds), 0);
  }
  // A date of each day of four years is a day after the one before.
  int64_t at = 1704067200;  // 2024-01-01
  for (int year = 2024; year < 2028; ++year) {
    const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const int lengths[] = {31, year == 2024 ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 0; month < 12; ++month) {
      for (int day = 1; day <= lengths[month]; ++day, at += 86400) {
        char date[64];
        std::snprintf(date, sizeof date, "Mon, %02d %s %d 00:00:00 GMT", day, months[month], year);
        assert_int_equal(parse_retry_after(date, at - 1), 1000);
        assert_int_equal(parse_retry_after(date, at), 0);
      }
    }
  }
}

// RFC 9110 5.6.7: more than 50 years ahead is the past.
void test_retry_after_year_of_two_digits_is_at_most_50_years_ahead(void**) {
  const int64_t new_year_2025 = 1735689600 + 3600, new_year_1999 = 915148800 + 3600;
  const auto at = [](const char* date, int64_t now) { return parse_retry_after(date, now); };
  assert_int_equal(at("Sunday, 01-Jul-75 00:00:00 GMT", new_year_2025), kMaxRetryAfterMs);
  assert_int_equal(at("Sunday, 01-Jul-76 00:00:00 GMT", new_year_2025), 0);
  assert_int_equal(at("Sunday, 01-Jul-24 00:00:00 GMT", new_year_2025), 0);
  assert_int_equal(at("Sunday, 01-Jul-25 00:00:00 GMT", new_year_2025), kMaxRetryAfterMs);
  assert_int_equal(at("Sunday, 01-Jul-01 00:00:00 GMT", new_year_1999), kMaxRetryAfterMs);
  assert_int_equal(at("Sunday, 01-Jul-98 00:00:00 GMT", new_year_1999), 0);
}

void test_retry_after_that_is_neither_is_zero(void**) {
  for (const char* value : {"",
                            " ",
                            "-1",
                            "+1",
                            "1.5",
                            "1s",
                            "1 ",
                            " 1",
                            "1, 2",
                            "0x10",
                            "soon",
                            "1e3",
                            "Sun, 06 Nov 2094 08:49:37",
                            "Sun, 06 Nov 2094 08:49:37 UTC",
                            "Sun, 06 Nov 2094 08:49:37 GMT ",
                            " Sun, 06 Nov 2094 08:49:37 GMT",
                            "sun, 06 Nov 2094 08:49:37 GMT",
                            "Sun, 06 nov 2094 08:49:37 GMT",
                            "Sun, 6 Nov 2094 08:49:37 GMT",
                            "Sun,06 Nov 2094 08:49:37 GMT",
                            "Xyz, 06 Nov 2094 08:49:37 GMT",
                            "Sun, 06 Xyz 2094 08:49:37 GMT",
                            "Sun, 00 Nov 2094 08:49:37 GMT",
                            "Sun, 31 Nov 2094 08:49:37 GMT",
                            "Mon, 29 Feb 2100 00:00:00 GMT",
                            "Mon, 30 Feb 2096 00:00:00 GMT",
                            "Sun, 06 Nov 2094 24:00:00 GMT",
                            "Sun, 06 Nov 2094 08:60:37 GMT",
                            "Sun, 06 Nov 2094 08:49:61 GMT",
                            "Sun, 06 Nov 94 08:49:37 GMT",
                            "Sun, 06-Nov-64 08:49:37 GMT",
                            "Sunday, 06 Nov 2094 08:49:37 GMT",
                            "Sun Nov 6 08:49:37 2094",
                            "Sun Nov  6 08:49:37 94",
                            "Sun Nov  6 08:49:37 2094 GMT",
                            "Sun Nov 006 08:49:37 2094",
                            "Sunday Nov  6 08:49:37 2094",
                            "Sun, 06 Nov -094 08:49:37 GMT"}) {
    expect_text(value, std::to_string(parse_retry_after(value, kExample)), "0");
  }
  // Cut short at each byte, and with each byte wrong.
  for (const string date : {"Sun, 06 Nov 2094 08:49:37 GMT", "Sunday, 06-Nov-34 08:49:37 GMT",
                            "Sun Nov  6 08:49:37 2094"}) {
    assert_int_equal(parse_retry_after(date, kExample), kMaxRetryAfterMs);
    for (size_t n = 0; n < date.size(); ++n) {
      expect_text(date, std::to_string(parse_retry_after(date.substr(0, n), kExample)), "0");
      string wrong = date;
      wrong[n] = '?';
      expect_text(wrong, std::to_string(parse_retry_after(wrong, kExample)), "0");
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_backoff_bound_doubles_up_to_its_maximum),
      cmocka_unit_test(test_backoff_does_not_overflow),
      cmocka_unit_test(test_backoff_bounds_that_make_no_sense_are_mended),
      cmocka_unit_test(test_backoff_delay_is_spread_evenly_from_zero_to_the_bound),
      cmocka_unit_test(test_backoff_reset_begins_again),
      cmocka_unit_test(test_retry_after_seconds_are_capped_at_an_hour),
      cmocka_unit_test(test_retry_after_date_is_read_in_all_three_forms),
      cmocka_unit_test(test_retry_after_date_is_counted_over_months_and_leap_years),
      cmocka_unit_test(test_retry_after_year_of_two_digits_is_at_most_50_years_ahead),
      cmocka_unit_test(test_retry_after_that_is_neither_is_zero),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
