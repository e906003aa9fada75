// Masking: every implementation against the definition in RFC 6455 5.3, byte by byte, on memory
// that faults one byte before and one byte after.  The CPU under LIBWS_CPU does not matter here,
// except to the tests of the public functions, which use whatever it chose.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/mman.h>
#include <unistd.h>
#include <cstring>
#include <random>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "libws/protocol/mask.hpp"

namespace {

using libws::CpuLevel;
using libws::MaskFn;

// Pages between two that may not be touched.
class Guarded {
 public:
  explicit Guarded(size_t least) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_ = (least + page - 1) / page * page;
    total_ = size_ + 2 * page;
    void* const all = mmap(nullptr, total_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(all != MAP_FAILED);
    base_ = static_cast<uint8_t*>(all);
    begin_ = base_ + page;
    assert_int_equal(mprotect(begin_, size_, PROT_READ | PROT_WRITE), 0);
  }
  ~Guarded() { munmap(base_, total_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + size_; }
  size_t size() const { return size_; }

 private:
  uint8_t* base_;
  uint8_t* begin_;
  size_t size_, total_;
};

struct Named {
  const char* name;
  MaskFn fn;
};

void public_function(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  if (dst == src) {
    libws::mask_in_place(dst, len, key);
  } else {
    libws::mask_copy(dst, src, len, key);
  }
}

std::vector<Named> implementations() {
  std::vector<Named> all{{"public", public_function}};
  for (CpuLevel level : libws::kCpuLevels) {
    if (MaskFn fn = libws::mask_function(level)) all.push_back({libws::cpu_level_name(level), fn});
  }
  return all;
}

uint32_t key_of(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  const uint8_t bytes[4] = {a, b, c, d};
  uint32_t key;
  std::memcpy(&key, bytes, 4);
  return key;
}

uint8_t key_byte(uint32_t key, size_t i) {
  uint8_t bytes[4];
  std::memcpy(bytes, &key, 4);
  return bytes[i % 4];
}

// RFC 6455 5.3: transformed-octet-i = original-octet-i XOR masking-key-octet-j, j = i MOD 4.
std::vector<uint8_t> by_definition(const uint8_t* src, size_t len, uint32_t key) {
  std::vector<uint8_t> out(len);
  for (size_t i = 0; i < len; ++i) out[i] = static_cast<uint8_t>(src[i] ^ key_byte(key, i));
  return out;
}

std::vector<uint8_t> noise(size_t len, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> out(len);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

void expect_bytes(const char* name, size_t len, const uint8_t* got, const uint8_t* wanted) {
  if (std::memcmp(got, wanted, len) == 0) return;
  print_error("implementation %s, %zu bytes\n", name, len);
  assert_memory_equal(got, wanted, len);
}

// `src` masked in place at `at`, whose neighbours in `area` must not change.
void check_in_place(const Named& impl, const Guarded& area, uint8_t* at,
                    const std::vector<uint8_t>& src, size_t len, uint32_t key) {
  std::vector<uint8_t> wanted(area.size(), 0xA5);
  std::memset(area.begin(), 0xA5, area.size());
  const std::vector<uint8_t> masked = by_definition(src.data(), len, key);
  if (len != 0) {
    std::memcpy(at, src.data(), len);
    std::memcpy(wanted.data() + (at - area.begin()), masked.data(), len);
  }
  impl.fn(at, at, len, key);
  expect_bytes(impl.name, area.size(), area.begin(), wanted.data());
}

const uint32_t kKeys[] = {key_of(0x37, 0xFA, 0x21, 0x3D), 0x00000000, 0xFFFFFFFF};

void test_mask_rfc_example_is_hello(void**) {
  // RFC 6455 5.7: a single-frame masked text message.
  uint8_t data[] = {0x7F, 0x9F, 0x4D, 0x51, 0x58};
  libws::mask_in_place(data, sizeof(data), key_of(0x37, 0xFA, 0x21, 0x3D));
  assert_memory_equal(data, "Hello", 5);
}

// bad: 91
void test_mask_lengths_0_to_300_before_guard_page_are_exact(void**) {
  const Guarded area(1);
  const std::vector<uint8_t> src = noise(300, 1);
  for (const Named& impl : implementations()) {
    for (size_t len = 0; len <= 300; ++len) {
      for (size_t offset = 0; offset < 16; ++offset) {
        check_in_place(impl, area, area.end() - offset - len, src, len, kKeys[0]);
      }
    }
  }
}

// bad: 91
void test_mask_lengths_0_to_300_after_guard_page_are_exact(void**) {
  const Guarded area(1);
  const std::vector<uint8_t> src = noise(300, 2);
  for (const Named& impl : implementations()) {
    for (size_t len = 0; len <= 300; ++len) {
      for (size_t offset = 0; offset < 16; ++offset) {
        check_in_place(impl, area, area.begin() + offset, src, len, kKeys[0]);
      }
    }
  }
}

// bad: 92
void test_mask_extreme_keys_are_exact(void**) {
  const Guarded area(1);
  const std::vector<uint8_t> src = noise(300, 3);
  for (const Named& impl : implementations()) {
    for (size_t len = 0; len <= 300; ++len) {
      for (uint32_t key : kKeys) check_in_place(impl, area, area.end() - len, src, len, key);
    }
  }
}

// bad: 92
void test_mask_keys_of_each_single_byte_are_exact(void**) {
  const std::vector<uint8_t> src = noise(300, 4);
  std::vector<uint8_t> out(300);
  for (const Named& impl : implementations()) {
    for (unsigned value = 1; value < 256; ++value) {
      for (size_t place = 0; place < 4; ++place) {
        uint8_t bytes[4] = {0, 0, 0, 0};
        bytes[place] = static_cast<uint8_t>(value);
        const uint32_t key = key_of(bytes[0], bytes[1], bytes[2], bytes[3]);
        for (size_t len : {3u, 7u, 15u, 31u, 63u, 64u, 65u, 127u, 129u, 257u, 300u}) {
          impl.fn(out.data(), src.data(), len, key);
          expect_bytes(impl.name, len, out.data(), by_definition(src.data(), len, key).data());
        }
      }
    }
  }
}

void test_mask_copy_between_guard_pages_is_exact(void**) {
  const Guarded from(1), to(1);
  const std::vector<uint8_t> src = noise(300, 5);
  for (const Named& impl : implementations()) {
    for (size_t len = 0; len <= 300; ++len) {
      const std::vector<uint8_t> masked = by_definition(src.data(), len, kKeys[0]);
      for (size_t offset = 0; offset < 16; ++offset) {
        std::vector<uint8_t> wanted(to.size(), 0x5A);
        std::memset(to.begin(), 0x5A, to.size());
        uint8_t* const source = from.end() - len;
        uint8_t* const dest = offset % 2 == 0 ? to.begin() + offset : to.end() - len - offset;
        if (len != 0) {
          std::memcpy(source, src.data(), len);
          std::memcpy(wanted.data() + (dest - to.begin()), masked.data(), len);
        }
        impl.fn(dest, source, len, kKeys[0]);
        expect_bytes(impl.name, to.size(), to.begin(), wanted.data());
        if (len != 0) expect_bytes(impl.name, len, source, src.data());
      }
    }
  }
}

void test_mask_long_payloads_at_any_alignment_are_exact(void**) {
  std::vector<size_t> lengths{16383, 16384, 16385, 16640, 16641};  // where 512 bits begin
  for (size_t len = 301; len <= 5000; len += 97) lengths.push_back(len);
  const Guarded area(16641 + 64);
  const std::vector<uint8_t> src = noise(16641, 6);
  for (const Named& impl : implementations()) {
    for (size_t len : lengths) {
      for (size_t offset = 0; offset < 64; offset += 7) {
        check_in_place(impl, area, area.end() - offset - len, src, len, kKeys[0]);
        check_in_place(impl, area, area.begin() + offset, src, len, kKeys[0]);
      }
    }
  }
}

void test_mask_one_mebibyte_is_exact(void**) {
  const size_t len = 1 << 20;
  const Guarded area(len + 1);
  const std::vector<uint8_t> src = noise(len, 7);
  for (const Named& impl : implementations()) {
    check_in_place(impl, area, area.end() - len, src, len, kKeys[0]);
    check_in_place(impl, area, area.begin() + 1, src, len, kKeys[0]);
  }
}

// bad: 92
void test_mask_split_at_every_offset_equals_whole(void**) {
  constexpr size_t kLen = 300;
  const std::vector<uint8_t> src = noise(kLen, 8);
  const std::vector<uint8_t> wanted = by_definition(src.data(), kLen, kKeys[0]);
  for (const Named& impl : implementations()) {
    for (size_t cut = 0; cut <= kLen; ++cut) {
      std::vector<uint8_t> data = src;
      impl.fn(data.data(), data.data(), cut, kKeys[0]);
      impl.fn(data.data() + cut, data.data() + cut, kLen - cut, libws::mask_rotate(kKeys[0], cut));
      expect_bytes(impl.name, kLen, data.data(), wanted.data());
    }
  }
}

void test_mask_twice_restores(void**) {
  const std::vector<uint8_t> src = noise(1000, 9);
  for (const Named& impl : implementations()) {
    for (size_t len = 0; len <= 1000; len += 13) {
      std::vector<uint8_t> data = src;
      impl.fn(data.data(), data.data(), len, kKeys[0]);
      impl.fn(data.data(), data.data(), len, kKeys[0]);
      expect_bytes(impl.name, data.size(), data.data(), src.data());
    }
  }
}

void test_mask_rotate_gives_the_bytes_from_there(void**) {
  const uint32_t key = key_of(1, 2, 3, 4);
  assert_int_equal(libws::mask_rotate(key, 0), key);
  assert_int_equal(libws::mask_rotate(key, 1), key_of(2, 3, 4, 1));
  assert_int_equal(libws::mask_rotate(key, 2), key_of(3, 4, 1, 2));
  assert_int_equal(libws::mask_rotate(key, 3), key_of(4, 1, 2, 3));
  assert_int_equal(libws::mask_rotate(key, 4), key);
  assert_int_equal(libws::mask_rotate(key, 65537), key_of(2, 3, 4, 1));
  assert_int_equal(libws::mask_rotate(key, SIZE_MAX), key_of(4, 1, 2, 3));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_mask_rfc_example_is_hello),
      cmocka_unit_test(test_mask_lengths_0_to_300_before_guard_page_are_exact),
      cmocka_unit_test(test_mask_lengths_0_to_300_after_guard_page_are_exact),
      cmocka_unit_test(test_mask_extreme_keys_are_exact),
      cmocka_unit_test(test_mask_keys_of_each_single_byte_are_exact),
      cmocka_unit_test(test_mask_copy_between_guard_pages_is_exact),
      cmocka_unit_test(test_mask_long_payloads_at_any_alignment_are_exact),
      cmocka_unit_test(test_mask_one_mebibyte_is_exact),
      cmocka_unit_test(test_mask_split_at_every_offset_equals_whole),
      cmocka_unit_test(test_mask_twice_restores),
      cmocka_unit_test(test_mask_rotate_gives_the_bytes_from_there),
  };
  return cmocka_run_group_tests_name("mask", tests, nullptr, nullptr);
}
