// What bounds a compressed message: its size, its wire, the memory it takes and the work it makes,
// whatever the peer sends; and that yielding, waiting and missing memory change nothing else.
#include "deflate_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

constexpr Agreed kTakeover = {false, true, 15, 15};
constexpr const char* kTooLong = "message longer than max_message_bytes";

// zlib's stream, a window while it restarts, and the work area.
constexpr size_t kOfThePool = (size_t{112} << 10) + kInflateStep;
// The window of takeover and a few small blocks.
constexpr size_t kOfAConnection = size_t{64} << 10;

std::function<void(Limits&)> at_most(uint64_t bytes) {
  return [=](Limits& l) { l.max_message = bytes; };
}

// One delivery, for inputs that are too long for all of them.
std::string events_of(const Setup& s, const std::string& input) {
  auto p = Peer::opened(s);
  p->feed(input);
  return p->events;
}

void expect_one_closed(const Setup& s, const std::string& input, uint16_t code, const char* why) {
  auto p = Peer::opened(s);
  p->feed(input);
  assert_string_equal(p->engine->close_info().detail, why);
  assert_int_equal(p->engine->close_info().sent_code, code);
  assert_int_equal(p->engine->messages_in(), 0);
}

// One byte below, at and above `max`, in a frame and in fragments; `each` delivers and compares.
void check_size_limit(const Setup& s, size_t max,
                      const std::function<std::string(const Setup&, const std::string&)>& each) {
  for (size_t n : {max - 1, max, max + 1}) {
    const std::string data(n, 'x');
    const std::string wire = n == 0 ? std::string(1, '\0') : deflated(data, 9);
    std::string want = label(kText, data);
    if (n > max) {
      want = "CLOSED:error=" + std::to_string(WS_ERR_TOO_BIG) +
             ",code=1006,sent=1009,flags=0,http=0,reason= ";
    }
    for (const std::string& input :
         {rsv1_frame(s.role, kText, wire), rsv1_fragments(s.role, kText, wire, 3)}) {
      const std::string got = each(s, input);
      assert_string_equal(got.substr(0, got.find("| ")).c_str(), want.c_str());
    }
  }
}

// req: 161
// bad: 143
void test_engine_inflated_size_limit_is_exact(void**) {
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      for (size_t max : {size_t{1}, size_t{100}, size_t{300}}) {
        check_size_limit(
            deflating(role, kTakeover, chunks, at_most(max)), max,
            [](const Setup& s, const std::string& in) { return expect_same_events(s, in); });
      }
      for (size_t max : {kInflateStep - 1, kInflateStep, kInflateStep + 1, size_t{200000}}) {
        check_size_limit(deflating(role, kTakeover, chunks, at_most(max)), max,
                         [](const Setup& s, const std::string& in) {
                           std::vector<size_t> every;
                           for (size_t at = 1; at < in.size(); ++at) every.push_back(at);
                           const std::string whole = deliver(s, in, {}, false, false);
                           assert_string_equal(deliver(s, in, every, false, false).c_str(),
                                               whole.c_str());
                           return whole;
                         });
      }
    }
  }
}

// The bounds around the work area, where the message is not the limit.
// bad: 143
void test_engine_messages_around_the_step_of_output_are_whole(void**) {
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      auto p = Peer::opened(deflating(role, kTakeover, chunks));
      deflater->restart();
      std::string want;
      for (size_t n : {kInflateStep - 1, kInflateStep, kInflateStep + 1, 2 * kInflateStep - 1,
                       2 * kInflateStep, 2 * kInflateStep + 1}) {
        for (const std::string& data : {json(n), std::string(n, 'z'), noise(n)}) {
          p->feed(rsv1_frame(role, kBinary, deflate_message(*deflater, data)));
          want += label(kBinary, data);
        }
      }
      assert_string_equal(p->events.c_str(), want.c_str());
    }
  }
}

// Blocks that hold nothing, `n` bytes of them: of five, and of six.
std::string padding(size_t n) {
  std::string out;
  for (; n % 5 != 0; n -= 6) out += unhex("02000000ffff");
  return out + repeated(unhex("000000ffff"), n / 5);
}

