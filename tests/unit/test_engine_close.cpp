// Ending: the closing handshake in both directions and at once, bad Close frames, timeouts, what
// the owner shall wait for; both roles.
#include "engine_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

std::string closed(int error, unsigned code, unsigned sent, unsigned flags,
                   const std::string& reason = "") {
  return "CLOSED:error=" + std::to_string(error) + ",code=" + std::to_string(code) +
         ",sent=" + std::to_string(sent) + ",flags=" + std::to_string(flags) +
         ",http=0,reason=" + reason + " ";
}

std::string events_of(const Setup& setup, const std::string& input) {
  std::string got = expect_same_events(setup, input);
  return got.substr(0, got.find("| "));
}

// The one frame in `output`, unmasked.
std::string only_frame(const std::string& output, uint8_t* opcode) {
  assert_true(output.size() >= 2);
  bool masked = (output[1] & 0x80) != 0;
  FrameHeader h;
  const char* why = nullptr;
  assert_int_equal(
      static_cast<int>(decode_frame(reinterpret_cast<const uint8_t*>(output.data()), output.size(),
                                    masked, false, UINT64_MAX, &h, &why)),
      static_cast<int>(FrameStatus::kOk));
  assert_int_equal(output.size(), h.size + h.length);
  std::string payload = output.substr(h.size);
  if (masked && !payload.empty()) {
    mask_in_place(reinterpret_cast<uint8_t*>(payload.data()), payload.size(), h.key);
  }
  *opcode = h.opcode;
  return payload;
}

void expect_sent_close(Peer& p, const std::string& body) {
  p.flush();
  uint8_t opcode = 0;
  assert_string_equal(hex(only_frame(p.output, &opcode)).c_str(), hex(body).c_str());
  assert_int_equal(opcode, kClose);
  p.output.clear();
}

constexpr unsigned kClean = WS_CLOSE_CLEAN;
constexpr unsigned kByPeer = WS_CLOSE_BY_PEER;

// req: 78, 88, 89, 96
// bad: 118, 121, 137
void test_engine_close_from_the_peer_is_echoed(void**) {
  for (Role role : kBothRoles) {
    for (unsigned code : {1000u, 1001u, 1002u, 1003u, 1007u, 1008u, 1009u, 1010u, 1011u, 1012u,
                          1013u, 1014u, 3000u, 3999u, 4000u, 4999u}) {
      auto c = static_cast<uint16_t>(code);
      assert_string_equal(
          events_of({role, false, {}}, frame(role, kClose, close_body(c, "bye"))).c_str(),
          closed(WS_OK, code, code, kClean | kByPeer, "bye").c_str());
      auto p = Peer::opened({role, false, {}});
      p->feed(frame(role, kClose, close_body(c, "bye")));
      expect_sent_close(*p, close_body(c));
    }
    auto p = Peer::opened({role, false, {}});
    p->feed(frame(role, kClose, ""));
    assert_string_equal(p->events.c_str(), closed(WS_OK, 1005, 1005, kClean | kByPeer).c_str());
    expect_sent_close(*p, "");
  }
}

// req: 75, 76, 94, 95
// bad: 116, 117, 119, 120
void test_engine_bad_close_frames_are_refused(void**) {
  for (Role role : kBothRoles) {
    Setup s{role, false, {}};
    assert_string_equal(events_of(s, frame(role, kClose, "\x03")).c_str(),
                        closed(WS_ERR_PROTOCOL, 1006, 1002, 0).c_str());
    for (unsigned code :
         {0u, 1u, 999u, 1004u, 1005u, 1006u, 1015u, 1016u, 1100u, 2000u, 2999u, 5000u, 65535u}) {
      assert_string_equal(
          events_of(s, frame(role, kClose, close_body(static_cast<uint16_t>(code)))).c_str(),
          closed(WS_ERR_PROTOCOL, 1006, 1002, 0).c_str());
    }
    for (const char* reason : {"c328", "e282", "eda080", "ff"}) {
      assert_string_equal(
          events_of(s, frame(role, kClose, close_body(1000, unhex(reason)))).c_str(),
          closed(WS_ERR_UTF8, 1006, 1007, 0).c_str());
    }
    std::string longest(123, 'r');
    assert_string_equal(events_of(s, frame(role, kClose, close_body(1000, longest))).c_str(),
                        closed(WS_OK, 1000, 1000, kClean | kByPeer, longest).c_str());
    assert_string_equal(events_of(s, raw_header(role, 0x88, 126, unhex("007e"))).c_str(),
                        closed(WS_ERR_PROTOCOL, 1006, 1002, 0).c_str());
  }
}

