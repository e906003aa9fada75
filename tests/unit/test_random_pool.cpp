// Masking keys: never repeated, never shared with a forked child, never made up.
#include "engine_support.hpp"

#include "libws/protocol/random_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <set>

using namespace libws;

namespace {

// req: 56
// bad: 213
void test_random_pool_pieces_differ_and_bits_are_balanced(void**) {
  RandomPool pool(nullptr, nullptr);
  std::set<uint32_t> seen;
  int ones[32] = {};
  constexpr int kKeys = 100000;
  for (int i = 0; i < kKeys; ++i) {
    uint32_t key = 0;
    assert_true(pool.take(&key, sizeof key));
    seen.insert(key);
    for (int b = 0; b < 32; ++b) ones[b] += (key >> b) & 1;
  }
  // The birthday bound of 10^5 keys in 2^32 is 1.2 repeats.
  assert_true(seen.size() > kKeys - 12);
  for (int count : ones) assert_in_range(count, kKeys / 2 - 1500, kKeys / 2 + 1500);
}

// req: 14, 56
// bad: 215
void test_random_pool_after_fork_differs_in_the_child(void**) {
  RandomPool pool(nullptr, nullptr);
  uint32_t key = 0;
  assert_true(pool.take(&key, sizeof key));  // filled before the fork
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    uint64_t mine = 0;
    bool ok = pool.take(&mine, sizeof mine) && write(ends[1], &mine, sizeof mine) == sizeof mine;
    _exit(ok ? 0 : 1);
  }
  uint64_t parents = 0, childs = 0;
  assert_true(pool.take(&parents, sizeof parents));
  assert_int_equal(read(ends[0], &childs, sizeof childs), sizeof childs);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_true(parents != childs);
  close(ends[0]);
  close(ends[1]);
}

// bad: 200, 254
void test_random_pool_source_failure_is_told_and_recovered_from(void**) {
  static bool broken;
  broken = true;
  auto source = [](void*, void* out, size_t len) {
    if (broken) return -1;
    std::memset(out, 7, len);
    return 0;
  };
  RandomPool pool(source, nullptr);
  uint8_t out[600];
  assert_false(pool.take(out, 4));
  const volatile size_t all = sizeof out;  // volatile: gcc 12 otherwise warns of a path not taken
  assert_false(pool.take(out, all));
  broken = false;
  assert_true(pool.take(out, 4));
  assert_true(pool.take(out, all));  // larger than the pool
  assert_int_equal(out[599], 7);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_random_pool_pieces_differ_and_bits_are_balanced),
      cmocka_unit_test(test_random_pool_after_fork_differs_in_the_child),
      cmocka_unit_test(test_random_pool_source_failure_is_told_and_recovered_from),
  };
  return cmocka_run_group_tests_name("random_pool", tests, nullptr, nullptr);
}
