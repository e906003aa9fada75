// Connecting without waiting: what connect() says and what it comes to.
#include "libws/net/socket.hpp"

#include "libws/base/system.hpp"

#include <poll.h>
#include <cerrno>
#include <string>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;

namespace {

int closed, opened, option_error;
std::vector<int> script;  // what the next calls of connect() fail with; 0: real, whatever comes

int reset(void**) {
  system_table = kRealSystem;
  closed = opened = option_error = 0;
  script.clear();
  system_table.socket = [](int family, int type, int protocol) {
    int fd = real::socket(family, type, protocol);
    if (fd >= 0) ++opened;
    return fd;
  };
  system_table.close = [](int fd) {
    ++closed;
    return real::close(fd);
  };
  system_table.connect = [](int fd, const sockaddr* addr, socklen_t len) {
    if (script.empty()) return real::connect(fd, addr, len);
    int e = script.front();
    script.erase(script.begin());
    if (e == 0) return 0;
    errno = e;
    return -1;
  };
  return 0;
}

int restore(void**) {
  system_table = kRealSystem;
  return 0;
}

struct Server {
  int fd = -1;
  Address at;
  Server() {
    assert_true(address_literal("127.0.0.1", &at));
    assert_false(socket_listen(at, {}, &fd).failed());
    assert_true(socket_local_address(fd, &at));
    opened = closed = 0;
  }
  ~Server() { hang_up(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  void hang_up() {
    if (fd >= 0) real::close(fd);
    fd = -1;
  }
};

// Connects, however long it takes.
IoResult connect_to(const Address& to, int* fd) {
  IoResult r = socket_connect(to, fd);
  if (r.status != IoResult::kWouldBlock) return r;
  pollfd p = {*fd, POLLOUT, 0};
  assert_int_equal(real::poll(&p, 1, 60000), 1);
  return socket_connect_result(*fd, to);
}

void test_connect_to_a_listener_succeeds(void**) {
  Server server;
  int fd = -1;
  assert_int_equal(connect_to(server.at, &fd).status, IoResult::kOk);
  int taken = -1;
  Address peer;
  assert_int_equal(socket_accept(server.fd, &taken, &peer).status, IoResult::kOk);
  assert_int_equal(closed, 0);
  socket_close(fd);
  socket_close(taken);
}

void test_connect_to_nobody_is_refused(void**) {
  Server server;
  server.hang_up();
  int fd = -1;
  IoResult r = connect_to(server.at, &fd);
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(r.sys_errno, ECONNREFUSED);
  if (fd >= 0) socket_close(fd);
}

void test_connect_interrupted_goes_on(void**) {
  // The call that was interrupted went on by itself: the next finds it done, or under way.
  for (int then : {0, EISCONN, EALREADY, EINPROGRESS}) {
    Server server;
    script = {EINTR, EINTR, then};
    int fd = -1;
    IoResult r = socket_connect(server.at, &fd);
    bool done = then == 0 || then == EISCONN;
    assert_int_equal(r.status, done ? IoResult::kOk : IoResult::kWouldBlock);
    assert_true(fd >= 0);
    assert_int_equal(closed, 0);
    socket_close(fd);
  }
}

void test_connect_that_fails_closes_its_socket(void**) {
  Server server;
  for (int e : {ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EACCES, EAGAIN, ENOBUFS, ETIMEDOUT}) {
    script = {e};
    int fd = -1;
    IoResult r = socket_connect(server.at, &fd);
    assert_int_equal(r.status, IoResult::kFailed);
    assert_int_equal(r.sys_errno, e);
    assert_int_equal(fd, -1);
    assert_int_equal(opened, closed);
  }
}

void test_connect_without_a_socket_fails(void**) {
  Server server;
  system_table.socket = [](int, int, int) {
    errno = EMFILE;
    return -1;
  };
  int fd = -1;
  IoResult r = socket_connect(server.at, &fd);
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(r.sys_errno, EMFILE);
  assert_int_equal(fd, -1);
  assert_int_equal(closed, 0);
}

void test_connect_result_is_the_sockets_error(void**) {
  Server server;
  system_table.getsockopt = [](int, int level, int name, void* value, socklen_t*) {
    assert_int_equal(level, SOL_SOCKET);
    assert_int_equal(name, SO_ERROR);
    *static_cast<int*>(value) = option_error;
    return 0;
  };
  for (int e : {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH}) {
    option_error = e;
    IoResult r = socket_connect_result(server.fd, Address());
    assert_int_equal(r.status, IoResult::kFailed);
    assert_int_equal(r.sys_errno, e);
  }
  for (int e : {EINPROGRESS, EALREADY}) {
    option_error = e;
    assert_int_equal(socket_connect_result(server.fd, Address()).status, IoResult::kWouldBlock);
  }
  option_error = 0;
  assert_int_equal(socket_connect_result(server.fd, Address()).status, IoResult::kOk);
  system_table.getsockopt = [](int, int, int, void*, socklen_t*) {
    errno = EBADF;
    return -1;
  };
  IoResult r = socket_connect_result(server.fd, Address());
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(r.sys_errno, EBADF);
}

// With nobody listening on a port of the ephemeral range, the system may pick it for our end.
void test_connect_to_itself_is_refused(void**) {
  Server server;
  server.hang_up();
  static Address own;
  own = server.at;
  system_table.connect = [](int fd, const sockaddr* addr, socklen_t len) {
    assert_int_equal(real::bind(fd, own.get(), own.len), 0);
    return real::connect(fd, addr, len);
  };
  int fd = -1;
  IoResult r = connect_to(server.at, &fd);
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(r.sys_errno, ECONNREFUSED);
  if (fd >= 0) socket_close(fd);
  assert_int_equal(opened, closed);
}

}  // namespace

int main() {
#define ONE(f) cmocka_unit_test_setup_teardown(f, reset, restore)
  const CMUnitTest tests[] = {
      ONE(test_connect_to_a_listener_succeeds), ONE(test_connect_to_nobody_is_refused),
      ONE(test_connect_interrupted_goes_on),    ONE(test_connect_that_fails_closes_its_socket),
      ONE(test_connect_without_a_socket_fails), ONE(test_connect_result_is_the_sockets_error),
      ONE(test_connect_to_itself_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
