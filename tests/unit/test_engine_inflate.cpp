// Receiving compressed messages: what they hold, what they may refer to, what stands between them
// and what is wrong with them; both roles, whole and in chunks, each input in every delivery mode.
// What bounds them is in test_engine_inflate_limits.cpp.
#include "deflate_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

constexpr Agreed kTakeover = {false, true, 15, 15};

// All that the verdicts here must not depend on.
template <class What>
void for_each_way(const Agreed& agreed, What&& what) {
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) what(role, deflating(role, agreed, chunks));
  }
}

// req: 144
// bad: 139
void test_engine_rsv1_without_the_extension_fails_1002_and_makes_nothing(void**) {
  for (Role role : kBothRoles) {
    std::vector<Setup> setups(2, deflating(role));
    setups[0].extensions.clear();  // offered to a client's server and not answered, or not offered
    setups[1].extensions.clear();
    setups[1].limits = [](Limits& l) { l.deflate = l.deflate_recv = WS_DEFLATE_OFF; };
    if (role == Role::kServer) {  // offered, and declined
      setups[0].extensions = "permessage-deflate; server_max_window_bits=8";
    }
    for (const Setup& s : setups) {
      for (uint8_t op : {kText, kBinary}) {
        for (const char* payload : {"f248cdc9c90700", "00", ""}) {
          expect_closed(s, rsv1_frame(role, op, unhex(payload)), 1002, WS_ERR_PROTOCOL,
                        "reserved bit set without an extension");
        }
      }
      auto p = Peer::opened(s);
      p->feed(rsv1_frame(role, kText, unhex("f248cdc9c90700")));
      assert_true(p->resources().deflate.empty());
    }
  }
}

// req: 144
// bad: 140
void test_engine_rsv1_in_the_wrong_place_fails_1002(void**) {
  const std::string hello = unhex("f248cdc9c90700");
  for_each_way(kTakeover, [&](Role role, const Setup& s) {
    for (uint8_t op : {kPing, kPong, kClose}) {
      expect_closed(s, frame(role, op, "", true, kRsv1Bit), 1002, WS_ERR_PROTOCOL,
                    "control frame with RSV1 set");
    }
    const char* const continued = "continuation with RSV1 set";
    for (bool fin : {false, true}) {
      expect_closed(s, rsv1_frame(role, kContinuation, hello, fin), 1002, WS_ERR_PROTOCOL,
                    continued);
      expect_closed(
          s, rsv1_frame(role, kText, hello, false) + rsv1_frame(role, kContinuation, "", fin), 1002,
          WS_ERR_PROTOCOL, continued);
      expect_closed(s,
                    frame(role, kText, "plain", false) + rsv1_frame(role, kContinuation, "", fin),
                    1002, WS_ERR_PROTOCOL, continued);
    }
    for (uint8_t rsv : {uint8_t{0x10}, uint8_t{0x20}, uint8_t{0x50}, uint8_t{0x70}}) {
      expect_closed(s, frame(role, kText, hello, true, rsv), 1002, WS_ERR_PROTOCOL,
                    "reserved bit set without an extension");
    }
    for (uint8_t op : {kText, kBinary}) {
      expect_closed(s, rsv1_frame(role, kText, hello, false) + rsv1_frame(role, op, hello), 1002,
                    WS_ERR_PROTOCOL, "new message inside a fragmented one");
    }
  });
}

// req: 145, 157, 158, 159
// bad: 147, 148, 149, 152
void test_engine_published_vectors_are_hello(void**) {
  for (const Agreed& agreed : {kShared, kTakeover}) {
    for_each_way(agreed, [](Role role, const Setup& s) {
      for (const char* vector : {"f248cdc9c90700", "000500faff48656c6c6f00", "f348cdc9c9070000",
                                 "f24805000000ffffcac9c90700"}) {
        const std::string hello = rsv1_frame(role, kText, unhex(vector));
        expect_events(s, hello, label(kText, "Hello"));
        expect_events(s, hello + hello, label(kText, "Hello") + label(kText, "Hello"));
      }
      for (const char* vector : {"00", "", "0200", "0300", "01", "000000ffff00"}) {
        expect_events(s, rsv1_frame(role, kText, unhex(vector)), "TEXT: ");
        expect_events(s, rsv1_frame(role, kBinary, unhex(vector)), "BINARY: ");
      }
    });
  }
}

