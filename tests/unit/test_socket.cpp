// Socket calls: outcomes of reads and writes, listening on every kind of address, accepting.
#include "libws/net/socket.hpp"

#include "libws/base/system.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
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

struct Pair {
  int ours, theirs;
  Pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) abort();
    ours = fds[0];
    theirs = fds[1];
  }
  ~Pair() {
    close(ours);
    if (theirs >= 0) close(theirs);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void hang_up() {
    close(theirs);
    theirs = -1;
  }
};

// A directory for socket files, gone with the test.
struct Folder {
  char path[32] = "/tmp/libws-socket-XXXXXX";
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

int closed, calls;
std::vector<int> script;  // what the next calls fail with; then they are real

int next_failure() {
  ++calls;
  if (script.empty()) return 0;
  int e = script.front();
  script.erase(script.begin());
  return e;
}

int reset(void**) {
  system_table = kRealSystem;
  closed = calls = 0;
  script.clear();
  system_table.close = [](int fd) {
    ++closed;
    return real::close(fd);
  };
  return 0;
}

int restore(void**) {
  system_table = kRealSystem;
  return 0;
}

template <auto Real, class... Args>
auto scripted(Args... args) {
  if (int e = next_failure()) {
    errno = e;
    return static_cast<decltype(Real(args...))>(-1);
  }
  return Real(args...);
}

Error listen_unix(const std::string& path, const ListenOptions& options, int* out) {
  Address a;
  assert_false(address_unix(path.c_str(), &a).failed());
  return socket_listen(a, options, out);
}

Address loopback(int family) {
  Vector<Address> found;
  const char* host = family == AF_INET ? "127.0.0.1" : "::1";
  assert_false(address_for_listening(host, 0, &found).failed());
  return found[0];
}

// Both families, or IPv4 alone where the system has no IPv6.
std::vector<int> families() {
  int fd = -1;
  if (socket_listen(loopback(AF_INET6), {}, &fd).failed()) return {AF_INET};
  close(fd);
  return {AF_INET, AF_INET6};
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
  return value;
}

// ---- reading and writing ----

void test_read_outcomes(void**) {
  Pair p;
  char buf[8];
  assert_int_equal(socket_read(p.ours, buf, sizeof buf).status, IoResult::kWouldBlock);
  assert_int_equal(write(p.theirs, "abc", 3), 3);
  IoResult r = socket_read(p.ours, buf, sizeof buf);
  assert_int_equal(r.status, IoResult::kOk);
  assert_int_equal(r.bytes, 3);
  p.hang_up();
  assert_int_equal(socket_read(p.ours, buf, sizeof buf).status, IoResult::kEof);
  r = socket_read(-1, buf, sizeof buf);
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(r.sys_errno, EBADF);
}

void test_readv_fills_the_areas_in_turn(void**) {
  Pair p;
  char first[2], second[8];
  const iovec areas[2] = {{first, sizeof first}, {second, sizeof second}};
  assert_int_equal(socket_readv(p.ours, areas, 2).status, IoResult::kWouldBlock);
  assert_int_equal(write(p.theirs, "abcde", 5), 5);
  IoResult r = socket_readv(p.ours, areas, 2);
  assert_int_equal(r.status, IoResult::kOk);
  assert_int_equal(r.bytes, 5);
  assert_memory_equal(first, "ab", 2);
  assert_memory_equal(second, "cde", 3);
  p.hang_up();
  assert_int_equal(socket_readv(p.ours, areas, 2).status, IoResult::kEof);
  script = {EINTR, ENOBUFS, ECONNRESET};
  system_table.recvv = scripted<real::recvv, int, const iovec*, size_t>;
  assert_int_equal(socket_readv(p.ours, areas, 2).status, IoResult::kWouldBlock);
  assert_int_equal(socket_readv(p.ours, areas, 2).sys_errno, ECONNRESET);
}

void test_interrupted_calls_are_repeated(void**) {
  Pair p;
  char buf[8];
  system_table.recv = scripted<real::recv, int, void*, size_t>;
  system_table.send = scripted<real::send, int, const void*, size_t>;
  system_table.sendv = scripted<real::sendv, int, const iovec*, size_t>;
  script = {EINTR, EINTR};
  assert_int_equal(socket_write(p.ours, "ab", 2).bytes, 2);
  assert_int_equal(calls, 3);
  script = {EINTR, EINTR};
  iovec iov[2] = {{buf, 1}, {buf + 1, 1}};
  assert_int_equal(socket_writev(p.ours, iov, 2).bytes, 2);
  assert_int_equal(calls, 6);
  script = {EINTR};
  assert_int_equal(socket_read(p.theirs, buf, sizeof buf).bytes, 4);
  assert_int_equal(calls, 8);
}

void test_passing_shortages_would_block_and_errors_fail(void**) {
  Pair p;
  char buf[8] = {};
  iovec iov[2] = {{buf, 1}, {buf + 1, 1}};
  system_table.recv = scripted<real::recv, int, void*, size_t>;
  system_table.send = scripted<real::send, int, const void*, size_t>;
  system_table.sendv = scripted<real::sendv, int, const iovec*, size_t>;
  for (int e : {EAGAIN, ENOBUFS, ENOMEM}) {
    script = {e, e, e};
    assert_int_equal(socket_read(p.ours, buf, 1).status, IoResult::kWouldBlock);
    assert_int_equal(socket_write(p.ours, buf, 1).status, IoResult::kWouldBlock);
    assert_int_equal(socket_writev(p.ours, iov, 2).status, IoResult::kWouldBlock);
  }
  for (int e : {ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ENETDOWN}) {
    script = {e, e, e};
    assert_int_equal(socket_read(p.ours, buf, 1).sys_errno, e);
    assert_int_equal(socket_write(p.ours, buf, 1).sys_errno, e);
    IoResult r = socket_writev(p.ours, iov, 2);
    assert_int_equal(r.status, IoResult::kFailed);
    assert_int_equal(r.sys_errno, e);
  }
}

void test_write_of_nothing_would_block(void**) {
  system_table.send = [](int, const void*, size_t) -> ssize_t { return 0; };
  assert_int_equal(socket_write(0, "a", 1).status, IoResult::kWouldBlock);
}

void test_write_to_a_gone_peer_fails_without_a_signal(void**) {
  Pair p;
  p.hang_up();
  iovec iov[2] = {{const_cast<char*>("a"), 1}, {const_cast<char*>("b"), 1}};
  assert_int_equal(socket_write(p.ours, "a", 1).sys_errno, EPIPE);
  assert_int_equal(socket_writev(p.ours, iov, 2).sys_errno, EPIPE);
}

void test_writev_of_one_slice_uses_send(void**) {
  Pair p;
  system_table.sendv = [](int, const iovec*, size_t) -> ssize_t { abort(); };
  iovec one = {const_cast<char*>("a"), 1};
  assert_int_equal(socket_writev(p.ours, &one, 1).bytes, 1);
}

void test_writev_of_more_slices_than_the_kernel_takes_writes_the_first(void**) {
  char c = 'x';
  for (size_t count : {size_t{IOV_MAX} - 1, size_t{IOV_MAX}, size_t{IOV_MAX} + 1}) {
    Pair p;
    std::vector<iovec> iov(count, iovec{&c, 1});
    IoResult r = socket_writev(p.ours, iov.data(), iov.size());
    assert_int_equal(r.status, IoResult::kOk);
    assert_int_equal(r.bytes, count < IOV_MAX ? count : IOV_MAX);
  }
}

void test_close_keeps_errno(void**) {
  errno = 4711;
  socket_close(-1);
  assert_int_equal(errno, 4711);
}

// ---- listening ----

void test_listen_tcp_sets_its_options(void**) {
  for (int family : families()) {
    for (bool on : {false, true}) {
      ListenOptions options;
      options.reuse_port = on;
      options.v6_only = on;
      int fd = -1;
      assert_false(socket_listen(loopback(family), options, &fd).failed());
      assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
      assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
      assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), on);
      assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
      assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
      Address local;
      assert_true(socket_local_address(fd, &local));
      assert_true(local.port() != 0);
      socket_close(fd);
    }
  }
}

