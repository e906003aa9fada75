#include "libws/net/tls_kernel.hpp"

#include <openssl/bio.h>

#include <sys/socket.h>
#include <cerrno>
#include <cstring>
#ifdef __linux__
#include <linux/tls.h>
#endif

namespace libws {

// OpenSSL's own socket BIO knows the layout of `keys` and the kernel's interface.
bool kernel_tls_start(int fd, void* keys) {
  BIO* bio = BIO_new_socket(fd, BIO_NOCLOSE);
  if (bio == nullptr) return false;
  const bool started = BIO_ctrl(bio, kBioSetKtls, /*sending=*/1, keys) > 0;
  BIO_free(bio);
  return started;
}

#ifdef TLS_SET_RECORD_TYPE

// Not through that BIO: it would raise SIGPIPE.
IoResult kernel_tls_send(int fd, uint8_t type, const uint8_t* data, size_t len) {
  iovec part = {const_cast<uint8_t*>(data), len};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof type)] = {};
  msghdr message;
  std::memset(&message, 0, sizeof message);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_TLS;
  header->cmsg_type = TLS_SET_RECORD_TYPE;
  header->cmsg_len = CMSG_LEN(sizeof type);
  std::memcpy(CMSG_DATA(header), &type, sizeof type);
  ssize_t n;
  do {
    n = ::sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  // A record is taken as a whole or not at all.
  if (n >= 0) return {IoResult::kOk, 0, len};
  if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) return {IoResult::kWouldBlock, 0, 0};
  return {IoResult::kFailed, errno, 0};
}

#else

IoResult kernel_tls_send(int, uint8_t, const uint8_t*, size_t) {
  return {IoResult::kFailed, ENOSYS, 0};
}

#endif

}  // namespace libws
