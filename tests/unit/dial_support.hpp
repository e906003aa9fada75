// A network that a test writes, for dialers: names from a FakeDns, a clock that stands still, and
// addresses that take a connection, refuse it, or never answer.
#pragma once

#include "dns_support.hpp"
#include "libws/base/fault.hpp"
#include "libws/net/dialer.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

// Last: cmocka.h defines a macro named fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace libws::test {

struct DialResult final : DialSink {
  int told = 0;
  int fd = -1;
  std::string peer;
  int error = 0, sys_errno = 0;
  std::string detail;
  std::function<void()> then;  // once

  void on_dialed(int dialed, const Address& at) override {
    ++told;
    fd = dialed;
    char text[kAddressTextBytes];
    address_print(at, text);
    peer = text;
    if (then) std::exchange(then, nullptr)();
  }
  void on_dial_failed(int code, int with_errno, const char* why) override {
    ++told;
    error = code;
    sys_errno = with_errno;
    detail = why;
    if (then) std::exchange(then, nullptr)();
  }
};

// What connect() to an address does.
enum class Fate {
  kReal,     // it goes to the system
  kAccepts,  // at once
  kSoon,     // in progress, and done by the next look
  kRefused,  // at once
  kLater,    // in progress, and refused by the next look
  kNever,    // in progress for ever
};

class DialScene {
 public:
  FakeDns dns;
  std::unique_ptr<Loop> loop;
  DialResult result;
  std::vector<std::string> attempts;  // "address @ milliseconds since the start"
  std::vector<std::string> lines;     // of the log
  std::map<std::string, int> errors;  // what kRefused and kLater fail with [ECONNREFUSED]
  Fate otherwise = Fate::kNever;
  int socket_error = 0;  // what socket() fails with

  explicit DialScene(const char* poller = nullptr) {
    current() = this;
    clear_faults();
    blocks_before_ = live_allocations();
    install();
    LoopConfig config;
    config.poller = poller;
    config.log = Log(
        WS_LOG_DEBUG,
        [](void* self, ws_log_level, const char* line, size_t len) {
          static_cast<DialScene*>(self)->lines.emplace_back(line, len);
        },
        this);
    assert_false(Loop::create(config, &loop).failed());
  }
  ~DialScene() {
    if (result.fd >= 0) socket_close(result.fd);
    if (loop != nullptr) free_loop();
    assert_true(dns.quiet());
    assert_int_equal(open_.size(), 0);
    assert_int_equal(live_allocations(), blocks_before_);
    for (int fd : far_ends_) ::close(fd);
    clear_faults();
  }
  DialScene(const DialScene&) = delete;
  DialScene& operator=(const DialScene&) = delete;

  // Again after set_faults().
  void install() {
    dns.install();
    system_table.now_us = [] { return current()->now_us_; };
    system_table.socket = [](int family, int type, int protocol) {
      return current()->make_socket(family, type, protocol);
    };
    system_table.connect = [](int fd, const sockaddr* addr, socklen_t len) {
      return current()->connect_socket(fd, addr, len);
    };
    system_table.getsockopt = [](int fd, int level, int name, void* value, socklen_t* len) {
      return current()->option(fd, level, name, value, len);
    };
    system_table.close = [](int fd) {
      current()->open_.erase(fd);
      current()->failing_.erase(fd);
      return real::close(fd);
    };
  }
  void free_loop() {
    assert_false(loop->shut_down().failed());
    loop.reset();
  }

  void fate(const std::string& address, Fate f) { fates_[address] = f; }
  void fail_with(const std::string& address, int e, Fate f = Fate::kRefused) {
    fates_[address] = f;
    errors[address] = e;
  }

  Dialer* dial(const char* host, uint16_t port = 80) { return dial(result, host, port); }
  Dialer* dial(DialResult& to, const char* host, uint16_t port = 80) {
    int before = to.told;
    size_t tried = attempts.size();
    Dialer* d = Dialer::tcp(*loop, to, host, port);
    assert_int_equal(to.told, before);  // never from inside the call
    assert_int_equal(attempts.size(), tried);
    return d;
  }

