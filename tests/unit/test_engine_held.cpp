// Input that is held back: pings and pongs come out of it as they arrive, and everything else comes
// as if it had never been held, however the bytes are cut and whenever holding begins and ends.
#include "deflate_support.hpp"
#include "engine_support.hpp"

#include <algorithm>

using namespace libws;
using namespace libws::test;

namespace {

// An engine whose owner holds messages back, or has credit for some.
class Held {
 public:
  explicit Held(const Setup& setup) : p_(Peer::opened(setup)), e_(*p_->engine) {}

  void hold(bool on) {
    on_ = on;
    e_.set_held(on, false);
    if (!on) e_.end_hold();
  }
  // Each read has memory of its own, so that what is looked at too late is found out.
  void feed(std::string_view bytes) {
    if (bytes.empty()) return;
    auto copy = std::make_unique<std::string>(bytes);
    auto* data = reinterpret_cast<uint8_t*>(copy->data());
    e_.charge(copy->size());
    if (holding()) {
      e_.feed_behind(data, copy->size());
    } else {
      e_.feed(data, copy->size());
    }
    pull();
  }
  void pull() {
    Event ev;
    for (;;) {
      const bool held = holding();
      if (!held) e_.end_hold();
      if (!(held ? e_.next_control(ev, end_too) : e_.next_metered(ev))) break;
      log(ev);
    }
    assert_true(e_.hold_input());
  }
  // So many messages may come although they are held back.
  void take(int count) {
    credit_ = count;
    pull();
    credit_ = 0;
  }
  Peer& peer() { return *p_; }
  Engine& engine() { return e_; }

  bool end_too = true;   // not only messages are held back
  std::string messages;  // with their end
  std::string controls;

 private:
  bool holding() const { return on_ && credit_ == 0 && e_.is_open(); }
  void log(const Event& ev) {
    std::string data(reinterpret_cast<const char*>(ev.data), ev.len);
    if (ev.type == WS_EV_PING) controls += "PING:" + hex(data) + " ";
    if (ev.type == WS_EV_PONG) controls += "PONG:" + hex(data) + " ";
    if (ev.type == WS_EV_CLOSED) {
      const ws_close_info& i = e_.close_info();
      messages += "CLOSED:" + std::to_string(i.error) + "/" + std::to_string(i.code) + "/" +
                  std::to_string(i.sent_code) + ":" + i.reason;
    }
    if (ev.type != WS_EV_MESSAGE) return;
    part_ += data;
    if ((ev.flags & WS_PART_LAST) == 0) return;
    messages += std::to_string(ev.op) + ":" + std::to_string(part_.size()) + "#" +
                std::to_string(std::hash<std::string>{}(part_)) + " ";
    part_.clear();
    if (credit_ != 0) --credit_;
  }

