// Payloads in blocks: compressed within a bound, stored, and the glance that chooses.
#include "stream_support.hpp"

#include "libws/protocol/deflate_block.hpp"
#include "libws/protocol/frame.hpp"

using namespace libws;
using namespace libws::test;

namespace {

// Takes it over.
std::string content(BlockPool& pool, Block* b) {
  assert_non_null(b);
  assert_int_equal(b->begin, kMaxFrameHeader);  // room for a header in front
  assert_true(b->end <= b->capacity);
  std::string out(reinterpret_cast<char*>(b->bytes()) + b->begin, b->size());
  pool.give(b);
  return out;
}

std::string base64_like(size_t n) {
  std::string out = noise(n);
  const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (char& c : out) c = digits[static_cast<uint8_t>(c) % 64];
  return out;
}

void test_deflate_block_glance_tells_noise_from_data(void**) {
  for (size_t n : {256u, 257u, 1000u, 16383u, 16384u, 16385u, 100000u}) {
    // A small sample of noise may look otherwise by chance, one in hundreds.
    int random = 0;
    for (unsigned seed = 1; seed <= 200; ++seed) random += looks_random(bytes(noise(n, seed)));
    assert_in_range(random, n < 16384 ? 196 : 200, 200);
    for (unsigned seed = 1; seed <= 50; ++seed) assert_false(looks_random(bytes(json(n, seed))));
    assert_false(looks_random(bytes(std::string(n, '\0'))));
    assert_false(looks_random(bytes(base64_like(n))));
  }
  // What is compressed already.
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 9)};
  for (unsigned seed = 1; seed <= 5; ++seed) {
    assert_true(looks_random(bytes(deflate_message(*deflater, json(200000, seed)))));
  }
}

// Too little to tell is not called random.
void test_deflate_block_glance_needs_256_bytes(void**) {
  for (size_t n = 0; n < 256; ++n) assert_false(looks_random(bytes(noise(n))));
  assert_true(looks_random(bytes(noise(256))));
}

// Exactly the bytes of the data are looked at, wherever its end is.
void test_deflate_block_glance_stays_inside(void**) {
  for (size_t n : {256u, 257u, 258u, 259u, 16383u, 16384u, 16385u, 16386u}) {
    const std::string data = noise(n);
    auto exact = std::make_unique<uint8_t[]>(n);
    copy_bytes(exact.get(), data.data(), n);
    assert_true(looks_random({exact.get(), n}));
  }
}

void test_deflate_block_is_what_the_compressor_makes(void**) {
  BlockPool pool(65536);
  std::unique_ptr<Inflater> inflater{Inflater::create()};
  for (const std::string& data : {std::string("a"), json(300), json(100000), noise(300),
                                  noise(100000), std::string(1000000, 'z')}) {
    std::unique_ptr<Deflater> one{Deflater::create(15, 8, 6)};
    std::unique_ptr<Deflater> two{Deflater::create(15, 8, 6)};
    const std::string got = content(pool, deflate_block(pool, *one, bytes(data), SIZE_MAX));
    assert_same(got, deflate_piece(*two, data));
    const Inflated back =
        inflate_message(*inflater, std::string_view(got).substr(0, got.size() - kFlushTailBytes));
    assert_same(back.data, data);
  }
}

void test_deflate_block_bound_is_exact_and_without_the_tail(void**) {
  BlockPool pool(65536);
  for (const std::string& data :
       {std::string("abc"), json(300), json(50000), noise(300), noise(50000)}) {
    std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
    const size_t size = deflate_message(*deflater, data).size();
    for (size_t most : {size_t{0}, size / 2, size - 1, size, size + 1, size_t{SIZE_MAX - 4},
                        size_t{SIZE_MAX - 3}, size_t{SIZE_MAX}}) {
      deflater->restart();
      Block* b = deflate_block(pool, *deflater, bytes(data), most);
      assert_int_equal(b != nullptr, most >= size);
      if (b != nullptr) assert_int_equal(content(pool, b).size(), size + kFlushTailBytes);
    }
  }
}

void test_deflate_block_stored_at_the_bounds_of_a_block(void**) {
  BlockPool pool(65536);
  std::unique_ptr<Inflater> inflater{Inflater::create()};
  for (size_t n : {1u, 2u, 65534u, 65535u, 65536u, 131069u, 131070u, 131071u, 300000u}) {
    const std::string data = noise(n);
    const size_t blocks = (n + 65534) / 65535;
    const std::string open = content(pool, stored_block(pool, bytes(data), false));
    const std::string last = content(pool, stored_block(pool, bytes(data), true));
    assert_int_equal(open.size(), n + 5 * blocks);
    assert_same(last, open + std::string(1, '\0'));
    assert_same(inflate_message(*inflater, last).data, data);
    // Not the last: anything may follow.
    assert_same(inflate_message(*inflater, open + last).data, data + data);
  }
}

void test_deflate_block_without_memory_is_none(void**) {
  const std::string data = json(50000);
  const std::string random = noise(50000);
  uint64_t made = 0;
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string want = deflate_piece(*deflater, random);
  const uint64_t failed = with_each_allocation_failing([&](uint64_t n) {
    BlockPool pool(0);
    deflater->restart();
    Block* b = deflate_block(pool, *deflater, bytes(random), SIZE_MAX);
    assert_int_equal(b == nullptr, allocations_seen() >= n);
    if (b == nullptr) return;
    ++made;
    assert_same(content(pool, b), want);
  });
  assert_true(failed >= 2);  // it grew
  assert_int_equal(made, 1);
  assert_int_equal(with_each_allocation_failing([&](uint64_t n) {
                     BlockPool pool(0);
                     Block* b = stored_block(pool, bytes(data), true);
                     assert_int_equal(b == nullptr, allocations_seen() >= n);
                     pool.give(b);
                   }),
                   1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_deflate_block_glance_tells_noise_from_data),
      cmocka_unit_test(test_deflate_block_glance_needs_256_bytes),
      cmocka_unit_test(test_deflate_block_glance_stays_inside),
      cmocka_unit_test(test_deflate_block_is_what_the_compressor_makes),
      cmocka_unit_test(test_deflate_block_bound_is_exact_and_without_the_tail),
      cmocka_unit_test(test_deflate_block_stored_at_the_bounds_of_a_block),
      cmocka_unit_test(test_deflate_block_without_memory_is_none),
  };
  return cmocka_run_group_tests_name("deflate_block", tests, nullptr, nullptr);
}
