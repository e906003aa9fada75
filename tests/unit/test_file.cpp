// Files below a directory: what is opened, and one that changes after it was.

#include "libws/net/file.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "http_support.hpp"  // last: it has cmocka's fail()

using namespace http_test;
using libws::File;
using libws::Folder;

namespace {

class Scratch {
 public:
  Scratch() { assert_non_null(mkdtemp(path)); }
  ~Scratch() {
    (void)::unlink(file().c_str());
    (void)::rmdir(path);
  }
  string file() const { return string(path) + "/f"; }
  void write(string_view text) const {
    FILE* f = std::fopen(file().c_str(), "w");
    assert_non_null(f);
    assert_int_equal(std::fwrite(text.data(), 1, text.size(), f), text.size());
    assert_int_equal(std::fclose(f), 0);
  }
  char path[32] = "/tmp/libws-file-XXXXXX";
};

void test_file_that_shrinks_or_grows_after_it_was_opened_is_what_is_there(void**) {
  for (const size_t after : {size_t{0}, size_t{4}, size_t{5}, size_t{6}}) {
    const Scratch scratch;
    Folder directory;
    scratch.write("12345");
    assert_false(directory.open(scratch.path).failed());
    File file;
    assert_int_equal(directory.open_file("f", &file), 0);
    assert_int_equal(file.size, 5);
    assert_int_equal(::truncate(scratch.file().c_str(), static_cast<off_t>(after)), 0);
    libws::Vector<char> data;
    assert_int_equal(file.read_all(&data), 0);
    expect_text("data", string(data.begin(), data.end()), string("12345").substr(0, after));
  }
}

void test_file_that_is_none_is_told_by_its_errno(void**) {
  const Scratch scratch;
  Folder directory;
  assert_false(directory.open(scratch.path).failed());
  scratch.write("");
  {
    File file;
    assert_int_equal(directory.open_file("", &file), 0);
    assert_true(file.is_directory);
  }
  for (const char* name : {"none", "f/x", "..", "f/.."}) {
    File file;
    assert_int_not_equal(directory.open_file(name, &file), 0);
  }
  assert_int_equal(::unlink(scratch.file().c_str()), 0);
  assert_int_equal(::mkfifo(scratch.file().c_str(), 0600), 0);
  File file;
  assert_int_equal(directory.open_file("f", &file), EINVAL);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_file_that_shrinks_or_grows_after_it_was_opened_is_what_is_there),
      cmocka_unit_test(test_file_that_is_none_is_told_by_its_errno),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
