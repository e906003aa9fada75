// Listeners on both pollers: batches, back-off without spinning, closing, socket files.
#include "libws/net/listener.hpp"

#include "libws/base/system.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
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

struct Sink : AcceptSink {
  std::vector<int> taken;
  size_t room = 100000;
  std::function<void(Listener&)> then;
  void on_accept(Listener& from, int fd, const Address& peer) override {
    assert_true(peer.family() != AF_UNSPEC);
    taken.push_back(fd);
    if (then) then(from);
  }
  bool can_accept() override { return taken.size() < room; }
  void close_listener(Listener*) override {}
  ~Sink() {
    for (int fd : taken) close(fd);
  }
};

std::vector<std::string> lines;
uint64_t fake_us;
int accepts;       // calls
int accept_error;  // what each fails with, 0: real

int reset(void**) {
  lines.clear();
  accepts = accept_error = 0;
  system_table = kRealSystem;
  fake_us = 1000000;
  system_table.now_us = [] { return fake_us; };
  system_table.accept = [](int fd, sockaddr* addr, socklen_t* len) {
    ++accepts;
    if (accept_error != 0) {
      errno = accept_error;
      return -1;
    }
    return real::accept(fd, addr, len);
  };
  return 0;
}

int restore(void**) {
  system_table = kRealSystem;
  return 0;
}

// A loop, a sink and one listener on loopback, or on `unix_path`.
struct Scene {
  std::unique_ptr<Loop> loop;
  Sink sink;
  Listener* listener = nullptr;
  Address at;
  std::vector<int> clients;

  explicit Scene(void** state, const std::string& unix_path = "") {
    LoopConfig config;
    config.poller = static_cast<const char*>(*state);
    config.log = Log(
        WS_LOG_DEBUG,
        [](void*, ws_log_level level, const char* line, size_t len) {
          lines.push_back(std::to_string(level) + " " + std::string(line, len));
        },
        nullptr);
    assert_false(Loop::create(config, &loop).failed());
    if (unix_path.empty()) {
      Vector<Address> found;
      assert_false(address_for_listening("127.0.0.1", 0, &found).failed());
      at = found[0];
    } else {
      assert_false(address_unix(unix_path.c_str(), &at).failed());
    }
    int fd = -1;
    assert_false(socket_listen(at, {}, &fd).failed());
    assert_true(socket_local_address(fd, &at));
    listener = new Listener(*loop, sink, fd, unix_path);
    assert_false(listener->start().failed());
  }
  ~Scene() {
    if (listener != nullptr) listener->close();
    assert_false(loop->shut_down().failed());
    for (int fd : clients) close(fd);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  void connect_clients(int count) {
    for (int i = 0; i < count; ++i) {
      int fd = socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
      assert_int_equal(connect(fd, at.get(), at.len), 0);
      clients.push_back(fd);
    }
  }
  void close_listener() {
    listener->close();
    listener = nullptr;
  }
};

void test_listener_accepts_at_most_64_a_turn(void** state) {
  for (int count : {63, 64, 65}) {
    reset(nullptr);
    Scene s(state);
    s.connect_clients(count);
    assert_int_equal(s.loop->dispatch(0), 1);
    assert_int_equal(s.sink.taken.size(), count < 64 ? count : 64);
    s.loop->dispatch(0);
    assert_int_equal(s.sink.taken.size(), count);
    assert_int_equal(s.loop->dispatch(0), 0);
  }
}

void test_listener_without_descriptors_pauses_and_tries_again(void** state) {
  for (int e : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    reset(nullptr);
    Scene s(state);
    s.connect_clients(2);
    accept_error = e;
    assert_int_equal(s.loop->dispatch(0), 1);
    assert_int_equal(accepts, 1);
    // Connections wait, and yet the loop is idle: nothing to do until the timer.
    for (int i = 0; i < 5; ++i) assert_int_equal(s.loop->dispatch(0), 0);
    fake_us += 99000;
    assert_int_equal(s.loop->dispatch(0), 0);
    assert_int_equal(accepts, 1);
    fake_us += 1000;
    s.loop->dispatch(0);  // the timer
    s.loop->dispatch(0);  // and the next failure
    assert_int_equal(accepts, 2);
    assert_int_equal(s.loop->dispatch(0), 0);

    accept_error = 0;
    fake_us += 100000;
    s.loop->dispatch(0);
    s.loop->dispatch(0);
    assert_int_equal(s.sink.taken.size(), 2);
    assert_int_equal(lines.size(), 1);  // one line for the whole episode
    assert_int_equal(lines[0].substr(0, 2) == "2 ", 1);
    assert_non_null(strstr(lines[0].c_str(), "accept: "));

    accept_error = e;  // a new episode is told again
    s.connect_clients(1);
    s.loop->dispatch(0);
    assert_int_equal(lines.size(), 2);
  }
}

void test_listener_resumed_in_an_episode_accepts_now_and_logs_no_more(void** state) {
  Scene s(state);
  s.connect_clients(2);
  accept_error = EMFILE;
  s.loop->dispatch(0);
  s.sink.then = [](Listener&) { accept_error = EMFILE; };  // only one descriptor came free
  accept_error = 0;
  s.listener->resume();
  assert_int_equal(s.loop->timers().count(), 0);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 1);
  assert_int_equal(lines.size(), 1);
  assert_int_equal(s.loop->timers().count(), 1);
}