// req: 81, 83
// bad: 122, 123
void test_engine_nothing_counts_after_a_close(void**) {
  for (Role role : kBothRoles) {
    Setup s{role, false, {}};
    std::string bye = frame(role, kClose, close_body(1000));
    std::string want = closed(WS_OK, 1000, 1000, kClean | kByPeer);
    for (const std::string& after :
         {frame(role, kText, "no"), frame(role, kPing, "no"), bye, std::string("garbage")}) {
      assert_string_equal(events_of(s, bye + after).c_str(), want.c_str());
      auto p = Peer::opened(s);
      p->feed(bye + after);
      expect_sent_close(*p, close_body(1000));
    }
    assert_string_equal(events_of(s, frame(role, kText, "half", false) + bye).c_str(),
                        want.c_str());
  }
}

// req: 77, 80, 82, 87, 88
// bad: 124, 126, 127, 135
void test_engine_close_by_us_waits_for_the_answer(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    assert_false(p->engine->close(4000, "going").failed());
    expect_sent_close(*p, close_body(4000, "going"));
    assert_int_equal(p->engine->send(WS_OP_TEXT, bytes("x", 1), 0).code(), WS_ERR_CLOSED);
    assert_int_equal(p->engine->send_part(WS_OP_TEXT, bytes("x", 1), true).code(), WS_ERR_CLOSED);
    assert_int_equal(p->engine->ping({}).code(), WS_ERR_CLOSED);
    assert_int_equal(p->engine->pong({}).code(), WS_ERR_CLOSED);
    assert_int_equal(p->engine->close(1000, "").code(), WS_ERR_CLOSED);
    // Data that was on its way is dropped, whatever its size, and nothing is kept of it.
    int64_t before = live_allocations();
    std::string big(3 << 20, 'x');
    p->feed(frame(role, kText, "late") + frame(role, kBinary, big) + frame(role, kPing, "late"));
    assert_true(live_allocations() <= before + 1);
    assert_string_equal(p->events.c_str(), "");
    p->feed(frame(role, kClose, close_body(4000)));
    assert_string_equal(p->events.c_str(), closed(WS_OK, 4000, 4000, kClean).c_str());
    p->flush();
    assert_string_equal(p->output.c_str(), "");
    // The server ends the transport, the client waits for it to.
    assert_int_equal(p->engine->want(), role == Role::kServer
                                            ? static_cast<int>(WS_WANT_READ | WS_WANT_EOF)
                                            : static_cast<int>(WS_WANT_READ));
    p->eof();
    assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
  }
}

// bad: 124
void test_engine_both_close_at_once_and_both_are_clean(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    assert_false(p->engine->close(1001, "").failed());
    p->feed(frame(role, kClose, close_body(1000, "me too")));
    assert_string_equal(p->events.c_str(), closed(WS_OK, 1000, 1001, kClean, "me too").c_str());
    expect_sent_close(*p, close_body(1001));
  }
}

// req: 74, 94, 95
// bad: 132, 133, 134
void test_engine_close_arguments_are_checked(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    for (unsigned code : {1u, 999u, 1004u, 1005u, 1006u, 1015u, 1016u, 2999u, 5000u, 65535u}) {
      assert_int_equal(p->engine->close(static_cast<uint16_t>(code), "").code(), WS_ERR_INVALID);
    }
    assert_int_equal(p->engine->close(0, "reason").code(), WS_ERR_INVALID);
    assert_int_equal(p->engine->close(1000, std::string(124, 'x')).code(), WS_ERR_INVALID);
    assert_int_equal(p->engine->close(1000, "\xc3").code(), WS_ERR_INVALID);
    assert_int_equal(p->engine->buffered(), 0);
    assert_true(p->engine->is_open());
    assert_false(p->engine->close(1000, std::string(123, 'x')).failed());
    expect_sent_close(*p, close_body(1000, std::string(123, 'x')));
    p = Peer::opened({role, false, {}});
    assert_false(p->engine->close(0, "").failed());
    expect_sent_close(*p, "");
  }
}

