// What a turn delivers leaves in one system call for each subscriber.
#include "libws/base/system.hpp"

#include <libws/hub.h>
#include <libws/server.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
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

using libws::system_table;

namespace {

constexpr int kSubscribers = 3;

int writes = 0;

ssize_t counted_send(int fd, const void* buf, size_t len) {
  ++writes;
  return libws::real::send(fd, buf, len);
}

ssize_t counted_sendv(int fd, const iovec* iov, size_t count) {
  ++writes;
  return libws::real::sendv(fd, iov, count);
}

struct Setting {
  ws_hub* hub = nullptr;
  ws_loop* loop = nullptr;
  std::vector<ws_conn*> conns;
  std::vector<int> fds;
};

void on_open(ws_conn* c, void* user) {
  auto* s = static_cast<Setting*>(user);
  s->conns.push_back(c);
  assert_int_equal(ws_hub_subscribe(s->hub, c, "t"), 0);
}

int connect_to(uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  assert_int_equal(send(fd, request.data(), request.size(), 0), request.size());
  return fd;
}

void start(Setting* s) {
  ws_server_config config;
  ws_handlers handlers;
  ws_conn_config limits;
  ws_listen_config listen;
  ws_server* server;
  ws_listener* listener;
  WS_INIT(&config);
  WS_INIT(&handlers);
  WS_INIT(&limits);
  WS_INIT(&listen);
  system_table = libws::kRealSystem;  // also where faults are asked for: calls are counted here
  handlers.on_open = on_open;
  limits.deflate = WS_DEFLATE_OFF;
  config.handlers = &handlers;
  config.conn = &limits;
  config.user = s;
  listen.host = "127.0.0.1";
  assert_int_equal(ws_hub_new(nullptr, &s->hub), 0);
  assert_int_equal(ws_loop_new(nullptr, &s->loop), 0);
  assert_int_equal(ws_server_new(s->loop, &config, &server), 0);
  assert_int_equal(ws_server_listen(server, &listen, &listener), 0);
  for (size_t i = 0; i < kSubscribers; ++i) {
    s->fds.push_back(connect_to(ws_listener_port(listener)));
    while (s->conns.size() <= i) assert_true(ws_loop_dispatch(s->loop, 1000) >= 0);
  }
  while (ws_loop_dispatch(s->loop, 0) > 0) {
  }
  system_table.send = counted_send;
  system_table.sendv = counted_sendv;
  writes = 0;
}

void stop(Setting* s) {
  system_table = libws::kRealSystem;
  for (int fd : s->fds) close(fd);
  assert_int_equal(ws_loop_free(s->loop), 0);
  ws_hub_unref(s->hub);
}

void say(ws_hub* hub, size_t len) {
  ws_message* m;
  const std::string text(len, 'x');
  assert_int_equal(ws_message_new(WS_OP_TEXT, text.data(), text.size(), &m), 0);
  assert_int_equal(ws_hub_publish(hub, "t", m, nullptr, 0), 0);
  ws_message_unref(m);
}

void test_topics_many_messages_of_a_turn_are_one_write_for_each_subscriber(void**) {
  Setting s;
  start(&s);
  for (int i = 0; i < 50; ++i) say(s.hub, 100);
  assert_int_equal(writes, 0);
  assert_true(ws_loop_dispatch(s.loop, 1000) >= 0);
  assert_int_equal(writes, kSubscribers);
  stop(&s);
}

void test_topics_published_inside_a_turn_are_one_write_for_each_subscriber(void**) {
  Setting s;
  start(&s);
  const auto publish = [](ws_loop*, void* hub, int cancelled) {
    if (cancelled != 0) return;
    for (int i = 0; i < 50; ++i) say(static_cast<ws_hub*>(hub), 100);
    assert_int_equal(writes, 0);
  };
  assert_int_equal(ws_loop_post(s.loop, publish, s.hub), 0);
  assert_true(ws_loop_dispatch(s.loop, 1000) >= 0);
  assert_int_equal(writes, kSubscribers);
  stop(&s);
}

// A message of more than 256 bytes is sent from where it lies: two slices, and sixteen a call.
void test_topics_larger_messages_are_gathered(void**) {
  Setting s;
  start(&s);
  for (int i = 0; i < 24; ++i) say(s.hub, 1000);
  assert_true(ws_loop_dispatch(s.loop, 1000) >= 0);
  assert_int_equal(writes, kSubscribers * 3);
  stop(&s);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_topics_many_messages_of_a_turn_are_one_write_for_each_subscriber),
      cmocka_unit_test(test_topics_published_inside_a_turn_are_one_write_for_each_subscriber),
      cmocka_unit_test(test_topics_larger_messages_are_gathered),
  };
  return cmocka_run_group_tests_name("topics_writes", tests, nullptr, nullptr);
}
