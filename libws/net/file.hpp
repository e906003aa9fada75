// Files below a directory, for reading: the only file with file system calls.  What is opened is
// below the directory, whatever links say, because the kernel decides it while it walks.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

// An open regular file or a directory, closed with the object.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  bool is_directory = false;
  uint64_t size = 0;
  uint64_t inode = 0;
  int64_t modified_s = 0;  // UTC
  uint32_t modified_ns = 0;

  // The first `size` bytes, or as many as are left of them by now.  0, or an errno.
  // Throws std::bad_alloc.
  int read_all(Vector<char>* out);

 private:
  friend class Folder;
  int fd_ = -1;
};

class Folder {
 public:
  Folder() = default;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  // Errors: IO.
  Error open(const char* path);
  bool is_open() const { return fd_ >= 0; }

  // `path` is relative, of names without "." and "..", with no slash at either end; "" is the
  // directory itself.  0, or an errno: EXDEV for what leads outside, EINVAL for what is neither a
  // regular file nor a directory.  Thread: any.
  int open_file(const char* path, File* out) const;

 private:
  int fd_ = -1;
};

}  // namespace libws
