// Routes: what a pattern and a host may be, what they match, and which of several goes first.

#include "libws/server/router.hpp"

#include <algorithm>

#include "http_support.hpp"  // last: it has cmocka's fail()

using namespace http_test;
using libws::Path;
using libws::Ref;
using libws::Request;
using libws::RequestParam;
using libws::Route;
using libws::RouteHost;
using libws::RoutePattern;
using libws::Router;

namespace {

// "ok", or what was said against it.
string parsed(const string& pattern) {
  RoutePattern p;
  return p.parse(pattern.c_str()).failed() ? libws::last_detail() : "ok";
}

string segments(size_t n) {
  string out;
  for (size_t i = 0; i < n; ++i) out += "/s";
  return out;
}

void test_pattern_is_refused_for_what_can_only_be_a_mistake(void**) {
  for (const string& good : {"/"s, "/a"s, "/a/"s, "/a b"s, "/caf\xc3\xa9"s, "/:id"s, "/:_9/:B"s,
                             "/*rest"s, "/a/:id/*rest"s, "/a:b"s, "/.a"s, "/..a"s, segments(63),
                             segments(64), "/" + string(1022, 'x'), "/" + string(1023, 'x')}) {
    expect_text(good, parsed(good), "ok");
  }
  const struct {
    string pattern, why;
  } rows[] = {
      {"", "begin with '/'"},
      {"a", "begin with '/'"},
      {"//", "an empty segment"},
      {"/a//b", "an empty segment"},
      {"/.", "a dot segment"},
      {"/../a", "a dot segment"},
      {"/:", "a parameter's name"},
      {"/:a-b", "a parameter's name"},
      {"/*", "a parameter's name"},
      {"/*.js", "a parameter's name"},
      {"/:a/:a", "two parameters"},
      {"/:a/*a", "two parameters"},
      {"/*a/b", "it comes last"},
      {"/*a/", "it comes last"},
      {"/a*", "cannot stand there"},
      {"/a%20b", "cannot stand there"},
      {"/a?b", "cannot stand there"},
      {"/a#b", "cannot stand there"},
      {"/a\nb", "cannot stand there"},
      {"/a\x7f", "cannot stand there"},
      {segments(65), "too many segments"},
      {"/" + string(1024, 'x'), "1025 bytes"},
  };
  for (const auto& row : rows) {
    const string why = parsed(row.pattern);
    if (why.find(row.why) == string::npos) fail_msg("%s: %s", row.pattern.c_str(), why.c_str());
  }
}

// "no", or the parameters as "name=value ".
string matched(const char* pattern, const string& target) {
  RoutePattern p;
  Path path;
  assert_false(p.parse(pattern).failed());
  if (const char* why = path.parse(target)) return why;
  if (!p.matches(path)) return "no";
  libws::Vector<RequestParam> params;
  libws::Vector<char> values;
  p.read(path, &params, &values);
  string out;
  for (const RequestParam& param : params) {
    assert_int_equal(param.value.data()[param.value.size()], '\0');
    out += string(param.name) + "=" + string(param.value) + " ";
  }
  return out;
}

void test_pattern_matches_segment_by_segment_decoded(void**) {
  const struct {
    const char *pattern, *path, *expected;
  } rows[] = {
      {"/", "/", ""},
      {"/", "/a", "no"},
      {"/a", "/a", ""},
      {"/a", "/A", "no"},
      {"/a", "/a/", "no"},
      {"/a/", "/a/", ""},
      {"/a/", "/a", "no"},
      {"/a", "/%61", ""},
      {"/a b", "/a%20b", ""},
      {"/caf\xc3\xa9", "/caf%C3%a9", ""},
      {"/a", "/a/b", "no"},
      {"/a/b", "/a", "no"},
      {"/:id", "/7", "id=7 "},
      {"/:id", "/", "no"},
      {"/:id/", "/7/", "id=7 "},
      {"/:a/:b", "/x/y", "a=x b=y "},
      {"/:a/:b", "/x/", "no"},
      {"/:a/:b", "/x", "no"},
      {"/:a", "/x%3Fy%23%25%0a", "a=x?y#%\n "},
      {"/:a", "/%252e", "a=%2e "},
      {"/:a", "/%5c", "a=\\ "},
      {"/*rest", "/", "rest= "},
      {"/*rest", "/a", "rest=a "},
      {"/*rest", "/a/b%20c/", "rest=a/b c/ "},
      {"/f/*rest", "/f/", "rest= "},
      {"/f/*rest", "/f", "no"},
      {"/f/*rest", "/g/", "no"},
      {"/:a/*rest", "/x/y/z", "a=x rest=y/z "},
      {"/:a/*rest", "/x/", "a=x rest= "},
  };
  for (const auto& row : rows) {
    expect_text(string(row.pattern) + " " + row.path, matched(row.pattern, row.path), row.expected);
  }
}

// "ok", or what was said against it.
string host_parsed(const char* text) {
  RouteHost h;
  return h.parse(text).failed() ? libws::last_detail() : "ok";
}

bool host_matches(const char* pattern, const char* named) {
  RouteHost h;
  libws::Authority a;
  assert_false(h.parse(pattern).failed());
  if (named == nullptr) return h.matches(nullptr);
  assert_true(libws::parse_authority(named, &a));
  return h.matches(&a);
}

void test_host_of_a_route_is_a_name_an_address_or_all_below(void**) {
  for (const char* good : {"example.com", "EXAMPLE.com.", "localhost", "127.0.0.1", "[::1]",
                           "*.example.com", "*.com"}) {
    expect_text(good, host_parsed(good), "ok");
  }
  for (const char* bad : {"", "*", "*.", "*.*.com", "a.*.com", "example.com:80",
                          "example.com:", "[::1]:80", "*.[::1]", "::1", "a b", ".", "http://a"}) {
    if (host_parsed(bad) == "ok") fail_msg("%s", bad);
  }
  const struct {
    const char *pattern, *host;
    bool expected;
  } rows[] = {
      {nullptr, "a", true},
      {nullptr, nullptr, true},
      {"a", nullptr, false},
      {"example.com", "example.com", true},
      {"example.com", "EXAMPLE.Com.:8080", true},
      {"Example.com.", "example.com", true},
      {"example.com", "example.com..", false},
      {"example.com", "a.example.com", false},
      {"example.com", "example.co", false},
      {"*.example.com", "a.example.com", true},
      {"*.example.com", "b.A.EXAMPLE.com.:1", true},
      {"*.example.com", "example.com", false},
      {"*.example.com", "aexample.com", false},
      {"*.example.com", ".example.com", false},
      {"[::1]", "[0:0::1]:80", true},
      {"[::1]", "[::2]", false},
      {"[::1]", "a", false},
      {"127.0.0.1", "127.0.0.1:9001", true},
      {"127.0.0.1", "[::1]", false},
  };
  for (const auto& row : rows) {
    libws::Authority a;
    if (row.host != nullptr && !libws::parse_authority(row.host, &a))
      continue;  // no request has it
    if (host_matches(row.pattern, row.host) != row.expected) {
      fail_msg("%s and %s", row.pattern != nullptr ? row.pattern : "any",
               row.host != nullptr ? row.host : "none");
    }
  }
}

// Writes down what the router made of a request.
class Judge final : public libws::RequestHost {
 public:
  libws::Error accept(const libws::AcceptOptions&) override { return {}; }
  libws::Error respond(const libws::Response&) override { return {}; }
  void refuse(int status, const char*) override { outcome = std::to_string(status); }

