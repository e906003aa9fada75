// The chain of blocks: order, slices, borrowed and shared payloads, the replaceable pong.
#include "engine_support.hpp"

#include "libws/protocol/outbox.hpp"

using namespace libws;
using namespace libws::test;

namespace {

void put(Outbox& box, BlockPool& pool, const std::string& s) {
  uint8_t* to = box.reserve(pool, s.size());
  assert_non_null(to);
  std::memcpy(to, s.data(), s.size());
  box.commit(s.size());
}

std::string contents(const Outbox& box) {
  std::string out;
  ws_slice slices[64];
  size_t n = box.slices(slices, 64);
  for (size_t i = 0; i < n; ++i)
    out.append(static_cast<const char*>(slices[i].data), slices[i].len);
  return out;
}

void test_outbox_keeps_order_over_many_blocks(void**) {
  BlockPool pool(1 << 20);
  Outbox box;
  std::string all;
  for (int i = 0; i < 3000; ++i) {
    std::string s = std::to_string(i) + std::string(static_cast<size_t>(i % 97), 'x');
    put(box, pool, s);
    all += s;
  }
  assert_int_equal(box.bytes(), all.size());
  std::string got;
  while (!box.empty()) {
    ws_slice s[3];
    size_t n = box.slices(s, 3);
    std::string batch;
    for (size_t i = 0; i < n; ++i) batch.append(static_cast<const char*>(s[i].data), s[i].len);
    size_t take = batch.size() > 1000 ? 1000 + batch.size() % 7 : batch.size();
    got += batch.substr(0, take);
    box.consume(pool, take);
  }
  assert_string_equal(got.c_str(), all.c_str());
  assert_int_equal(box.bytes(), 0);
}

void test_outbox_borrowed_payload_is_copied_as_far_as_it_is_left(void**) {
  for (size_t sent : {0u, 1u, 2u, 3u, 500u, 1001u, 1002u}) {
    BlockPool pool(0);
    Outbox box;
    std::string payload(1000, 'p');
    put(box, pool, "hd");
    box.attach(reinterpret_cast<const uint8_t*>(payload.data()), payload.size());
    assert_int_equal(box.bytes(), 1002);
    box.consume(pool, sent);
    assert_true(box.own_external(pool));
    payload.assign(1000, '!');  // the caller's memory is the caller's again
    put(box, pool, "next");
    std::string want = ("hd" + std::string(1000, 'p')).substr(sent) + "next";
    assert_string_equal(contents(box).c_str(), want.c_str());
    box.clear(pool);
  }
}

void test_outbox_borrowing_without_memory_says_so(void**) {
  BlockPool pool(0);
  Outbox box;
  std::string payload(1000, 'p');
  put(box, pool, "hd");
  box.attach(reinterpret_cast<const uint8_t*>(payload.data()), payload.size());
  Faults faults;
  faults.fail_alloc = 1;
  set_faults(faults);
  assert_false(box.own_external(pool));
  clear_faults();
  box.clear(pool);
}

// req: 84
// bad: 165
void test_outbox_pong_is_replaced_until_it_begins_to_leave(void**) {
  BlockPool pool(1 << 20);
  Outbox box;
  auto pong = [&](const std::string& s) {
    assert_true(box.put_pong(pool, reinterpret_cast<const uint8_t*>(s.data()), s.size()));
  };
  put(box, pool, "data");
  pong("short");
  put(box, pool, "more");
  pong("a longer one");
  assert_string_equal(contents(box).c_str(), "dataa longer onemore");
  pong("x");
  assert_string_equal(contents(box).c_str(), "dataxmore");
  assert_int_equal(box.bytes(), 9);
  box.consume(pool, 4);
  pong("still");
  assert_string_equal(contents(box).c_str(), "stillmore");
  box.consume(pool, 1);
  pong("new");
  assert_string_equal(contents(box).c_str(), "tillmorenew");
  box.consume(pool, 11);
  assert_true(box.empty());
  pong("again");
  assert_string_equal(contents(box).c_str(), "again");
  box.clear(pool);
}

void test_block_pool_keeps_no_more_than_it_was_told(void**) {
  int64_t before = live_allocations();
  {
    BlockPool pool(10000);
    Block* held[50];
    for (Block*& b : held) b = pool.take(1000);
    for (Block* b : held) pool.give(b);
    assert_true(live_allocations() - before <= 10);
    Block* big = pool.take(100000);
    pool.give(big);
    assert_true(live_allocations() - before <= 10);
  }
  assert_true(live_allocations() == before);
  BlockPool pool(4 << 20);
  Block* big = pool.take(300000);
  pool.give(big);
  assert_ptr_equal(pool.take(200000), big);  // the spare serves the next large message
  pool.give(big);
  assert_null(pool.take(SIZE_MAX));
  assert_null(pool.take(SIZE_MAX - 8));
}

void test_block_grow_keeps_the_bytes(void**) {
  BlockPool pool(0);
  Block* b = pool.take(10);
  std::memcpy(b->bytes(), "0123456789", 10);
  b->end = 10;
  assert_true(BlockPool::grow(b, 100000));
  assert_true(b->capacity >= 100000);
  assert_memory_equal(b->bytes(), "0123456789", 10);
  assert_false(BlockPool::grow(b, SIZE_MAX));
  Faults faults;
  faults.fail_alloc = 1;
  set_faults(faults);
  assert_false(BlockPool::grow(b, 1 << 20));
  clear_faults();
  assert_memory_equal(b->bytes(), "0123456789", 10);
  pool.give(b);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_outbox_keeps_order_over_many_blocks),
      cmocka_unit_test(test_outbox_borrowed_payload_is_copied_as_far_as_it_is_left),
      cmocka_unit_test(test_outbox_borrowing_without_memory_says_so),
      cmocka_unit_test(test_outbox_pong_is_replaced_until_it_begins_to_leave),
      cmocka_unit_test(test_block_pool_keeps_no_more_than_it_was_told),
      cmocka_unit_test(test_block_grow_keeps_the_bytes),
  };
  return cmocka_run_group_tests_name("outbox", tests, nullptr, nullptr);
}
