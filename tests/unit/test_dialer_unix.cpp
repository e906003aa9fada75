// Dialing unix sockets: there, missing, with a full queue.
#include "libws/net/dialer.hpp"

#include "dial_support.hpp"

#include <sys/un.h>
#include <string>
#include <vector>

using namespace libws;
using namespace libws::test;

namespace {

struct Folder {
  char path[32] = "/tmp/libws-dialer-XXXXXX";
  Folder() {
    if (mkdtemp(path) == nullptr) abort();
  }
  ~Folder() {
    unlink(file().c_str());
    rmdir(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file() const { return std::string(path) + "/s"; }
};

// Listens, with room for `backlog` + 1 connections.
struct Server {
  int fd = -1;
  std::vector<int> clients;
  Address at;
  explicit Server(const std::string& path, int backlog = 5) {
    ListenOptions options;
    options.backlog = backlog;
    assert_false(address_unix(path.c_str(), &at).failed());
    assert_false(socket_listen(at, options, &fd).failed());
  }
  ~Server() {
    if (fd >= 0) ::close(fd);
    for (int c : clients) ::close(c);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void fill() {
    for (;;) {
      int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      clients.push_back(c);
      if (connect(c, at.get(), at.len) == 0) continue;
      assert_int_equal(errno, EAGAIN);
      return;
    }
  }
  void accept_one() { clients.push_back(accept(fd, nullptr, nullptr)); }
};

Dialer* dial(DialScene& s, const std::string& path) {
  Dialer* d = nullptr;
  int told = s.result.told;
  s.otherwise = Fate::kReal;
  assert_false(Dialer::unix_socket(*s.loop, s.result, path.c_str(), &d).failed());
  assert_non_null(d);
  assert_int_equal(s.result.told, told);
  assert_int_equal(s.attempts.size(), 0);
  return d;
}

void test_dial_unix_connects(void** state) {
  Folder dir;
  for (const std::string& path : {dir.file(), "@libws-test-dialer-" + std::to_string(getpid())}) {
    Server server(path);
    DialScene s(poller(state));
    dial(s, path);
    s.turns();
    assert_int_equal(s.result.told, 1);
    assert_true(s.result.fd >= 0);
    expect(s.result.peer, "unix:");
    assert_true(s.logged("dial host=unix:" + path + " address=unix:: connected"));
  }
}

void test_dial_unix_missing_or_dead_file_fails(void** state) {
  Folder dir;
  DialScene s(poller(state));
  dial(s, dir.file());
  s.turns();
  assert_int_equal(s.result.error, WS_ERR_CONNECT);
  assert_int_equal(s.result.sys_errno, ENOENT);
  expect(s.result.detail, "connect unix:" + dir.file() + ": No such file or directory");
  { Server gone(dir.file()); }
  s.attempts.clear();
  dial(s, dir.file());
  s.turns();
  assert_int_equal(s.result.told, 2);
  assert_int_equal(s.result.sys_errno, ECONNREFUSED);
}

void test_dial_unix_path_that_is_none_is_invalid(void** state) {
  DialScene s(poller(state));
  Dialer* d = nullptr;
  // A path keeps its NUL; an abstract name begins with one where the '@' is.
  size_t most = sizeof(sockaddr_un::sun_path) - 1;
  for (const std::string& path : {std::string(), std::string("@"), std::string(most + 1, 'x'),
                                  "@" + std::string(most + 1, 'x')}) {
    assert_int_equal(Dialer::unix_socket(*s.loop, s.result, path.c_str(), &d).code(),
                     WS_ERR_INVALID);
    assert_null(d);
  }
  dial(s, std::string(most, 'x'));
  s.turns();
  assert_int_equal(s.result.sys_errno, ENOENT);
}

void test_dial_unix_full_queue_is_asked_again_ever_more_slowly(void** state) {
  Folder dir;
  Server server(dir.file(), 0);
  server.fill();
  DialScene s(poller(state));
  dial(s, dir.file());
  s.turns();
  for (int i = 0; i < 1000; ++i) s.advance_ms(1);
  expect(s.tried(),
         "unix: @ 0, unix: @ 10, unix: @ 30, unix: @ 70, unix: @ 150, unix: @ 310, unix: @ 560, "
         "unix: @ 810");
  assert_int_equal(s.result.told, 0);
  assert_int_equal(s.open_sockets(), 0);  // none while it waits
  server.accept_one();
  s.advance_ms(59);
  assert_int_equal(s.result.told, 0);
  s.advance_ms(1);
  assert_int_equal(s.result.told, 1);
  assert_true(s.result.fd >= 0);
  assert_int_equal(s.loop->timers().count(), 0);
}

void test_dial_unix_cancelled_in_every_phase_leaves_nothing(void** state) {
  for (int phase = 0; phase < 3; ++phase) {
    Folder dir;
    Server server(dir.file(), 0);
    server.fill();
    DialScene s(poller(state));
    Dialer* d = dial(s, dir.file());
    if (phase >= 1) s.turns();
    if (phase >= 2) s.advance_ms(500);
    size_t tried = s.attempts.size();
    d->cancel();
    s.advance_ms(1000);
    assert_int_equal(s.attempts.size(), tried);
    assert_int_equal(s.result.told, 0);
    assert_int_equal(s.loop->timers().count(), 0);
  }
}

void test_dial_unix_forgotten_ends_with_the_loop_and_is_not_told(void** state) {
  for (bool begun : {false, true}) {
    Folder dir;
    Server server(dir.file(), 0);
    if (begun) server.fill();
    DialScene s(poller(state));
    dial(s, dir.file());
    if (begun) s.turns();
    s.free_loop();
    assert_int_equal(s.result.told, 0);
    assert_int_equal(s.attempts.size(), begun ? 1 : 0);
  }
}

void test_dial_unix_eagain_of_tcp_is_a_failure(void** state) {
  DialScene s(poller(state));
  s.fail_with("192.0.2.1:80", EAGAIN);
  s.dial("192.0.2.1");
  s.turns();
  assert_int_equal(s.result.error, WS_ERR_CONNECT);
  assert_int_equal(s.result.sys_errno, EAGAIN);
}

void test_dial_unix_without_descriptors_or_memory_fails(void** state) {
  Folder dir;
  Server server(dir.file());
  DialScene s(poller(state));
  dial(s, dir.file());
  s.socket_error = EMFILE;
  s.turns();
  assert_int_equal(s.result.error, WS_ERR_IO);
  assert_int_equal(s.result.sys_errno, EMFILE);

  Faults faults;
  faults.fail_alloc = 1;
  set_faults(faults);
  s.install();
  Dialer* d = nullptr;
  bool threw = false;
  try {
    (void)Dialer::unix_socket(*s.loop, s.result, dir.file().c_str(), &d).failed();
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  assert_true(threw);
  assert_null(d);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      BOTH(test_dial_unix_connects),
      BOTH(test_dial_unix_missing_or_dead_file_fails),
      BOTH(test_dial_unix_path_that_is_none_is_invalid),
      BOTH(test_dial_unix_full_queue_is_asked_again_ever_more_slowly),
      BOTH(test_dial_unix_cancelled_in_every_phase_leaves_nothing),
      BOTH(test_dial_unix_forgotten_ends_with_the_loop_and_is_not_told),
      BOTH(test_dial_unix_eagain_of_tcp_is_a_failure),
      BOTH(test_dial_unix_without_descriptors_or_memory_fails),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
