// Receiving: messages, fragments, control frames between them, limits, text; both roles, each
// input in every delivery mode.
#include "engine_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

bool starts_with(const std::string& s, const std::string& prefix) {
  return s.rfind(prefix, 0) == 0;
}

void expect_events(const Setup& setup, const std::string& input, const std::string& events) {
  std::string got = expect_same_events(setup, input);
  assert_string_equal(got.substr(0, got.find("| ")).c_str(), events.c_str());
}

// Exactly one Close with `code`, then nothing of the input counts any more.
void expect_failure(const Setup& setup, const std::string& input, uint16_t code, int error,
                    const std::string& events_before = "") {
  std::string got = expect_same_events(setup, input);
  char closed[120];
  std::snprintf(closed, sizeof closed,
                "CLOSED:error=%d,code=1006,sent=%u,flags=0,http=0,reason= | ", error, code);
  if (!starts_with(got, events_before + closed)) {
    fail_msg("input %s gave %s, not %s%s", hex(input).substr(0, 80).c_str(), got.c_str(),
             events_before.c_str(), closed);
  }
}

// req: 62, 67, 70, 71
// bad: 89
void test_engine_message_of_each_border_length_arrives_whole(void**) {
  for (Role role : kBothRoles) {
    for (size_t n : {0u, 1u, 2u, 3u, 124u, 125u, 126u, 127u, 1000u, 65535u, 65536u, 200000u}) {
      std::string payload(n, 'x');
      for (size_t i = 0; i < n; ++i) payload[i] = static_cast<char>('a' + i % 26);
      for (uint8_t op : {kText, kBinary}) {
        std::string input = frame(role, op, payload);
        std::string label = op == kText ? "TEXT:" : "BINARY:";
        std::string got = n <= 4096
                              ? expect_same_events({role, false, {}}, input)
                              : deliver({role, false, {}}, input, {7, n / 2, n - 1}, true, false);
        std::string want =
            label +
            (n <= 64 ? hex(payload)
                     : std::to_string(n) + "#" + std::to_string(std::hash<std::string>{}(payload)));
        assert_string_equal(got.c_str(), (want + " | ").c_str());
      }
    }
  }
}

// req: 62, 67
// bad: 98
void test_engine_fragments_are_joined_in_order(void**) {
  for (Role role : kBothRoles) {
    std::string input = frame(role, kText, "ab", false) + frame(role, kContinuation, "", false) +
                        frame(role, kContinuation, "cd", false) + frame(role, kContinuation, "ef");
    expect_events({role, false, {}}, input, "TEXT:616263646566 ");
    expect_events({role, true, {}}, input, "TEXT:616263646566 ");
    expect_events({role, false, {}},
                  frame(role, kBinary, "", false) + frame(role, kContinuation, ""), "BINARY: ");
    expect_events({role, true, {}},
                  frame(role, kBinary, "", false) + frame(role, kContinuation, ""), "BINARY: ");
  }
}

// req: 63, 83
// bad: 102
void test_engine_control_between_fragments_is_handled_at_once(void**) {
  for (Role role : kBothRoles) {
    std::string input = frame(role, kText, "abc", false) + frame(role, kPing, "hi") +
                        frame(role, kPong, "yo") + frame(role, kContinuation, "def");
    std::string got = expect_same_events({role, false, {}}, input);
    assert_true(starts_with(got, "PING:6869 PONG:796f TEXT:616263646566 | "));
    auto p = Peer::opened({role, false, {}});
    p->feed(frame(role, kText, "abc", false) + frame(role, kPing, "hi"));
    p->flush();
    assert_int_equal(p->output.size(), role == Role::kServer ? 4 : 8);  // the pong is out already
    assert_int_equal(static_cast<uint8_t>(p->output[0]), 0x8a);
  }
}

// req: 64, 65
// bad: 100, 101
void test_engine_fragments_out_of_sequence_fail_1002(void**) {
  for (Role role : kBothRoles) {
    Setup s{role, false, {}};
    expect_failure(s, frame(role, kContinuation, ""), 1002, WS_ERR_PROTOCOL);
    expect_failure(s, frame(role, kContinuation, "x", false), 1002, WS_ERR_PROTOCOL);
    expect_failure(s, frame(role, kText, "a") + frame(role, kContinuation, "b"), 1002,
                   WS_ERR_PROTOCOL, "TEXT:61 ");
    expect_failure(s, frame(role, kText, "a", false) + frame(role, kText, "b"), 1002,
                   WS_ERR_PROTOCOL);
    expect_failure(s, frame(role, kText, "a", false) + frame(role, kBinary, "b"), 1002,
                   WS_ERR_PROTOCOL);
  }
}