  string outcome;
};

// Adds "/pattern", "host /pattern", or one of them with "http " in front.
libws::Error add(Router& router, const string& spec) {
  const libws::Ref<Route> route = Ref<Route>::adopt(new Route);
  string rest = spec;
  if (rest.starts_with("http ")) {
    route->kinds = WS_ROUTE_HTTP;
    rest = rest.substr(5);
  }
  const size_t slash = rest.find('/');
  if (slash != 0) {
    assert_false(route->host.parse(rest.substr(0, slash - 1).c_str()).failed());
  }
  assert_false(route->pattern.parse(rest.substr(slash).c_str()).failed());
  // Told from each other by their user.
  route->accept.user = const_cast<char*>(spec.c_str());
  route->on_request = [](ws_request* r, void* user) {
    auto* judge = static_cast<Judge*>(libws::from_handle<Request>(r)->current_host());
    judge->outcome = static_cast<const char*>(user);
  };
  return router.add(route);
}

string routed(const Router& router, const string& host, const string& target, bool upgrade) {
  string head = "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n";
  if (upgrade) {
    head +=
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  }
  Head parsed_head = head_of(Kind::kRequest, head + "\r\n");
  libws::Vector<string_view> protocols;
  const libws::RequestVerdict verdict = libws::check_request(parsed_head, &protocols);
  assert_int_equal(verdict.status, 0);
  const auto r = Ref<Request>::adopt(new Request(std::move(parsed_head), verdict, protocols));
  Judge judge;
  r->set_host(&judge);
  router.on_request(*r);
  return judge.outcome;
}

void test_route_the_most_specific_goes_first_whatever_the_order(void**) {
  std::vector<string> specs = {
      "/",        "/a",      "/a/b",    "/a/:x",      "/:x/b",  "/:x/:y",
      "/a/*r",    "/*r",     "h /a",    "h /*r",      "*.h /a", "*.x.h /a",
      "[::1] /a", "http /a", "http /p", "http h /*r", "/u",     "*.x.h /:x/:y",
  };
  const struct {
    const char *host, *path;
    bool upgrade;
    const char* expected;
  } rows[] = {
      {"o", "/", true, "/"},
      {"o", "/a", true, "/a"},
      {"o", "/%61", true, "/a"},
      {"o", "/a/", true, "/a/*r"},
      {"o", "/a/b", true, "/a/b"},
      {"o", "/a/c", true, "/a/:x"},
      {"o", "/a/b/c", true, "/a/*r"},
      {"o", "/c/b", true, "/:x/b"},
      {"o", "/c/d", true, "/:x/:y"},
      {"o", "/c", true, "/*r"},
      {"o", "/c/d/", true, "/*r"},
      {"h", "/a", true, "h /a"},
      {"H.:80", "/a", true, "h /a"},
      {"h", "/a/b", true, "h /*r"},  // its own host goes before a better path
      {"y.h", "/a", true, "*.h /a"},
      {"y.x.h", "/a", true, "*.x.h /a"},
      {"y.x.h", "/a/b", true, "*.x.h /:x/:y"},
      {"y.h", "/a/b", true, "/a/b"},  // nothing there: any host
      {"[::1]:9", "/a", true, "[::1] /a"},
      {"o", "/a", false, "http /a"},
      {"o", "/p", false, "http /p"},
      {"o", "/p", true, "/*r"},
      {"h", "/u", false, "http h /*r"},
      {"o", "/u", false, "426"},
      {"o", "/.", true, "400"},
      {"o", "/a/../b", true, "400"},
      {"o", "/%2e%2E/a", true, "400"},
      {"o", "/a//b", true, "400"},
      {"o", "//", true, "400"},
      {"o", "/a%2fb", true, "400"},
      {"o", "/a%00", true, "400"},
      {"o", "/a%", true, "400"},
      {"o", "/%4", true, "400"},
      {"o", "/%zz", true, "400"},
  };
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    Router router(100);
    for (const string& spec : specs) assert_false(add(router, spec).failed());
    for (const auto& row : rows) {
      expect_text(string(row.host) + row.path, routed(router, row.host, row.path, row.upgrade),
                  row.expected);
    }
    std::shuffle(specs.begin(), specs.end(), random);
  }
}

