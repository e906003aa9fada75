// The queue to Redis: its bound, and what becomes of a message.
#include "outbox.hpp"

#include "parts.hpp"

#include <cstring>
#include <vector>

using namespace libws_redis;

namespace {

constexpr uint64_t kCost = 1 + 1 + 64;  // payload, topic, and what an item costs

void push(Outbox* box, const char* text) {
  ws_message* m = nullptr;
  assert_int_equal(ws_message_new(WS_OP_TEXT, text, strlen(text), &m), WS_OK);
  box->push("t", m);
  ws_message_unref(m);
}

// The payloads and numbers of the next commands: "a1 b2".
std::string sent(Outbox* box, int count) {
  std::string all, out;
  for (int i = 0; i < count && box->next(&out); ++i, out.clear()) {
    size_t end = out.size() - 2;  // CR LF
    all += all.empty() ? "" : " ";
    all += out[end - 1];
    all += std::to_string(out[end - 2]);
  }
  return all;
}

void test_outbox_sends_in_order_and_counts_answers(void**) {
  Outbox box("ws:", OriginId(), 1000);
  for (const char* text : {"a", "b", "c"}) push(&box, text);
  assert_int_equal(box.bytes(), 3 * kCost);
  assert_false(box.confirm());
  assert_string_equal(sent(&box, 2).c_str(), "a1 b2");
  assert_true(box.confirm());
  assert_true(box.refuse());
  assert_false(box.confirm());
  assert_false(box.refuse());
  assert_int_equal(box.confirmed(), 1);
  assert_int_equal(box.refused(), 1);
  assert_int_equal(box.dropped(), 1);
  assert_string_equal(sent(&box, 2).c_str(), "c3");
  assert_int_equal(box.count(), 1);
  assert_true(box.confirm());
  assert_int_equal(box.bytes(), 0);
}

void test_outbox_rewound_sends_again_under_the_same_numbers(void**) {
  Outbox box("ws:", OriginId(), 1000);
  for (const char* text : {"a", "b", "c"}) push(&box, text);
  sent(&box, 2);
  box.confirm();
  box.rewind();
  assert_false(box.confirm());
  push(&box, "d");
  assert_string_equal(sent(&box, 9).c_str(), "b2 c3 d4");
}

void test_outbox_bound_counts_what_was_sent_but_drops_only_what_waits(void**) {
  Outbox box("ws:", OriginId(), 3 * kCost);
  for (const char* text : {"a", "b", "c"}) push(&box, text);
  assert_int_equal(box.dropped(), 0);
  sent(&box, 1);
  push(&box, "d");  // b goes
  assert_int_equal(box.dropped(), 1);
  assert_string_equal(sent(&box, 9).c_str(), "c3 d4");
  push(&box, "e");  // all is with Redis: it goes itself
  assert_int_equal(box.dropped(), 2);
  assert_int_equal(box.count(), 3);
  box.confirm();
  push(&box, "f");
  assert_int_equal(box.dropped(), 2);
  assert_int_equal(box.bytes(), 3 * kCost);
}

void test_outbox_message_beyond_the_bound_leaves_the_others(void**) {
  for (uint64_t bound : {kCost, kCost + 1}) {
    Outbox box("ws:", OriginId(), bound);
    push(&box, "a");
    push(&box, "bb");
    assert_int_equal(box.count(), 1);
    assert_int_equal(box.dropped(), 1);
    assert_string_equal(sent(&box, 9).c_str(), bound == kCost ? "a1" : "b98");
  }
}

void test_outbox_numbers_of_dropped_messages_are_not_used_again(void**) {
  Outbox box("ws:", OriginId(), kCost);
  for (const char* text : {"a", "b", "c"}) push(&box, text);
  assert_string_equal(sent(&box, 9).c_str(), "c3");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_outbox_sends_in_order_and_counts_answers),
      cmocka_unit_test(test_outbox_rewound_sends_again_under_the_same_numbers),
      cmocka_unit_test(test_outbox_bound_counts_what_was_sent_but_drops_only_what_waits),
      cmocka_unit_test(test_outbox_message_beyond_the_bound_leaves_the_others),
      cmocka_unit_test(test_outbox_numbers_of_dropped_messages_are_not_used_again),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
