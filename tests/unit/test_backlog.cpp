// What waits above the engine's queue: order, urgency, what may be dropped for what, the table of
// keys, and the accounts.
#include "engine_support.hpp"

#include "libws/conn/backlog.hpp"

using namespace libws;
using namespace libws::test;

namespace {

constexpr uint64_t kMuch = UINT64_MAX;

Backlog::Entry* entry(const std::string& text, ws_slow slow, unsigned urgency = 0,
                      const std::string& key = "") {
  auto* e = new Backlog::Entry;
  assert_int_equal(Message::copy(WS_OP_TEXT, bytes(text), &e->message).code(), WS_OK);
  if (!key.empty()) assert_int_equal(e->message->set_key(bytes(key)).code(), WS_OK);
  e->slow = slow;
  e->urgency = static_cast<uint8_t>(urgency);
  return e;
}

// Takes all in the order they would be sent in.
std::string taken(Backlog& b) {
  std::string out;
  while (Backlog::Entry* e = b.next()) {
    out += std::string(text(e->message->data())) + " ";
    b.remove(e);
  }
  assert_true(b.empty());
  assert_int_equal(b.bytes(), 0);
  assert_int_equal(b.held(), 0);
  return out;
}

uint64_t cost(size_t len) { return len + Backlog::kOverhead; }

void test_backlog_keeps_order_within_an_urgency(void**) {
  Backlog b;
  for (int i = 0; i < 12; ++i) {
    const auto urgency = static_cast<unsigned>(i % 4);
    assert_int_equal(b.push(entry(std::to_string(i), WS_SLOW_REFUSE, urgency), kMuch), 0);
  }
  assert_int_equal(b.count(), 12);
  assert_int_equal(b.bytes(), 14);
  assert_int_equal(b.held(), 14 + 12 * Backlog::kOverhead);
  assert_string_equal(taken(b).c_str(), "3 7 11 2 6 10 1 5 9 0 4 8 ");
}

void test_backlog_begun_message_is_neither_passed_nor_dropped(void**) {
  Backlog b;
  b.push(entry("first", WS_SLOW_LATEST, 0, "k"), kMuch);
  Backlog::Entry* first = b.next();
  b.begin(first);
  b.sent(first, 2);
  assert_int_equal(b.bytes(), 3);
  assert_int_equal(b.could_free(WS_SLOW_LATEST, 3, "k"), 0);
  assert_int_equal(b.push(entry("urgent", WS_SLOW_LATEST, 3, "k"), 1), 0);
  assert_true(b.next() == first);
  assert_int_equal(b.count(), 2);
  b.sent(first, 3);
  assert_int_equal(b.bytes(), 6);
  b.remove(first);
  assert_string_equal(taken(b).c_str(), "urgent ");
}

void test_backlog_oldest_of_the_lowest_urgency_goes_first(void**) {
  Backlog b;
  uint64_t all = 0;
  for (int i = 0; i < 6; ++i) {
    b.push(entry("m" + std::to_string(i), WS_SLOW_DROP_OLDEST, i < 2 ? 1 : i < 4 ? 0 : 2), kMuch);
    all += cost(2);
  }
  assert_int_equal(b.could_free(WS_SLOW_DROP_OLDEST, 0, ""), 2 * cost(2));
  assert_int_equal(b.could_free(WS_SLOW_DROP_OLDEST, 1, ""), 4 * cost(2));
  assert_int_equal(b.could_free(WS_SLOW_DROP_OLDEST, 3, ""), all);
  assert_int_equal(b.could_free(WS_SLOW_REFUSE, 3, ""), 0);
  // At the limit, one below it, one above it.
  assert_int_equal(b.push(entry("n0", WS_SLOW_DROP_OLDEST, 1), all + cost(2)), 0);
  assert_int_equal(b.push(entry("n1", WS_SLOW_DROP_OLDEST, 1), all + 2 * cost(2) - 1), 1);
  assert_int_equal(b.push(entry("n2", WS_SLOW_DROP_OLDEST, 1), all), 2);
  assert_string_equal(taken(b).c_str(), "m4 m5 m1 n0 n1 n2 ");
}

void test_backlog_message_that_must_stay_stays(void**) {
  Backlog b;
  b.push(entry("keep", WS_SLOW_REFUSE), kMuch);
  b.push(entry("drop", WS_SLOW_DROP_OLDEST), kMuch);
  assert_int_equal(b.push(entry("new", WS_SLOW_REFUSE), 1), 0);
  assert_int_equal(b.push(entry("last", WS_SLOW_LATEST), 1), 1);
  assert_string_equal(taken(b).c_str(), "keep new last ");
}

void test_backlog_latest_takes_the_place_of_its_key(void**) {
  Backlog b;
  b.push(entry("a1", WS_SLOW_LATEST, 0, "a"), kMuch);
  b.push(entry("b1", WS_SLOW_LATEST, 0, "b"), kMuch);
  b.push(entry("x", WS_SLOW_DROP_OLDEST, 0, "a"), kMuch);
  assert_int_equal(b.push(entry("a2", WS_SLOW_LATEST, 0, "a"), kMuch), 1);
  assert_int_equal(b.push(entry("none", WS_SLOW_LATEST), kMuch), 0);
  assert_int_equal(b.push(entry("b2", WS_SLOW_LATEST, 2, "b"), kMuch), 1);
  // The urgent one could be replaced by one that is not.
  assert_int_equal(b.could_free(WS_SLOW_LATEST, 0, "b"), cost(2) + cost(1) + cost(4) + cost(2));
  assert_int_equal(b.push(entry("b3", WS_SLOW_LATEST, 0, "b"), kMuch), 1);
  assert_string_equal(taken(b).c_str(), "a2 x none b3 ");
}

// It is the account that decides: the one replaced is gone before others are dropped.
void test_backlog_replacing_may_be_enough(void**) {
  Backlog b;
  b.push(entry("oldest", WS_SLOW_LATEST, 0, "a"), kMuch);
  b.push(entry("bbbb", WS_SLOW_LATEST, 0, "b"), kMuch);
  const uint64_t held = b.held();
  assert_int_equal(b.push(entry("BBBB", WS_SLOW_LATEST, 0, "b"), held), 1);
  assert_int_equal(b.push(entry("BBBBB", WS_SLOW_LATEST, 0, "b"), held), 2);
  assert_string_equal(taken(b).c_str(), "BBBBB ");
}

void test_backlog_finds_each_of_many_keys(void**) {
  for (bool memory : {true, false}) {
    Backlog b;
    constexpr int kKeys = 3000;
    std::vector<Backlog::Entry*> entries;
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < kKeys; ++i) {
        Backlog::Entry* e = entry(std::to_string(round), WS_SLOW_LATEST, 0, std::to_string(i));
        Faults faults;
        faults.fail_alloc = 1;
        faults.fail_alloc_on = true;
        if (!memory) set_faults(faults);  // the table cannot grow
        const uint32_t dropped = b.push(e, kMuch);
        clear_faults();
        assert_int_equal(dropped, round == 0 ? 0 : 1);
      }
      assert_int_equal(b.count(), kKeys);
    }
    for (int i = 0; i < kKeys; ++i) {
      Backlog::Entry* e = b.next();
      assert_string_equal(std::string(text(e->message->data())).c_str(), "2");
      assert_string_equal(std::string(e->message->key()).c_str(), std::to_string(i).c_str());
      b.remove(e);
    }
    assert_true(b.empty());
  }
}

void test_backlog_lets_go_of_what_it_has_when_it_ends(void**) {
  const int64_t before = live_allocations();
  {
    Backlog b;
    for (int i = 0; i < 500; ++i) {
      b.push(entry("m", i % 2 == 0 ? WS_SLOW_LATEST : WS_SLOW_REFUSE, i % 4 == 0,
                   "k" + std::to_string(i)),
             kMuch);
    }
    b.begin(b.next());
  }
  assert_int_equal(live_allocations(), before);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_backlog_keeps_order_within_an_urgency),
      cmocka_unit_test(test_backlog_begun_message_is_neither_passed_nor_dropped),
      cmocka_unit_test(test_backlog_oldest_of_the_lowest_urgency_goes_first),
      cmocka_unit_test(test_backlog_message_that_must_stay_stays),
      cmocka_unit_test(test_backlog_latest_takes_the_place_of_its_key),
      cmocka_unit_test(test_backlog_replacing_may_be_enough),
      cmocka_unit_test(test_backlog_finds_each_of_many_keys),
      cmocka_unit_test(test_backlog_lets_go_of_what_it_has_when_it_ends),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