// req: 52, 53
// bad: 77, 78
void test_engine_wrong_masking_fails_1002(void**) {
  for (Role role : kBothRoles) {
    Role other = role == Role::kServer ? Role::kClient : Role::kServer;
    for (uint8_t op : {kText, kBinary, kPing, kPong, kClose}) {
      expect_failure({role, false, {}}, frame(other, op, "").substr(0, 2), 1002, WS_ERR_PROTOCOL);
      expect_failure({role, false, {}}, frame(other, op, "hello"), 1002, WS_ERR_PROTOCOL);
    }
  }
}

// req: 57, 58, 72, 73, 91, 112
// bad: 79, 80, 93, 94, 103, 105
void test_engine_bad_frame_start_fails_1002_and_hides_what_follows(void**) {
  for (Role role : kBothRoles) {
    Setup s{role, false, {}};
    std::string good = frame(role, kText, "later");
    for (uint8_t rsv = 0x10; rsv <= 0x70; rsv = static_cast<uint8_t>(rsv + 0x10)) {
      for (uint8_t op : {kContinuation, kText, kBinary, kClose, kPing, kPong}) {
        expect_failure(s, frame(role, op, "", true, rsv) + good, 1002, WS_ERR_PROTOCOL);
      }
    }
    for (uint8_t op : std::initializer_list<uint8_t>{3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
      expect_failure(s, frame(role, op, "") + good, 1002, WS_ERR_PROTOCOL);
      // Refused before its length is believed.
      expect_failure(
          s, raw_header(role, static_cast<uint8_t>(0x80 | op), 127, unhex("7fffffffffffffff")),
          1002, WS_ERR_PROTOCOL);
    }
    for (uint8_t op : {kClose, kPing, kPong}) {
      expect_failure(s, frame(role, op, "", false) + good, 1002, WS_ERR_PROTOCOL);
      expect_failure(s, raw_header(role, static_cast<uint8_t>(0x80 | op), 126, unhex("007e")), 1002,
                     WS_ERR_PROTOCOL);
      expect_failure(
          s, raw_header(role, static_cast<uint8_t>(0x80 | op), 127, unhex("0000000000010000")),
          1002, WS_ERR_PROTOCOL);
    }
    expect_failure(s, "GET / HTTP/1.1\r\n", 1002, WS_ERR_PROTOCOL);
  }
}

// req: 59, 60
// bad: 81, 83, 86, 87
void test_engine_bad_length_form_fails_1002(void**) {
  for (Role role : kBothRoles) {
    for (uint8_t first : std::initializer_list<uint8_t>{0x81, 0x82, 0x01}) {
      for (const char* length : {"0000", "0005", "007d"}) {
        expect_failure({role, false, {}}, raw_header(role, first, 126, unhex(length)) + "abcde",
                       1002, WS_ERR_PROTOCOL);
      }
      for (const char* length : {"0000000000000005", "000000000000007e", "000000000000ffff",
                                 "8000000000000001", "ffffffffffffffff", "fffffffffffffff0"}) {
        expect_failure({role, false, {}}, raw_header(role, first, 127, unhex(length)) + "abcde",
                       1002, WS_ERR_PROTOCOL);
      }
    }
  }
}

// req: 104
// bad: 82, 84, 85, 88, 96, 97
void test_engine_message_limit_is_exact_in_one_frame_and_in_many(void**) {
  auto limit = [](Limits& l) { l.max_message = 100; };
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      Setup s{role, chunks, limit};
      for (size_t n : {99u, 100u}) {
        std::string got = expect_same_events(s, frame(role, kBinary, std::string(n, 'x')));
        assert_true(starts_with(got, "BINARY:" + std::to_string(n)));
        got = expect_same_events(s, frame(role, kBinary, std::string(n - 50, 'x'), false) +
                                        frame(role, kContinuation, std::string(50, 'y')));
        assert_true(starts_with(got, "BINARY:" + std::to_string(n)));
      }
      expect_failure(s, frame(role, kBinary, std::string(101, 'x')), 1009, WS_ERR_TOO_BIG);
      // From the header of the fragment that crosses it, before its payload.
      std::string crossing = frame(role, kText, std::string(99, 'x'), false) +
                             frame(role, kContinuation, "ab").substr(0, 2);
      auto p = Peer::opened(s);
      p->feed(crossing);
      assert_non_null(std::strstr(p->events.c_str(), "sent=1009"));
    }
    expect_failure({role, false, {}}, raw_header(role, 0x82, 127, unhex("7fffffffffffffff")), 1009,
                   WS_ERR_TOO_BIG);
    expect_failure({role, false, {}}, raw_header(role, 0x82, 127, unhex("0000000100000005")), 1009,
                   WS_ERR_TOO_BIG);
  }
}