// What holds nothing, or does not compress, makes a message longer on the wire than it is: twice as
// long and 64 bytes, at most.
// req: 161
// bad: 144
void test_engine_wire_of_a_message_is_bounded(void**) {
  constexpr size_t kMax = 2000;
  constexpr size_t kWire = 2 * kMax + 64;
  const std::string data = noise(kMax);
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      const Setup s = deflating(role, kTakeover, chunks, at_most(kMax));
      for (size_t wire : {kWire - 1, kWire, kWire + 1}) {
        std::string message = stored(data);
        message = padding(wire - message.size()) + message;
        assert_int_equal(message.size(), wire);
        for (size_t each : {wire, size_t{100}, wire - 1}) {
          const std::string input = rsv1_fragments(role, kBinary, message, each);
          if (wire <= kWire) {
            expect_events(s, input, label(kBinary, data));
          } else {
            expect_closed(s, input, 1009, WS_ERR_TOO_BIG, kTooLong);
          }
        }
      }
      // Told from the header, before its payload; and what is not compressed has no such room.
      const struct {
        uint8_t first;
        size_t length;
        bool good;
      } cases[] = {{0xc2, kWire, true}, {0xc2, kWire + 1, false}, {0x82, kMax + 1, false}};
      for (const auto& c : cases) {
        std::string length(2, '\0');
        store_be16(reinterpret_cast<uint8_t*>(length.data()), static_cast<uint16_t>(c.length));
        auto p = Peer::opened(s);
        p->feed(raw_header(role, c.first, 126, length));
        assert_int_equal(p->engine->ended(), !c.good);
      }
    }
  }
}

void test_engine_without_a_message_limit_takes_any(void**) {
  const std::string data(300000, 'x');
  for (Role role : kBothRoles) {
    for (uint64_t max : {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 64}) {
      const Setup s = deflating(role, kTakeover, false, at_most(max));
      assert_string_equal(events_of(s, rsv1_frame(role, kText, deflated(data))).c_str(),
                          label(kText, data).c_str());
    }
  }
}

std::string zeros_deflated(size_t mebibytes) {
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 9)};
  const std::string one(size_t{1} << 20, '\0');
  std::string out;
  for (size_t i = 0; i < mebibytes; ++i) out += deflate_piece(*deflater, one);
  return out.substr(0, out.size() - kFlushTailBytes);
}

// req: 161
// bad: 141, 142
void test_engine_bomb_takes_no_more_than_the_limit(void**) {
  constexpr size_t kMax = size_t{3} << 19;  // between two doublings
  const std::string bomb = zeros_deflated(64);
  assert_true(bomb.size() < kMax / 8);
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      const Setup s = deflating(role, kTakeover, chunks, at_most(kMax));
      for (size_t fragments : {size_t{1}, size_t{1000}}) {
        auto p = Peer::opened(s);
        Memory memory;
        p->feed(rsv1_fragments(role, kBinary, bomb, bomb.size() / fragments + 1));
        // What all connections share, once; then the window and the message.
        const size_t message = chunks ? 0 : kMax;
        assert_in_range(memory.most(), message / 2, message + kOfThePool + kOfAConnection);
        assert_int_equal(p->engine->close_info().sent_code, 1009);
        ws_deflate_info info;
        p->engine->deflate_info(&info);
        assert_int_equal(info.received_plain_bytes, kMax);
        assert_true(info.received_wire_bytes < bomb.size() / 32);
        // The next one finds all of that there.
        Setup next = s;
        next.shared = &p->resources();
        auto q = Peer::opened(next);
        const size_t before = memory.now();
        memory.measure_again();
        q->feed(rsv1_fragments(role, kBinary, bomb, bomb.size() / fragments + 1));
        assert_true(memory.most() <= before + message + kOfAConnection);
        q.reset();
        p.reset();
      }
    }
  }
}

// In chunks nothing is stored, so a message of any size takes the same.
// bad: 141
void test_engine_large_message_in_chunks_takes_a_fixed_amount(void**) {
  const std::string bomb = zeros_deflated(16);
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kTakeover, true, at_most(UINT64_MAX)));
    const std::string input = rsv1_frame(role, kBinary, bomb);
    Memory memory;
    std::string copy = input;
    p->engine->feed(reinterpret_cast<uint8_t*>(copy.data()), copy.size());
    uint64_t bytes = 0;
    Event ev = {};
    while (p->engine->next(ev)) {
      assert_true(ev.len <= kInflateStep);
      bytes += ev.len;
    }
    assert_int_equal(bytes, uint64_t{16} << 20);
    assert_true((ev.flags & WS_PART_LAST) != 0);
    assert_true(memory.most() <= kOfThePool + kOfAConnection);
    p.reset();
  }
}

