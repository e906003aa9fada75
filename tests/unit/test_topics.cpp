// The tables under a hub: patterns against a slow matcher, the hash table and the array against the
// standard library's, and the directory.
#include "libws/base/compact_array.hpp"
#include "libws/base/fault.hpp"
#include "libws/pubsub/directory.hpp"

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;

namespace {

std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> parts(1);
  for (char c : name) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool matches(const std::string& pattern, const std::string& topic) {
  const auto p = split(pattern), t = split(topic);
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == "**") return t.size() > i;
    if (i >= t.size() || (p[i] != "*" && p[i] != t[i])) return false;
  }
  return p.size() == t.size();
}

std::string random_name(std::mt19937& dice, bool pattern) {
  static const char* const kSegments[] = {"", "a", "b", "aa"};
  std::string name;
  const size_t segments = 1 + dice() % 4;
  for (size_t i = 0; i < segments; ++i) {
    if (i != 0) name += '/';
    const unsigned kind = pattern ? dice() % 8 : 2;
    if (kind == 0 && i + 1 == segments) {
      name += "**";
    } else if (kind <= 1) {
      name += "*";
    } else {
      name += kSegments[dice() % 4];
    }
  }
  return name;
}

void test_topics_patterns_match_as_a_slow_matcher_says(void**) {
  std::mt19937 dice(1);
  const KeyedHash hash(1, 2);
  Patterns patterns(hash);
  std::map<std::string, std::unique_ptr<std::string>> all;
  size_t hits = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string name = random_name(dice, true);
    if (name.find('*') != std::string::npos) {
      if (const auto found = all.find(name); found == all.end()) {
        auto value = std::make_unique<std::string>(name);
        patterns.insert(name, value.get());
        all.emplace(name, std::move(value));
      } else {
        patterns.erase(name);
        all.erase(found);
      }
    }
    if (round % 5 != 0) continue;
    const std::string topic = random_name(dice, false);
    std::multiset<std::string> want, got;
    for (const auto& [text, value] : all) {
      if (matches(text, topic)) want.insert(text);
    }
    patterns.match(topic, [&](void* v) { got.insert(*static_cast<std::string*>(v)); });
    assert_true(got == want);
    hits += got.size();
  }
  assert_true(hits > 1000);
  for (const auto& [text, value] : all) patterns.erase(text);
  assert_true(patterns.empty());
}