void test_listen_on_all_of_ipv6_takes_ipv4_unless_told_not_to(void**) {
  for (bool v6_only : {false, true}) {
    Vector<Address> any;
    assert_false(address_for_listening("::", 0, &any).failed());
    ListenOptions options;
    options.v6_only = v6_only;
    int fd = -1;
    assert_false(socket_listen(any[0], options, &fd).failed());
    assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), v6_only);
    socket_close(fd);
  }
}

void test_listen_tcp_on_a_used_port_says_so(void**) {
  int first = -1, second = -1;
  assert_false(socket_listen(loopback(AF_INET), {}, &first).failed());
  Address taken;
  assert_true(socket_local_address(first, &taken));
  assert_int_equal(socket_listen(taken, {}, &second).code(), WS_ERR_ADDR);
  assert_int_equal(second, -1);
  assert_int_equal(closed, 1);
  std::string wanted =
      "listen 127.0.0.1:" + std::to_string(taken.port()) + ": Address already in use";
  assert_string_equal(last_detail(), wanted.c_str());
  socket_close(first);
}

void test_listen_failing_at_each_call_closes_the_socket(void**) {
  struct {
    int call, error, code;
  } cases[] = {{0, EMFILE, WS_ERR_IO},
               {0, EAFNOSUPPORT, WS_ERR_ADDR},
               {1, ENOMEM, WS_ERR_IO},
               {2, EACCES, WS_ERR_ADDR},
               {3, EADDRINUSE, WS_ERR_ADDR}};
  Address address = loopback(AF_INET6);
  for (auto& c : cases) {
    reset(nullptr);
    script = {c.error};
    if (c.call == 0) system_table.socket = scripted<real::socket, int, int, int>;
    if (c.call == 1) {
      system_table.setsockopt = scripted<real::setsockopt, int, int, int, const void*, socklen_t>;
    }
    if (c.call == 2) system_table.bind = scripted<real::bind, int, const sockaddr*, socklen_t>;
    if (c.call == 3) system_table.listen = scripted<real::listen, int, int>;
    int fd = -1;
    assert_int_equal(socket_listen(address, {}, &fd).code(), c.code);
    assert_int_equal(fd, -1);
    assert_int_equal(closed, c.call == 0 ? 0 : 1);
  }
}