void test_route_that_is_not_there_is_404_and_of_the_other_kind_says_so(void**) {
  const string plain = "http /p", upgrade = "/u";
  Router router(100);
  expect_text("empty", routed(router, "h", "/", true), "404");
  assert_false(add(router, plain).failed());
  assert_false(add(router, upgrade).failed());
  expect_text("unknown", routed(router, "h", "/x", true), "404");
  expect_text("unknown, plain", routed(router, "h", "/x", false), "404");
  expect_text("upgrade of a page", routed(router, "h", "/p", true), "404");
  expect_text("socket over plain HTTP", routed(router, "h", "/u", false), "426");
  expect_text("page", routed(router, "h", "/p", false), plain);
  expect_text("socket", routed(router, "h", "/u", true), upgrade);
}

void test_route_for_the_same_requests_is_refused(void**) {
  static const string first[] = {"/:a/b", "h /x", "http /x", "[::1] /x"};
  static const string same[] = {"/:other/b", "H. /x", "http /x", "[0::1] /x"};
  static const string others[] = {"/a/:b",      "/*a",   "*.h /x",  "/x",
                                  "http /:a/b", "h /x/", "[::2] /x"};
  Router router(100);
  for (const string& s : first) assert_false(add(router, s).failed());
  for (const string& s : same) assert_int_equal(add(router, s).code(), WS_ERR_INVALID);
  for (const string& s : others) assert_false(add(router, s).failed());
}

void test_router_takes_as_many_routes_as_it_was_told(void**) {
  std::vector<string> specs;
  for (int i = 0; i < 4; ++i) specs.push_back("/" + std::to_string(i));
  Router router(3);
  for (int i = 0; i < 3; ++i) {
    assert_false(add(router, specs[static_cast<size_t>(i)]).failed());
  }
  assert_int_equal(add(router, specs[3]).code(), WS_ERR_TOO_BIG);
  expect_text("the last", routed(router, "h", "/2", true), "/2");
  expect_text("the one too many", routed(router, "h", "/3", true), "404");
}

void test_path_of_256_segments_is_taken_and_of_257_is_not(void**) {
  const string spec = "/*r";
  Router router(1);
  assert_false(add(router, spec).failed());
  expect_text("255", routed(router, "h", segments(255), true), spec);
  expect_text("256", routed(router, "h", segments(256), true), spec);
  expect_text("257", routed(router, "h", segments(257), true), "400");
}

void test_path_is_read_in_linear_time(void**) {
  for (const string& path :
       {"/" + string(8000, 'a'), segments(256), "/" + string(8000, '%'), string(8000, '/')}) {
    Path p;
    libws::scan_steps = 0;
    (void)p.parse(path);
    assert_true(libws::scan_steps <= path.size());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_pattern_is_refused_for_what_can_only_be_a_mistake),
      cmocka_unit_test(test_pattern_matches_segment_by_segment_decoded),
      cmocka_unit_test(test_host_of_a_route_is_a_name_an_address_or_all_below),
      cmocka_unit_test(test_route_the_most_specific_goes_first_whatever_the_order),
      cmocka_unit_test(test_route_that_is_not_there_is_404_and_of_the_other_kind_says_so),
      cmocka_unit_test(test_route_for_the_same_requests_is_refused),
      cmocka_unit_test(test_router_takes_as_many_routes_as_it_was_told),
      cmocka_unit_test(test_path_of_256_segments_is_taken_and_of_257_is_not),
      cmocka_unit_test(test_path_is_read_in_linear_time),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
