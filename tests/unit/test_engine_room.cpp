// Messages that land in memory of the owner's: when it is asked, what is put there, and that
// nothing is once the answer does not count any more.  Both roles.
#include "engine_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

constexpr size_t kFrom = 16 * 1024;
constexpr uint8_t kUntouched = 0xee;

std::string letters(size_t n) {
  std::string text(n, ' ');
  for (size_t i = 0; i < n; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

size_t header_size(Role role, size_t len) { return frame_header_size(len, role == Role::kServer); }

// A peer whose engine asks for rooms and gets them.
struct Roomy {
  explicit Roomy(const Setup& setup) : peer(Peer::opened(setup)) {
    peer->engine->set_rooms(true);
    peer->on_event = [this](const Event& ev) { take(ev); };
  }

  void take(const Event& ev) {
    if (ev.type == kEvRoom) {
      ++asked;
      op = ev.op;
      len = ev.len;
      if (inside) inside();
      // One byte more tells a write behind the end.
      room.assign(ev.len + 1, kUntouched);
      peer->engine->give_room(none ? nullptr : room.data());
    } else if (ev.type == WS_EV_MESSAGE) {
      landed_there = !room.empty() && ev.data == room.data();
      got.assign(reinterpret_cast<const char*>(ev.data), ev.len);
      if (on_message) on_message(ev);
    }
  }

  bool untouched() const {
    for (uint8_t byte : room) {
      if (byte != kUntouched) return false;
    }
    return true;
  }

  std::vector<uint8_t> room;  // longer-lived than the engine
  std::unique_ptr<Peer> peer;
  std::function<void()> inside;
  std::function<void(const Event&)> on_message;
  bool none = false;
  int asked = 0;
  ws_opcode op = WS_OP_CLOSE;
  size_t len = 0;
  bool landed_there = false;
  std::string got;
};

void test_room_is_asked_from_16_kib_on_when_so_much_has_arrived(void**) {
  for (Role role : kBothRoles) {
    for (uint8_t opcode : {kText, kBinary}) {
      for (size_t n : {kFrom - 1, kFrom, kFrom + 1, size_t{65535}, size_t{65536}, size_t{300000}}) {
        const std::string payload = letters(n);
        const std::string input = frame(role, opcode, payload);
        const size_t enough = header_size(role, n) + kFrom;
        Roomy r({role, false, {}});
        r.peer->feed(input.substr(0, enough - 1));
        assert_int_equal(r.asked, 0);
        r.peer->feed(input.substr(enough - 1, 1));
        assert_int_equal(r.asked, n >= kFrom ? 1 : 0);
        if (enough < input.size()) r.peer->feed(input.substr(enough));
        assert_int_equal(r.asked, n >= kFrom ? 1 : 0);
        assert_int_equal(r.landed_there, n >= kFrom);
        assert_string_equal(r.got.c_str(), payload.c_str());
        if (n < kFrom) continue;
        assert_int_equal(r.op, opcode);
        assert_int_equal(r.len, n);
        assert_int_equal(r.room[n], kUntouched);
      }
    }
  }
}

void test_room_is_not_asked_for_what_is_whole_in_the_buffer(void**) {
  for (Role role : kBothRoles) {
    for (size_t n : {kFrom, size_t{70000}}) {
      Roomy r({role, false, {}});
      r.peer->feed(frame(role, kBinary, letters(n)));
      assert_int_equal(r.asked, 0);
      assert_int_equal(r.got.size(), n);
    }
  }
}

void test_room_landing_is_all_that_is_missing_of_the_message(void**) {
  for (Role role : kBothRoles) {
    const size_t n = 900000;
    const std::string payload = letters(n);
    const std::string input = frame(role, kText, payload);
    const size_t header = header_size(role, n);
    Roomy r({role, false, {}});
    r.peer->feed(input.substr(0, header + 100));
    assert_true(r.peer->engine->landing().empty());  // not before it is asked
    r.peer->feed(input.substr(header + 100, kFrom));
    assert_int_equal(r.asked, 1);
    const std::span<uint8_t> area = r.peer->engine->landing();
    assert_ptr_equal(area.data(), r.room.data() + 100 + kFrom);
    assert_int_equal(area.size(), n - 100 - kFrom);
    r.peer->feed_landing(input.substr(header + 100 + kFrom));
    assert_int_equal(r.peer->landed, n - 100 - kFrom);
    assert_true(r.landed_there);
    assert_string_equal(r.got.c_str(), payload.c_str());
    assert_int_equal(r.room[n], kUntouched);
    assert_true(r.peer->engine->landing().empty());
  }
}

// One byte at a time, and at random cuts, by either way in; a message before and one behind.
void test_room_events_are_the_same_however_the_input_is_cut(void**) {
  for (Role role : kBothRoles) {
    // Code points of two bytes, so that cuts fall into them.
    std::string text;
    while (text.size() < kFrom + 9) text += text.size() % 3 == 0 ? "x" : "\xC3\xA9";
    const std::string input = frame(role, kText, "before") + frame(role, kText, text) +
                              frame(role, kPing, "p") + frame(role, kText, "behind");
    const std::string want = deliver({role, false, {}}, input, {}, false, false);
    for (int round = 0; round < 24; ++round) {
      Roomy r({role, false, {}});
      std::mt19937 random(static_cast<uint32_t>(round));
      const size_t most = round < 2 ? 1 : size_t{1} << (round % 15);
      for (size_t at = 0; at < input.size();) {
        const size_t n = 1 + random() % most;
        const std::string piece = input.substr(at, n);
        round % 2 == 0 ? r.peer->feed(piece) : r.peer->feed_landing(piece);
        at += n;
      }
      assert_int_equal(r.asked, 1);
      assert_string_equal(outcome(*r.peer).c_str(), want.c_str());
    }
  }
}

void test_room_is_not_asked_for_fragments_compressed_messages_and_parts(void**) {
  for (Role role : kBothRoles) {
    const std::string payload = letters(40000);
    Roomy fragments({role, false, {}});
    const std::string first = frame(role, kBinary, payload, false);
    fragments.peer->feed(first.substr(0, 20000));
    fragments.peer->feed(first.substr(20000));
    const std::string last = frame(role, kContinuation, payload);
    fragments.peer->feed(last.substr(0, 20000));
    fragments.peer->feed(last.substr(20000));
    assert_int_equal(fragments.asked, 0);
    assert_int_equal(fragments.got.size(), 80000);

    Roomy parts({role, true, {}});
    const std::string whole = frame(role, kBinary, payload);
    parts.peer->feed(whole.substr(0, 20000));
    parts.peer->feed(whole.substr(20000));
    assert_int_equal(parts.asked, 0);
    assert_string_equal(parts.peer->events.substr(0, 13).c_str(), "BINARY:40000#");

    const char* agreed =
        "permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover";
    Roomy compressed({role, false, {}, agreed});
    // RFC 7692 7.2.3.2: blocks that are stored, so that the frame is as long as its text.
    std::string stored;
    for (size_t at = 0; at < payload.size(); at += 10000) {
      stored += std::string("\x00\x10\x27\xef\xd8", 5) + payload.substr(at, 10000);
    }
    stored += std::string("\x00", 1);
    const std::string zipped = frame(role, kBinary, stored, true, 0x40);
    compressed.peer->feed(zipped.substr(0, 20000));
    compressed.peer->feed(zipped.substr(20000));
    assert_int_equal(compressed.asked, 0);
    assert_string_equal(compressed.got.c_str(), payload.c_str());
  }
}

void test_room_is_asked_after_max_message_bytes_was_judged(void**) {
  for (Role role : kBothRoles) {
    for (size_t n : {size_t{19999}, size_t{20000}, size_t{20001}}) {
      Setup s{role, false, [](Limits& l) { l.max_message = 20000; }};
      Roomy r(s);
      const std::string input = frame(role, kBinary, letters(n));
      r.peer->feed(input.substr(0, 17000));
      r.peer->feed(input.substr(17000));
      assert_int_equal(r.asked, n <= 20000 ? 1 : 0);
      assert_int_equal(r.landed_there, n <= 20000);
      if (n > 20000) assert_non_null(std::strstr(r.peer->events.c_str(), "sent=1009"));
    }
  }
}

void test_room_none_leaves_the_message_to_the_engine(void**) {
  for (Role role : kBothRoles) {
    const std::string payload = letters(200000);
    const std::string input = frame(role, kText, payload);
    for (bool landing : {false, true}) {
      Roomy r({role, false, {}});
      r.none = true;
      for (size_t at = 0; at < input.size(); at += 3000) {
        const std::string piece = input.substr(at, 3000);
        landing ? r.peer->feed_landing(piece) : r.peer->feed(piece);
      }
      assert_int_equal(r.asked, 1);
      assert_true(r.untouched());
      assert_string_equal(r.got.c_str(), payload.c_str());
    }
  }
}

// The fault is in what was copied, at the border, in what landed, and at the very end.
void test_room_text_that_is_not_utf8_fails_1007(void**) {
  for (Role role : kBothRoles) {
    const size_t n = 60000;
    for (size_t at : {size_t{5}, kFrom - 1, kFrom, kFrom + 1, size_t{40000}, n - 1}) {
      for (bool landing : {false, true}) {
        std::string payload = letters(n);
        payload[at] = '\xC3';  // behind it comes no second half
        const std::string input = frame(role, kText, payload);
        Roomy r({role, false, {}});
        for (size_t i = 0; i < input.size(); i += 1000) {
          const std::string piece = input.substr(i, 1000);
          landing ? r.peer->feed_landing(piece) : r.peer->feed(piece);
        }
        assert_int_equal(r.asked, at + 1 < 15000 ? 0 : 1);
        assert_true(r.got.empty());
        assert_non_null(std::strstr(r.peer->events.c_str(), "sent=1007"));
        assert_true(r.peer->engine->landing().empty());
      }
    }
  }
}

void test_room_is_left_alone_when_the_answer_comes_after_the_end(void**) {
  for (Role role : kBothRoles) {
    const std::string input = frame(role, kBinary, letters(50000));
    for (bool polite : {false, true}) {
      Roomy r({role, false, {}});
      r.inside = [&] {
        if (polite) {
          assert_false(r.peer->engine->close(1000, "").failed());
        } else {
          r.peer->engine->abort(WS_ERR_CANCELLED, 0, "test");
        }
      };
      r.peer->feed_landing(input.substr(0, 30000));
      assert_int_equal(r.asked, 1);
      assert_true(r.peer->engine->landing().empty());
      r.peer->feed_landing(input.substr(30000));
      assert_true(r.untouched());
      assert_true(r.got.empty());
      // The rest of the frame is passed over, so the peer's Close is found behind it.
      if (polite) r.peer->feed(frame(role, kClose, close_body(1000)));
      assert_non_null(std::strstr(r.peer->events.c_str(),
                                  polite ? "CLOSED:error=0,code=1000" : "CLOSED:error=-"));
    }
  }
}

void test_room_is_left_alone_once_closing_begins(void**) {
  for (Role role : kBothRoles) {
    const std::string input = frame(role, kBinary, letters(50000));
    Roomy r({role, false, {}});
    r.peer->feed_landing(input.substr(0, 20000));
    r.peer->feed_landing(input.substr(20000, 1000));
    assert_int_equal(r.asked, 1);
    assert_false(r.peer->engine->close(1000, "").failed());
    const std::vector<uint8_t> before = r.room;
    r.peer->feed_landing(input.substr(21000));
    assert_true(r.room == before);
    assert_true(r.got.empty());
    r.peer->feed(frame(role, kClose, close_body(1000)));
    assert_non_null(std::strstr(r.peer->events.c_str(), "CLOSED:error=0,code=1000"));
  }
}

void test_room_of_a_peer_that_goes_away_is_forgotten(void**) {
  for (Role role : kBothRoles) {
    const std::string input = frame(role, kBinary, letters(50000));
    Roomy r({role, false, {}});
    r.peer->feed(input.substr(0, 20000));
    r.peer->eof();
    assert_int_equal(r.asked, 1);
    assert_string_equal(r.got.c_str(), "");
    assert_true(r.peer->engine->landing().empty());
    r.peer->on_event = {};
    std::vector<uint8_t>().swap(r.room);  // a write into it would be one into freed memory
    r.peer->feed(input.substr(20000));
    assert_non_null(std::strstr(r.peer->events.c_str(), "CLOSED:"));
  }
}

void test_room_message_that_is_kept_is_a_copy(void**) {
  for (Role role : kBothRoles) {
    const std::string payload = letters(50000);
    const std::string input = frame(role, kText, payload);
    Ref<Message> kept, again;
    {
      Roomy r({role, false, {}});
      r.on_message = [&](const Event& ev) {
        kept = r.peer->engine->keep(ev);
        again = r.peer->engine->keep(ev);
      };
      r.peer->feed(input.substr(0, 20000));
      r.peer->feed(input.substr(20000));
      assert_true(r.landed_there);
    }
    for (const Ref<Message>& m : {kept, again}) {
      assert_non_null(m.get());
      assert_int_equal(m->opcode(), WS_OP_TEXT);
      const Bytes data = m->data();
      assert_true(std::string(reinterpret_cast<const char*>(data.data()), data.size()) == payload);
    }
  }
}

// The engine's memory and the owner's in turns: what one message leaves does not reach the next.
void test_room_of_one_message_is_not_that_of_the_next(void**) {
  for (Role role : kBothRoles) {
    Roomy r({role, false, {}});
    for (int i = 0; i < 8; ++i) {
      r.none = i % 3 == 1;
      const std::string payload = letters(30000 + static_cast<size_t>(i));
      const std::string input = frame(role, kText, payload) + frame(role, kText, "small");
      std::string large;
      r.on_message = [&](const Event& ev) {
        if (ev.len > 5) large = r.got;
        assert_int_equal(r.landed_there, ev.len > 5 && !r.none);
      };
      for (size_t at = 0; at < input.size(); at += 4000) {
        r.peer->feed_landing(input.substr(at, 4000));
      }
      assert_int_equal(r.asked, i + 1);
      assert_true(large == payload);
      assert_string_equal(r.got.c_str(), "small");
    }
  }
}

// The owner pauses inside: what was read waits, and lands when it is looked at again.
void test_room_input_that_waits_lands_there_too(void**) {
  for (Role role : kBothRoles) {
    const std::string payload = letters(50000);
    std::string input = frame(role, kText, payload);
    auto p = Peer::opened({role, false, {}});
    p->engine->set_rooms(true);
    Event ev;
    p->engine->feed(reinterpret_cast<uint8_t*>(input.data()), 30000);
    assert_true(p->engine->next(ev));
    assert_int_equal(ev.type, kEvRoom);
    assert_int_equal(ev.len, 50000);
    std::vector<uint8_t> room(ev.len);
    p->engine->give_room(room.data());
    assert_true(p->engine->hold_input());
    assert_true(p->engine->input_pending());
    std::fill_n(input.begin(), 30000, '\xff');  // the buffer is another's now
    assert_false(p->engine->next(ev));
    assert_false(p->engine->input_pending());
    p->on_event = [&](const Event& e) { assert_ptr_equal(e.data, room.data()); };
    p->feed_landing(std::string_view(input).substr(30000));
    assert_true(std::memcmp(room.data(), payload.data(), payload.size()) == 0);
    assert_string_equal(p->events.substr(0, 11).c_str(), "TEXT:50000#");
  }
}

void test_room_asked_while_out_of_memory_fails_nothing(void**) {
  for (Role role : kBothRoles) {
    // What comes before the owner is asked needs a block; what comes behind needs none.
    const std::string input = frame(role, kBinary, letters(200000));
    Roomy r({role, false, {}});
    r.peer->feed(input.substr(0, 20000));
    assert_int_equal(r.asked, 1);
    Faults none_left;
    none_left.fail_alloc = 1;
    none_left.fail_alloc_on = true;
    set_faults(none_left);
    r.peer->feed_landing(input.substr(20000, 100000));
    r.peer->feed(input.substr(120000));
    clear_faults();
    assert_true(r.landed_there);
    assert_int_equal(r.got.size(), 200000);
  }
}

}  // namespace

int main() {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_room_is_asked_from_16_kib_on_when_so_much_has_arrived),
      cmocka_unit_test(test_room_is_not_asked_for_what_is_whole_in_the_buffer),
      cmocka_unit_test(test_room_landing_is_all_that_is_missing_of_the_message),
      cmocka_unit_test(test_room_events_are_the_same_however_the_input_is_cut),
      cmocka_unit_test(test_room_is_not_asked_for_fragments_compressed_messages_and_parts),
      cmocka_unit_test(test_room_is_asked_after_max_message_bytes_was_judged),
      cmocka_unit_test(test_room_none_leaves_the_message_to_the_engine),
      cmocka_unit_test(test_room_text_that_is_not_utf8_fails_1007),
      cmocka_unit_test(test_room_is_left_alone_when_the_answer_comes_after_the_end),
      cmocka_unit_test(test_room_is_left_alone_once_closing_begins),
      cmocka_unit_test(test_room_of_a_peer_that_goes_away_is_forgotten),
      cmocka_unit_test(test_room_message_that_is_kept_is_a_copy),
      cmocka_unit_test(test_room_of_one_message_is_not_that_of_the_next),
      cmocka_unit_test(test_room_input_that_waits_lands_there_too),
      cmocka_unit_test(test_room_asked_while_out_of_memory_fails_nothing),
  };
  return cmocka_run_group_tests_name("engine_room", tests, nullptr, nullptr);
}
