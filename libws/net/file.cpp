#include "libws/net/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <climits>
#include <cstring>
#if defined(__linux__) && __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif

namespace libws {
namespace {

// O_NONBLOCK: a FIFO somebody left there must not stop the loop.
constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// Where the kernel cannot say what is beneath: no link is followed, so nothing leads away.
int open_without_links(int root, const char* path) {
  int at = root;
  for (;;) {
    char name[NAME_MAX + 1];
    const char* slash = std::strchr(path, '/');
    const size_t len = slash != nullptr ? static_cast<size_t>(slash - path) : std::strlen(path);
    if (len >= sizeof name) {
      if (at != root) ::close(at);
      errno = ENAMETOOLONG;
      return -1;
    }
    std::memcpy(name, path, len);
    name[len] = '\0';
    const int flags = kFileFlags | O_NOFOLLOW | (slash != nullptr ? O_DIRECTORY : 0);
    const int next = ::openat(at, name, flags);
    const int error = errno;
    if (at != root) ::close(at);
    errno = error;
    if (next < 0 || slash == nullptr) return next;
    at = next;
    path = slash + 1;
  }
}

int open_beneath(int root, const char* path) {
#ifdef RESOLVE_BENEATH
  open_how how;
  std::memset(&how, 0, sizeof how);
  how.flags = kFileFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed meanwhile and the kernel cannot tell; it says so to be asked
  // again.
  constexpr int kAttempts = 8;
  for (int i = 0; i < kAttempts; ++i) {
    const long fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    // A kernel before 5.6, or a sandbox that does not know the call.
    if (errno == ENOSYS || errno == EPERM) return open_without_links(root, path);
    if (errno != EAGAIN && errno != EINTR) return -1;
  }
  return -1;
#else
  return open_without_links(root, path);
#endif
}

}  // namespace

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

int File::read_all(Vector<char>* out) {
  out->resize(static_cast<size_t>(size));
  size_t len = 0;
  while (len < out->size()) {
    const ssize_t n = ::read(fd_, out->data() + len, out->size() - len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;  // it shrank meanwhile; what there is is the file
    len += static_cast<size_t>(n);
  }
  out->resize(len);
  return 0;
}

Folder::~Folder() {
  if (fd_ >= 0) ::close(fd_);
}

Error Folder::open(const char* path) {
  fd_ = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd_ >= 0 ? Error() : fail_errno(WS_ERR_IO, errno, "directory %s", path);
}

int Folder::open_file(const char* path, File* out) const {
  const int fd = open_beneath(fd_, path[0] != '\0' ? path : ".");
  if (fd < 0) return errno;
  out->fd_ = fd;
  struct stat st;
  if (::fstat(fd, &st) < 0) return errno;
  out->is_directory = S_ISDIR(st.st_mode);
  if (!out->is_directory && !S_ISREG(st.st_mode)) return EINVAL;
  out->size = static_cast<uint64_t>(st.st_size);
  out->inode = static_cast<uint64_t>(st.st_ino);
#ifdef __APPLE__
  out->modified_s = st.st_mtimespec.tv_sec;
  out->modified_ns = static_cast<uint32_t>(st.st_mtimespec.tv_nsec);
#else
  out->modified_s = st.st_mtim.tv_sec;
  out->modified_ns = static_cast<uint32_t>(st.st_mtim.tv_nsec);
#endif
  return 0;
}

}  // namespace libws
