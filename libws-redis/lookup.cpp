#include "lookup.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>

namespace libws_redis {
namespace {

LookupResult resolve(const std::string& host, const std::string& port, int flags) {
  LookupResult result;
  addrinfo hints = {}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (code != 0) {
    result.failure =
        fail(WS_ERR_DNS, "%s: %s", printable(host.data(), host.size()).c_str(), gai_strerror(code));
    return result;
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);
  for (const addrinfo* a = list; a != nullptr; a = a->ai_next) {
    Address address;
    memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.len = a->ai_addrlen;
    result.addresses.push_back(address);
  }
  return result;
}

}  // namespace

struct Lookup::Work {
  std::string host, port;
  LookupResult result;
  std::atomic<bool> finished{false};
  int done = -1;  // the end of the pipe that is closed to tell

  ~Work() {
    if (done >= 0) close(done);
  }
  void run() noexcept {
    try {
      result = resolve(host, port, AI_ADDRCONFIG);
    } catch (const std::bad_alloc&) {
      result.failure.code = WS_ERR_NOMEM;
    }
    finished.store(true, std::memory_order_release);
    close(done);
    done = -1;
  }
};

Failure Lookup::start(const std::string& host, const std::string& port) {
  cancel();
  auto work = std::make_shared<Work>();
  work->host = host;
  work->port = port;
  work->result = resolve(host, port, AI_NUMERICHOST | AI_NUMERICSERV);
  if (!work->result.failure) {
    work_ = std::move(work);
    return {};
  }
  work->result = {};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(WS_ERR_IO, "pipe: %s", strerror(errno));
  fd_ = ends[0];
  work->done = ends[1];
  work_ = work;
  // The application's signals are not for this thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Failure failure;
  try {
    std::thread([work] { work->run(); }).detach();
  } catch (const std::system_error&) {
    failure = fail(WS_ERR_DNS, "no thread to look the name up");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return failure;
}

LookupResult Lookup::take() {
  LookupResult result;
  if (fd_ < 0 || work_->finished.load(std::memory_order_acquire)) {
    result = std::move(work_->result);
  } else {
    result.failure = fail(WS_ERR_DNS, "the look-up ended early");
  }
  cancel();
  return result;
}

void Lookup::cancel() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  work_.reset();
}

}  // namespace libws_redis