// ---- work ----

// Four blocks with dynamic codes and nothing in them, which fill 45 bytes: each has to be read and
// made into tables.
std::string dynamic_headers() {
  std::string out(45, '\0');
  size_t at = 0;
  auto put = [&](unsigned value, unsigned bits) {  // RFC 1951 3.1.1: the lowest first
    for (unsigned i = 0; i < bits; ++i, ++at) {
      if ((value >> i & 1) != 0) out[at / 8] = static_cast<char>(out[at / 8] | 1 << at % 8);
    }
  };
  for (int block = 0; block < 4; ++block) {
    put(0, 1);  // not final
    put(2, 2);  // dynamic
    put(0, 5);  // 257 literals and lengths
    put(0, 5);  // 1 distance
    put(14, 4);
    // RFC 1951 3.2.7: 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1.
    for (unsigned i = 0; i < 18; ++i) put(i == 2 || i == 17 ? 1 : 0, 3);
    put(1, 1), put(138 - 11, 7);  // 138 times 0
    put(1, 1), put(118 - 11, 7);
    put(0, 1);  // the end of the block: 1 bit
    put(0, 1);  // a distance: 1 bit
    put(0, 1);  // the end
  }
  assert_int_equal(at, 8 * out.size());
  return out;
}

struct Spam {
  const char* what;
  std::string unit;
  size_t times;
  std::string end;
};

std::vector<Spam> spams() {
  return {
      {"empty stored blocks", unhex("000000ffff"), 20000, std::string(1, '\0')},
      {"empty blocks with fixed codes", unhex("02000000ffff"), 20000, std::string(1, '\0')},
      {"empty blocks with dynamic codes", dynamic_headers(), 2000, std::string(1, '\0')},
      {"final blocks", unhex("0300"), 2000, ""},
      {"final blocks that hold a byte", unhex("4b0400"), 2000, ""},
  };
}

// What holds nothing makes work all the same: it ends turns, and its size on the wire is bounded.
// bad: 145, 147
void test_engine_blocks_without_end_use_up_the_budget(void**) {
  constexpr int64_t kBudget = 64 << 10;
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      for (const Spam& spam : spams()) {
        const std::string wire = repeated(spam.unit, spam.times) + spam.end;
        const std::string input = rsv1_frame(role, kText, wire) + frame(role, kText, "next");
        Setup s = deflating(role, kTakeover, chunks);
        const std::string want = events_of(s, input);
        assert_true(want.ends_with("TEXT:6e657874 "));
        s.inflate_budget = [] { return kBudget; };
        auto p = Peer::opened(s);
        std::string copy = input;
        p->engine->feed(reinterpret_cast<uint8_t*>(copy.data()), copy.size());
        uint64_t before = 0;
        do {
          p->pull_turn();
          ws_deflate_info info;
          p->engine->deflate_info(&info);
          // 8 for each byte, and one step past the budget.
          assert_true(info.received_wire_bytes - before <= kBudget / 8 + 4096);
          assert_true(info.received_wire_bytes != before || before == wire.size());
          before = info.received_wire_bytes;
        } while (p->engine->yielded());
        assert_string_equal(p->events.c_str(), want.c_str());
        assert_true(p->yields >= wire.size() * 8 / kBudget / 2);
        if (spam.end.empty()) assert_true(p->yields >= wire.size() / 4096);
        // Without end: 1009, from what the wire may have.
        s = deflating(role, kTakeover, chunks, at_most(1000));
        expect_one_closed(s, rsv1_fragments(role, kText, wire, 500), 1009, kTooLong);
      }
    }
  }
}

