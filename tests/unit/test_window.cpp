// The last bytes of what came: always those, in order, in no more memory than they are worth.
#include "stream_support.hpp"

#include "libws/protocol/window.hpp"

#include <deque>

using namespace libws;
using namespace libws::test;

namespace {

std::string contents(const Window& window) {
  return std::string(text(window.older())) + std::string(text(window.newer()));
}

void test_window_new_is_empty_and_takes_nothing(void**) {
  const int64_t before = live_allocations();
  Window window(15);
  assert_true(window.older().empty() && window.newer().empty());
  assert_true(window.append({}));
  assert_int_equal(window.capacity(), 0);
  assert_true(live_allocations() == before);
}

void test_window_holds_the_last_bytes_like_a_deque(void**) {
  for (int bits = 8; bits <= 15; ++bits) {
    const size_t limit = size_t{1} << bits;
    std::mt19937 random(static_cast<unsigned>(bits));
    for (int run = 0; run < 8; ++run) {
      Window window(bits);
      std::deque<char> model;
      // From single bytes to more than the window, and what is special about its size.
      const size_t sizes[] = {1, 3, 100, limit / 3, limit - 1, limit, limit + 1, 3 * limit};
      for (int i = 0; i < 120; ++i) {
        size_t n = sizes[random() % (run < 4 ? 4 : 8)];
        if (random() % 2 == 0) n = random() % (n + 1);
        const std::string data = noise(n, static_cast<unsigned>(random()));
        assert_true(window.append(bytes(data)));
        model.insert(model.end(), data.begin(), data.end());
        if (model.size() > limit) {
          model.erase(model.begin(), model.end() - static_cast<ptrdiff_t>(limit));
        }
        assert_same(contents(window), std::string(model.begin(), model.end()));
        assert_true(window.capacity() >= model.size() && window.capacity() <= limit);
      }
    }
  }
}

void test_window_is_filled_to_its_limit_exactly(void**) {
  for (size_t first : {size_t{1}, size_t{511}, size_t{512}}) {
    for (size_t second : {511 - first % 512, 512 - first % 512, 513 - first % 512}) {
      Window window(9);
      const std::string data = noise(first + second);
      assert_true(window.append(bytes(data).first(first)));
      assert_true(window.append(bytes(data).subspan(first)));
      assert_same(contents(window), data.size() > 512 ? data.substr(data.size() - 512) : data);
    }
  }
}

void test_window_grows_with_what_comes(void**) {
  Window window(15);
  const std::string data = noise(1 << 15);
  size_t total = 0;
  for (const auto& [size, capacity] : {std::pair<size_t, size_t>{1, 1024},
                                       {1024, 1024},
                                       {1025, 2048},
                                       {2048, 2048},
                                       {5000, 8192},
                                       {16384, 16384},
                                       {16385, 32768},
                                       {32768, 32768},
                                       {32769, 32768}}) {
    assert_true(window.append(bytes(data).first(size - total)));
    total = size;
    assert_int_equal(window.capacity(), capacity);
  }
  Window small(8);
  assert_true(small.append(bytes("x")));
  assert_int_equal(small.capacity(), 256);
}

// bad: 158
void test_window_without_memory_says_so_and_keeps_what_it_had(void**) {
  Window window(15);
  const std::string data = noise(3000);
  Faults faults;
  faults.fail_alloc = 1;
  set_faults(faults);
  assert_false(window.append(bytes("x")));
  set_faults(faults);
  assert_false(window.append(bytes(noise(100000))));
  clear_faults();
  assert_int_equal(window.capacity(), 0);
  assert_true(window.append(bytes(data).first(1024)));
  set_faults(faults);
  assert_false(window.append(bytes("x")));
  clear_faults();
  assert_same(contents(window), data.substr(0, 1024));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_window_new_is_empty_and_takes_nothing),
      cmocka_unit_test(test_window_holds_the_last_bytes_like_a_deque),
      cmocka_unit_test(test_window_is_filled_to_its_limit_exactly),
      cmocka_unit_test(test_window_grows_with_what_comes),
      cmocka_unit_test(test_window_without_memory_says_so_and_keeps_what_it_had),
  };
  return cmocka_run_group_tests_name("window", tests, nullptr, nullptr);
}
