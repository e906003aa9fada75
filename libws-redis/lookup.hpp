// From a name to addresses without holding the loop up: getaddrinfo() on a thread of its own, which
// tells by a pipe that it is done.  Giving up does not wait for it: what it works on is shared.
#pragma once

#include "error.hpp"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

namespace libws_redis {

struct Address {
  sockaddr_storage storage = {};
  socklen_t len = 0;
};

struct LookupResult {
  Failure failure;
  std::vector<Address> addresses;
};

class Lookup {
 public:
  Lookup() = default;
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup() { cancel(); }

  // An address literal is answered at once: then fd() is -1.
  Failure start(const std::string& host, const std::string& port);
  int fd() const { return fd_; }  // readable when the result is there
  LookupResult take();
  void cancel();

 private:
  struct Work;
  std::shared_ptr<Work> work_;
  int fd_ = -1;
};

}  // namespace libws_redis
