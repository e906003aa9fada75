// Sending: frames as they stand on the wire, masks, parts, limits and marks; both roles.
#include "engine_support.hpp"

#include <set>

using namespace libws;
using namespace libws::test;

namespace {

Error send(Peer& p, const std::string& text) { return p.engine->send(WS_OP_TEXT, bytes(text), 0); }

// req: 54, 55, 59, 61, 69
// bad: 89
void test_engine_send_writes_minimal_frames(void**) {
  for (Role role : kBothRoles) {
    for (size_t n : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u, 200000u}) {
      auto p = Peer::opened({role, false, {}});
      std::string payload(n, 'z');
      assert_int_equal(p->engine->send(WS_OP_BINARY, bytes(payload), 0).code(), WS_OK);
      p->flush();
      assert_int_equal(p->output.size(), n + frame_header_size(n, role == Role::kClient));
      auto frames = frames_in(p->output);
      assert_int_equal(frames.size(), 1);
      assert_true(frames[0].fin);
      assert_int_equal(frames[0].opcode, kBinary);
      assert_int_equal(frames[0].masked, role == Role::kClient);
      assert_string_equal(frames[0].payload.c_str(), payload.c_str());
    }
  }
}

// req: 54, 56
// bad: 213
void test_engine_client_masks_every_frame_with_a_fresh_key(void**) {
  auto p = Peer::opened(client());
  for (int i = 0; i < 50; ++i) assert_false(send(*p, "hello").failed());
  assert_false(p->engine->ping(bytes("p", 1)).failed());
  assert_false(p->engine->pong(bytes("p", 1)).failed());
  assert_false(p->engine->close(1000, "").failed());
  p->flush();
  std::set<uint32_t> keys;
  auto frames = frames_in(p->output);
  assert_int_equal(frames.size(), 53);
  for (const Sent& f : frames) {
    assert_true(f.masked);
    keys.insert(f.key);
  }
  assert_int_equal(keys.size(), frames.size());
}

// req: 108
// bad: 216, 242
void test_engine_payload_is_taken_over_before_send_returns(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    std::string chosen = "GET /script.js HTTP/1.1\r\n" + std::string(100000, 'x');
    assert_false(p->engine->send(WS_OP_BINARY, bytes(chosen), 0).failed());
    std::string sent = chosen;
    chosen.assign(chosen.size(), '!');  // the caller's memory is the caller's again
    p->flush(5);
    chosen.assign(chosen.size(), '?');
    p->flush();
    auto frames = frames_in(p->output);
    assert_int_equal(frames.size(), 1);
    assert_string_equal(frames[0].payload.c_str(), sent.c_str());
    // RFC 6455 10.3: what the application chose does not stand on a client's wire.
    if (role == Role::kClient) assert_true(p->output.find("GET /scr") == std::string::npos);
  }
}

// req: 56
// bad: 200, 254
void test_engine_client_without_random_bytes_sends_nothing(void**) {
  Limits limits;
  EngineResources broken(
      0, [](void*, void*, size_t) { return -1; }, nullptr);
  Engine engine(Role::kClient, limits, broken, false);
  OpenRequest open;
  open.host = "h";
  open.target = "/";
  assert_int_equal(engine.start_client(open).code(), WS_ERR_IO);
  assert_false(engine.has_output());
}

// req: 66, 69
// bad: 234
void test_engine_parts_make_one_message_and_let_control_pass(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    assert_false(p->engine->send_part(WS_OP_TEXT, bytes("a"), false).failed());
    assert_int_equal(send(*p, "whole").code(), WS_ERR_STATE);
    assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes("b"), false).code(), WS_ERR_STATE);
    assert_false(p->engine->ping(bytes("now")).failed());
    assert_false(p->engine->send_part(WS_OP_TEXT, {}, false).failed());
    assert_false(p->engine->send_part(WS_OP_TEXT, bytes("c"), true).failed());
    assert_false(send(*p, "whole").failed());
    p->flush();
    auto f = frames_in(p->output);
    assert_int_equal(f.size(), 5);
    const struct {
      uint8_t opcode;
      bool fin;
    } want[] = {{kText, false},
                {kPing, true},
                {kContinuation, false},
                {kContinuation, true},
                {kText, true}};
    for (size_t i = 0; i < 5; ++i) {
      assert_int_equal(f[i].opcode, want[i].opcode);
      assert_int_equal(f[i].fin, want[i].fin);
    }
    assert_int_equal(p->engine->messages_out(), 2);
  }
}