// Output uses it up too.
// bad: 141, 145
void test_engine_output_uses_up_the_budget(void**) {
  const std::string data(4 << 20, 'x');
  const std::string wire = deflated(data);
  constexpr int64_t kBudget = 256 << 10;
  for (Role role : kBothRoles) {
    Setup s = deflating(role, kTakeover, false, at_most(8 << 20));
    s.inflate_budget = [] { return kBudget; };
    auto p = Peer::opened(s);
    std::string input = rsv1_frame(role, kText, wire);
    p->engine->feed(reinterpret_cast<uint8_t*>(input.data()), input.size());
    uint64_t before = 0;
    do {
      p->pull_turn();
      ws_deflate_info info;
      p->engine->deflate_info(&info);
      assert_in_range(info.received_plain_bytes - before, kBudget / 4, kBudget + kInflateStep);
      before = info.received_plain_bytes;
    } while (p->engine->yielded());
    assert_true(p->yields >= data.size() / (kBudget + kInflateStep) - 1);
    assert_string_equal(p->events.c_str(), label(kText, data).c_str());
  }
}

// Of everything that may be told apart: messages of all kinds, control frames, and an end.
std::string mixture(Role role) {
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  std::string out;
  for (unsigned i = 0; i < 6; ++i) {
    out += rsv1_frame(role, kText, deflate_message(*deflater, json(300 + i, i)));
    out += frame(role, kText, "plain");
    out += rsv1_fragments(role, kBinary, deflate_message(*deflater, noise(40, i)), 9);
    out += frame(role, kPing, "?");
    const std::string wire = deflate_message(*deflater, std::string(size_t{25000} * i + 1, 'z'));
    out += rsv1_frame(role, kText, wire.substr(0, wire.size() / 2), false);
    out += frame(role, kPing, "in between");
    out += frame(role, kContinuation, wire.substr(wire.size() / 2), false);
    out += frame(role, kContinuation, "");
    out += rsv1_frame(role, kBinary, "");
  }
  return out;
}

void test_engine_yielding_changes_no_event(void**) {
  for (Role role : kBothRoles) {
    const std::string ends[] = {
        frame(role, kClose, close_body(1001, "bye")),
        rsv1_frame(role, kText, unhex("07")),
        rsv1_frame(role, kText, deflated("\xff")),
        rsv1_frame(role, kText, deflated(std::string(300000, 'x'))),
    };
    for (const std::string& end : ends) {
      const std::string input = mixture(role) + end;
      for (bool chunks : {false, true}) {
        Setup s = deflating(role, kTakeover, chunks, at_most(125001));
        const std::string want = events_of(s, input);
        assert_non_null(std::strstr(want.c_str(), "CLOSED:"));
        std::mt19937 random(5);
        const std::function<int64_t()> budgets[] = {
            [] { return 1; }, [] { return 2; },
            [&random] { return static_cast<int64_t>(random() % 5000) + 1; }};
        for (const auto& budget : budgets) {
          s.inflate_budget = budget;
          const std::string got = expect_same_events(s, input);
          assert_string_equal(got.substr(0, got.find("| ")).c_str(), want.c_str());
        }
      }
    }
  }
}

// ---- while it waits for its turn ----

std::unique_ptr<Peer> yielding(Role role, const std::string& input, bool chunks = false) {
  Setup s = deflating(role, kTakeover, chunks);
  s.inflate_budget = [] { return 1; };
  auto p = Peer::opened(s);
  std::string gone = input;
  p->engine->feed(reinterpret_cast<uint8_t*>(gone.data()), gone.size());
  p->pull_turn();
  assert_true(p->engine->yielded());
  assert_true(p->engine->input_pending());
  assert_false(p->engine->at_rest());
  assert_true(p->engine->landing().empty());
  assert_true(p->engine->hold_input());
  gone.assign(gone.size(), '\xee');  // it is the caller's again
  return p;
}

void test_engine_yielded_input_is_held(void**) {
  const std::string data = json(100000);
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      const std::string wire = deflated(data);
      auto p = yielding(role, rsv1_frame(role, kText, wire) + frame(role, kPing, "hi"), chunks);
      p->engine->set_held(true, true);
      p->advance_ms(1000);
      p->engine->set_held(false, false);
      p->pull();
      assert_true(p->yields >= 4);
      assert_string_equal(p->events.c_str(), (label(kText, data) + "PING:6869 ").c_str());
      assert_false(p->engine->yielded());
      assert_false(p->engine->input_pending());
    }
  }
}

