// The choice of a vector level, and how LIBWS_CPU lowers it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <iterator>

extern "C" {
#include <cmocka.h>
}

#include "libws/base/cpu.hpp"
#include "libws/protocol/mask.hpp"
#include "libws/protocol/utf8.hpp"

namespace {

using libws::CpuLevel;

// The level a fresh process chooses with this LIBWS_CPU, or none if null.  The level is read once
// for a process, so this must run before anything asks for it in the parent: main() sees to that.
int level_of_new_process(const char* limit) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (limit != nullptr) {
      setenv("LIBWS_CPU", limit, 1);
    } else {
      unsetenv("LIBWS_CPU");
    }
    _exit(static_cast<int>(libws::cpu_level()));
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

void test_cpu_level_without_environment_is_the_hardwares(void**) {
  assert_int_equal(level_of_new_process(nullptr), static_cast<int>(libws::cpu_hardware_level()));
}

void test_cpu_level_follows_environment_within_the_hardware(void**) {
  const CpuLevel hardware = libws::cpu_hardware_level();
  for (CpuLevel level : libws::kCpuLevels) {
    const CpuLevel expected = libws::cpu_includes(hardware, level) ? level : hardware;
    assert_int_equal(level_of_new_process(libws::cpu_level_name(level)),
                     static_cast<int>(expected));
  }
}

void test_cpu_level_is_read_once(void**) {
  const CpuLevel first = libws::cpu_level();
  setenv("LIBWS_CPU", first == CpuLevel::kScalar ? "avx2" : "scalar", 1);
  assert_int_equal(libws::cpu_level(), first);
}

void test_cpu_limit_lowers(void**) {
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx512, "avx2"), CpuLevel::kAvx2);
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx512, "ssse3"), CpuLevel::kSsse3);
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx2, "sse2"), CpuLevel::kSse2);
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx2, "scalar"), CpuLevel::kScalar);
  assert_int_equal(libws::cpu_limited(CpuLevel::kNeon, "scalar"), CpuLevel::kScalar);
}

void test_cpu_limit_above_hardware_changes_nothing(void**) {
  assert_int_equal(libws::cpu_limited(CpuLevel::kSse2, "avx512"), CpuLevel::kSse2);
  assert_int_equal(libws::cpu_limited(CpuLevel::kScalar, "sse2"), CpuLevel::kScalar);
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx2, "avx2"), CpuLevel::kAvx2);
}

void test_cpu_limit_of_other_architecture_changes_nothing(void**) {
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx2, "neon"), CpuLevel::kAvx2);
  assert_int_equal(libws::cpu_limited(CpuLevel::kNeon, "sse2"), CpuLevel::kNeon);
  assert_int_equal(libws::cpu_limited(CpuLevel::kScalar, "neon"), CpuLevel::kScalar);
}

void test_cpu_limit_unknown_or_empty_or_absent_changes_nothing(void**) {
  for (const char* limit : {"", "AVX2", "avx", "avx2 ", "sse4", "0"}) {
    assert_int_equal(libws::cpu_limited(CpuLevel::kAvx512, limit), CpuLevel::kAvx512);
  }
  assert_int_equal(libws::cpu_limited(CpuLevel::kAvx512, nullptr), CpuLevel::kAvx512);
}

void test_cpu_names_are_those_of_the_environment(void**) {
  const char* const names[] = {"scalar", "sse2", "ssse3", "avx2", "avx512", "neon"};
  for (size_t i = 0; i < std::size(names); ++i) {
    assert_string_equal(libws::cpu_level_name(libws::kCpuLevels[i]), names[i]);
  }
}

void test_cpu_implementations_exist_only_where_they_run(void**) {
  const CpuLevel hardware = libws::cpu_hardware_level();
  for (CpuLevel level : libws::kCpuLevels) {
    if (libws::cpu_includes(hardware, level)) continue;
    assert_null(libws::mask_function(level));
    assert_null(libws::utf8_ops(level));
  }
  assert_non_null(libws::mask_function(CpuLevel::kScalar));
  assert_non_null(libws::utf8_ops(CpuLevel::kScalar));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_cpu_level_without_environment_is_the_hardwares),
      cmocka_unit_test(test_cpu_level_follows_environment_within_the_hardware),
      cmocka_unit_test(test_cpu_level_is_read_once),
      cmocka_unit_test(test_cpu_limit_lowers),
      cmocka_unit_test(test_cpu_limit_above_hardware_changes_nothing),
      cmocka_unit_test(test_cpu_limit_of_other_architecture_changes_nothing),
      cmocka_unit_test(test_cpu_limit_unknown_or_empty_or_absent_changes_nothing),
      cmocka_unit_test(test_cpu_names_are_those_of_the_environment),
      cmocka_unit_test(test_cpu_implementations_exist_only_where_they_run),
  };
  return cmocka_run_group_tests_name("cpu", tests, nullptr, nullptr);
}
