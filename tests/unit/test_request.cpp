// A received request: what it tells, and that it is answered once, by arguments that are checked.

#include "http_support.hpp"

using namespace http_test;
using libws::AcceptOptions;
using libws::Error;
using libws::Ref;
using libws::Request;
using libws::Response;

namespace {

const string kUpgrade =
    "GET /chat?room=1 HTTP/1.1\r\nHost: localhost:9001\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: b, a\r\n"
    "Sec-WebSocket-Protocol: a-very-long-subprotocol-name\r\nX-A: 1\r\nx-a: 2\r\n"
    "Origin: http://o\r\n\r\n";

Ref<Request> request_of(string_view input) {
  Head head = head_of(Kind::kRequest, input);
  libws::Vector<string_view> protocols;
  const libws::RequestVerdict v = libws::check_request(head, &protocols);
  assert_int_equal(v.status, 0);
  return Ref<Request>::adopt(new Request(std::move(head), v, protocols));
}

Ref<Request> get_of(const string& fields, const string& start = "GET / HTTP/1.1") {
  return request_of(start + "\r\nHost: h\r\n" + fields + "\r\n");
}

// req: 41
void test_request_extensions_are_those_offered_and_outlive_the_input(void**) {
  string fields =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: b; c=\"1\\0\", "
      "a\r\n"
      "Sec-WebSocket-Extensions: b\r\n";
  const Ref<Request> r = get_of(fields);
  fields.assign(fields.size(), 'x');
  const libws::Vector<libws::Extension> list = r->extensions();
  assert_int_equal(list.size(), 3);
  expect_text("first", list[0].name, "b");
  assert_int_equal(list[0].params.size(), 1);
  expect_text("value", list[0].params[0].value, "10");
  expect_text("second", list[1].name, "a");
  expect_text("third", list[2].name, "b");
  assert_true(request_of(kUpgrade)->extensions().empty());
  // Nobody has checked those of a plain request.
  assert_true(get_of("Sec-WebSocket-Extensions: a, b;\r\n")->extensions().empty());
}

// Records what reaches it, and answers as told.
class FakeHost : public libws::RequestHost {
 public:
  Error accept(const AcceptOptions& how) override {
    ++accepts;
    subprotocol = how.subprotocol;
    return finish();
  }
  Error respond(const Response& response) override {
    ++responds;
    status = response.status;
    body_size = response.body.size();
    return finish();
  }
  void refuse(int code, const char*) override {
    ++refusals;
    status = code;
    held = {};
  }

  void print_local(char (&out)[libws::kRequestAddressBytes]) const override {
    std::snprintf(out, sizeof out, "host %d", ++asked);
  }

  mutable int asked = 0;
  int accepts = 0, responds = 0, refusals = 0, status = 0, result = WS_OK;
  const char* subprotocol = nullptr;
  size_t body_size = 0;
  bool throws = false;
  Ref<Request> held;  // dropped inside the call, as an engine does

