// What the connections of a thread share: streams that are used again and show nothing of their
// last user, a bounded number of them, and the account of what connections hold.
#include "stream_support.hpp"

#include "libws/protocol/deflate_pool.hpp"

using namespace libws;
using namespace libws::test;

namespace {

void test_deflate_pool_inflaters_are_used_again_and_few_are_kept(void**) {
  const int64_t before = live_allocations();
  {
    DeflatePool pool;
    Inflater* first = pool.take_inflater();
    assert_non_null(first);
    pool.give(first);
    assert_ptr_equal(pool.take_inflater(), first);
    pool.give(first);
    const int64_t one = live_allocations() - before;
    std::vector<Inflater*> taken;
    for (int i = 0; i < 10; ++i) {
      taken.push_back(pool.take_inflater());
      assert_non_null(taken.back());
      for (int j = 0; j < i; ++j) assert_ptr_not_equal(taken.back(), taken[static_cast<size_t>(j)]);
    }
    for (Inflater* inflater : taken) pool.give(inflater);
    assert_true(live_allocations() - before == 4 * one);
    pool.give(nullptr);
    assert_true(live_allocations() - before == 4 * one);
  }
  assert_true(live_allocations() == before);
}

void test_deflate_pool_deflater_is_one_per_window_and_always_fresh(void**) {
  DeflatePool pool;
  const std::string data = json(400);
  for (int bits = 9; bits <= 15; ++bits) {
    Deflater* deflater = pool.fresh_deflater(bits, 6);
    assert_non_null(deflater);
    const std::string first = deflate_message(*deflater, data);
    assert_true(deflate_message(*deflater, data).size() < first.size());
    assert_ptr_equal(pool.fresh_deflater(bits, 6), deflater);
    assert_same(deflate_message(*deflater, data), first);
    // Low levels may be those of another library.
    for (int level : {1, 3, 4, 9}) {
      Deflater* other = pool.fresh_deflater(bits, level);
      assert_non_null(other);
      assert_int_equal(other->level(), level);
      const std::string whole = deflate_message(*other, data);
      assert_ptr_equal(pool.fresh_deflater(bits, level), other);
      assert_same(deflate_message(*other, data), whole);
    }
    assert_ptr_equal(pool.fresh_deflater(bits, 6), deflater);
    assert_int_equal(deflater->level(), 6);
    assert_same(deflate_message(*deflater, data), first);
  }
  assert_ptr_not_equal(pool.fresh_deflater(9, 6), pool.fresh_deflater(15, 6));
  assert_ptr_not_equal(pool.fresh_deflater(9, 1), pool.fresh_deflater(15, 1));
}

void test_deflate_pool_trim_gives_all_back(void**) {
  const int64_t before = live_allocations();
  DeflatePool pool;
  assert_true(pool.empty());
  Inflater* mine = pool.take_inflater();
  assert_true(pool.empty());  // what is in use is not the pool's
  pool.give(mine);
  assert_false(pool.empty());
  pool.trim();
  assert_true(pool.empty());
  for (int level : {1, 6}) {
    assert_non_null(pool.fresh_deflater(9, level));
    assert_false(pool.empty());
    pool.trim();
    assert_true(pool.empty());
  }
  assert_non_null(pool.fresh_deflater(9, 1));
  assert_false(pool.empty());
  pool.trim();
  assert_true(pool.empty());
  const std::span<uint8_t> work = pool.work_area();
  assert_int_equal(work.size(), kInflateStep);
  std::fill(work.begin(), work.end(), uint8_t{1});
  assert_ptr_equal(pool.work_area().data(), work.data());
  assert_false(pool.empty());
  pool.trim();
  assert_true(pool.empty());
  assert_true(live_allocations() == before);
}

void test_deflate_pool_budget_at_its_bound(void**) {
  DeflatePool pool;
  pool.set_budget(100);
  assert_true(pool.has_room(100));
  assert_false(pool.has_room(101));
  pool.hold(60);
  assert_true(pool.has_room(39));
  assert_true(pool.has_room(40));
  assert_false(pool.has_room(41));
  assert_false(pool.has_room(UINT64_MAX));
  pool.hold(40);
  assert_true(pool.has_room(0));
  assert_false(pool.has_room(1));
  pool.let_go(60);
  assert_int_equal(pool.held(), 40);
  assert_true(pool.has_room(60));
  pool.set_budget(39);  // below what is held already
  assert_false(pool.has_room(0));
  assert_false(pool.has_room(1));
  pool.set_budget(0);
  pool.let_go(40);
  assert_true(pool.has_room(0));
  assert_false(pool.has_room(1));
}

// bad: 158
void test_deflate_pool_each_allocation_failing_is_told(void**) {
  const uint64_t tried = with_each_allocation_failing([](uint64_t n) {
    DeflatePool pool;
    Inflater* inflater = pool.take_inflater();
    const bool deflater = pool.fresh_deflater(12, 6) != nullptr;
    const int failures = (inflater == nullptr) + !deflater + pool.work_area().empty();
    assert_int_equal(failures, allocations_seen() >= n ? 1 : 0);
    pool.give(inflater);
    // Nothing half made is kept: the next time it works.
    inflater = pool.take_inflater();
    assert_non_null(inflater);
    pool.give(inflater);
    assert_non_null(pool.fresh_deflater(12, 6));
    assert_int_equal(pool.work_area().size(), kInflateStep);
  });
  assert_true(tried >= 5);  // two objects, two of zlib's states, the work area
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_deflate_pool_inflaters_are_used_again_and_few_are_kept),
      cmocka_unit_test(test_deflate_pool_deflater_is_one_per_window_and_always_fresh),
      cmocka_unit_test(test_deflate_pool_trim_gives_all_back),
      cmocka_unit_test(test_deflate_pool_budget_at_its_bound),
      cmocka_unit_test(test_deflate_pool_each_allocation_failing_is_told),
  };
  return cmocka_run_group_tests_name("deflate_pool", tests, nullptr, nullptr);
}