void test_listen_unix_mode_does_not_depend_on_umask(void**) {
  Folder dir;
  for (mode_t mask : {mode_t{0}, mode_t{022}, mode_t{0777}}) {
    for (uint32_t mode : {0600u, 0666u, 0660u}) {
      ListenOptions options;
      options.unix_mode = mode;
      mode_t before = umask(mask);
      int fd = -1;
      Error e = listen_unix(dir.file(), options, &fd);
      assert_int_equal(umask(before), mask);  // and the library left it alone
      assert_false(e.failed());
      struct stat st;
      assert_int_equal(lstat(dir.file().c_str(), &st), 0);
      assert_int_equal(st.st_mode & 07777, mode);
      socket_close(fd);
      unlink(dir.file().c_str());
    }
  }
}

void test_listen_unix_replaces_a_stale_socket(void**) {
  Folder dir;
  int fd = -1;
  assert_false(listen_unix(dir.file(), {}, &fd).failed());
  socket_close(fd);  // the file stays, nobody answers
  assert_false(listen_unix(dir.file(), {}, &fd).failed());
  socket_close(fd);
}

void test_listen_unix_refuses_a_live_socket(void**) {
  Folder dir;
  int live = -1, fd = -1;
  ListenOptions options;
  options.backlog = 0;
  assert_false(listen_unix(dir.file(), options, &live).failed());
  for (int i = 0; i < 4; ++i) {  // the probes fill its queue: a full queue is alive too
    assert_int_equal(listen_unix(dir.file(), {}, &fd).code(), WS_ERR_ADDR);
    assert_non_null(strstr(last_detail(), "Address already in use"));
    assert_non_null(strstr(last_detail(), dir.path));
  }
  assert_int_equal(fd, -1);
  assert_int_equal(access(dir.file().c_str(), F_OK), 0);
  socket_close(live);
}