// req: 98
void test_engine_close_1010_is_sent_by_clients_only(void**) {
  auto p = Peer::opened(server());
  assert_int_equal(p->engine->close(1010, "").code(), WS_ERR_INVALID);
  assert_true(p->engine->is_open());
  p = Peer::opened(client());
  assert_false(p->engine->close(1010, "no deflate").failed());
  expect_sent_close(*p, close_body(1010, "no deflate"));
}

// bad: 125, 127, 131
void test_engine_close_timeout_is_absolute(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    assert_false(p->engine->close(1000, "").failed());
    assert_true(p->engine->deadline_us() == p->now_us() + 5'000'000);
    for (int i = 0; i < 49; ++i) {
      p->advance_ms(100);
      p->feed(frame(role, kText, "still talking"));  // does not move the deadline
    }
    p->advance_ms(99);
    assert_string_equal(p->events.c_str(), "");
    p->advance_ms(1);
    assert_string_equal(p->events.c_str(), closed(WS_ERR_TIMEOUT, 1006, 1000, 0).c_str());
    assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
    p->advance_ms(100000);
    assert_string_equal(p->events.c_str(), closed(WS_ERR_TIMEOUT, 1006, 1000, 0).c_str());
  }
}

// req: 90, 91, 92
// bad: 103
void test_engine_failure_sends_one_close_and_reads_no_more(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    p->feed(frame(role, kContinuation, "x"));
    assert_string_equal(p->events.c_str(), closed(WS_ERR_PROTOCOL, 1006, 1002, 0).c_str());
    // Not even its Close counts.
    p->feed(frame(role, kClose, close_body(1000)));
    p->feed(frame(role, kText, "hello?"));
    assert_string_equal(p->events.c_str(), closed(WS_ERR_PROTOCOL, 1006, 1002, 0).c_str());
    assert_int_equal(p->engine->want(), WS_WANT_READ | WS_WANT_WRITE);
    expect_sent_close(*p, close_body(1002, "continuation without a message"));
    assert_int_equal(p->engine->want(), WS_WANT_READ | WS_WANT_EOF);
    p->advance_ms(4999);
    assert_int_equal(p->engine->want(), WS_WANT_READ | WS_WANT_EOF);
    p->advance_ms(1);
    assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
  }
}

// bad: 136
void test_engine_failure_inside_a_message_sent_in_parts(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    assert_false(p->engine->send_part(WS_OP_TEXT, bytes("part"), false).failed());
    p->flush();
    p->output.clear();
    p->feed(frame(role, kText, "\xff"));
    expect_sent_close(*p, close_body(1007, "text is not UTF-8"));
  }
}

// bad: 129, 130
void test_engine_answer_still_leaves_after_half_close(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    std::string queued(100000, 'q');
    assert_false(p->engine->send(WS_OP_BINARY, bytes(queued), 0).failed());
    p->feed(frame(role, kClose, close_body(1000)));
    p->eof();
    assert_int_equal(p->engine->want(), WS_WANT_WRITE);
    p->flush();
    assert_true(p->output.size() > queued.size());
    assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
    assert_string_equal(p->events.c_str(), closed(WS_OK, 1000, 1000, kClean | kByPeer).c_str());
    // A peer that never reads it holds us no longer than the close timeout.
    p = Peer::opened({role, false, {}});
    assert_false(p->engine->send(WS_OP_BINARY, bytes(queued), 0).failed());
    p->feed(frame(role, kClose, close_body(1000)));
    p->advance_ms(4999);
    assert_true((p->engine->want() & WS_WANT_WRITE) != 0);
    p->advance_ms(1);
    assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
  }
}

