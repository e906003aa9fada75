// Sec-WebSocket-Extensions: the grammar of RFC 6455 9.1, bounded and linear.

#include "http_support.hpp"

using namespace http_test;
using libws::Extension;
using libws::kMaxExtensionParams;
using libws::kMaxExtensions;
using Extensions = libws::Vector<Extension>;

namespace {

string dump(const Extensions& list) {
  string out;
  for (const Extension& ext : list) {
    out += "[" + string(ext.name);
    for (const auto& param : ext.params) {
      out += ";" + string(param.name);
      if (param.has_value) out += "=" + string(param.value);
      assert_true(param.has_value || param.value.empty());
    }
    out += ext.dropped_params ? ";...]" : "]";
  }
  return out;
}

string parsed(string_view value) {
  Extensions list;
  return libws::parse_extensions(value, &list) ? dump(list) : "bad";
}

// req: 42, 105
// bad: 17
void test_extensions_are_read_in_order_with_their_parameters(void**) {
  const struct {
    string_view value, expected;
  } rows[] = {
      {"", ""},
      {" \t", ""},
      {",", ""},
      {" , ,\t", ""},
      {"a", "[a]"},
      {"a,b", "[a][b]"},
      {" a ,, b , ", "[a][b]"},
      {"a,a", "[a][a]"},
      {"constructor", "[constructor]"},
      {"__proto__; toString=1", "[__proto__;toString=1]"},
      {"permessage-deflate", "[permessage-deflate]"},
      {"permessage-deflate; client_max_window_bits; server_max_window_bits=10",
       "[permessage-deflate;client_max_window_bits;server_max_window_bits=10]"},
      {"permessage-deflate;b=\"10\", permessage-deflate",
       "[permessage-deflate;b=10][permessage-deflate]"},
      {"a;b;b;b=1", "[a;b;b;b=1]"},  // duplicates are for the extension to judge
      {"a;b=\"\\c\\d\"", "[a;b=cd]"},
      {"a;b=\"c\\d\" ; e , f", "[a;b=cd;e][f]"},
      // RFC 6455 4.3 takes over the implied white space of RFC 2616.
      {"a ; b = c", "[a;b=c]"},
      {"a\t;\tb\t=\t\"c\"\t,\td", "[a;b=c][d]"},
      {"!#$%&'*+-.^_`|~;x=!#$%&'*+-.^_`|~", "[!#$%&'*+-.^_`|~;x=!#$%&'*+-.^_`|~]"},
  };
  for (const auto& row : rows) expect_text(row.value, parsed(row.value), row.expected);
}

// req: 17, 25, 42, 105
// bad: 16, 19
void test_extensions_that_break_the_grammar_are_refused(void**) {
  for (string_view value : {"permessage-deflate; server_max_window_bits=\"1 0\""sv,
                            "a;;b"sv,
                            ";;"sv,
                            ";"sv,
                            "=5"sv,
                            "a;=5"sv,
                            "a=5"sv,
                            "a;"sv,
                            "a; "sv,
                            "a;b;"sv,
                            "a;b=;c"sv,
                            "a;b="sv,
                            "a;b= "sv,
                            "a;b=,c"sv,
                            "a;b=\"\""sv,
                            "a;b=\""sv,
                            "a;b=\"c"sv,
                            "a;b=\"c\\"sv,
                            "a;b=\"\\"sv,
                            "a;b=\"\\\""sv,
                            "a;b=\"c\"d"sv,
                            "a;b=\"c\"\"d\""sv,
                            "a;b=c\"d\""sv,
                            "a;b=\"c,d\""sv,
                            "a;b=\"c;d\""sv,
                            "a;b=\"\\ \""sv,
                            "a;b=\"\\\"\""sv,
                            "a;b=c d"sv,
                            "a b"sv,
                            "a;b c"sv,
                            "\"a\""sv,
                            "a;\"b\""sv,
                            "a;b=c=d"sv,
                            "a/b"sv,
                            "a;b=(c)"sv,
                            "\x80"sv,
                            "a;b=\x80"sv,
                            "a;b=\"\xc3\xa9\""sv,
                            "a\0"sv,
                            "a;b=\"\0\""sv,
                            "a;b=\t"sv,
                            "a,;b"sv,
                            "a,=b"sv,
                            "(a)"sv}) {
    expect_text(value, parsed(value), "bad");
  }
}

// req: 41
void test_extensions_of_several_lines_are_one_list(void**) {
  Extensions list;
  assert_true(libws::parse_extensions("a;b", &list));
  assert_true(libws::parse_extensions("", &list));
  assert_true(libws::parse_extensions("c, a", &list));
  expect_text("lines", dump(list), "[a;b][c][a]");
}

// Every prefix of a list, so that each state meets the end; and each byte in each place.
// bad: 16
void test_extensions_cut_or_altered_anywhere_end_with_an_answer(void**) {
  const string value = "a; b=\"c\\d\" , e ; f = g; h";
  for (size_t n = 0; n <= value.size(); ++n) {
    // A copy of its own size, so that a sanitizer sees a read past it.
    const std::vector<char> cut(value.begin(), value.begin() + static_cast<ptrdiff_t>(n));
    parsed({cut.data(), cut.size()});
    for (int byte = 0; byte < 256 && n < value.size(); ++byte) {
      string altered = value;
      altered[n] = static_cast<char>(byte);
      const string got = parsed(altered);
      if (byte < 0x20 && byte != '\t') expect_text(altered, got, "bad");
      if (byte >= 0x7f) expect_text(altered, got, "bad");
    }
  }
}

// bad: 18
void test_extensions_are_kept_up_to_16_and_checked_beyond(void**) {
  for (size_t n : {kMaxExtensions - 1, kMaxExtensions, kMaxExtensions + 1, size_t{1000}}) {
    string value = "x0";
    for (size_t i = 1; i < n; ++i) value += ",x" + std::to_string(i);
    Extensions list;
    assert_true(libws::parse_extensions(value, &list));
    assert_int_equal(list.size(), n < kMaxExtensions ? n : kMaxExtensions);
    expect_text("last", list.back().name, "x" + std::to_string(list.size() - 1));
    Extensions none;
    assert_false(libws::parse_extensions(value + ";", &none));
  }
}

// bad: 18
void test_extension_parameters_are_kept_up_to_16_and_checked_beyond(void**) {
  for (size_t n :
       {kMaxExtensionParams - 1, kMaxExtensionParams, kMaxExtensionParams + 1, size_t{1000}}) {
    string value = "x";
    for (size_t i = 0; i < n; ++i) value += ";p=" + std::to_string(i);
    Extensions list;
    assert_true(libws::parse_extensions(value, &list));
    const Extension& ext = list[0];
    assert_int_equal(ext.params.size(), n < kMaxExtensionParams ? n : kMaxExtensionParams);
    assert_int_equal(ext.dropped_params, n > kMaxExtensionParams);
    Extensions none;
    assert_false(libws::parse_extensions(value + ";p=\"", &none));
    assert_false(libws::parse_extensions(value + ";p=\"x y\"", &none));
  }
}

// bad: 16, 18
void test_extensions_are_read_in_linear_time(void**) {
  string escapes = "a; b=\"", offers, params = "a", commas(8000, ',');
  while (escapes.size() < 8000) escapes += "\\c";
  while (offers.size() < 8000) offers += "a;b=\"c\",";
  while (params.size() < 8000) params += ";b=\"c\"";
  for (const string& value : {escapes, offers, params, commas, string(8000, ' '), string(8000, 'a'),
                              "a;b=\"" + string(8000, 'c') + "\"", "a" + string(8000, ' ') + "b",
                              "a;" + string(8000, ';')}) {
    libws::scan_steps = 0;
    parsed(value);
    assert_true(libws::scan_steps <= value.size());
  }
}

void test_extensions_out_of_memory_throws_and_leaks_nothing(void**) {
  const string value = "a;b=" + string(100, 'c') + ";d=\"" + string(100, 'e') + "\", f;g";
  const int allocations = FailingAllocator::run([&] {
    Extensions list;
    assert_true(libws::parse_extensions(value, &list));
  });
  assert_true(allocations >= 6);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_extensions_are_read_in_order_with_their_parameters),
      cmocka_unit_test(test_extensions_that_break_the_grammar_are_refused),
      cmocka_unit_test(test_extensions_of_several_lines_are_one_list),
      cmocka_unit_test(test_extensions_cut_or_altered_anywhere_end_with_an_answer),
      cmocka_unit_test(test_extensions_are_kept_up_to_16_and_checked_beyond),
      cmocka_unit_test(test_extension_parameters_are_kept_up_to_16_and_checked_beyond),
      cmocka_unit_test(test_extensions_are_read_in_linear_time),
      cmocka_unit_test(test_extensions_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
