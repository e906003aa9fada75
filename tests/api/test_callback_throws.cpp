// A C++ exception that a callback lets through ends its connection and nothing else.
#include <libws/ws.h>

extern "C" {
#include "world.h"
}

#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

// Which event throws; set by each test.
const char *thrower;

void on_event(World *, const char *event, ws_conn *) {
  if (std::strcmp(event, thrower) == 0) throw std::runtime_error("from a callback");
}

void *on_room(ws_conn *, ws_opcode, size_t, void *) {
  if (std::strcmp(thrower, "room") == 0) throw std::runtime_error("from on_room");
  return nullptr;
}

void expect_isolated(const char *event, void (*provoke)(Peer *)) {
  World w;
  world_prepare(&w);
  w.on = on_event;
  w.handlers.on_room = on_room;
  w.limits.close_timeout_ms = 50;  // the peers here do not answer a Close
  thrower = "nothing";
  world_start(&w);
  Peer other;
  world_join(&w, &other);
  Peer p;
  peer_connect(&p, w.loop, w.port);
  thrower = event;
  peer_open(&p);
  provoke(&p);
  world_wait_closed(&w, 1);
  thrower = "nothing";
  peer_drop(&p);
  // The other connection and the loop live.
  peer_send_text(&other, "still here");
  world_wait_log(&w, "text:still here");
  assert_int_equal(ws_server_count(w.server), 1);
  peer_drop(&other);
  world_wait_closed(&w, 2);
  world_stop(&w);
}

void nothing(Peer *) {}
void text(Peer *p) { peer_send_text(p, "hello"); }
void ping(Peer *p) { peer_send_frame(p, 0x89, "x", 1); }
void pong(Peer *p) { peer_send_frame(p, 0x8a, "x", 1); }
void large(Peer *p) {
  // More than one read holds; the server may be gone before all of it has left, so only a part.
  std::vector<uint8_t> wire(WIRE_OVERHEAD + 40000);
  const size_t header = wire_client_header(wire.data(), FIN_BINARY, 500000);
  peer_send(p, wire.data(), header + 40000);
}
void bye(Peer *p) { peer_send_close(p, 1000, ""); }

/* bad: 235 */
void test_exception_in_on_open_ends_its_connection(void **) { expect_isolated("open", nothing); }

/* bad: 235 */
void test_exception_in_on_message_ends_its_connection(void **) { expect_isolated("message", text); }

/* bad: 235 */
void test_exception_in_on_ping_ends_its_connection(void **) { expect_isolated("ping", ping); }

/* bad: 235 */
void test_exception_in_on_pong_ends_its_connection(void **) { expect_isolated("pong", pong); }

/* bad: 235 */
void test_exception_in_on_room_ends_its_connection(void **) { expect_isolated("room", large); }

/* bad: 235 */
void test_exception_in_on_close_is_survived(void **) { expect_isolated("close", bye); }

/* bad: 235 */
void test_exception_in_on_message_is_told_as_1011(void **) {
  World w;
  world_prepare(&w);
  w.on = on_event;
  w.limits.close_timeout_ms = 50;
  thrower = "message";
  world_start(&w);
  Peer p;
  world_join(&w, &p);
  peer_send_text(&p, "hello");
  peer_expect_close(&p, 1011);
  peer_drop(&p);
  world_wait_closed(&w, 1);
  world_stop(&w);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_exception_in_on_open_ends_its_connection),
      cmocka_unit_test(test_exception_in_on_message_ends_its_connection),
      cmocka_unit_test(test_exception_in_on_ping_ends_its_connection),
      cmocka_unit_test(test_exception_in_on_pong_ends_its_connection),
      cmocka_unit_test(test_exception_in_on_room_ends_its_connection),
      cmocka_unit_test(test_exception_in_on_close_is_survived),
      cmocka_unit_test(test_exception_in_on_message_is_told_as_1011),
  };
  return cmocka_run_group_tests_name("callback_throws", tests, nullptr, nullptr);
}