// bad: 95
void test_engine_fragment_limit_is_exact_and_counts_empty_ones(void**) {
  auto limit = [](Limits& l) { l.max_fragments = 5; };
  for (Role role : kBothRoles) {
    std::string four = frame(role, kBinary, "", false);
    for (int i = 0; i < 3; ++i) four += frame(role, kContinuation, "", false);
    expect_events({role, false, limit}, four + frame(role, kContinuation, "x"), "BINARY:78 ");
    expect_failure({role, false, limit},
                   four + frame(role, kContinuation, "", false) + frame(role, kContinuation, "x"),
                   1008, WS_ERR_TOO_BIG);
    // The count starts again with each message.
    std::string two = four + frame(role, kContinuation, "x");
    expect_events({role, false, limit}, two + two, "BINARY:78 BINARY:78 ");
  }
}

// bad: 95, 82, 98
void test_engine_holds_no_more_than_has_arrived(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, [](Limits& l) { l.max_message = UINT64_MAX >> 1; }});
    int64_t before = live_allocations();
    p->feed(raw_header(role, 0x82, 127, unhex("0000010000000000")));  // a terabyte, announced
    p->feed("0123456789");
    // One block for the state, one of at most 64 KiB for what has come.
    assert_true(live_allocations() - before <= 2);
    assert_true(p->engine->landing().size() <= 65536);
  }
}

// req: 99, 100, 101, 102
// bad: 106, 107, 109, 110, 111
void test_engine_text_is_checked_and_binary_is_not(void**) {
  const char* const bad[] = {"c328",     "c080",   "c1bf",     "e08080",   "e09fbf",   "f0808080",
                             "f08fbfbf", "eda080", "edbfbf",   "f4908080", "f5808080", "ff",
                             "80",       "e282",   "61e28261", "fe"};
  const char* const good[] = {"00", "efbbbf", "efbfbe", "efbfbf", "f48fbfbf", "f0908080", "e18080"};
  for (Role role : kBothRoles) {
    for (const char* b : bad) {
      std::string payload = unhex(b);
      expect_failure({role, false, {}}, frame(role, kText, payload), 1007, WS_ERR_UTF8);
      expect_failure({role, true, {}}, frame(role, kText, payload), 1007, WS_ERR_UTF8);
      std::string after = "some text before it, longer than one vector register is wide: ";
      expect_failure({role, false, {}}, frame(role, kText, after + payload), 1007, WS_ERR_UTF8);
      expect_events({role, false, {}}, frame(role, kBinary, payload),
                    "BINARY:" + hex(payload) + " ");
      std::string got = expect_same_events({role, false, {}}, frame(role, kPing, payload));
      assert_true(starts_with(got, "PING:" + hex(payload) + " | "));
      expect_events({role, false, {}}, frame(role, kPong, payload), "PONG:" + hex(payload) + " ");
      auto unchecked = [](Limits& l) { l.flags = WS_CONN_NO_UTF8_CHECK; };
      expect_events({role, false, unchecked}, frame(role, kText, payload),
                    "TEXT:" + hex(payload) + " ");
    }
    for (const char* g : good) {
      expect_events({role, false, {}}, frame(role, kText, unhex(g)),
                    "TEXT:" + std::string(g) + " ");
    }
  }
}

// req: 99, 101
// bad: 107, 108
void test_engine_text_cut_inside_a_code_point_by_frames(void**) {
  std::string text = "\xf0\x9f\x99\x82\xe2\x82\xac\xc3\xa9";  // 4, 3 and 2 bytes
  for (Role role : kBothRoles) {
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      std::string input = frame(role, kText, text.substr(0, cut), false) +
                          frame(role, kContinuation, text.substr(cut));
      expect_events({role, false, {}}, input, "TEXT:" + hex(text) + " ");
    }
    // Impossible already at the second byte, though the sequence is not finished.
    auto p = Peer::opened({role, false, {}});
    p->feed(frame(role, kText, "ok\xf4", false) + frame(role, kContinuation, "\x90", false));
    assert_non_null(std::strstr(p->events.c_str(), "sent=1007"));
    p = Peer::opened({role, false, {}});
    std::string half = frame(role, kText, std::string("ok\xf4\x90", 4) + std::string(5000, 'x'));
    p->feed(half.substr(0, 20));  // mid-frame
    assert_non_null(std::strstr(p->events.c_str(), "sent=1007"));
  }
}