 private:
  Error finish() {
    if (throws) throw std::bad_alloc();
    held = {};
    return Error(result);
  }
};

// bad: 283
void test_request_tells_what_was_received(void**) {
  const Ref<Request> r = request_of(kUpgrade);
  assert_true(r->is_upgrade());
  assert_false(r->head_only());
  assert_false(r->expect_continue());
  assert_string_equal(r->method(), "GET");
  assert_string_equal(r->path(), "/chat");
  assert_string_equal(r->query(), "room=1");
  expect_text("host", r->host(), "localhost:9001");
  expect_text("origin", r->origin(), "http://o");
  expect_text("key", r->key(), "dGhlIHNhbXBsZSBub25jZQ==");
  size_t len = 0;
  assert_string_equal(r->header("upgrade", &len), "websocket");
  assert_int_equal(len, 9);
  assert_string_equal(r->header("X-A", nullptr), "1, 2");
  assert_string_equal(r->header("Sec-WebSocket-Protocol", nullptr),
                      "b, a, a-very-long-subprotocol-name");
  assert_null(r->header("Cookie", &len));
  ws_header field;
  assert_true(r->header_at(0, &field));
  assert_string_equal(field.name, "Host");
  assert_string_equal(field.value, "localhost:9001");
  assert_true(r->header_at(9, &field));
  assert_string_equal(field.name, "Origin");
  assert_false(r->header_at(10, &field));
  assert_false(r->header_at(SIZE_MAX, &field));
  assert_string_equal(field.name, "Origin");
}

// req: 46
// bad: 52
void test_request_offers_its_subprotocols_in_order(void**) {
  const Ref<Request> r = request_of(kUpgrade);
  assert_string_equal(r->subprotocol(0), "b");
  assert_string_equal(r->subprotocol(1), "a");
  assert_string_equal(r->subprotocol(2), "a-very-long-subprotocol-name");
  assert_null(r->subprotocol(3));
  assert_null(r->subprotocol(SIZE_MAX));
  assert_true(r->offers("a"));
  for (const char* no : {"", "A", "a-very", "b, a", "c"}) assert_false(r->offers(no));
}

// req: 33, 132
// bad: 41, 42
void test_request_path_query_and_host_of_each_target_form(void**) {
  const struct {
    const char *target, *path, *query, *host;
  } rows[] = {{"/", "/", "", "h"},
              {"/a%00/..;/b?", "/a%00/..;/b", "", "h"},
              {"http://other:1/p?q", "/p", "q", "other:1"},
              {"https://other", "/", "", "other"},
              {"http://other?q?r", "/", "q?r", "other"}};
  for (const auto& row : rows) {
    const Ref<Request> r = get_of("", "GET "s + row.target + " HTTP/1.1");
    assert_string_equal(r->path(), row.path);
    assert_string_equal(r->query(), row.query);
    expect_text(row.target, r->host(), row.host);
    expect_text(row.target, r->header("Host", nullptr), "h");
  }
  const Ref<Request> head = get_of("Expect: 100-continue\r\n", "HEAD / HTTP/1.1");
  assert_true(head->head_only());
  assert_true(head->expect_continue());
  assert_false(head->is_upgrade());
  assert_string_equal(head->method(), "HEAD");
  expect_text("none", head->origin(), "");
}

// bad: 47
void test_request_cookie_is_found_by_its_exact_name(void**) {
  const struct {
    string fields;
    const char *name, *expected;  // null: absent
  } rows[] = {
      {"", "a", nullptr},
      {"Cookie: a=1\r\n", "a", "1"},
      {"cookie: a=1; b=2;c=3\r\n", "b", "2"},
      {"cookie: a=1; b=2;c=3\r\n", "c", "3"},
      {"Cookie: a=1\r\nCookie: b=2\r\n", "b", "2"},
      {"Cookie: a=1; a=2\r\nCookie: a=3\r\n", "a", "1"},
      {"Cookie: A=1\r\n", "a", nullptr},
      {"Cookie: aa=1; xa=2; a =3\r\n", "a", "3"},
      {"Cookie: aa=1\r\n", "a", nullptr},
      {"Cookie: x=a=1\r\n", "a", nullptr},
      {"Cookie: a=b=c\r\n", "a", "b=c"},
      {"Cookie: a=\r\n", "a", ""},
      {"Cookie: a=  ; b\r\n", "a", ""},
      {"Cookie: a\r\n", "a", nullptr},
      {"Cookie: =1\r\n", "", nullptr},
      {"Cookie: a=\"x y\"\r\n", "a", "\"x y\""},
      {"Cookie: a=\"x;b=2\r\n", "a", "\"x"},
      {"Cookie: a=\"x;b=2\r\n", "b", "2"},
      {"Cookie: ;;; ,a=1;\t a = 2 ;\r\n", "a", "2"},
      {"Cookie: a=\x80\xff\r\n", "a", "\x80\xff"},
      {"Cookies: a=1\r\n", "a", nullptr},
  };
  for (const auto& row : rows) {
    const Ref<Request> r = get_of(row.fields);
    size_t len = 99;
    const char* got = r->cookie(row.name, &len);
    assert_ptr_equal(r->cookie(row.name, nullptr), got);
    if (row.expected == nullptr) {
      if (got != nullptr) fail_msg("%s", row.fields.c_str());
      assert_int_equal(len, 99);
      continue;
    }
    assert_non_null(got);
    expect_text(row.fields, got, row.expected);
    assert_int_equal(len, strlen(row.expected));
  }
}

// bad: 47
void test_request_cookie_is_searched_in_linear_time(void**) {
  for (const string& value : {string(8000, ';'), string(8000, '='), string(8000, '"'),
                              "a" + string(7900, ' ') + "=1", string(7900, ' ') + "=1"}) {
    const Ref<Request> r = get_of("Cookie: " + value + "\r\n");
    libws::scan_steps = 0;
    r->cookie("b", nullptr);
    assert_true(libws::scan_steps <= value.size());
  }
}

void test_request_peer_is_copied_and_cut(void**) {
  const Ref<Request> r = get_of("");
  assert_string_equal(r->peer(), "");
  string text = "[2001:db8::1]:443";
  r->set_peer(text.c_str());
  text[0] = 'x';
  assert_string_equal(r->peer(), "[2001:db8::1]:443");
  for (size_t n : {78u, 79u, 80u, 500u}) {
    r->set_peer(string(n, 'p').c_str());
    assert_int_equal(strlen(r->peer()), n < 79 ? n : 79);
  }
  r->set_peer("");
  assert_string_equal(r->peer(), "");
}

void test_request_local_is_asked_of_the_host_once(void**) {
  FakeHost host;
  const Ref<Request> r = get_of("");
  assert_string_equal(r->local(), "");
  r->set_host(&host);
  assert_string_equal(r->local(), "host 1");
  assert_string_equal(r->local(), "host 1");
  r->detach();
  assert_string_equal(r->local(), "host 1");
  const Ref<Request> late = get_of("");
  late->set_host(&host);
  late->detach();
  assert_string_equal(late->local(), "");
  assert_int_equal(host.asked, 1);
}

// req: 46, 109
void test_accept_reaches_the_host_once(void**) {
  FakeHost host;
  const Ref<Request> r = request_of(kUpgrade);
  r->set_host(&host);
  assert_ptr_equal(r->current_host(), &host);
  AcceptOptions how;
  how.subprotocol = "a";
  assert_int_equal(r->accept(how).code(), WS_OK);
  assert_true(r->answered());
  assert_int_equal(host.accepts, 1);
  assert_string_equal(host.subprotocol, "a");
  assert_int_equal(r->accept(how).code(), WS_ERR_STATE);
  assert_int_equal(r->respond({404, {}, {}}).code(), WS_ERR_STATE);
  r->detach();  // STATE comes first: it was answered, whatever happened since
  assert_int_equal(r->accept({}).code(), WS_ERR_STATE);
  assert_int_equal(host.accepts + host.responds, 1);
}

// bad: 52, 53
void test_accept_with_bad_arguments_changes_nothing(void**) {
  FakeHost host;
  const Ref<Request> r = request_of(kUpgrade);
  r->set_host(&host);
  AcceptOptions how;
  for (const char* protocol : {"c", "A", "", "b, a", "a\r\nX: y"}) {
    how.subprotocol = protocol;
    assert_int_equal(r->accept(how).code(), WS_ERR_INVALID);
  }
  assert_string_equal(libws::last_detail(),
                      "accept: subprotocol 'a\\x0d\\x0aX: y' was not offered");
  how.subprotocol = nullptr;
  for (const ws_header& field : {ws_header{"X", "a\r\nY: b"}, ws_header{"Upgrade", "x"},
                                 ws_header{"Connection", "x"}, ws_header{"Content-Length", "0"},
                                 ws_header{"Sec-WebSocket-Accept", "x"}, ws_header{"X Y", "z"}}) {
    how.headers = {&field, 1};
    assert_int_equal(r->accept(how).code(), WS_ERR_INVALID);
  }
  assert_false(r->answered());
  assert_int_equal(host.accepts, 0);
  assert_int_equal(r->accept({}).code(), WS_OK);
}

void test_accept_of_plain_http_is_a_state_error(void**) {
  FakeHost host;
  const Ref<Request> r = get_of("");
  r->set_host(&host);
  assert_int_equal(r->accept({}).code(), WS_ERR_STATE);
  r->detach();
  assert_int_equal(r->accept({}).code(), WS_ERR_STATE);
  assert_int_equal(host.accepts, 0);
}

// req: 45, 109
// bad: 54
void test_respond_checks_status_fields_and_body(void**) {
  FakeHost host;
  const Ref<Request> r = get_of("");
  r->set_host(&host);
  for (int status : {-1, 0, 99, 101, 199, 600, 1000}) {
    assert_int_equal(r->respond({status, {}, {}}).code(), WS_ERR_INVALID);
  }
  for (int status : {204, 205, 304}) {
    assert_int_equal(r->respond({status, {}, "x"}).code(), WS_ERR_INVALID);
  }
  const ws_header reserved = {"Transfer-Encoding", "chunked"};
  assert_int_equal(r->respond({200, {&reserved, 1}, {}}).code(), WS_ERR_INVALID);
  const ws_header forged = {"X", "a\nb"};
  assert_int_equal(r->respond({200, {&forged, 1}, {}}).code(), WS_ERR_INVALID);
  const string_view null(static_cast<const char*>(nullptr), 1);
  assert_int_equal(r->respond({200, {}, null}).code(), WS_ERR_INVALID);
  assert_false(r->answered());
  assert_int_equal(host.responds, 0);
  assert_int_equal(r->respond({404, {}, "no"}).code(), WS_OK);
  assert_int_equal(host.status, 404);
  assert_int_equal(host.body_size, 2);
  assert_int_equal(r->respond({404, {}, "no"}).code(), WS_ERR_STATE);
  assert_int_equal(host.responds, 1);
}

void test_respond_status_and_body_at_their_bounds(void**) {
  const string body(libws::kMaxResponseBody + 1, 'b');
  const struct {
    int status;
    size_t size;
    int expected;
  } rows[] = {{200, 0, WS_OK},
              {599, 0, WS_OK},
              {200, libws::kMaxResponseBody - 1, WS_OK},
              {200, libws::kMaxResponseBody, WS_OK},
              {200, libws::kMaxResponseBody + 1, WS_ERR_TOO_BIG}};
  for (const auto& row : rows) {
    FakeHost host;
    const Ref<Request> r = get_of("");
    r->set_host(&host);
    const string_view part = string_view(body).substr(0, row.size);
    assert_int_equal(r->respond({row.status, {}, part}).code(), row.expected);
    assert_int_equal(r->answered(), row.expected == WS_OK);
  }
}

// bad: 40
void test_answer_after_the_peer_is_gone_is_closed(void**) {
  FakeHost host;
  const Ref<Request> r = request_of(kUpgrade);
  assert_int_equal(r->accept({}).code(), WS_ERR_CLOSED);  // no host yet
  r->set_host(&host);
  r->detach();
  assert_int_equal(r->accept({}).code(), WS_ERR_CLOSED);
  assert_int_equal(r->respond({200, {}, {}}).code(), WS_ERR_CLOSED);
  assert_false(r->answered());
  assert_int_equal(host.accepts + host.responds, 0);
  assert_string_equal(r->path(), "/chat");  // it still reads
  assert_string_equal(r->header("X-A", nullptr), "1, 2");
}

void test_answer_that_the_host_refuses_can_be_tried_again(void**) {
  FakeHost host;
  const Ref<Request> r = request_of(kUpgrade);
  r->set_host(&host);
  host.result = WS_ERR_NOMEM;
  assert_int_equal(r->accept({}).code(), WS_ERR_NOMEM);
  assert_int_equal(r->respond({500, {}, {}}).code(), WS_ERR_NOMEM);
  host.throws = true;
  for (int i = 0; i < 2; ++i) {
    bool thrown = false;
    try {
      (void)(i == 0 ? r->accept({}) : r->respond({500, {}, {}}));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    assert_true(thrown);
  }
  assert_false(r->answered());
  host.throws = false;
  host.result = WS_OK;
  assert_int_equal(r->accept({}).code(), WS_OK);
  assert_true(r->answered());
}

// The host's reference is the last one: the call itself keeps the request alive.
// bad: 40
void test_answer_may_drop_the_last_reference(void**) {
  for (bool accept : {true, false}) {
    FakeHost host;
    host.held = request_of(kUpgrade);
    Request* r = host.held.get();
    r->set_host(&host);
    assert_int_equal((accept ? r->accept({}) : r->respond({403, {}, {}})).code(), WS_OK);
    assert_null(host.held.get());
  }
}

void test_request_outlives_its_owner_while_somebody_holds_it(void**) {
  Ref<Request> owner = request_of(kUpgrade);
  const Ref<Request> other = owner;
  assert_false(other->unique());
  owner = {};
  assert_true(other->unique());
  assert_string_equal(other->query(), "room=1");
}

// The whole way of a request, each allocation failing in turn.
void test_request_out_of_memory_throws_and_leaks_nothing(void**) {
  const string long_value(300, 'v');
  const string input = "GET /" + string(100, 'p') + "?q HTTP/1.1\r\nHost: h\r\n" +
                       kUpgrade.substr(kUpgrade.find("Upgrade")).substr(0, kUpgrade.size());
  const string with_more = input.substr(0, input.size() - 2) + "X: " + long_value +
                           "\r\nX: " + long_value + "\r\nCookie: c=" + long_value +
                           "\r\nSec-WebSocket-Extensions: a; b=" + long_value + "\r\n\r\n";
  const int allocations = FailingAllocator::run([&] {
    HeadParser parser(Kind::kRequest, {});
    size_t used = 0;
    assert_int_equal(parser.feed(libws::bytes(with_more), &used), Result::kDone);
    Head head = parser.take();
    libws::Vector<string_view> protocols;
    const libws::RequestVerdict v = libws::check_request(head, &protocols);
    assert_int_equal(v.status, 0);
    const Ref<Request> r = Ref<Request>::adopt(new Request(std::move(head), v, protocols));
    r->header("X", nullptr);
    r->header("X-A", nullptr);
    r->cookie("c", nullptr);
    FakeHost host;
    r->set_host(&host);
    assert_int_equal(r->accept({}).code(), WS_OK);
  });
  assert_true(allocations >= 12);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_request_tells_what_was_received),
      cmocka_unit_test(test_request_extensions_are_those_offered_and_outlive_the_input),
      cmocka_unit_test(test_request_offers_its_subprotocols_in_order),
      cmocka_unit_test(test_request_path_query_and_host_of_each_target_form),
      cmocka_unit_test(test_request_cookie_is_found_by_its_exact_name),
      cmocka_unit_test(test_request_cookie_is_searched_in_linear_time),
      cmocka_unit_test(test_request_peer_is_copied_and_cut),
      cmocka_unit_test(test_request_local_is_asked_of_the_host_once),
      cmocka_unit_test(test_accept_reaches_the_host_once),
      cmocka_unit_test(test_accept_with_bad_arguments_changes_nothing),
      cmocka_unit_test(test_accept_of_plain_http_is_a_state_error),
      cmocka_unit_test(test_respond_checks_status_fields_and_body),
      cmocka_unit_test(test_respond_status_and_body_at_their_bounds),
      cmocka_unit_test(test_answer_after_the_peer_is_gone_is_closed),
      cmocka_unit_test(test_answer_that_the_host_refuses_can_be_tried_again),
      cmocka_unit_test(test_answer_may_drop_the_last_reference),
      cmocka_unit_test(test_request_outlives_its_owner_while_somebody_holds_it),
      cmocka_unit_test(test_request_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