void test_listener_survives_an_unusable_descriptor_without_spinning(void** state) {
  Scene s(state);
  s.connect_clients(1);
  for (int e : {EBADF, EPERM}) {  // EPERM for ever: a sandbox
    accept_error = e;
    fake_us += 100000;
    s.loop->dispatch(0);
    s.loop->dispatch(0);
    int before = accepts;
    for (int i = 0; i < 5; ++i) s.loop->dispatch(0);
    assert_int_equal(accepts, before);
  }
}

void test_listener_with_a_full_sink_waits_for_resume(void** state) {
  Scene s(state);
  s.sink.room = 2;
  s.connect_clients(3);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 2);
  fake_us += 10000000;
  for (int i = 0; i < 5; ++i) assert_int_equal(s.loop->dispatch(0), 0);
  assert_int_equal(s.loop->timers().count(), 0);
  s.listener->resume();  // too early: still full
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 2);
  assert_int_equal(s.loop->dispatch(0), 0);
  s.sink.room = 3;
  s.listener->resume();
  s.listener->resume();
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 3);
  assert_int_equal(lines.size(), 0);
}

void test_listener_that_cannot_be_watched_again_keeps_trying(void**) {
  char epoll[] = "epoll";
  void* state = epoll;
  Scene s(&state);
  s.connect_clients(1);
  s.sink.room = 0;
  s.loop->dispatch(0);
  s.sink.room = 1;
  system_table.epoll_ctl = [](int, int, int, epoll_event*) {
    errno = ENOMEM;
    return -1;
  };
  s.listener->resume();
  assert_int_equal(s.loop->timers().count(), 1);
  system_table.epoll_ctl = real::epoll_ctl;
  fake_us += 100000;
  s.loop->dispatch(0);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 1);
}

void test_listener_closed_in_on_accept_stops_there(void** state) {
  Scene s(state);
  s.connect_clients(3);
  s.sink.then = [&](Listener& from) {
    from.close();
    from.close();
    from.resume();
    assert_int_equal(from.port(), 0);
    s.listener = nullptr;
  };
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 1);
  assert_int_equal(accepts, 1);
  assert_int_equal(lines.size(), 0);
  assert_int_equal(s.loop->dispatch(0), 0);
}

void test_listener_closed_while_paused_leaves_no_timer(void** state) {
  Scene s(state);
  s.connect_clients(1);
  accept_error = EMFILE;
  s.loop->dispatch(0);
  assert_int_equal(s.loop->timers().count(), 1);
  s.close_listener();
  assert_int_equal(s.loop->timers().count(), 0);
  fake_us += 200000;
  s.loop->dispatch(0);
  assert_int_equal(accepts, 1);
}