// req: 83, 84, 85
// bad: 165, 166, 167
void test_engine_many_pings_wait_as_one_pong_the_latest(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, [](Limits& l) { l.max_control_rate = WS_NEVER; }});
    int64_t before = live_allocations();
    for (int i = 0; i < 10000; ++i) {
      p->feed(frame(role, kPing, std::string(120, 'x') + std::to_string(i % 10)));
      p->events.clear();
    }
    assert_true(p->engine->buffered() <= 131);
    assert_true(live_allocations() - before <= 1);
    p->flush();
    assert_true(p->output.size() <= 131);
    if (role == Role::kServer) assert_int_equal(p->output.back(), '9');
    // One that has begun to leave is finished, the next waits behind it.
    p->output.clear();
    p->feed(frame(role, kPing, "first"));
    p->flush(3);
    p->feed(frame(role, kPing, "second"));
    p->feed(frame(role, kPing, "third"));
    p->flush();
    size_t mask = role == Role::kServer ? 0 : 4;
    assert_int_equal(p->output.size(), 2 + mask + 5 + 2 + mask + 5);
    // Pongs nobody asked for.
    p->output.clear();
    for (int i = 0; i < 1000; ++i) p->feed(frame(role, kPong, "x"));
    p->flush();
    assert_int_equal(p->output.size(), 0);
  }
}

// bad: 90, 128
// req: 88
void test_engine_end_of_stream_after_every_prefix_is_1006(void**) {
  for (Role role : kBothRoles) {
    std::string input = frame(role, kText, std::string(300, 'x'));
    for (size_t n = 0; n < input.size(); ++n) {
      auto p = Peer::opened({role, false, {}});
      p->feed(input.substr(0, n));
      p->eof();
      assert_string_equal(p->events.c_str(),
                          "CLOSED:error=-23,code=1006,sent=0,flags=2,http=0,reason= ");
      assert_int_equal(p->engine->want(), WS_WANT_CLOSE);
    }
    // bad: 178
    auto p = Peer::opened({role, false, {}});
    p->feed(frame(role, kText, "last"));
    p->eof();
    assert_true(starts_with(p->events, "TEXT:6c617374 CLOSED:error=-23"));
  }
}

// bad: 98
void test_engine_large_message_lands_in_its_own_buffer(void**) {
  std::string payload(1 << 20, 'x');
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 31);
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    std::string input = frame(role, kBinary, payload);
    for (size_t at = 0; at < input.size(); at += 50000) {
      p->feed_landing(std::string_view(input).substr(at, 50000));
    }
    assert_true(p->landed > payload.size() - 120000);
    std::string want = "BINARY:" + std::to_string(payload.size()) + "#" +
                       std::to_string(std::hash<std::string>{}(payload)) + " ";
    assert_string_equal(p->events.c_str(), want.c_str());
  }
}

void test_engine_keep_holds_the_message_beyond_the_event(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened({role, false, {}});
    std::vector<Ref<Message>> kept;
    p->on_event = [&](const Event& ev) {
      if (ev.type != WS_EV_MESSAGE) return;
      kept.push_back(p->engine->keep(ev));
      kept.push_back(p->engine->keep(ev));
    };
    std::string input = frame(role, kText, "whole") + frame(role, kText, "in ", false) +
                        frame(role, kContinuation, "parts") + frame(role, kText, "next");
    p->feed(input);
    p.reset();
    assert_int_equal(kept.size(), 6);
    const char* const want[] = {"whole", "whole", "in parts", "in parts", "next", "next"};
    for (size_t i = 0; i < kept.size(); ++i) {
      assert_string_equal(std::string(text(kept[i]->data())).c_str(), want[i]);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_message_of_each_border_length_arrives_whole),
      cmocka_unit_test(test_engine_fragments_are_joined_in_order),
      cmocka_unit_test(test_engine_control_between_fragments_is_handled_at_once),
      cmocka_unit_test(test_engine_fragments_out_of_sequence_fail_1002),
      cmocka_unit_test(test_engine_wrong_masking_fails_1002),
      cmocka_unit_test(test_engine_bad_frame_start_fails_1002_and_hides_what_follows),
      cmocka_unit_test(test_engine_bad_length_form_fails_1002),
      cmocka_unit_test(test_engine_message_limit_is_exact_in_one_frame_and_in_many),
      cmocka_unit_test(test_engine_fragment_limit_is_exact_and_counts_empty_ones),
      cmocka_unit_test(test_engine_holds_no_more_than_has_arrived),
      cmocka_unit_test(test_engine_text_is_checked_and_binary_is_not),
      cmocka_unit_test(test_engine_text_cut_inside_a_code_point_by_frames),
      cmocka_unit_test(test_engine_many_pings_wait_as_one_pong_the_latest),
      cmocka_unit_test(test_engine_end_of_stream_after_every_prefix_is_1006),
      cmocka_unit_test(test_engine_large_message_lands_in_its_own_buffer),
      cmocka_unit_test(test_engine_keep_holds_the_message_beyond_the_event),
  };
  return cmocka_run_group_tests_name("engine_recv", tests, nullptr, nullptr);
}