void test_listen_unix_refuses_what_is_not_a_socket(void**) {
  Folder dir;
  int file = open(dir.file().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  assert_int_equal(write(file, "keep", 4), 4);
  close(file);
  int fd = -1;
  assert_int_equal(listen_unix(dir.file(), {}, &fd).code(), WS_ERR_ADDR);
  struct stat st;
  assert_int_equal(lstat(dir.file().c_str(), &st), 0);
  assert_int_equal(st.st_size, 4);
  unlink(dir.file().c_str());
  assert_int_equal(symlink("/nonexistent/target", dir.file().c_str()), 0);
  assert_int_equal(listen_unix(dir.file(), {}, &fd).code(), WS_ERR_ADDR);
  assert_int_equal(lstat(dir.file().c_str(), &st), 0);
}

void test_listen_unix_failing_after_bind_leaves_no_file(void**) {
  Folder dir;
  script = {EOPNOTSUPP};
  system_table.listen = scripted<real::listen, int, int>;
  int fd = -1;
  assert_int_equal(listen_unix(dir.file(), {}, &fd).code(), WS_ERR_ADDR);
  assert_int_equal(closed, 1);
  assert_int_equal(access(dir.file().c_str(), F_OK), -1);
}

void test_listen_unix_in_a_missing_directory_names_it(void**) {
  int fd = -1;
  assert_int_equal(listen_unix("/nonexistent/dir/s", {}, &fd).code(), WS_ERR_ADDR);
  assert_string_equal(last_detail(), "listen unix:/nonexistent/dir/s: No such file or directory");
}

void test_listen_abstract_needs_no_file(void**) {
  std::string name = "@libws-test-" + std::to_string(getpid());
  int fd = -1, second = -1;
  assert_false(listen_unix(name, {}, &fd).failed());
  assert_int_equal(listen_unix(name, {}, &second).code(), WS_ERR_ADDR);
  assert_non_null(strstr(last_detail(), name.c_str()));
  socket_close(fd);
}

// ---- inherited descriptors ----

void test_adopt_makes_a_listening_socket_usable(void**) {
  Address address = loopback(AF_INET);
  int fd = socket(AF_INET, SOCK_STREAM, 0);  // blocking, and open across exec
  assert_int_equal(bind(fd, address.get(), address.len), 0);
  assert_int_equal(socket_adopt_listening(fd).code(), WS_ERR_INVALID);  // not listening yet
  assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);                 // and left as it was
  assert_int_equal(listen(fd, 1), 0);
  assert_false(socket_adopt_listening(fd).failed());
  assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  close(fd);
}

void test_adopt_refuses_what_cannot_listen(void**) {
  Pair connected;
  assert_int_equal(socket_adopt_listening(connected.ours).code(), WS_ERR_INVALID);
  int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(socket_adopt_listening(datagram).code(), WS_ERR_INVALID);
  close(datagram);
  int pipe_fds[2];
  assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
  assert_int_equal(socket_adopt_listening(pipe_fds[0]).code(), WS_ERR_INVALID);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  assert_int_equal(socket_adopt_listening(-1).code(), WS_ERR_INVALID);
  // SOCK_SEQPACKET listens, but is not a stream.
  int packets = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  Address name;
  std::string text = "@libws-test-packets-" + std::to_string(getpid());
  assert_false(address_unix(text.c_str(), &name).failed());
  assert_int_equal(bind(packets, name.get(), name.len), 0);
  assert_int_equal(listen(packets, 1), 0);
  assert_int_equal(socket_adopt_listening(packets).code(), WS_ERR_INVALID);
  close(packets);
}

// ---- accepting ----