// The message is there, though the peer is not.
// bad: 178
void test_engine_end_of_stream_waits_for_what_was_yielded(void**) {
  const std::string data = json(100000);
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      // All bytes are taken in the first turn, and there is more to come.
      const std::string zeros(300000, '0');
      for (const std::string& message : {data, zeros}) {
        auto p = yielding(role, rsv1_frame(role, kText, deflated(message)), chunks);
        p->engine->feed_eof();
        p->pull_turn();
        assert_string_equal(p->events.c_str(), "");
        p->pull();
        assert_string_equal(
            p->events.c_str(),
            (label(kText, message) + "CLOSED:error=-23,code=1006,sent=0,flags=2,http=0,reason= ")
                .c_str());
      }
    }
  }
}

void test_engine_close_while_yielded_ends_the_message(void**) {
  const std::string wire = deflated(json(100000));
  for (Role role : kBothRoles) {
    const std::string input = rsv1_frame(role, kText, wire) + frame(role, kClose, close_body(1000));
    auto p = yielding(role, input);
    assert_false(p->engine->close(1000, "").failed());
    assert_false(p->engine->yielded());
    p->pull_turn();
    assert_string_equal(p->events.c_str(),
                        "CLOSED:error=0,code=1000,sent=1000,flags=1,http=0,reason= ");
    p = yielding(role, input);
    p->engine->abort(WS_ERR_CANCELLED, 0, "test");
    assert_false(p->engine->yielded());
    p->pull_turn();
    assert_non_null(std::strstr(p->events.c_str(), "CLOSED:"));
    p = yielding(role, input);
    p->engine->release_buffers();
  }
}

// ---- memory that is missing ----

// Each allocation fails in turn: the connection goes on, or fails with 1011; nothing leaks.
// bad: 158
void test_engine_inflating_without_memory_fails_1011(void**) {
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
  const std::string data = json(70000);
  const std::string first = deflate_message(*deflater, data);
  const std::string second = deflate_message(*deflater, data);
  const std::string hello_twice = unhex("f348cdc9c90700") + unhex("f348cdc9c9070000");
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      const std::string input = rsv1_fragments(role, kText, first, 1000) +
                                rsv1_frame(role, kText, second) +
                                rsv1_frame(role, kText, hello_twice);
      const std::string want = label(kText, data) + label(kText, data) + label(kText, "HelloHello");
      const Setup s = deflating(role, kTakeover, chunks);
      uint64_t failed = 0;
      for (uint64_t n = 1;; ++n) {
        const int64_t before = live_allocations();
        {
          auto p = Peer::opened(s);
          Faults faults;
          faults.fail_alloc = n;
          set_faults(faults);
          p->feed(input);
          failed += allocations_seen() >= n;
          clear_faults();
          const size_t closed = p->events.find("CLOSED:");
          assert_true(want.starts_with(p->events.substr(0, closed)));
          if (closed != std::string::npos) {
            // Without memory for the Close the end of the stream has to do.
            const std::string end = p->events.substr(closed);
            const std::string why = "CLOSED:error=" + std::to_string(WS_ERR_NOMEM) + ",code=1006,";
            assert_true(end.starts_with(why + "sent=1011,") || end.starts_with(why + "sent=0,"));
          } else {
            assert_string_equal(p->events.c_str(), want.c_str());
          }
        }
        assert_true(live_allocations() == before);
        if (failed < n) break;
      }
      assert_in_range(failed, 5, 100);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_inflated_size_limit_is_exact),
      cmocka_unit_test(test_engine_messages_around_the_step_of_output_are_whole),
      cmocka_unit_test(test_engine_wire_of_a_message_is_bounded),
      cmocka_unit_test(test_engine_without_a_message_limit_takes_any),
      cmocka_unit_test(test_engine_bomb_takes_no_more_than_the_limit),
      cmocka_unit_test(test_engine_large_message_in_chunks_takes_a_fixed_amount),
      cmocka_unit_test(test_engine_blocks_without_end_use_up_the_budget),
      cmocka_unit_test(test_engine_output_uses_up_the_budget),
      cmocka_unit_test(test_engine_yielding_changes_no_event),
      cmocka_unit_test(test_engine_yielded_input_is_held),
      cmocka_unit_test(test_engine_end_of_stream_waits_for_what_was_yielded),
      cmocka_unit_test(test_engine_close_while_yielded_ends_the_message),
      cmocka_unit_test(test_engine_inflating_without_memory_fails_1011),
  };
  return cmocka_run_group_tests_name("engine_inflate_limits", tests, nullptr, nullptr);
}