// req: 158, 159
// bad: 147, 150
void test_engine_second_message_refers_to_the_first(void**) {
  const std::string hello = label(kText, "Hello");
  for_each_way(kTakeover, [&](Role role, const Setup& s) {
    const std::string again = rsv1_frame(role, kText, unhex("f200110000"));
    const std::string plain = frame(role, kText, "World");
    const std::string empty = rsv1_frame(role, kText, unhex("00"));
    for (const char* vector : {"f248cdc9c90700", "f348cdc9c9070000", "000500faff48656c6c6f00"}) {
      const std::string first = rsv1_frame(role, kText, unhex(vector));
      expect_events(s, first + again + again, hello + hello + hello);
      // What is not compressed is no part of what may be referred to (RFC 7692 7.2.2).
      expect_events(s, first + plain + empty + again + plain,
                    hello + label(kText, "World") + "TEXT: " + hello + label(kText, "World"));
    }
  });
}

// bad: 151
void test_engine_reference_without_takeover_fails_1007(void**) {
  const std::string hello = label(kText, "Hello");
  for_each_way(kShared, [&](Role role, const Setup& s) {
    expect_closed(s,
                  rsv1_frame(role, kText, unhex("f248cdc9c90700")) +
                      rsv1_frame(role, kText, unhex("f200110000")),
                  1007, WS_ERR_DEFLATE, "invalid distance too far back", hello);
  });
  for_each_way(kTakeover, [&](Role role, const Setup& s) {
    expect_closed(s, frame(role, kText, "Hello") + rsv1_frame(role, kText, unhex("f200110000")),
                  1007, WS_ERR_DEFLATE, "invalid distance too far back", hello);
  });
}

// req: 146
// bad: 153
void test_engine_compressed_fragments_are_joined_and_let_control_pass(void**) {
  for_each_way(kShared, [](Role role, const Setup& s) {
    expect_events(s,
                  rsv1_frame(role, kText, unhex("f248cd"), false) +
                      frame(role, kContinuation, "", false) + frame(role, kPing, "now") +
                      frame(role, kPong, "") + frame(role, kContinuation, unhex("c9c90700")),
                  "PING:6e6f77 PONG: " + label(kText, "Hello"));
    expect_events(s,
                  rsv1_frame(role, kText, "", false) + frame(role, kPing, "") +
                      frame(role, kContinuation, unhex("f248cdc9c90700"), false) +
                      frame(role, kContinuation, ""),
                  "PING: " + label(kText, "Hello"));
    expect_events(s, rsv1_frame(role, kText, "", false) + frame(role, kContinuation, ""), "TEXT: ");
    const std::string data = json(3000);
    for (size_t each : {1u, 2u, 5u, 100u}) {
      expect_events(s, rsv1_fragments(role, kBinary, deflated(data), each), label(kBinary, data));
    }
  });
}

// bad: 98, 142
void test_engine_message_in_65536_compressed_fragments(void**) {
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      Setup s = deflating(role, kShared, chunks, [](Limits& l) { l.max_fragments = 65536; });
      const std::string data = noise(65536 - 5 - 1);
      const std::string message = stored(data);
      assert_int_equal(message.size(), 65536);
      auto p = Peer::opened(s);
      p->feed(rsv1_fragments(role, kBinary, message, 1));
      assert_string_equal(p->events.c_str(), label(kBinary, data).c_str());
      p = Peer::opened(s);
      p->feed(rsv1_fragments(role, kBinary, stored(data + "x"), 1));
      assert_non_null(std::strstr(p->events.c_str(), "sent=1008"));
    }
  }
}

// req: 112, 160
// bad: 146
void test_engine_corrupt_deflate_fails_1007_with_what_zlib_says(void**) {
  const struct {
    const char* payload;
    const char* why;
  } cases[] = {
      {"ffffffffff", "invalid block type"},
      {"07", "invalid block type"},  // BTYPE 11
      {"000500faee48656c6c6f00", "invalid stored block lengths"},
      {"f200110000", "invalid distance too far back"},
      {"f248cdc9", "message ends inside a block"},        // in the middle of the codes
      {"000500faff4865", "message ends inside a block"},  // and of stored bytes
      {"f5ffffffff", "too many length or distance symbols"},
  };
  for (const Agreed& agreed : {kShared, kTakeover}) {
    for_each_way(agreed, [&](Role role, const Setup& s) {
      const std::string later = frame(role, kText, "later");
      for (const auto& c : cases) {
        const std::string payload = unhex(c.payload);
        expect_closed(s, rsv1_frame(role, kBinary, payload) + later, 1007, WS_ERR_DEFLATE, c.why);
        expect_closed(s, rsv1_fragments(role, kBinary, payload, 2) + later, 1007, WS_ERR_DEFLATE,
                      c.why);
        // The stream is not left in a state that a later connection could meet.
        auto p = Peer::opened(s);
        p->feed(rsv1_frame(role, kBinary, payload));
        Setup other = s;
        other.shared = &p->resources();
        auto q = Peer::opened(other);
        q->feed(rsv1_frame(role, kText, unhex("f248cdc9c90700")));
        assert_string_equal(q->events.c_str(), label(kText, "Hello").c_str());
        q.reset();
      }
    });
  }
}