struct Listening {
  int fd = -1;
  Address at;
  explicit Listening(int family) {
    assert_false(socket_listen(loopback(family), {}, &fd).failed());
    assert_true(socket_local_address(fd, &at));
  }
  ~Listening() { close(fd); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  int client() const {
    int c = socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c, at.get(), at.len), 0);
    return c;
  }
};

void test_accept_gives_a_non_blocking_socket_and_its_peer(void**) {
  for (int family : families()) {
    Listening l(family);
    int fd = -1;
    Address peer, expected;
    assert_int_equal(socket_accept(l.fd, &fd, &peer).status, IoResult::kWouldBlock);
    int client = l.client();
    assert_int_equal(socket_accept(l.fd, &fd, &peer).status, IoResult::kOk);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true(socket_local_address(client, &expected));
    char a[kAddressTextBytes], b[kAddressTextBytes];
    address_print(peer, a);
    address_print(expected, b);
    assert_string_equal(a, b);
    close(client);
    close(fd);
  }
}

void test_accept_skips_connections_that_are_gone(void**) {
  Listening l(AF_INET);
  int client = l.client();
  system_table.accept = scripted<real::accept, int, sockaddr*, socklen_t*>;
  script = {EINTR, ECONNABORTED, EPERM, EPROTO, ENETDOWN, EHOSTUNREACH, ENETUNREACH};
  int fd = -1;
  Address peer;
  assert_int_equal(socket_accept(l.fd, &fd, &peer).status, IoResult::kOk);
  close(fd);
  close(client);
}

void test_accept_reports_exhaustion_and_endless_refusal(void**) {
  int fd = -1;
  Address peer;
  system_table.accept = scripted<real::accept, int, sockaddr*, socklen_t*>;
  for (int e : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL}) {
    script = {e};
    IoResult r = socket_accept(-1, &fd, &peer);
    assert_int_equal(r.status, IoResult::kFailed);
    assert_int_equal(r.sys_errno, e);
  }
  system_table.accept = [](int, sockaddr*, socklen_t*) {
    errno = EPERM;
    return -1;
  };
  assert_int_equal(socket_accept(-1, &fd, &peer).sys_errno, EPERM);
  assert_int_equal(fd, -1);
}

}  // namespace

int main() {
#define ONE(f) cmocka_unit_test_setup_teardown(f, reset, restore)
  const CMUnitTest tests[] = {
      ONE(test_read_outcomes),
      ONE(test_readv_fills_the_areas_in_turn),
      ONE(test_interrupted_calls_are_repeated),
      ONE(test_passing_shortages_would_block_and_errors_fail),
      ONE(test_write_of_nothing_would_block),
      ONE(test_write_to_a_gone_peer_fails_without_a_signal),
      ONE(test_writev_of_one_slice_uses_send),
      ONE(test_writev_of_more_slices_than_the_kernel_takes_writes_the_first),
      ONE(test_close_keeps_errno),
      ONE(test_listen_tcp_sets_its_options),
      ONE(test_listen_on_all_of_ipv6_takes_ipv4_unless_told_not_to),
      ONE(test_listen_tcp_on_a_used_port_says_so),
      ONE(test_listen_failing_at_each_call_closes_the_socket),
      ONE(test_listen_unix_mode_does_not_depend_on_umask),
      ONE(test_listen_unix_replaces_a_stale_socket),
      ONE(test_listen_unix_refuses_a_live_socket),
      ONE(test_listen_unix_refuses_what_is_not_a_socket),
      ONE(test_listen_unix_failing_after_bind_leaves_no_file),
      ONE(test_listen_unix_in_a_missing_directory_names_it),
      ONE(test_listen_abstract_needs_no_file),
      ONE(test_adopt_makes_a_listening_socket_usable),
      ONE(test_adopt_refuses_what_cannot_listen),
      ONE(test_accept_gives_a_non_blocking_socket_and_its_peer),
      ONE(test_accept_skips_connections_that_are_gone),
      ONE(test_accept_reports_exhaustion_and_endless_refusal),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