void test_listener_that_fails_to_start_owns_its_descriptor(void**) {
  LoopConfig config;
  std::unique_ptr<Loop> loop;
  assert_false(Loop::create(config, &loop).failed());
  Sink sink;
  Vector<Address> found;
  assert_false(address_for_listening("127.0.0.1", 0, &found).failed());
  int fd = -1;
  assert_false(socket_listen(found[0], {}, &fd).failed());
  auto* listener = new Listener(*loop, sink, fd, "");
  system_table.epoll_ctl = [](int, int, int, epoll_event*) {
    errno = ENOSPC;
    return -1;
  };
  assert_int_equal(listener->start().code(), WS_ERR_IO);
  static int closed;
  closed = -1;
  system_table.close = [](int f) {
    closed = f;
    return real::close(f);
  };
  listener->close();
  assert_int_equal(closed, fd);
  assert_false(loop->shut_down().failed());
}

void test_listener_knows_its_port(void** state) {
  Scene s(state);
  assert_int_equal(s.listener->port(), s.at.port());
  assert_true(s.listener->port() != 0);
}

void test_listener_resets_and_early_closes_leave_the_loop_idle(void** state) {
  Scene s(state);
  s.connect_clients(20);
  linger hard = {1, 0};
  for (size_t i = 0; i < s.clients.size(); ++i) {
    if (i % 2 == 0) setsockopt(s.clients[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(s.clients[i]);
  }
  s.clients.clear();
  s.loop->dispatch(0);
  assert_int_equal(s.loop->dispatch(0), 0);
}

struct Folder {
  char path[32] = "/tmp/libws-listener-XXXXXX";
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
  bool exists() const {
    struct stat st;
    return lstat(file().c_str(), &st) == 0;
  }
};

void test_listener_unix_removes_its_file_at_close(void** state) {
  Folder dir;
  Scene s(state, dir.file());
  assert_int_equal(s.listener->port(), 0);
  s.connect_clients(1);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 1);
  assert_true(dir.exists());
  s.close_listener();
  assert_false(dir.exists());
}

void test_listener_unix_leaves_its_successors_file(void** state) {
  Folder dir;
  Scene first(state, dir.file());
  // A successor that replaces the file while the first still listens.
  std::string aside = std::string(dir.path) + "/n";
  Address at;
  assert_false(address_unix(aside.c_str(), &at).failed());
  int fd = -1;
  assert_false(socket_listen(at, {}, &fd).failed());
  assert_int_equal(rename(aside.c_str(), dir.file().c_str()), 0);
  first.close_listener();
  assert_true(dir.exists());
  close(fd);
}

void test_listener_abstract_removes_no_file(void** state) {
  Scene s(state, "@libws-test-listener-" + std::to_string(getpid()));
  s.connect_clients(1);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.taken.size(), 1);
  s.close_listener();
}

char epoll_name[] = "epoll";
char poll_name[] = "poll";
#define BOTH(f)                                                          \
  CMUnitTest{#f " [epoll]", f, reset, restore, epoll_name}, CMUnitTest { \
#f " [poll]", f, reset, restore, poll_name                           \
  }

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      BOTH(test_listener_accepts_at_most_64_a_turn),
      BOTH(test_listener_without_descriptors_pauses_and_tries_again),
      BOTH(test_listener_resumed_in_an_episode_accepts_now_and_logs_no_more),
      BOTH(test_listener_survives_an_unusable_descriptor_without_spinning),
      BOTH(test_listener_with_a_full_sink_waits_for_resume),
      cmocka_unit_test_setup_teardown(test_listener_that_cannot_be_watched_again_keeps_trying,
                                      reset, restore),
      BOTH(test_listener_closed_in_on_accept_stops_there),
      BOTH(test_listener_closed_while_paused_leaves_no_timer),
      cmocka_unit_test_setup_teardown(test_listener_that_fails_to_start_owns_its_descriptor, reset,
                                      restore),
      BOTH(test_listener_knows_its_port),
      BOTH(test_listener_resets_and_early_closes_leave_the_loop_idle),
      BOTH(test_listener_unix_removes_its_file_at_close),
      BOTH(test_listener_unix_leaves_its_successors_file),
      BOTH(test_listener_abstract_removes_no_file),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
