// Authorization: Basic and Bearer, their base64, and the comparison that tells nothing by its time.

#include "libws/base/crypto.hpp"
#include "libws/protocol/credentials.hpp"

#include "http_support.hpp"  // last: it has cmocka's fail()

using namespace http_test;

namespace {

Head head_with(const string& fields) {
  return head_of(Kind::kRequest, "GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
}

string encoded(string_view plain) {
  string out(libws::base64_size(plain.size()), '\0');
  libws::base64_encode(libws::bytes(plain), out.data());
  return out;
}

// "user|password", "none", or "bad: why".
string basic(const string& value) {
  const Head head = head_with(value.empty() ? "" : "Authorization: " + value + "\r\n");
  libws::BasicCredentials out;
  bool found = false;
  const libws::Error e = libws::read_basic(head, &out, &found);
  if (e.failed()) {
    assert_int_equal(e.code(), WS_ERR_HTTP);
    assert_false(found);
    return "bad: "s + libws::last_detail();
  }
  return found ? string(out.user) + "|" + string(out.password) : "none";
}

void test_basic_is_user_and_password_of_rfc7617(void**) {
  // The samples of RFC 7617, sections 2 and 2.1.
  expect_text("sample", basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Aladdin|open sesame");
  expect_text("UTF-8", basic("Basic dGVzdDoxMjPCow=="), "test|123\xc2\xa3");
  for (const char* scheme : {"basic ", "BASIC ", "Basic    "}) {
    expect_text(scheme, basic(scheme + encoded("a:b")), "a|b");
  }
  expect_text("colons", basic("Basic " + encoded("a:b:c:")), "a|b:c:");
  expect_text("empty user", basic("Basic " + encoded(":b")), "|b");
  expect_text("empty password", basic("Basic " + encoded("a:")), "a|");
  expect_text("both empty", basic("Basic " + encoded(":")), "|");
  const string user(3000, 'u'), password(3000, 'p');
  expect_text("long", basic("Basic " + encoded(user + ":" + password)), user + "|" + password);
  for (const char* none : {"", "Bearer abc", "Basically YTpi", "Digest x", "YTpi"}) {
    expect_text(none, basic(none), "none");
  }
}

void test_basic_that_is_malformed_is_refused(void**) {
  const string bad_base64 = "bad: basic: what follows the scheme is not base64";
  for (const char* value : {"Basic", "Basic YTpi=", "Basic YTp", "Basic YTpiYw",
                            "Basic YTpiYw=", "Basic YTpiYx==", "Basic YTo=YTo=", "Basic YT pi",
                            "Basic YTpi YTpi", "Basic ====", "Basic Y===", "Basic YTp-",
                            "Basic \"YTpi\"", "Basic YTpi,", "Basic YTpi, Basic YTpi"}) {
    expect_text(value, basic(value), bad_base64);
  }
  expect_text("no colon", basic("Basic " + encoded("ab")), "bad: basic: there is no colon");
  for (const string& pair : {"a\0:b"s, "a:\0"s, "a:b\n"s, "\ta:b"s, "a:\x7f"s, "\x1f:"s}) {
    expect_text(pair, basic("Basic " + encoded(pair)), "bad: basic: there is a control character");
  }
  expect_text("twice", basic("Basic YTpi\r\nAuthorization: Basic YTpi"),
              "bad: basic: more than one Authorization");
  expect_text("twice, in two schemes", basic("Bearer a\r\nauthorization: Basic YTpi"),
              "bad: basic: more than one Authorization");
}

string bearer(const string& value) {
  const Head head = head_with(value.empty() ? "" : "Authorization: " + value + "\r\n");
  const string_view token = libws::read_bearer(head);
  if (!token.empty()) assert_int_equal(token.data()[token.size()], '\0');
  return string(token);
}

void test_bearer_is_a_token_of_rfc6750(void**) {
  expect_text("sample", bearer("Bearer mF_9.B5f-4.1JqM"), "mF_9.B5f-4.1JqM");
  expect_text("all that may stand there", bearer("bearer   aZ09-._~+/=="), "aZ09-._~+/==");
  expect_text("one", bearer("BEARER a"), "a");
  for (const char* none :
       {"", "Bearer", "Bearer =", "Bearer a=b", "Bearer a b", "Bearer a,b", "Bearer \"a\"",
        "Bearer a\tb", "Bearers a", "Basic YTpi", "Bearer a\r\nAuthorization: Bearer a"}) {
    expect_text(none, bearer(none), "");
  }
}

void test_base64_decodes_what_it_encodes_and_nothing_else(void**) {
  std::mt19937 random(1);
  for (size_t n = 0; n < 200; ++n) {
    string plain(n, '\0');
    for (char& c : plain) c = static_cast<char>(random());
    const string text = encoded(plain);
    string out(text.size() / 4 * 3, '\0');
    size_t len = 0;
    assert_true(libws::base64_decode(text, reinterpret_cast<uint8_t*>(out.data()), &len));
    expect_text("decoded", out.substr(0, len), plain);
    for (size_t cut = 1; cut < 4 && cut <= text.size(); ++cut) {
      assert_false(
          libws::base64_decode(text.substr(cut), reinterpret_cast<uint8_t*>(out.data()), &len));
    }
    if (n == 0) continue;
    string bad = text;
    bad[random() % bad.size()] = "\n -_\xff."[random() % 6];
    assert_false(libws::base64_decode(bad, reinterpret_cast<uint8_t*>(out.data()), &len));
  }
}

void test_secrets_are_equal_when_every_byte_is(void**) {
  const auto equal = [](string_view a, string_view b) {
    return libws::crypto_equal(libws::bytes(a), libws::bytes(b));
  };
  assert_true(equal("", ""));
  assert_true(equal(string_view(), ""));
  assert_true(equal("secret", "secret"s));
  assert_false(equal("secret", "secre"));
  assert_false(equal("", "a"));
  const string secret(100, 's');
  for (size_t i = 0; i < secret.size(); ++i) {
    string other = secret;
    other[i] = static_cast<char>(other[i] ^ (1 << i % 8));
    assert_false(equal(secret, other));
  }
  assert_false(equal("a\0b"sv, "a\0c"sv));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_basic_is_user_and_password_of_rfc7617),
      cmocka_unit_test(test_basic_that_is_malformed_is_refused),
      cmocka_unit_test(test_bearer_is_a_token_of_rfc6750),
      cmocka_unit_test(test_base64_decodes_what_it_encodes_and_nothing_else),
      cmocka_unit_test(test_secrets_are_equal_when_every_byte_is),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