// req: 68
void test_engine_send_before_open_is_refused(void**) {
  for (Role role : kBothRoles) {
    Peer p({role, false, {}});
    assert_int_equal(send(p, "early").code(), WS_ERR_CLOSED);
    assert_int_equal(p.engine->ping({}).code(), WS_ERR_CLOSED);
    assert_false(p.engine->has_output());
  }
}

// req: 74, 103
// bad: 113, 133, 233
void test_engine_send_arguments_are_checked(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    Engine& e = *p->engine;
    assert_int_equal(e.send(WS_OP_CLOSE, {}, 0).code(), WS_ERR_INVALID);
    assert_int_equal(e.send(static_cast<ws_opcode>(0), {}, 0).code(), WS_ERR_INVALID);
    assert_int_equal(e.send(WS_OP_TEXT, bytes(nullptr, 5), 0).code(), WS_ERR_INVALID);
    assert_int_equal(e.send(WS_OP_TEXT, {}, 1u << 31).code(), WS_ERR_UNSUPPORTED);
    assert_int_equal(e.send(WS_OP_TEXT, bytes("\xff"), 0).code(), WS_ERR_UTF8);
    assert_int_equal(e.send(WS_OP_TEXT, bytes("\xc3"), WS_SEND_LATER).code(), WS_ERR_UTF8);
    assert_int_equal(e.send(WS_OP_TEXT, bytes("\xff"), WS_SEND_NO_UTF8_CHECK).code(), WS_OK);
    assert_int_equal(e.send(WS_OP_BINARY, bytes("\xff"), 0).code(), WS_OK);
    assert_int_equal(e.send(WS_OP_TEXT, bytes("x", SIZE_MAX), 0).code(), WS_ERR_FULL);
    assert_int_equal(e.send(WS_OP_TEXT, bytes("x", SIZE_MAX - 9), 0).code(), WS_ERR_FULL);
    std::string long_ping(126, 'x');
    assert_int_equal(e.ping(bytes(long_ping)).code(), WS_ERR_INVALID);
    assert_int_equal(e.pong(bytes(long_ping)).code(), WS_ERR_INVALID);
    assert_false(e.ping(bytes(long_ping.substr(0, 125))).failed());
    assert_false(e.send(WS_OP_TEXT, bytes(nullptr, 0), 0).failed());
    p->flush();
    assert_int_equal(frames_in(p->output).size(), 4);
  }
}

// req: 103
// bad: 113
void test_engine_send_part_checks_text_over_all_parts(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    Engine& e = *p->engine;
    assert_false(e.send_part(WS_OP_TEXT, bytes("caf\xc3"), false).failed());
    assert_int_equal(e.send_part(WS_OP_TEXT, bytes("("), false).code(), WS_ERR_UTF8);
    assert_int_equal(e.send_part(WS_OP_TEXT, {}, true).code(), WS_ERR_UTF8);
    assert_false(
        e.send_part(WS_OP_TEXT, bytes("\xa9"), true).failed());  // refusals changed nothing
    assert_int_equal(e.send_part(WS_OP_TEXT, bytes("\xa9"), true).code(), WS_ERR_UTF8);
    assert_false(e.send_part(WS_OP_BINARY, bytes("\xc3"), false).failed());
    assert_false(e.send_part(WS_OP_BINARY, bytes("("), true).failed());
    p->flush();
    assert_int_equal(frames_in(p->output).size(), 4);
  }
}