// req: 99, 101
// bad: 107, 108
void test_engine_text_is_checked_after_inflating(void**) {
  const std::string text = "\xf0\x9f\x99\x82\xe2\x82\xac\xc3\xa9";
  for_each_way(kShared, [&](Role role, const Setup& s) {
    expect_events(s, rsv1_frame(role, kText, deflated(text)), label(kText, text));
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      // Each half is a block of its own, and a frame of its own.
      const std::string first = cut != 0 ? stored(text.substr(0, cut)) : std::string(1, '\0');
      const std::string head = first.substr(0, first.size() - 1);
      expect_events(s,
                    rsv1_frame(role, kText, head, false) +
                        frame(role, kContinuation, stored(text.substr(cut))),
                    label(kText, text));
    }
    for (const char* bad : {"c328", "ff", "eda080", "f4908080"}) {
      for (const std::string& before : {std::string(), json(500), json(70000)}) {
        const std::string input = rsv1_frame(role, kText, deflated(before + unhex(bad)));
        expect_closed(s, input, 1007, WS_ERR_UTF8, "text is not UTF-8");
        // Binary is what it is.
        expect_events(s, rsv1_frame(role, kBinary, deflated(before + unhex(bad))),
                      label(kBinary, before + unhex(bad)));
      }
    }
    for (const char* half : {"c3", "e282", "f09f99"}) {
      expect_closed(s, rsv1_frame(role, kText, deflated("caf" + unhex(half))), 1007, WS_ERR_UTF8,
                    "text ends inside a code point");
    }
    Setup unchecked =
        deflating(role, kShared, s.chunks, [](Limits& l) { l.flags = WS_CONN_NO_UTF8_CHECK; });
    expect_events(unchecked, rsv1_frame(role, kText, deflated("\xff")), label(kText, "\xff"));
  });
}

// Chunks are not kept for the next frame: what has come is given, however much it inflates to.
void test_engine_chunks_are_given_as_far_as_the_input_goes(void**) {
  for (Role role : kBothRoles) {
    for (size_t n : {size_t{10}, kInflateStep, 3 * kInflateStep + 1}) {
      auto p = Peer::opened(deflating(role, kShared, true));
      size_t got = 0;
      p->on_event = [&](const Event& ev) { got += ev.len; };
      std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
      const std::string piece = deflate_piece(*deflater, std::string(n, 'x'));
      p->feed(rsv1_frame(role, kText, piece, false));
      assert_int_equal(got, n);
      p->feed(frame(role, kPing, ""));
      assert_string_equal(p->events.c_str(), "PING: ");
    }
  }
}

// A code point lies across the end of a step's output, wherever it is cut.
// req: 101
// bad: 108
void test_engine_text_may_be_cut_anywhere_by_a_step_of_output(void**) {
  for_each_way(kShared, [](Role role, const Setup& s) {
    for (size_t before = kInflateStep - 4; before <= kInflateStep + 1; ++before) {
      const std::string text = std::string(before, 'x') + "\xf0\x9f\x99\x82" + json(100);
      auto p = Peer::opened(s);
      p->feed(rsv1_frame(role, kText, deflated(text)));
      assert_string_equal(p->events.c_str(), label(kText, text).c_str());
      std::string broken = text;
      broken[before + 3] = 'x';
      p = Peer::opened(s);
      p->feed(rsv1_frame(role, kText, deflated(broken)));
      assert_non_null(std::strstr(p->events.c_str(), "CLOSED:error=-81,code=1006,sent=1007"));
      assert_int_equal(p->engine->messages_in(), 0);
    }
  });
}