  // Turns without waiting, until nothing happens any more at this time.
  void turns() {
    for (int i = 0; i < 4; ++i) assert_true(loop->dispatch(0) >= 0);
  }
  // As turns(), once `threads` are left of the look-ups'; the others' answers have come by then.
  void turns_with(size_t threads) {
    assert_true(dns.wait_threads(threads));
    turns();
  }
  void advance_ms(uint64_t ms) {
    now_us_ += ms * 1000;
    turns();
  }
  uint64_t ms() const { return now_us_ / 1000 - 1000; }
  void wait_told(int count = 1) { wait_told(result, count); }
  void wait_told(DialResult& of, int count) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (of.told < count && std::chrono::steady_clock::now() < until) loop->dispatch(20);
    assert_int_equal(of.told, count);
  }
  std::string tried() const {
    std::string all;
    for (const std::string& a : attempts) all += (all.empty() ? "" : ", ") + a;
    return all;
  }
  size_t open_sockets() const { return open_.size(); }
  bool logged(const std::string& line) const {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }

 private:
  static DialScene*& current() {
    static DialScene* scene;
    return scene;
  }

  int make_socket(int family, int type, int protocol) {
    if (socket_error != 0) {
      errno = socket_error;
      return -1;
    }
    // The kind that every system has; connect_socket() makes of it what it likes.
    int fd = real::socket(otherwise == Fate::kReal ? family : AF_INET, type, protocol);
    if (fd >= 0) open_.insert(fd);
    return fd;
  }

  int connect_socket(int fd, const sockaddr* addr, socklen_t len) {
    Address to = address_from(addr, len);
    char text[kAddressTextBytes];
    address_print(to, text);
    attempts.push_back(std::string(text) + " @ " + std::to_string(ms()));
    auto found = fates_.find(text);
    Fate f = found != fates_.end() ? found->second : otherwise;
    auto error = errors.find(text);
    int e = error != errors.end() ? error->second : ECONNREFUSED;
    if (f == Fate::kReal) return real::connect(fd, addr, len);
    if (f == Fate::kRefused) {
      errno = e;
      return -1;
    }
    become_pair(fd, f == Fate::kNever);
    if (f == Fate::kLater) failing_[fd] = e;
    if (f == Fate::kAccepts) return 0;
    errno = EINPROGRESS;
    return -1;
  }

  // An end of a socket pair takes the descriptor's place: writable, or never.
  void become_pair(int fd, bool full) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) abort();
    if (dup2(fds[0], fd) < 0) abort();
    ::close(fds[0]);
    far_ends_.push_back(fds[1]);
    char bytes[4096] = {};
    while (full && ::write(fd, bytes, sizeof bytes) > 0) {
    }
  }

  int option(int fd, int level, int name, void* value, socklen_t* len) {
    auto found = failing_.find(fd);
    if (found == failing_.end() || level != SOL_SOCKET || name != SO_ERROR) {
      return real::getsockopt(fd, level, name, value, len);
    }
    memcpy(value, &found->second, sizeof found->second);
    return 0;
  }

  uint64_t now_us_ = 1000000;
  int64_t blocks_before_ = 0;
  std::map<std::string, Fate> fates_;
  std::set<int> open_;
  std::map<int, int> failing_;
  std::vector<int> far_ends_;
};

inline void expect(const std::string& got, const std::string& want) {
  assert_string_equal(got.c_str(), want.c_str());
}

inline const char* poller(void** state) { return static_cast<const char*>(*state); }

inline std::string v6(int i) { return "2001:db8::" + std::to_string(i); }
inline std::string v4(int i) { return "192.0.2." + std::to_string(i); }

inline std::vector<std::string> list(std::string (*of)(int), int count) {
  std::vector<std::string> all;
  for (int i = 1; i <= count; ++i) all.push_back(of(i));
  return all;
}

// "h" with this many addresses of each family.
inline void name(DialScene& s, int ipv6, int ipv4) {
  if (ipv6 != 0) s.dns.answer("h", AF_INET6, list(v6, ipv6));
  if (ipv4 != 0) s.dns.answer("h", AF_INET, list(v4, ipv4));
}

inline char epoll_name[] = "epoll";
inline char poll_name[] = "poll";

}  // namespace libws::test

// One test on both pollers.
#define BOTH(f)                                                                         \
  CMUnitTest{#f " [epoll]", f, nullptr, nullptr, libws::test::epoll_name}, CMUnitTest { \
#f " [poll]", f, nullptr, nullptr, libws::test::poll_name                           \
  }