// bad: 173, 168, 172
void test_engine_keepalive_pings_then_gives_up(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    p->advance_ms(19999);
    p->flush();
    assert_string_equal(p->output.c_str(), "");
    p->advance_ms(1);
    p->flush();
    uint8_t opcode = 0;
    std::string payload = only_frame(p->output, &opcode);
    assert_int_equal(opcode, kPing);
    assert_int_equal(payload.size(), 4);
    // Its pong is ours: no event, a round trip; anything received counts as life.
    p->advance_ms(30);
    p->feed(frame(role, kPong, payload));
    assert_string_equal(p->events.c_str(), "");
    assert_int_equal(p->engine->rtt_us(), 30000);
    p->advance_ms(39999);
    assert_string_equal(p->events.c_str(), "");
    p->advance_ms(1);
    assert_string_equal(p->events.c_str(), closed(WS_ERR_TIMEOUT, 1006, 0, 0).c_str());
    // Paused by ourselves, silence is not the peer's.
    p = Peer::opened({role, false, {}});
    p->engine->set_held(true, true);
    p->advance_ms(1000000);
    assert_true(p->engine->deadline_us() == kNeverUs);
    p->engine->set_held(false, false);
    p->advance_ms(19999);
    assert_string_equal(p->events.c_str(), "");
    assert_int_equal(p->engine->buffered(), 0);
  }
}

// bad: 131, 171
void test_engine_peer_that_takes_nothing_is_given_up_on(void**) {
  for (Role role : kBothRoles) {
    for (bool paused : {false, true}) {
      auto p = Peer::opened({role, false, {}});
      p->engine->set_held(paused, paused);
      p->advance_ms(5000);  // nothing is queued, so nothing is stalled
      assert_false(p->engine->send(WS_OP_BINARY, bytes(std::string(1000, 'q')), 0).failed());
      p->engine->sent(0);
      p->feed(frame(role, kPong, ""));
      p->advance_ms(15000);
      p->feed(frame(role, kPong, ""));
      p->engine->sent(0);  // tried again, still nothing: the clock runs on
      p->advance_ms(14999);
      p->flush(1);  // one byte is progress
      p->feed(frame(role, kPong, ""));
      p->events.clear();
      p->advance_ms(15000);
      p->feed(frame(role, kPong, ""));
      p->events.clear();
      p->advance_ms(14999);
      assert_string_equal(p->events.c_str(), "");
      p->advance_ms(1);
      assert_string_equal(p->events.c_str(), closed(WS_ERR_TIMEOUT, 1006, 0, 0).c_str());
    }
  }
}

void test_engine_abort_drops_the_queue_and_tells_once(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    assert_false(p->engine->send(WS_OP_TEXT, bytes("never sent"), 0).failed());
    p->engine->abort(WS_ERR_CANCELLED, 0, "test");
    p->engine->abort(WS_ERR_IO, 5, "again");
    p->pull();
    assert_string_equal(p->events.c_str(), closed(WS_ERR_CANCELLED, 1006, 0, 0).c_str());
    assert_int_equal(p->engine->buffered(), 0);
    assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_close_from_the_peer_is_echoed),
      cmocka_unit_test(test_engine_bad_close_frames_are_refused),
      cmocka_unit_test(test_engine_nothing_counts_after_a_close),
      cmocka_unit_test(test_engine_close_by_us_waits_for_the_answer),
      cmocka_unit_test(test_engine_both_close_at_once_and_both_are_clean),
      cmocka_unit_test(test_engine_close_arguments_are_checked),
      cmocka_unit_test(test_engine_close_1010_is_sent_by_clients_only),
      cmocka_unit_test(test_engine_close_timeout_is_absolute),
      cmocka_unit_test(test_engine_failure_sends_one_close_and_reads_no_more),
      cmocka_unit_test(test_engine_failure_inside_a_message_sent_in_parts),
      cmocka_unit_test(test_engine_answer_still_leaves_after_half_close),
      cmocka_unit_test(test_engine_keepalive_pings_then_gives_up),
      cmocka_unit_test(test_engine_peer_that_takes_nothing_is_given_up_on),
      cmocka_unit_test(test_engine_abort_drops_the_queue_and_tells_once),
  };
  return cmocka_run_group_tests_name("engine_close", tests, nullptr, nullptr);
}