// Two things are wrong with a message: what comes first in it decides, however it arrives.
// req: 112
// bad: 146
void test_engine_verdict_on_a_message_is_on_what_comes_first(void**) {
  auto limit = [](Limits& l) { l.max_message = 100; };
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      const Setup s = deflating(role, kTakeover, chunks, limit);
      std::string bad_text = stored("\xff");
      bad_text.back() = '\x07';  // a block of the reserved type follows
      expect_closed(s, rsv1_frame(role, kText, bad_text), 1007, WS_ERR_UTF8, "text is not UTF-8");
      const std::string good_text = stored("ok").substr(0, 7);
      expect_closed(s, rsv1_frame(role, kText, good_text + unhex("07")), 1007, WS_ERR_DEFLATE,
                    "invalid block type");
      const std::string bad_and_long = "\xff" + std::string(200, 'x');
      expect_closed(s, rsv1_frame(role, kText, deflated(bad_and_long)), 1007, WS_ERR_UTF8,
                    "text is not UTF-8");
      const std::string long_and_bad = std::string(100, 'x') + "\xff" + std::string(100, 'x');
      expect_closed(s, rsv1_frame(role, kText, deflated(long_and_bad)), 1009, WS_ERR_TOO_BIG,
                    "message longer than max_message_bytes");
      std::string long_and_corrupt = stored(std::string(101, 'x'));
      long_and_corrupt.back() = '\x07';
      expect_closed(s, rsv1_frame(role, kText, long_and_corrupt), 1009, WS_ERR_TOO_BIG,
                    "message longer than max_message_bytes");
    }
  }
}

// req: 145
// bad: 163
void test_engine_message_without_rsv1_is_not_inflated(void**) {
  for (const Agreed& agreed : {kShared, kTakeover}) {
    for_each_way(agreed, [](Role role, const Setup& s) {
      const std::string like = unhex("f248cdc9c90700");
      const std::string input = frame(role, kBinary, like) + frame(role, kBinary, like, false) +
                                frame(role, kContinuation, like);
      expect_events(s, input, label(kBinary, like) + label(kBinary, like + like));
      auto p = Peer::opened(s);
      p->feed(input);
      assert_true(p->resources().deflate.empty());
      assert_int_equal(p->resources().deflate.inflated, 0);
    });
  }
}

std::string random_sample(std::mt19937& random) {
  const size_t n = random() % 4 == 0 ? random() % 3 : random() % 3000;
  switch (random() % 4) {
    case 0: return noise(n, static_cast<unsigned>(random()));
    case 1: return std::string(n * 3, 'z');
    default: return json(n, static_cast<unsigned>(random() % 5));
  }
}

// Whatever the peer's compressor does, what the engine gives is what zlib makes of the stream in
// one go.
// req: 152, 156, 157
// bad: 156, 160
void test_engine_takeover_gives_what_zlib_gives_in_one_go(void**) {
  std::mt19937 random(3);
  for (int bits = 9; bits <= 15; ++bits) {
    for (Role role : kBothRoles) {
      for (bool chunks : {false, true}) {
        Setup s = deflating(role, {false, true, 15, bits}, chunks);
        auto p = Peer::opened(s);
        std::string got;
        p->on_event = [&](const Event& ev) {
          got.append(reinterpret_cast<const char*>(ev.data), ev.len);
        };
        std::unique_ptr<Deflater> deflater{Deflater::create(bits, 8, 6)};
        Reader once(15, true);
        std::string sent;
        std::string inflated;
        for (int i = 0; i < 60; ++i) {
          const std::string data = random_sample(random);
          const bool plain = data.empty() || random() % 4 == 0;
          sent += data;
          std::string input = frame(role, kBinary, data);
          if (plain) {
            inflated += data;
          } else {
            const std::string wire = deflate_message(*deflater, data);
            inflated += once.message(wire);
            input = random() % 3 == 0 ? rsv1_fragments(role, kBinary, wire, 1 + random() % 500)
                                      : rsv1_frame(role, kBinary, wire);
          }
          const size_t cut = random() % (input.size() + 1);
          p->feed(std::string_view(input).substr(0, cut));
          p->feed(std::string_view(input).substr(cut));
        }
        assert_same(got, sent);
        assert_same(got, inflated);
        assert_int_equal(p->engine->messages_in(), 60);
      }
    }
  }
}