  std::unique_ptr<Peer> p_;
  Engine& e_;
  std::string part_;
  bool on_ = false;
  int credit_ = 0;
};

Setup roomy(Role role, bool chunks = false, std::string extensions = {}) {
  Setup s{role, chunks, [](Limits& l) {
            l.max_control_rate = WS_NEVER;
            l.max_fragments = 6;
            l.max_message = 100000;
          }};
  s.extensions = std::move(extensions);
  return s;
}

struct Outcome {
  std::string messages, controls;
};

Outcome plain(const Setup& setup, const std::string& input) {
  Held h(setup);
  h.feed(input);
  return {h.messages, h.controls};
}

void expect(Held& h, const Outcome& want) {
  assert_string_equal(h.messages.c_str(), want.messages.c_str());
  assert_string_equal(h.controls.c_str(), want.controls.c_str());
}

// Held from `from` to the end, cut at `cuts`.
void expect_held(const Setup& setup, const std::string& input, const Outcome& want, size_t from,
                 const std::vector<size_t>& cuts) {
  Held h(setup);
  h.feed(std::string_view(input).substr(0, from));
  h.hold(true);
  size_t at = from;
  for (size_t cut : cuts) {
    if (cut <= at) continue;
    h.feed(std::string_view(input).substr(at, cut - at));
    at = cut;
  }
  h.feed(std::string_view(input).substr(at));
  assert_string_equal(h.controls.c_str(), want.controls.c_str());
  h.hold(false);
  h.pull();
  expect(h, want);
}

void expect_same_held(const Setup& setup, const std::string& input) {
  const Outcome want = plain(setup, input);
  std::vector<size_t> every;
  for (size_t i = 1; i < input.size(); ++i) every.push_back(i);
  for (size_t i = 0; i <= input.size(); i += input.size() > 500 ? 7 : 1) {
    expect_held(setup, input, want, 0, {i});
    expect_held(setup, input, want, i, {});
    if (i % 5 == 0) expect_held(setup, input, want, i, every);
  }
  std::mt19937 random(static_cast<uint32_t>(input.size()));
  for (int round = 0; round < 200; ++round) {
    Held h(setup);
    const size_t step = round % 2 == 0 ? 9 : 90;
    for (size_t at = 0; at < input.size();) {
      const size_t n = 1 + random() % step;
      if (random() % 4 == 0) h.hold(random() % 3 != 0);
      if (random() % 4 == 0) h.take(1 + static_cast<int>(random() % 3));
      h.pull();
      h.feed(std::string_view(input).substr(at, n));
      at += n;
    }
    h.hold(false);
    h.pull();
    expect(h, want);
  }
}

// All that may stand between two messages, and inside one.
std::string script(Role r) {
  return frame(r, kText, "one") + frame(r, kPing, "a") + frame(r, kPing, "") +
         frame(r, kBinary, std::string(130, 'b')) + frame(r, kPong, std::string(125, 'p')) +
         frame(r, kText, "fra", false) + frame(r, kPing, "inside") +
         frame(r, kContinuation, "", false) + frame(r, kPong, "more") +
         frame(r, kContinuation, "gments") + frame(r, kPing, "b") + frame(r, kText, "") +
         frame(r, kPing, "c") + frame(r, kText, "last");
}

void test_held_input_gives_its_pings_and_loses_nothing(void**) {
  for (Role r : kBothRoles) {
    for (bool chunks : {false, true}) {
      expect_same_held(roomy(r, chunks), script(r));
      expect_same_held(roomy(r, chunks), script(r) + frame(r, kClose, close_body(1000, "bye")) +
                                             frame(r, kPing, "never"));
    }
  }
}

void test_held_input_that_breaks_a_rule_ends_there_and_no_sooner(void**) {
  for (Role r : kBothRoles) {
    const Role other = r == Role::kServer ? Role::kClient : Role::kServer;
    const std::string faults[] = {
        frame(r, 3, "x"),
        frame(r, kPing, "x", false),
        frame(other, kPing, "x"),
        frame(r, kPing, "x", true, 0x40),
        frame(r, kContinuation, "x"),
        frame(r, kText, "a", false) + frame(r, kPing, "in") + frame(r, kText, "b"),
        raw_header(r, 0x82, 126, std::string("\0\5", 2)) + "12345",
        raw_header(r, 0x82, 127, std::string("\0\0\0\0\0\1\x86\xa1", 8)),
        raw_header(r, 0x89, 126, std::string("\0\x7e", 2)),
        frame(r, kClose, "\3"),
        frame(r, kClose, close_body(1005)),
        frame(r, kText, "1", false) + frame(r, kContinuation, "2", false) +
            frame(r, kContinuation, "3", false) + frame(r, kContinuation, "4", false) +
            frame(r, kContinuation, "5", false) + frame(r, kContinuation, "6", false) +
            frame(r, kPing, "in") + frame(r, kContinuation, "7", false),
    };
    for (const std::string& fault : faults) {
      expect_same_held(roomy(r), frame(r, kText, "before") + frame(r, kPing, "p") + fault +
                                     frame(r, kPing, "after"));
    }
  }
}

void test_held_input_of_limits_at_their_bounds_is_whole(void**) {
  for (Role r : kBothRoles) {
    for (size_t more : {size_t{0}, size_t{1}}) {
      const std::string input =
          frame(r, kBinary, std::string(60000, 'x'), false) + frame(r, kPing, "between") +
          frame(r, kContinuation, std::string(40000 + more, 'y')) + frame(r, kPing, "behind");
      const Outcome want = plain(roomy(r), input);
      assert_int_equal(want.controls.find(hex("behind")) == std::string::npos, more == 1);
      for (size_t cut : {size_t{0}, size_t{1}, size_t{60003}, size_t{60013}, size_t{60030}}) {
        expect_held(roomy(r), input, want, 0, {cut});
        expect_held(roomy(r), input, want, cut, {});
      }
    }
  }
}

void test_held_compressed_messages_are_passed_over_by_their_frames(void**) {
  for (Role r : kBothRoles) {
    const std::string big = std::string(3000, 'z') + "end";
    const std::string zipped = deflated(big);
    assert_true(zipped.size() > 8);
    const std::string input = frame(r, kText, zipped, true, 0x40) + frame(r, kPing, "a") +
                              frame(r, kText, zipped.substr(0, 5), false, 0x40) +
                              frame(r, kPing, "inside") +
                              frame(r, kContinuation, zipped.substr(5)) + frame(r, kPong, "b") +
                              frame(r, kText, "plain") + frame(r, kPing, "c");
    for (bool chunks : {false, true}) {
      expect_same_held(roomy(r, chunks,
                             "permessage-deflate; server_no_context_takeover; "
                             "client_no_context_takeover"),
                       input);
    }
  }
}

void test_held_end_is_not_told_where_everything_is_held_back(void**) {
  for (Role r : kBothRoles) {
    for (const std::string& end : {frame(r, kClose, close_body(1001)), frame(r, 3, "")}) {
      Held h(roomy(r));
      h.end_too = false;
      h.hold(true);
      h.feed(frame(r, kPing, "p") + end + frame(r, kPing, "q"));
      assert_string_equal(h.controls.c_str(), "PING:70 ");
      assert_string_equal(h.messages.c_str(), "");
      assert_int_equal(h.engine().ahead_room(), 0);
      h.hold(false);
      h.pull();
      assert_int_equal(h.messages.find("CLOSED"), 0);
      assert_string_equal(h.controls.c_str(), "PING:70 ");
    }
  }
}

void test_held_close_is_told_at_once_with_nothing_in_front_of_it(void**) {
  for (Role r : kBothRoles) {
    for (bool data : {false, true}) {
      Held h(roomy(r));
      h.hold(true);
      if (data) h.feed(frame(r, kText, "first"));
      h.feed(frame(r, kPing, "p"));
      const std::string close = frame(r, kClose, close_body(1001, "x"));
      h.feed(close.substr(0, 3));
      h.feed(close.substr(3));
      assert_string_equal(h.controls.c_str(), "PING:70 ");
      assert_string_equal(h.messages.c_str(), data ? "" : "CLOSED:0/1001/1001:x");
      if (!data) continue;
      assert_int_equal(h.engine().ahead_room(), 0);  // nothing behind it counts
      h.take(1);
      assert_non_null(std::strstr(h.messages.c_str(), "CLOSED:0/1001/1001:x"));
    }
  }
}

void test_held_end_of_the_stream_is_told_when_nothing_waits(void**) {
  for (Role r : kBothRoles) {
    Held h(roomy(r));
    h.hold(true);
    h.feed(frame(r, kPing, "p"));
    h.engine().feed_eof();
    h.pull();
    assert_string_equal(h.messages.c_str(), "CLOSED:-23/1006/0:");
  }
}

void test_held_ping_is_answered_before_the_message_is_told(void**) {
  for (Role r : kBothRoles) {
    Held h(roomy(r));
    h.hold(true);
    h.feed(frame(r, kText, "data") + frame(r, kPing, "now"));
    h.peer().flush();
    const std::vector<Sent> sent = frames_in(h.peer().output);
    assert_int_equal(sent.size(), 1);
    assert_int_equal(sent[0].opcode, kPong);
    assert_string_equal(sent[0].payload.c_str(), "now");
    assert_string_equal(h.messages.c_str(), "");
  }
}

void test_held_room_is_what_is_missing_to_the_window(void**) {
  for (Role r : kBothRoles) {
    Setup s = roomy(r);
    s.limits = [](Limits& l) { l.read_ahead = 1000; };
    const size_t header = r == Role::kServer ? 8 : 4;
    for (size_t size : {size_t{999}, size_t{1000}, size_t{1001}}) {
      Held h(s);
      h.hold(true);
      assert_int_equal(h.engine().ahead_room(), 1000);
      const std::string ping = frame(r, kPing, "cut out");
      const std::string message = frame(r, kBinary, std::string(size - header, 'x'));
      h.feed(ping + message.substr(0, 500));
      assert_int_equal(h.engine().ahead_room(), 500);
      h.feed(message.substr(500) + ping);
      assert_int_equal(h.engine().ahead_room(), size < 1000 ? 1 : 0);
      h.take(1);
      assert_int_equal(h.engine().ahead_room(), 1000);
    }
  }
}

// What is taken one by one is not looked through again each time, and makes room.
void test_held_input_that_trickles_stays_within_the_window(void**) {
  for (Role r : kBothRoles) {
    Setup s = roomy(r);
    s.limits = [](Limits& l) { l.read_ahead = 4096; };
    Held h(s);
    h.hold(true);
    const int64_t before = live_allocations();
    int sent = 0;
    for (int round = 0; round < 5000; ++round) {
      while (h.engine().ahead_room() >= 9) {
        h.feed(frame(r, kText, std::to_string(sent++ % 10)));
      }
      h.take(1);
      h.messages.clear();
    }
    assert_true(sent > 5000);
    assert_true(live_allocations() - before <= 3);
  }
}

void test_held_silence_counts_while_there_is_room_and_not_when_suspended(void**) {
  for (bool suspended : {false, true}) {
    Setup s = roomy(Role::kServer);
    s.limits = [](Limits& l) {
      l.idle_us = 100'000;
      l.ping_us = 60'000;
    };
    Held h(s);
    h.hold(true);
    h.feed(frame(Role::kServer, kText, "waits"));
    h.engine().set_held(true, suspended);
    h.peer().resources().now_us += 60'000;
    h.engine().tick();
    assert_int_equal(h.engine().has_output(), !suspended);  // the ping
    h.peer().resources().now_us += 40'000;
    h.engine().tick();
    assert_int_equal(h.engine().ended(), !suspended);
    if (!suspended) continue;
    h.hold(false);
    h.pull();
    const uint64_t now = h.peer().now_us();
    assert_int_equal(h.engine().deadline_us(), now + 60'000);  // a full interval
  }
}

// A rate that closes looks at when messages come, not at when they are taken.
void test_held_messages_are_judged_by_their_rate_as_they_come(void**) {
  for (Role r : kBothRoles) {
    for (bool begun : {false, true}) {
      for (bool slow : {false, true}) {
        Setup s = roomy(r);
        s.limits = [](Limits& l) {
          l.max_message_rate = 2;
          l.over_rate = WS_RATE_CLOSE;
        };
        Held h(s);
        if (begun) h.feed(frame(r, kText, "be", false));
        h.hold(true);
        if (begun) h.feed(frame(r, kContinuation, "gun"));
        for (int i = begun ? 1 : 0; i < 20 && h.engine().is_open(); ++i) {
          if (slow) h.peer().resources().now_us += 500'000;
          h.feed(frame(r, kText, "x").substr(0, 2));
          h.feed(frame(r, kText, "x").substr(2));
        }
        if (!slow) {
          assert_string_equal(h.messages.c_str(), "CLOSED:-8/1006/1008:");
          continue;
        }
        assert_string_equal(h.messages.c_str(), "");
        h.hold(false);
        h.pull();
        assert_true(h.engine().is_open());
        assert_int_equal(std::count(h.messages.begin(), h.messages.end(), ' '), 20);
        // And nothing is left over for those that come after.
        h.peer().resources().now_us += 500'000;
        h.feed(frame(r, kText, "y"));
        assert_true(h.engine().is_open());
        h.feed(frame(r, kText, "y") + frame(r, kText, "y"));
        assert_false(h.engine().is_open());
      }
    }
  }
}

void test_held_bytes_are_judged_by_their_rate_as_they_come(void**) {
  for (Role r : kBothRoles) {
    for (bool slow : {false, true}) {
      Setup s = roomy(r);
      s.limits = [](Limits& l) {
        l.max_byte_rate = 100;
        l.over_rate = WS_RATE_CLOSE;
      };
      Held h(s);
      h.hold(true);
      for (int i = 0; i < 20 && h.engine().is_open(); ++i) {
        h.feed(frame(r, kText, std::string(80, 'x')));
        if (slow) h.peer().resources().now_us += 1'000'000;
      }
      assert_int_equal(h.engine().is_open(), slow);
      h.hold(false);
      h.pull();
      assert_int_equal(h.engine().is_open(), slow);
    }
  }
}

void test_held_input_without_memory_ends_the_connection(void**) {
  for (Role r : kBothRoles) {
    for (int after = 0; after < 6; ++after) {
      Held h(roomy(r));
      h.hold(true);
      Faults faults;
      faults.fail_alloc = static_cast<uint64_t>(after) + 1;
      set_faults(faults);
      h.feed(frame(r, kText, std::string(300, 'x')));
      for (int i = 0; i < 8; ++i) h.feed(frame(r, kBinary, std::string(9000, 'x')));
      clear_faults();
      if (!h.engine().is_open()) {
        assert_non_null(std::strstr(h.messages.c_str(), "CLOSED:-5/1006/0"));
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_held_input_gives_its_pings_and_loses_nothing),
      cmocka_unit_test(test_held_input_that_breaks_a_rule_ends_there_and_no_sooner),
      cmocka_unit_test(test_held_input_of_limits_at_their_bounds_is_whole),
      cmocka_unit_test(test_held_compressed_messages_are_passed_over_by_their_frames),
      cmocka_unit_test(test_held_end_is_not_told_where_everything_is_held_back),
      cmocka_unit_test(test_held_close_is_told_at_once_with_nothing_in_front_of_it),
      cmocka_unit_test(test_held_end_of_the_stream_is_told_when_nothing_waits),
      cmocka_unit_test(test_held_ping_is_answered_before_the_message_is_told),
      cmocka_unit_test(test_held_room_is_what_is_missing_to_the_window),
      cmocka_unit_test(test_held_input_that_trickles_stays_within_the_window),
      cmocka_unit_test(test_held_silence_counts_while_there_is_room_and_not_when_suspended),
      cmocka_unit_test(test_held_messages_are_judged_by_their_rate_as_they_come),
      cmocka_unit_test(test_held_bytes_are_judged_by_their_rate_as_they_come),
      cmocka_unit_test(test_held_input_without_memory_ends_the_connection),
  };
  return cmocka_run_group_tests_name("engine_held", tests, nullptr, nullptr);
}
