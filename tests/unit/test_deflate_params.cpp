// Agreeing on permessage-deflate: what a server answers to which offers, what a client offers, and
// which answers it takes (RFC 7692 5, 7.1).

#include "http_support.hpp"

using namespace http_test;
using libws::DeflateAgreed;
using libws::DeflateWish;
using libws::Extension;
using libws::String;
using Extensions = libws::Vector<Extension>;

namespace {

// Of 15 bits, so that a window is limited only where a row says so.
constexpr DeflateWish kDedicated = {true, true, true, true, 15};
constexpr DeflateWish kShared = {true, true, false, false, 12};
// Without compressing anything itself; some servers only serve what is compressed.
constexpr DeflateWish kOnlyInflates = {true, false, true, true, 15};

constexpr DeflateWish window_of(uint8_t bits, DeflateWish wish = kDedicated) {
  wish.window_bits = bits;
  return wish;
}

Extensions parsed(string_view value) {
  Extensions list;
  assert_true(libws::parse_extensions(value, &list));
  return list;
}

// "send 15+ recv 12": the bits each way, "+" with takeover; "plain" when nothing is compressed.
string dump(const DeflateAgreed& agreed) {
  if (!agreed.on) {
    assert_false(agreed.compresses || agreed.send_takeover || agreed.recv_takeover);
    return "off";
  }
  return "send " + std::to_string(agreed.send_bits) + (agreed.send_takeover ? "+" : "") + " recv " +
         std::to_string(agreed.recv_bits) + (agreed.recv_takeover ? "+" : "") +
         (agreed.compresses ? "" : " plain");
}

// The server's: "[answer] what was agreed".
string accepted(string_view offers, const DeflateWish& wish) {
  String answer;
  const DeflateAgreed agreed = libws::accept_deflate(parsed(offers), wish, answer);
  if (!agreed.on) assert_true(answer.empty());
  return agreed.on ? "[" + string(answer) + "] " + dump(agreed) : "off";
}

string offer_of(const DeflateWish& wish) {
  String out;
  libws::append_deflate_offer(out, wish);
  return string(out);
}

// The client's: what was agreed, or "fails: why".
string checked(string_view answer, const DeflateWish& wish) {
  // Something that must not be left standing.
  DeflateAgreed agreed = {true, true, true, 9, 9, true};
  const char* wrong = libws::check_deflate_answer(parsed(answer), wish, &agreed);
  if (wrong == nullptr) return dump(agreed);
  assert_false(agreed.on);
  return string("fails: ") + wrong;
}

constexpr const char* kTwice = "fails: permessage-deflate has a parameter twice";
constexpr const char* kUnknown = "fails: permessage-deflate has an unknown parameter";
constexpr const char* kFlagValue =
    "fails: permessage-deflate has a no_context_takeover with a value";
constexpr const char* kBadBits =
    "fails: permessage-deflate has a max_window_bits that is not 8 to 15";

// Parameters that are wrong whoever sends them.
const struct {
  const char* params;
  const char* why;
} kMalformed[] = {
    {"; x", kUnknown},
    {"; x=1", kUnknown},
    {"; Server_no_context_takeover", kUnknown},
    {"; server_no_context_takeovers", kUnknown},
    {"; client_max_window_bit=10", kUnknown},
    {"; constructor", kUnknown},
    {"; client_no_context_takeover; x", kUnknown},
    {"; server_no_context_takeover=1", kFlagValue},
    {"; server_no_context_takeover=true", kFlagValue},
    {"; server_no_context_takeover=\"1\"", kFlagValue},
    {"; client_no_context_takeover=0", kFlagValue},
    {"; client_no_context_takeover; server_no_context_takeover=1", kFlagValue},
    {"; server_no_context_takeover; server_no_context_takeover", kTwice},
    {"; client_no_context_takeover; client_no_context_takeover", kTwice},
    {"; server_max_window_bits=10; server_max_window_bits=10", kTwice},
    {"; server_max_window_bits=10; server_max_window_bits=11", kTwice},
    {"; client_max_window_bits=10; client_max_window_bits=10", kTwice},
    {"; client_max_window_bits=15; x; client_max_window_bits=15", kUnknown},
    {"; client_max_window_bits=15; server_no_context_takeover; client_max_window_bits", kTwice},
    {"; server_max_window_bits", kBadBits},
    {"; server_max_window_bits=7", kBadBits},
    {"; server_max_window_bits=16", kBadBits},
    {"; server_max_window_bits=1000", kBadBits},
    {"; server_max_window_bits=08", kBadBits},
    {"; server_max_window_bits=010", kBadBits},
    {"; server_max_window_bits=\"08\"", kBadBits},
    {"; server_max_window_bits=abc", kBadBits},
    {"; server_max_window_bits=-9", kBadBits},
    {"; server_max_window_bits=+9", kBadBits},
    {"; server_max_window_bits=0xa", kBadBits},
    {"; server_max_window_bits=10.0", kBadBits},
    {"; server_max_window_bits=18446744073709551626", kBadBits},  // 2^64 + 10
    {"; client_max_window_bits=7", kBadBits},
    {"; client_max_window_bits=16", kBadBits},
    {"; client_max_window_bits=0", kBadBits},
    {"; client_max_window_bits=09", kBadBits},
    {"; client_max_window_bits=true", kBadBits},
    {"; client_max_window_bits=00000000000000000010", kBadBits},
};

// req: 141, 147, 148, 152, 154
void test_accept_answers_what_was_offered_and_wished(void**) {
  const string name = "permessage-deflate";
  const struct {
    const char* offer;
    DeflateWish wish;
    const char* expected;  // after "[permessage-deflate"
  } rows[] = {
      {"", kDedicated, "] send 15+ recv 15+"},
      {"", window_of(12), "] send 12+ recv 15+"},
      {"; server_no_context_takeover", kDedicated,
       "; server_no_context_takeover] send 15 recv 15+"},
      {"; client_no_context_takeover", kDedicated,
       "; client_no_context_takeover] send 15+ recv 15"},
      // Without takeover the window costs nobody anything.
      {"; server_no_context_takeover", window_of(12),
       "; server_no_context_takeover] send 15 recv 15+"},
      {"; server_max_window_bits=12", kDedicated, "; server_max_window_bits=12] send 12+ recv 15+"},
      {"; server_max_window_bits=12", window_of(10),
       "; server_max_window_bits=10] send 10+ recv 15+"},
      {"; server_max_window_bits=10", window_of(12),
       "; server_max_window_bits=10] send 10+ recv 15+"},
      {"; server_max_window_bits=15", kDedicated, "; server_max_window_bits=15] send 15+ recv 15+"},
      {"; server_max_window_bits=\"1\\2\"", kDedicated,
       "; server_max_window_bits=12] send 12+ recv 15+"},
      {"; client_max_window_bits", kDedicated, "] send 15+ recv 15+"},
      {"; client_max_window_bits", window_of(12), "; client_max_window_bits=12] send 12+ recv 12+"},
      {"; client_max_window_bits=15", kDedicated, "] send 15+ recv 15+"},
      {"; client_max_window_bits=14", kDedicated, "; client_max_window_bits=14] send 15+ recv 14+"},
      {"; client_max_window_bits=10", window_of(12),
       "; client_max_window_bits=10] send 12+ recv 10+"},
      {"; client_max_window_bits=13", window_of(12),
       "; client_max_window_bits=12] send 12+ recv 12+"},
      {"; client_max_window_bits=8", window_of(12), "; client_max_window_bits=8] send 12+ recv 8+"},
      {"; client_max_window_bits=10; client_no_context_takeover", window_of(12),
       "; client_no_context_takeover] send 12+ recv 15"},
      {"", kShared, "; server_no_context_takeover; client_no_context_takeover] send 15 recv 15"},
      {"; client_max_window_bits=9; server_max_window_bits=9", kShared,
       "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9]"
       " send 9 recv 15"},
      {"; client_max_window_bits=10; server_max_window_bits=11; client_no_context_takeover; "
       "server_no_context_takeover",
       kDedicated,
       "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11]"
       " send 11 recv 15"},
      {"; client_max_window_bits=9; server_max_window_bits=10", kDedicated,
       "; server_max_window_bits=10; client_max_window_bits=9] send 10+ recv 9+"},
      {"", kOnlyInflates, "] send 15+ recv 15+ plain"},
      {"; server_max_window_bits=8", kOnlyInflates,
       "; server_max_window_bits=8] send 8+ recv 15+ plain"},
  };
  for (const auto& row : rows) {
    expect_text(row.offer, accepted(name + row.offer, row.wish), "[" + name + row.expected);
    // Not a word of what the server wants can be said when it wants nothing.
    expect_text(row.offer, accepted(name + row.offer, {}), "off");
  }
}

// Every wish, against every offer that is well-formed.
// req: 147, 152, 154
void test_accept_keeps_every_promise_of_every_offer(void**) {
  const auto bits_named = [](int bits) { return "=" + std::to_string(bits); };
  for (int w = 0; w < 8 * 7; ++w) {
    const DeflateWish wish = {true, (w & 1) != 0, (w & 2) != 0, (w & 4) != 0,
                              static_cast<uint8_t>(9 + w / 8)};
    for (int o = 0; o < 4 * 9 * 10; ++o) {
      const bool no_server = (o & 1) != 0, no_client = (o & 2) != 0;
      const int server = 7 + o / 4 % 9;  // 7: not there
      const int client = 7 + o / 36;     // the same, and 16: without a value
      string offer = "permessage-deflate";
      if (client == 16) offer += "; client_max_window_bits";
      if (client > 7 && client < 16) offer += "; client_max_window_bits" + bits_named(client);
      if (no_client) offer += "; client_no_context_takeover";
      if (server > 7) offer += "; server_max_window_bits" + bits_named(server);
      if (no_server) offer += "; server_no_context_takeover";

      String text;
      const DeflateAgreed agreed = libws::accept_deflate(parsed(offer), wish, text);
      assert_int_equal(agreed.on, server != 8 || !wish.compresses);
      if (!agreed.on) continue;
      const string answer(text);
      const auto says = [&](const string& what) { return answer.find(what) != string::npos; };
      assert_int_equal(agreed.send_takeover, wish.send_takeover && !no_server);
      assert_int_equal(agreed.recv_takeover, wish.recv_takeover && !no_client);
      assert_int_equal(says("; server_no_context_takeover"), !agreed.send_takeover);
      assert_int_equal(says("; client_no_context_takeover"), !agreed.recv_takeover);
      assert_int_equal(says("; server_max_window_bits"), server > 7);
      if (server > 7) {
        assert_true(says("; server_max_window_bits" + bits_named(agreed.send_bits)));
        assert_true(agreed.send_bits <= server);
      }
      assert_true(!agreed.send_takeover || agreed.send_bits <= wish.window_bits);
      assert_int_equal(says("; client_max_window_bits"), agreed.recv_bits < 15);
      if (agreed.recv_bits < 15) {
        assert_true(client > 7 && agreed.recv_bits <= client);
        assert_true(says("; client_max_window_bits" + bits_named(agreed.recv_bits)));
      }
      assert_int_equal(agreed.compresses, wish.compresses);
      assert_true(agreed.send_bits >= (agreed.compresses ? 9 : 8));
    }
  }
}

// req: 142, 150, 151, 152
// bad: 155
void test_accept_declines_an_offer_that_is_malformed(void**) {
  const string name = "permessage-deflate";
  const string taken = "[permessage-deflate] send 15+ recv 15+";
  for (const auto& row : kMalformed) {
    expect_text(row.params, accepted(name + row.params, kDedicated), "off");
    expect_text(row.params, accepted(name + row.params, kShared), "off");
    expect_text(row.params, accepted(name + row.params + ", " + name, kDedicated), taken);
    expect_text(row.params, accepted(name + ", " + name + row.params, kDedicated), taken);
  }
  const string repeated = name + "; client_max_window_bits; client_max_window_bits";
  expect_text(repeated, accepted(repeated, kDedicated), "off");
}

// req: 142
// bad: 155
void test_accept_declines_more_parameters_than_are_kept(void**) {
  for (size_t n : {libws::kMaxExtensionParams - 1, libws::kMaxExtensionParams,
                   libws::kMaxExtensionParams + 1, size_t{1000}}) {
    string offer = "permessage-deflate";
    for (size_t i = 0; i < n; ++i) offer += "; client_max_window_bits";
    expect_text("many", accepted(offer, kDedicated), "off");
    expect_text("many", accepted(offer + ", permessage-deflate", kDedicated),
                "[permessage-deflate] send 15+ recv 15+");
  }
}

// req: 141
void test_accept_takes_the_first_offer_that_it_can(void**) {
  const struct {
    const char* offers;
    const char* expected;
  } rows[] = {
      {"", "off"},
      {"x", "off"},
      {"x-webkit-deflate-frame, permessage-bzip2; x", "off"},
      {"Permessage-Deflate", "off"},
      {"permessage-deflate2, permessage", "off"},
      {"x; server_max_window_bits=10, permessage-deflate",
       "[permessage-deflate] send 15+ recv 15+"},
      {"permessage-deflate; server_max_window_bits=10, permessage-deflate",
       "[permessage-deflate; server_max_window_bits=10] send 10+ recv 15+"},
      {"permessage-deflate, permessage-deflate; server_max_window_bits=10",
       "[permessage-deflate] send 15+ recv 15+"},
      {"permessage-deflate; server_max_window_bits=7, x, "
       "permessage-deflate; server_max_window_bits=10, permessage-deflate",
       "[permessage-deflate; server_max_window_bits=10] send 10+ recv 15+"},
      {"permessage-deflate; y, permessage-deflate; client_no_context_takeover, permessage-deflate",
       "[permessage-deflate; client_no_context_takeover] send 15+ recv 15"},
  };
  for (const auto& row : rows)
    expect_text(row.offers, accepted(row.offers, kDedicated), row.expected);
  // What a declined offer said does not rub off on the next.
  for (const auto& row : kMalformed) {
    expect_text(
        row.params,
        accepted("permessage-deflate; server_no_context_takeover; client_max_window_bits=9" +
                     string(row.params) + ", permessage-deflate; server_max_window_bits=11",
                 kDedicated),
        "[permessage-deflate; server_max_window_bits=11] send 11+ recv 15+");
  }
}

// bad: 18
void test_accept_looks_at_16_offers(void**) {
  for (size_t n : {libws::kMaxExtensions - 1, libws::kMaxExtensions, libws::kMaxExtensions + 1,
                   size_t{1000}}) {
    string offers;
    for (size_t i = 1; i < n; ++i) offers += "permessage-deflate; x, ";
    expect_text("the last of many", accepted(offers + "permessage-deflate", kDedicated),
                n <= libws::kMaxExtensions ? "[permessage-deflate] send 15+ recv 15+" : "off");
  }
}

// req: 142, 152
// bad: 157
void test_accept_window_of_8_is_declined_by_one_that_compresses(void**) {
  const string offer = "permessage-deflate; server_max_window_bits=";
  for (const DeflateWish& wish : {kDedicated, kShared, window_of(9)}) {
    expect_text("8", accepted(offer + "8", wish), "off");
    expect_text("\"8\"", accepted(offer + "\"8\"", wish), "off");
    assert_true(accepted(offer + "9", wish).find("server_max_window_bits=9") != string::npos);
    assert_true(accepted(offer + "8, permessage-deflate", wish) ==
                accepted("permessage-deflate", wish));
  }
  expect_text("8", accepted(offer + "8", kOnlyInflates),
              "[permessage-deflate; server_max_window_bits=8] send 8+ recv 15+ plain");
  expect_text("9", accepted(offer + "9", kOnlyInflates),
              "[permessage-deflate; server_max_window_bits=9] send 9+ recv 15+ plain");
}

// Every value of one to three characters, in either role.
// req: 151, 153
// bad: 61, 155
void test_window_bits_are_8_to_15_and_nothing_else(void**) {
  const string_view alphabet = "0123456789+-.ax";
  std::vector<string> values = {""}, longer;
  int good = 0;
  for (int length = 1; length <= 3; ++length) {
    longer.clear();
    for (const string& value : values) {
      for (char c : alphabet) longer.push_back(value + c);
    }
    values = longer;
    for (const string& value : values) {
      const size_t number =
          value.find_first_not_of("0123456789") == string::npos ? std::stoul(value) : 0;
      const bool is_good = number >= 8 && number <= 15 && std::to_string(number) == value;
      good += is_good;
      for (const char* name : {"; server_max_window_bits=", "; client_max_window_bits="}) {
        const string text = "permessage-deflate" + string(name) + value;
        if ((accepted(text, kOnlyInflates) != "off") != is_good) fail_msg("%s", text.c_str());
        if (is_good != (checked(text, kOnlyInflates) != kBadBits)) fail_msg("%s", text.c_str());
      }
    }
  }
  assert_int_equal(good, 8);
}

// req: 155
void test_offer_says_what_is_wished(void**) {
  const string alone = "permessage-deflate; server_no_context_takeover; ";
  DeflateWish sends = kShared, receives = kShared;
  sends.send_takeover = true;
  receives.recv_takeover = true;
  const struct {
    DeflateWish wish;
    string expected;
  } rows[] = {
      {{}, ""},
      {{false, true, true, true, 12}, ""},
      {kDedicated, "permessage-deflate; client_max_window_bits"},
      {window_of(14), "permessage-deflate; server_max_window_bits=14; client_max_window_bits, " +
                          alone + "client_max_window_bits"},
      {window_of(9), "permessage-deflate; server_max_window_bits=9; client_max_window_bits, " +
                         alone + "client_max_window_bits"},
      {kShared, alone + "client_no_context_takeover; client_max_window_bits"},
      {window_of(15, kShared), alone + "client_no_context_takeover; client_max_window_bits"},
      {window_of(12, sends), alone + "client_max_window_bits"},
      {window_of(15, sends), alone + "client_max_window_bits"},
      {receives,
       "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; "
       "client_max_window_bits, " +
           alone + "client_no_context_takeover; client_max_window_bits"},
      {window_of(15, receives),
       "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
      {kOnlyInflates, "permessage-deflate; client_max_window_bits"},
  };
  for (const auto& row : rows) expect_text("offer", offer_of(row.wish), row.expected);
}

// req: 148, 149, 153, 155
void test_answer_that_accepts_an_offer_is_agreed_on(void**) {
  const struct {
    const char* params;
    DeflateWish wish;
    const char* expected;
  } rows[] = {
      {"", kDedicated, "send 15+ recv 15+"},
      {"; server_no_context_takeover", kDedicated, "send 15+ recv 15"},
      {"; client_no_context_takeover", kDedicated, "send 15 recv 15+"},
      {"; client_no_context_takeover; server_no_context_takeover", kDedicated, "send 15 recv 15"},
      {"; client_max_window_bits=15", kDedicated, "send 15+ recv 15+"},
      {"; client_max_window_bits=9", kDedicated, "send 9+ recv 15+"},
      {"; client_max_window_bits=\"10\"", kDedicated, "send 10+ recv 15+"},
      // RFC 7692 7.1.2.1: without having been asked.
      {"; server_max_window_bits=8", kDedicated, "send 15+ recv 8+"},
      {"; server_max_window_bits=14", kDedicated, "send 15+ recv 14+"},
      {"; server_max_window_bits=15", kDedicated, "send 15+ recv 15+"},
      {"; server_max_window_bits=12", window_of(12), "send 12+ recv 12+"},
      {"; server_max_window_bits=11", window_of(12), "send 12+ recv 11+"},
      {"; server_max_window_bits=12; client_max_window_bits=12", window_of(12),
       "send 12+ recv 12+"},
      {"; client_max_window_bits=11; server_max_window_bits=12", window_of(12),
       "send 11+ recv 12+"},
      {"; server_max_window_bits=12; server_no_context_takeover", window_of(12),
       "send 12+ recv 12"},
      // The second offer, which asks for no window.
      {"; server_no_context_takeover", window_of(12), "send 12+ recv 15"},
      {"; server_no_context_takeover; server_max_window_bits=13", window_of(12),
       "send 12+ recv 13"},
      // Our window is for takeover, which was given up.
      {"; server_no_context_takeover; client_no_context_takeover", window_of(12),
       "send 15 recv 15"},
      // We may always use less than we may.
      {"; server_max_window_bits=12; client_max_window_bits=13", window_of(12),
       "send 12+ recv 12+"},
      {"; server_no_context_takeover; client_max_window_bits=15", window_of(12),
       "send 12+ recv 15"},
      {"; server_no_context_takeover", kShared, "send 15 recv 15"},
      {"; server_no_context_takeover; client_no_context_takeover", kShared, "send 15 recv 15"},
      {"; server_no_context_takeover; client_max_window_bits=13", kShared, "send 13 recv 15"},
      {"; server_no_context_takeover; server_max_window_bits=10", kShared, "send 15 recv 10"},
      {"", kOnlyInflates, "send 15+ recv 15+ plain"},
  };
  for (const auto& row : rows) {
    expect_text(row.params, checked("permessage-deflate" + string(row.params), row.wish),
                row.expected);
  }
  expect_text("declined", checked("", kDedicated), "off");
  expect_text("not offered", checked("", {}), "off");
}

// zlib cannot deflate raw data into 256 bytes, and RFC 7692 7.1.2.2 leaves a client no way to say
// so. req: 155
void test_answer_with_a_window_of_8_sends_messages_as_they_are(void**) {
  const string name = "permessage-deflate; client_max_window_bits=";
  expect_text("8", checked(name + "8", kDedicated), "send 8+ recv 15+ plain");
  expect_text("9", checked(name + "9", kDedicated), "send 9+ recv 15+");
  expect_text("8", checked(name + "8; server_no_context_takeover", kShared),
              "send 8 recv 15 plain");
}

// req: 143, 150, 151, 153
// bad: 60, 61
void test_answer_that_is_malformed_fails(void**) {
  const string name = "permessage-deflate";
  for (const auto& row : kMalformed) {
    expect_text(row.params, checked(name + row.params, kDedicated), row.why);
    // Everything that could be right about it.
    const string right = name + "; server_max_window_bits=9";
    if (string_view(row.params).find("server_max") == string_view::npos) {
      expect_text(row.params, checked(right + row.params, window_of(9)), row.why);
    }
    expect_text(row.params, checked(name + row.params, {}),
                "fails: an extension that was not offered");
  }
  // What an offer may leave out, an answer may not.
  expect_text("no value", checked(name + "; client_max_window_bits", kDedicated), kBadBits);
  expect_text("no value", checked(name + "; client_max_window_bits; x", kDedicated), kBadBits);
  for (size_t n : {libws::kMaxExtensionParams, libws::kMaxExtensionParams + 1}) {
    string many = name;
    for (size_t i = 0; i < n; ++i) many += "; client_no_context_takeover";
    expect_text("many", checked(many, kDedicated), kTwice);
  }
}

// req: 143
// bad: 60, 62
void test_answer_that_is_no_single_permessage_deflate_fails(void**) {
  const char* other = "fails: an extension that was not offered";
  const char* twice = "fails: permessage-deflate is there twice";
  for (const DeflateWish& wish : {kDedicated, kShared, kOnlyInflates}) {
    expect_text("other", checked("x", wish), other);
    expect_text("case", checked("permessage-Deflate", wish), other);
    expect_text("both", checked("permessage-deflate, x", wish), other);
    expect_text("both", checked("x, permessage-deflate", wish), other);
    expect_text("twice", checked("permessage-deflate, permessage-deflate", wish), twice);
    string many = "permessage-deflate";
    for (size_t i = 0; i < libws::kMaxExtensions; ++i) many += ", permessage-deflate";
    expect_text("many", checked(many, wish), twice);
  }
  // An answer to a client that offers nothing, right as it may be.
  expect_text("off", checked("permessage-deflate", {}), other);
  expect_text("off", checked("permessage-deflate; client_max_window_bits=10", {}), other);
}

// req: 143, 153, 154, 155
// bad: 61, 62
void test_answer_that_accepts_none_of_the_offers_fails(void**) {
  const char* no_flag = "fails: server_no_context_takeover was asked for and is missing";
  const char* no_bits = "fails: server_max_window_bits was asked for and is missing";
  const char* server_large = "fails: server_max_window_bits is larger than offered";
  DeflateWish sends = kShared;
  sends.send_takeover = true;
  const struct {
    const char* params;
    DeflateWish wish;
    const char* why;
  } rows[] = {
      {"", kShared, no_flag},
      {"; client_no_context_takeover; server_max_window_bits=9", kShared, no_flag},
      {"; client_max_window_bits=10", sends, no_flag},
      {"", window_of(12), no_bits},
      {"; client_max_window_bits=12", window_of(14), no_bits},
      {"; server_max_window_bits=13", window_of(12), server_large},
      {"; server_max_window_bits=15", window_of(14), server_large},
      {"; server_max_window_bits=10", window_of(9), server_large},
  };
  for (const auto& row : rows) {
    expect_text(row.params, checked("permessage-deflate" + string(row.params), row.wish), row.why);
  }
}

// Whatever two of us wish, they agree, on the same, and neither gets what it did not ask for.
// req: 141, 147, 149, 152, 154, 155
void test_client_and_server_agree_whatever_they_wish(void**) {
  std::vector<DeflateWish> wishes;
  for (int w = 0; w < 8 * 7; ++w) {
    wishes.push_back(
        {true, (w & 1) != 0, (w & 2) != 0, (w & 4) != 0, static_cast<uint8_t>(9 + w / 8)});
  }
  for (const DeflateWish& client_wish : wishes) {
    const string offer = offer_of(client_wish);
    for (const DeflateWish& server_wish : wishes) {
      String answer;
      const DeflateAgreed server = libws::accept_deflate(parsed(offer), server_wish, answer);
      assert_true(server.on);
      DeflateAgreed client;
      assert_null(libws::check_deflate_answer(parsed(answer), client_wish, &client));
      assert_true(client.on);
      assert_int_equal(client.send_takeover, server.recv_takeover);
      assert_int_equal(client.recv_takeover, server.send_takeover);
      assert_int_equal(client.send_takeover,
                       client_wish.send_takeover && server_wish.recv_takeover);
      assert_int_equal(client.recv_takeover,
                       client_wish.recv_takeover && server_wish.send_takeover);
      // What one keeps is enough for what the other refers to, and no more than it wished to keep.
      assert_true(client.send_bits <= server.recv_bits && server.send_bits <= client.recv_bits);
      assert_true(!server.recv_takeover || server.recv_bits <= server_wish.window_bits);
      assert_true(!client.recv_takeover || client.recv_bits <= client_wish.window_bits);
      assert_int_equal(client.compresses, client_wish.compresses);
      assert_int_equal(server.compresses, server_wish.compresses);
    }
  }
}

void test_deflate_params_out_of_memory_throws_and_leaks_nothing(void**) {
  const Extensions offers = parsed("permessage-deflate; server_max_window_bits=12");
  const int allocations = FailingAllocator::run([&] {
    String out;
    libws::append_deflate_offer(out, window_of(12));
    String answer;
    assert_true(libws::accept_deflate(offers, kDedicated, answer).on);
  });
  assert_true(allocations >= 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_accept_answers_what_was_offered_and_wished),
      cmocka_unit_test(test_accept_keeps_every_promise_of_every_offer),
      cmocka_unit_test(test_accept_declines_an_offer_that_is_malformed),
      cmocka_unit_test(test_accept_declines_more_parameters_than_are_kept),
      cmocka_unit_test(test_accept_takes_the_first_offer_that_it_can),
      cmocka_unit_test(test_accept_looks_at_16_offers),
      cmocka_unit_test(test_accept_window_of_8_is_declined_by_one_that_compresses),
      cmocka_unit_test(test_window_bits_are_8_to_15_and_nothing_else),
      cmocka_unit_test(test_offer_says_what_is_wished),
      cmocka_unit_test(test_answer_that_accepts_an_offer_is_agreed_on),
      cmocka_unit_test(test_answer_with_a_window_of_8_sends_messages_as_they_are),
      cmocka_unit_test(test_answer_that_is_malformed_fails),
      cmocka_unit_test(test_answer_that_is_no_single_permessage_deflate_fails),
      cmocka_unit_test(test_answer_that_accepts_none_of_the_offers_fails),
      cmocka_unit_test(test_client_and_server_agree_whatever_they_wish),
      cmocka_unit_test(test_deflate_params_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