// bad: 169
void test_engine_send_limit_is_exact_and_a_refusal_changes_nothing(void**) {
  auto limit = [](Limits& l) {
    l.send_low = 10;
    l.send_high = 50;
    l.send_limit = 100;
  };
  for (Role role : kBothRoles) {
    size_t header = role == Role::kClient ? 6 : 2;
    auto p = Peer::opened({role, false, limit});
    assert_int_equal(send(*p, std::string(50 - header, 'a')).code(), WS_OK);
    assert_int_equal(p->engine->buffered(), 50);
    assert_int_equal(send(*p, std::string(51 - header, 'b')).code(), WS_ERR_FULL);
    assert_int_equal(p->engine->buffered(), 50);
    assert_int_equal(send(*p, std::string(50 - header, 'c')).code(), WS_BACKPRESSURE);
    assert_int_equal(p->engine->buffered(), 100);
    assert_int_equal(send(*p, "").code(), WS_ERR_FULL);
    assert_false(p->engine->take_drained());
    p->flush(89);
    assert_false(p->engine->take_drained());  // 11 left
    p->flush(1);
    assert_true(p->engine->take_drained());   // 10: at the low mark
    assert_false(p->engine->take_drained());  // once
    // What the protocol owes passes the limit.
    assert_int_equal(send(*p, std::string(90 - header, 'd')).code(), WS_BACKPRESSURE);
    p->feed(frame(role, kPing, "still answered"));
    assert_true(p->engine->buffered() > 100);
    assert_false(p->engine->close(1000, "").failed());
  }
}

// req: 66
// bad: 247, 217
void test_engine_output_in_any_pieces_is_the_same_stream(void**) {
  for (Role role : kBothRoles) {
    for (size_t piece : {1u, 2u, 3u, 7u, 1447u, 70000u}) {
      auto p = Peer::opened({role, false, {}});
      std::vector<std::string> sent;
      for (size_t n : {5u, 300u, 70000u, 0u, 130u})
        sent.emplace_back(n, static_cast<char>('a' + n % 26));
      Ref<Message> shared;
      assert_false(Message::copy(WS_OP_BINARY, bytes(sent[2]), &shared).failed());
      for (const std::string& s : sent) {
        if (s.size() == 70000) {
          assert_false(p->engine->send_message(*shared).failed());
        } else {
          assert_false(p->engine->send(WS_OP_BINARY, bytes(s), 0).failed());
        }
      }
      shared = Ref<Message>();
      while (p->engine->has_output()) p->flush(piece);
      auto frames = frames_in(p->output);
      assert_int_equal(frames.size(), sent.size());
      for (size_t i = 0; i < sent.size(); ++i) {
        assert_string_equal(frames[i].payload.c_str(), sent[i].c_str());
      }
    }
  }
}

// bad: 242
void test_engine_shared_message_is_released_when_sent_or_dropped(void**) {
  static int released;
  released = 0;
  auto release = [](void*, const void*, size_t) { ++released; };
  std::string payload(5000, 'm');
  for (Role role : kBothRoles) {
    released = 0;
    auto p = Peer::opened({role, false, {}});
    Ref<Message> m;
    assert_false(Message::wrap(WS_OP_TEXT, bytes(payload), release, nullptr, &m).failed());
    assert_false(p->engine->send_message(*m).failed());
    assert_false(p->engine->send_message(*m).failed());
    m = Ref<Message>();
    assert_int_equal(released, role == Role::kServer ? 0 : 1);  // a client's copy is masked
    p->flush(5004);
    assert_int_equal(released, role == Role::kServer ? 0 : 1);
    p->engine->abort(WS_ERR_CANCELLED, 0, "test");
    assert_int_equal(released, 1);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_send_writes_minimal_frames),
      cmocka_unit_test(test_engine_client_masks_every_frame_with_a_fresh_key),
      cmocka_unit_test(test_engine_payload_is_taken_over_before_send_returns),
      cmocka_unit_test(test_engine_client_without_random_bytes_sends_nothing),
      cmocka_unit_test(test_engine_parts_make_one_message_and_let_control_pass),
      cmocka_unit_test(test_engine_send_before_open_is_refused),
      cmocka_unit_test(test_engine_send_arguments_are_checked),
      cmocka_unit_test(test_engine_send_part_checks_text_over_all_parts),
      cmocka_unit_test(test_engine_send_limit_is_exact_and_a_refusal_changes_nothing),
      cmocka_unit_test(test_engine_output_in_any_pieces_is_the_same_stream),
      cmocka_unit_test(test_engine_shared_message_is_released_when_sent_or_dropped),
  };
  return cmocka_run_group_tests_name("engine_send", tests, nullptr, nullptr);
}
