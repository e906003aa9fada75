// Every allocation of libws-redis fails in turn: told or made up for, and nothing leaks or crashes.
// hiredis and libws have allocators of their own, which do not fail here.
#include <cstdlib>
#include <new>

extern "C" {
#include "fake_redis.h"
}

namespace {

long fail_after = -1;  // allocations from now; -1: none fails
long blocks = 0;
int failed = 0;

void *allocate(size_t size) {
  if (fail_after == 0) {
    fail_after = -1;
    ++failed;
    return nullptr;
  }
  if (fail_after > 0) --fail_after;
  void *p = malloc(size != 0 ? size : 1);
  if (p != nullptr) ++blocks;
  return p;
}

void give_back(void *p) {
  if (p == nullptr) return;
  --blocks;
  free(p);
}

}  // namespace

void *operator new(size_t size) {
  void *p = allocate(size);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void *operator new(size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
void operator delete(void *p) noexcept { give_back(p); }
void operator delete(void *p, size_t) noexcept { give_back(p); }

namespace {

// A life of a bridge: connected, subscribed, heard and being heard, and freed.  False: it could not
// be made.
bool live(long nth) {
  void *state = nullptr;
  fake_setup(&state);
  Fake *f = static_cast<Fake *>(state);
  Peer p;
  world_join(&f->world, &p);
  assert_ok(ws_hub_subscribe(f->hub, f->world.conn, "a/topic/that/is/longer/than/a/short/string"));
  const long before = blocks;
  fail_after = nth;
  const int code = ws_redis_bridge_new(f->hub, f->world.loop, &f->config, &f->bridge);
  if (code < 0) {
    assert_int_equal(code, WS_ERR_NOMEM);
    assert_null(f->bridge);
    assert_string_equal(ws_redis_last_detail(), "out of memory");
  } else {
    uint64_t number = 0;
    int subscriber = -1;
    const uint64_t end = clock_ms() + 10000;
    for (ws_redis_stats s = fake_stats(f); s.published == 0 || s.received == 0; s = fake_stats(f)) {
      assert_true(clock_ms() < end);
      assert_ok(hub_say(f->hub, "a/topic/that/is/longer/than/a/short/string", "out", NULL, 0));
      const int now = fake_serve(f);
      if (now >= 0) subscriber = now;
      if (subscriber < 0 || f->conns[subscriber].fd < 0) continue;
      fake_deliver(f, NULL, "ws:a/topic/that/is/longer/than/a/short/string", 'A', ++number, "in");
    }
    ws_redis_bridge_free(f->bridge);
    f->bridge = nullptr;
  }
  fail_after = -1;
  assert_int_equal(blocks, before);
  peer_drop(&p);
  fake_teardown(&state);
  return code >= 0;
}

void test_memory_every_allocation_fails_in_turn(void **) {
  if (valgrind_is_on()) skip();  // it has an operator new of its own
  assert_true(live(-1));
  int made = 0, made_and_failed = 0;
  for (long nth = 0; nth < 120; ++nth) {
    failed = 0;
    const bool lived = live(nth);
    assert_true(lived || failed == 1);
    made += lived;
    made_and_failed += lived && failed == 1;
  }
  // Some failed before there was a bridge, and many after.
  assert_true(made < 120);
  if (made_and_failed < 30) fail_msg("%d of %d", made_and_failed, made);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(test_memory_every_allocation_fails_in_turn)};
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