void test_topics_pattern_that_cannot_be_inserted_leaves_nothing(void**) {
  const KeyedHash hash(1, 2);
  Patterns patterns(hash);
  int value = 0;
  patterns.insert("a/b/*", &value);
  const int64_t before = live_allocations();
  bool failed = true;
  for (uint64_t n = 1; failed; ++n) {
    Faults faults;
    faults.fail_alloc = n;
    set_faults(faults);
    failed = false;
    try {
      patterns.insert("a/b/*/d/*/f/**", &value);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    clear_faults();
    if (failed) assert_int_equal(live_allocations(), before);
    size_t found = 0;
    patterns.match("a/b/c/d/e/f/g", [&](void*) { ++found; });
    assert_int_equal(found, failed ? 0 : 1);
    assert_true(n < 20);
  }
  patterns.erase("a/b/*/d/*/f/**");
  assert_int_equal(live_allocations(), before);
  patterns.erase("a/b/*");
  assert_true(patterns.empty());
}

struct Item {
  uint32_t hash;
  int number;
};

void test_topics_hash_table_is_as_a_map(void**) {
  std::mt19937 dice(2);
  for (uint32_t spread : {1u, 7u, 64u, 100000u}) {
    HashTable<Item> table;
    std::map<int, std::unique_ptr<Item>> all;
    for (int round = 0; round < 20000; ++round) {
      const int number = static_cast<int>(dice() % 300);
      // Hashes that collide, and that wrap around the end.
      const uint32_t hash = 0u - static_cast<uint32_t>(number) % spread;
      Item* found = table.find(hash, [&](const Item& i) { return i.number == number; });
      const auto known = all.find(number);
      assert_true((found != nullptr) == (known != all.end()));
      if (found == nullptr && dice() % 2 != 0) {
        table.reserve_one();
        auto item = std::make_unique<Item>(Item{hash, number});
        table.insert(item.get());
        all.emplace(number, std::move(item));
      } else if (found != nullptr) {
        table.erase(found);
        table.shrink();
        all.erase(known);
      }
      assert_int_equal(table.size(), all.size());
    }
    size_t cursor = 0;
    while (Item* item = table.at(&cursor)) {
      if (dice() % 2 != 0) {
        ++cursor;
        continue;
      }
      table.erase(item);
      all.erase(item->number);
    }
    std::set<int> left;
    for (cursor = 0; Item* item = table.at(&cursor); ++cursor) left.insert(item->number);
    assert_int_equal(left.size(), all.size());
    for (const auto& [number, item] : all) assert_true(left.count(number) == 1);
  }
}

void test_topics_hash_table_emptied_through_the_cursor_loses_nobody(void**) {
  std::mt19937 dice(3);
  for (int round = 0; round < 300; ++round) {
    HashTable<Item> table;
    std::vector<std::unique_ptr<Item>> all;
    const size_t count = 1 + dice() % 40;
    for (size_t i = 0; i < count; ++i) {
      all.push_back(std::make_unique<Item>(
          Item{60 + static_cast<uint32_t>(dice() % 8), static_cast<int>(i)}));
      table.reserve_one();
      table.insert(all.back().get());
    }
    size_t cursor = 0, seen = 0;
    while (Item* item = table.at(&cursor)) {
      table.erase(item);
      ++seen;
    }
    assert_int_equal(seen, count);
    assert_int_equal(table.size(), 0);
  }
}

void test_topics_compact_array_is_as_a_vector(void**) {
  std::mt19937 dice(4);
  CompactArray<int> array;
  std::vector<int> want;
  for (int round = 0; round < 20000; ++round) {
    if (want.empty() || dice() % (round / 4000 % 2 != 0 ? 3 : 2) == 0) {
      array.reserve_one();
      array.push_back(round);
      want.push_back(round);
    } else {
      array.pop_back();
      want.pop_back();
    }
    assert_int_equal(array.size(), want.size());
    if (!want.empty()) assert_int_equal(array.back(), want.back());
  }
}

void test_topics_hash_depends_on_key_length_and_each_byte(void**) {
  const KeyedHash one(1, 2), other(1, 3);
  std::set<uint64_t> seen;
  std::string text(40, '\0');
  for (size_t len = 0; len <= text.size(); ++len) {
    assert_true(seen.insert(one(std::string_view(text).substr(0, len))).second);
    assert_true(seen.insert(other(std::string_view(text).substr(0, len))).second);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = 1;
    assert_true(seen.insert(one(changed)).second);
  }
}

constexpr uint32_t kHash = 5;  // of every topic, so that all collide

Topic* join(Directory& d, const char* name, uint32_t place) {
  Topic* topic = nullptr;
  const bool pattern = std::string(name).find('*') != std::string::npos;
  assert_false(d.join(name, kHash, pattern, place, &topic).failed());
  return topic;
}

std::set<uint32_t> route(const Directory& d, const char* name) {
  LoopMask mask;
  std::set<uint32_t> places;
  d.route(name, kHash, &mask);
  mask.for_each([&](uint32_t place) { places.insert(place); });
  return places;
}

void test_topics_directory_routes_to_the_loops_of_name_and_patterns(void**) {
  Directory d(KeyedHash(1, 2), 100);
  const uint32_t last = kMaxLoopsPerHub - 1;
  Topic* a = join(d, "a", 0);
  for (uint32_t place : {63u, 64u, last}) assert_ptr_equal(join(d, "a", place), a);
  Topic* any = join(d, "*", 7);
  Topic* both = join(d, "*/b", 65);
  assert_true((route(d, "a") == std::set<uint32_t>{0, 7, 63, 64, last}));
  assert_true((route(d, "x/b") == std::set<uint32_t>{65}));
  assert_true(route(d, "x/c").empty());
  d.leave(a, 64);
  d.leave(a, 0);
  assert_true((route(d, "a") == std::set<uint32_t>{7, 63, last}));
  d.leave(a, 63);
  assert_non_null(d.find("a", kHash));
  d.leave(a, last);
  assert_null(d.find("a", kHash));
  assert_true((route(d, "a") == std::set<uint32_t>{7}));
  d.leave(any, 7);
  d.leave(both, 65);
  assert_int_equal(d.size(), 0);
}

std::string changes(Directory& d) {
  char name[kMaxTopicBytes + 1];
  bool active;
  std::string all;
  while (d.take_change(name, &active)) all += (active ? "+" : "-") + std::string(name) + " ";
  return all;
}

void test_topics_directory_lists_changes_that_are_not_undone(void**) {
  Directory d(KeyedHash(1, 2), 3);
  Topic* a = join(d, "a", 0);
  assert_false(d.has_changes());
  d.watch(true);
  join(d, "a", 1);
  Topic* b = join(d, "b/*", 1);
  assert_string_equal(changes(d).c_str(), "+a +b/* ");
  d.leave(b, 1);
  b = join(d, "b/*", 0);
  assert_false(d.has_changes());
  d.leave(a, 0);
  assert_false(d.has_changes());
  d.leave(a, 1);
  d.leave(b, 0);
  Topic* c = join(d, "c", 0);
  assert_int_equal(d.size(), 1);
  d.leave(c, 0);  // nobody was told of it
  assert_string_equal(changes(d).c_str(), "-a -b/* ");
  a = join(d, "a", 0);
  assert_string_equal(changes(d).c_str(), "+a ");
  d.leave(a, 0);
  d.watch(false);  // and what is gone goes
  assert_false(d.has_changes());
  d.watch(true);
  assert_string_equal(changes(d).c_str(), "");
}

void test_topics_directory_full_counts_only_what_is_there(void**) {
  Directory d(KeyedHash(1, 2), 2);
  d.watch(true);
  Topic* a = join(d, "a", 0);
  Topic* b = join(d, "b", 0);
  assert_string_equal(changes(d).c_str(), "+a +b ");
  Topic* c = nullptr;
  assert_int_equal(d.join("c", kHash, false, 0, &c).code(), WS_ERR_FULL);
  d.leave(a, 0);
  assert_false(d.join("c", kHash, false, 0, &c).failed());
  assert_int_equal(d.join("a", kHash, false, 0, &a).code(), WS_ERR_FULL);  // still to be told
  d.leave(b, 0);
  d.leave(c, 0);
  assert_string_equal(changes(d).c_str(), "-a -b ");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_topics_patterns_match_as_a_slow_matcher_says),
      cmocka_unit_test(test_topics_pattern_that_cannot_be_inserted_leaves_nothing),
      cmocka_unit_test(test_topics_hash_table_is_as_a_map),
      cmocka_unit_test(test_topics_hash_table_emptied_through_the_cursor_loses_nobody),
      cmocka_unit_test(test_topics_compact_array_is_as_a_vector),
      cmocka_unit_test(test_topics_hash_depends_on_key_length_and_each_byte),
      cmocka_unit_test(test_topics_directory_routes_to_the_loops_of_name_and_patterns),
      cmocka_unit_test(test_topics_directory_lists_changes_that_are_not_undone),
      cmocka_unit_test(test_topics_directory_full_counts_only_what_is_there),
  };
  return cmocka_run_group_tests_name("topics", tests, nullptr, nullptr);
}