// A peer held to 8 bits, as far back as 256 bytes and as far as zlib's 9 would go.
// req: 152, 155
// bad: 154, 156
void test_engine_window_of_8_from_the_peer_is_inflated(void**) {
  for (bool chunks : {false, true}) {
    for (Role role : kBothRoles) {
      const Setup s = deflating(role, {false, true, 15, 8}, chunks);
      auto p = Peer::opened(s);
      ws_deflate_info info;
      p->engine->deflate_info(&info);
      assert_int_equal(info.recv_window_bits, 8);
      assert_true((info.flags & WS_DEFLATE_RECV_TAKEOVER) != 0);
      std::unique_ptr<Deflater> deflater{Deflater::create(9, 8, 9)};
      std::string input;
      std::string events;
      for (unsigned i = 0; i < 20; ++i) {
        const std::string data = json(40 + i * 30, i % 3);
        input += rsv1_frame(role, kText, deflate_message(*deflater, data));
        events += label(kText, data);
      }
      p->feed(input);
      assert_string_equal(p->events.c_str(), events.c_str());
      expect_events(s,
                    rsv1_frame(role, kText, unhex("f248cdc9c90700")) +
                        rsv1_frame(role, kText, unhex("f200110000")),
                    label(kText, "Hello") + label(kText, "Hello"));
      // A sender without a window of 8 has one of 9.
      deflater.reset(Deflater::create(15, 8, 9));
      const std::string data = noise(512);
      std::string far = rsv1_frame(role, kBinary, deflate_message(*deflater, data));
      far += rsv1_frame(role, kBinary, deflate_message(*deflater, data.substr(0, 40)));
      expect_events(s, far, label(kBinary, data) + label(kBinary, data.substr(0, 40)));
    }
  }
}

// A distance beyond what was agreed, inside a message: never wrong bytes, and always the same.
// bad: 154
void test_engine_distance_beyond_the_agreed_window_does_not_depend_on_cuts(void**) {
  const std::string data = noise(1000) + noise(1000);
  const std::string wire = deflated(data);
  assert_true(wire.size() < 1100);
  for (Role role : kBothRoles) {
    for (bool chunks : {false, true}) {
      expect_events(deflating(role, {false, true, 15, 9}, chunks), rsv1_frame(role, kBinary, wire),
                    label(kBinary, data));
    }
  }
}

void test_engine_messages_in_fragments_share_a_pool_without_mixing(void**) {
  for (Role role : kBothRoles) {
    const Setup s = deflating(role, kTakeover);
    std::vector<std::unique_ptr<Peer>> peers{};
    peers.push_back(Peer::opened(s));
    Setup shared = s;
    shared.shared = &peers[0]->resources();
    for (int i = 1; i < 7; ++i) peers.push_back(Peer::opened(shared));
    for (unsigned round = 0; round < 3; ++round) {
      std::vector<std::string> input;
      for (unsigned i = 0; i < peers.size(); ++i) {
        peers[i]->events.clear();
        input.push_back(rsv1_fragments(role, kText, deflated(json(2000, i + round)), 50));
      }
      for (size_t at = 0; at < input[0].size() + 200; at += 33) {
        for (size_t i = 0; i < peers.size(); ++i) {
          if (at < input[i].size()) peers[i]->feed(std::string_view(input[i]).substr(at, 33));
        }
      }
      for (unsigned i = 0; i < peers.size(); ++i) {
        assert_string_equal(peers[i]->events.c_str(), label(kText, json(2000, i + round)).c_str());
      }
    }
    while (!peers.empty()) peers.pop_back();  // whose pool it is goes last
  }
}

// req: 91
void test_engine_close_in_the_middle_of_a_compressed_message(void**) {
  const std::string wire = deflated(json(2000));
  for_each_way(kTakeover, [&](Role role, const Setup& s) {
    const std::string head = rsv1_frame(role, kText, wire.substr(0, 100), false);
    const std::string rest = frame(role, kContinuation, wire.substr(100));
    const std::string bye = frame(role, kClose, close_body(1000));
    // The peer's.
    expect_events(s, head + bye + rest,
                  "CLOSED:error=0,code=1000,sent=1000,flags=3,http=0,reason= ");
    // Ours: what comes up to the peer's is passed over, whatever it holds.
    for (const std::string& after : {rest, frame(role, kContinuation, std::string(200, '\xff')),
                                     frame(role, kContinuation, "", false)}) {
      auto p = Peer::opened(s);
      p->feed(head + rest.substr(0, 20));
      assert_string_equal(p->events.c_str(), "");
      assert_false(p->engine->close(1000, "").failed());
      p->feed(rest.substr(20));
      if (after != rest) p->feed(rsv1_frame(role, kText, after));
      p->feed(bye);
      assert_string_equal(p->events.c_str(),
                          "CLOSED:error=0,code=1000,sent=1000,flags=1,http=0,reason= ");
    }
    auto p = Peer::opened(s);
    p->feed(head);
    p->eof();
    assert_non_null(std::strstr(p->events.c_str(), "CLOSED:error=-23,code=1006,sent=0,flags=2"));
  });
}

