// What Redis is told to subscribe us to.
#include "topics.hpp"

#include "parts.hpp"

#include <set>

using namespace libws_redis;

namespace {

// Commands as "SUBSCRIBE ws:a".
std::multiset<std::string> commands(Topics* topics) {
  std::multiset<std::string> all;
  std::string out;
  while (topics->next(&out)) {
    std::string words;
    bool length = true;  // every other line is one
    for (size_t at = out.find('\n') + 1; at < out.size(); at = out.find('\n', at) + 1) {
      if (!length) words += (words.empty() ? "" : " ") + out.substr(at, out.find('\r', at) - at);
      length = !length;
    }
    all.insert(words);
    out.clear();
  }
  return all;
}

using Set = std::multiset<std::string>;

void test_topics_glob_escapes_what_is_literal(void**) {
  assert_string_equal(glob_of("ws:", "a/*").c_str(), "ws:a/*");
  assert_string_equal(glob_of("ws:", "a/**").c_str(), "ws:a/*");
  assert_string_equal(glob_of("", "*").c_str(), "*");
  assert_string_equal(glob_of("p*?[", "*/x?[y]\\z/**").c_str(), "p\\*\\?\\[*/x\\?\\[y\\]\\\\z/*");
}

void test_topics_changes_while_connected_are_told(void**) {
  Topics t("ws:");
  t.connected();
  t.set("a", true);
  t.set("b/*", true);
  assert_true((commands(&t) == Set{"SUBSCRIBE ws:a", "PSUBSCRIBE ws:b/*"}));
  t.set("a", true);
  assert_true(commands(&t).empty());
  t.set("a", false);
  t.set("b/*", false);
  t.set("never", false);
  assert_true((commands(&t) == Set{"UNSUBSCRIBE ws:a", "PUNSUBSCRIBE ws:b/*"}));
  assert_int_equal(t.count(), 0);
}

void test_topics_change_that_was_undone_is_not_told(void**) {
  Topics t("ws:");
  t.connected();
  t.set("a", true);
  t.set("a", false);
  assert_true(commands(&t).empty());
  t.set("b", true);
  assert_int_equal(commands(&t).size(), 1);
  t.set("b", false);
  t.set("b", true);
  assert_true(commands(&t).empty());
  assert_int_equal(t.count(), 1);
}

void test_topics_all_are_told_again_after_a_loss(void**) {
  Topics t("ws:");
  t.set("before", true);
  assert_true(commands(&t).empty());
  t.connected();
  assert_true((commands(&t) == Set{"SUBSCRIBE ws:before"}));
  t.set("ended", true);
  assert_int_equal(commands(&t).size(), 1);
  t.set("ended", false);
  t.set("late", true);
  t.lost();
  t.set("while/down", true);
  t.set("gone", true);
  t.set("gone", false);
  assert_int_equal(t.count(), 3);
  t.connected();
  assert_true(
      (commands(&t) == Set{"SUBSCRIBE ws:before", "SUBSCRIBE ws:late", "SUBSCRIBE ws:while/down"}));
}

void test_topics_cleared_knows_nothing(void**) {
  Topics t("ws:");
  t.connected();
  t.set("a", true);
  t.clear();
  assert_int_equal(t.count(), 0);
  t.connected();
  assert_true(commands(&t).empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_topics_glob_escapes_what_is_literal),
      cmocka_unit_test(test_topics_changes_while_connected_are_told),
      cmocka_unit_test(test_topics_change_that_was_undone_is_not_told),
      cmocka_unit_test(test_topics_all_are_told_again_after_a_loss),
      cmocka_unit_test(test_topics_cleared_knows_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