// What arrives is not what the message holds.
void test_engine_compressed_message_has_no_landing(void**) {
  const std::string data = json(300000);
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kShared));
    const std::string input = rsv1_frame(role, kText, deflated(data));
    for (size_t at = 0; at < input.size(); at += 1000) {
      p->feed(std::string_view(input).substr(at, 1000));
      assert_true(p->engine->landing().empty());
    }
    assert_string_equal(p->events.c_str(), label(kText, data).c_str());
  }
}

void test_engine_keep_holds_an_inflated_message_beyond_the_event(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kTakeover));
    std::vector<Ref<Message>> kept;
    p->on_event = [&](const Event& ev) {
      kept.push_back(p->engine->keep(ev));
      kept.push_back(p->engine->keep(ev));
    };
    const std::string want[] = {"",           "Hello",  json(5000), json(kInflateStep - 1),
                                json(200000), json(300)};
    std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, 6)};
    for (const std::string& data : want) {
      const std::string wire =
          data.empty() ? std::string(1, '\0') : deflate_message(*deflater, data);
      p->feed(rsv1_fragments(role, kText, wire, 700));
    }
    p.reset();
    assert_int_equal(kept.size(), 2 * std::size(want));
    for (size_t i = 0; i < kept.size(); ++i) {
      assert_same(text(kept[i]->data()), want[i / 2]);
    }
  }
}

void test_engine_deflate_info_counts_what_came(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kTakeover));
    const std::string data = json(5000);
    const std::string wire = deflated(data);
    p->feed(frame(role, kText, data) + rsv1_fragments(role, kText, wire, 70));
    ws_deflate_info info;
    p->engine->deflate_info(&info);
    assert_int_equal(info.flags, WS_DEFLATE_AGREED | WS_DEFLATE_RECV_TAKEOVER);
    assert_int_equal(info.received_plain_bytes, data.size());
    assert_int_equal(info.received_wire_bytes, wire.size());
    assert_int_equal(info.sent_plain_bytes, 0);
    assert_int_equal(info.sent_wire_bytes, 0);
    assert_true(info.context_bytes >= 5000 && info.context_bytes <= 32768);
    assert_int_equal(p->resources().deflate.inflated, 1);
    assert_int_equal(p->resources().deflate.held(), 32768);
    p->engine->release_buffers();
    assert_int_equal(p->resources().deflate.held(), 0);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_rsv1_without_the_extension_fails_1002_and_makes_nothing),
      cmocka_unit_test(test_engine_rsv1_in_the_wrong_place_fails_1002),
      cmocka_unit_test(test_engine_published_vectors_are_hello),
      cmocka_unit_test(test_engine_second_message_refers_to_the_first),
      cmocka_unit_test(test_engine_reference_without_takeover_fails_1007),
      cmocka_unit_test(test_engine_compressed_fragments_are_joined_and_let_control_pass),
      cmocka_unit_test(test_engine_message_in_65536_compressed_fragments),
      cmocka_unit_test(test_engine_corrupt_deflate_fails_1007_with_what_zlib_says),
      cmocka_unit_test(test_engine_text_is_checked_after_inflating),
      cmocka_unit_test(test_engine_chunks_are_given_as_far_as_the_input_goes),
      cmocka_unit_test(test_engine_text_may_be_cut_anywhere_by_a_step_of_output),
      cmocka_unit_test(test_engine_verdict_on_a_message_is_on_what_comes_first),
      cmocka_unit_test(test_engine_message_without_rsv1_is_not_inflated),
      cmocka_unit_test(test_engine_takeover_gives_what_zlib_gives_in_one_go),
      cmocka_unit_test(test_engine_window_of_8_from_the_peer_is_inflated),
      cmocka_unit_test(test_engine_distance_beyond_the_agreed_window_does_not_depend_on_cuts),
      cmocka_unit_test(test_engine_messages_in_fragments_share_a_pool_without_mixing),
      cmocka_unit_test(test_engine_close_in_the_middle_of_a_compressed_message),
      cmocka_unit_test(test_engine_compressed_message_has_no_landing),
      cmocka_unit_test(test_engine_keep_holds_an_inflated_message_beyond_the_event),
      cmocka_unit_test(test_engine_deflate_info_counts_what_came),
  };
  return cmocka_run_group_tests_name("engine_inflate", tests, nullptr, nullptr);
}
