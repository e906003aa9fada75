// Sending compressed messages: which are, how they stand on the wire, and that zlib with the agreed
// window reads each of them; both roles.  What a connection holds for it is in
// test_engine_deflate_life.cpp.
#include "deflate_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

constexpr Agreed kBothModes[] = {kShared, kDedicated};

Error send(Peer& p, std::string_view data, uint32_t flags = 0) {
  return p.engine->send(WS_OP_BINARY, bytes(data), flags);
}

// Sends it and reads it back.
Read through(Peer& p, Reader& r, std::string_view data, uint32_t flags = 0) {
  assert_int_equal(send(p, data, flags).code(), WS_OK);
  Read read = only_message(p, r);
  assert_int_equal(read.opcode, kBinary);
  assert_int_equal(read.frames, 1);
  assert_same(read.data, data);
  return read;
}

// ---- the wire ----

// req: 147, 149, 152, 155, 156
// bad: 156, 160
void test_engine_deflate_is_read_with_the_agreed_window(void**) {
  std::mt19937 random(11);
  for (Role role : kBothRoles) {
    for (bool takeover : {false, true}) {
      for (int bits = 9; bits <= 15; ++bits) {
        for (uint8_t level : {uint8_t{1}, uint8_t{6}, uint8_t{9}}) {
          const Agreed agreed{takeover, false, bits, 15};
          auto p = Peer::opened(deflating(role, agreed, false, [&](Limits& l) {
            l.deflate_level = level;
            l.deflate_mem_level = static_cast<uint8_t>(1 + random() % 9);
          }));
          auto r = reader(agreed);
          std::vector<std::string> sent;
          for (unsigned i = 0; i < 12; ++i) {
            const size_t n = random() % 9000;
            const unsigned seed = static_cast<unsigned>(random() % 3);
            sent.push_back(i % 4 == 3 ? noise(n, seed) + noise(n, seed) : json(n, seed));
            assert_int_equal(send(*p, sent.back()).code(), WS_OK);
            while (p->engine->has_output() && i % 2 == 0) p->flush(1 + random() % 64);
          }
          const std::vector<Read> read = messages_in(*p, *r);
          assert_int_equal(read.size(), sent.size());
          for (size_t i = 0; i < sent.size(); ++i) assert_same(read[i].data, sent[i]);
        }
      }
    }
  }
}

// Without takeover a message is what a new compressor makes of it, whatever was sent before.
// req: 147, 149, 156
void test_engine_shared_message_refers_to_nothing(void**) {
  for (Role role : kBothRoles) {
    for (int bits : {9, 12, 15}) {
      auto p = Peer::opened(deflating(role, {false, false, bits, 15}));
      for (unsigned seed : {1u, 1u, 2u, 1u}) {
        for (int level = 0; level <= 9; ++level) {
          const std::string data = json(3000, seed);
          assert_int_equal(send(*p, data, WS_SEND_LEVEL(level)).code(), WS_OK);
          p->flush();
          const std::vector<Sent> f = frames_in(p->output, true);
          p->output.clear();
          assert_int_equal(f.size(), 1);
          assert_true(f[0].rsv1 && f[0].fin);
          assert_int_equal(f[0].masked, role == Role::kClient);
          DeflatePool pool;
          Deflater* fresh = pool.fresh_deflater(bits, level != 0 ? level : 1);
          assert_same(f[0].payload, deflate_message(*fresh, data));
        }
      }
    }
  }
}

// req: 156
void test_engine_dedicated_message_refers_to_earlier_ones(void**) {
  const std::string data = json(3000);
  for (Role role : kBothRoles) {
    const Agreed agreed{true, false, 15, 15};
    auto p = Peer::opened(deflating(role, agreed));
    auto r = reader(agreed);
    const size_t first = through(*p, *r, data).wire;
    assert_true(through(*p, *r, data).wire * 5 < first);
    // What goes plain between is no part of it.
    assert_false(through(*p, *r, data, WS_SEND_NO_DEFLATE).compressed);
    assert_false(through(*p, *r, "").compressed);
    assert_false(p->engine->ping(bytes("ping")).failed());
    assert_true(through(*p, *r, data).wire * 5 < first);
    // A level of its own begins anew, and so does going back.
    for (int level : {9, 1}) {
      const Read changed = through(*p, *r, data, WS_SEND_LEVEL(level));
      assert_true(changed.compressed && changed.wire * 3 > first);
      assert_true(through(*p, *r, data, WS_SEND_LEVEL(level)).wire * 5 < first);
    }
  }
}

// A side that wants takeover does without where the other says so.
// req: 147, 148, 149
// bad: 151
void test_engine_takeover_is_only_what_both_sides_want(void**) {
  const std::string data = json(3000);
  for (Role role : kBothRoles) {
    for (bool send_takeover : {false, true}) {
      for (bool recv_takeover : {false, true}) {
        const Agreed agreed{send_takeover, recv_takeover, 15, 15};
        Setup s = deflating(role, agreed, false,
                            [](Limits& l) { l.deflate = l.deflate_recv = WS_DEFLATE_DEDICATED; });
        auto p = Peer::opened(s);
        ws_deflate_info info;
        p->engine->deflate_info(&info);
        assert_int_equal((info.flags & WS_DEFLATE_SEND_TAKEOVER) != 0, send_takeover);
        assert_int_equal((info.flags & WS_DEFLATE_RECV_TAKEOVER) != 0, recv_takeover);
        auto r = reader(agreed);
        const size_t first = through(*p, *r, data).wire;
        assert_int_equal(through(*p, *r, data).wire * 5 < first, send_takeover);
        p->feed(rsv1_frame(role, kText, unhex("f248cdc9c90700")) +
                rsv1_frame(role, kText, unhex("f200110000")));
        assert_int_equal(p->engine->is_open(), recv_takeover);
        assert_int_equal(p->engine->messages_in(), recv_takeover ? 2 : 1);
      }
    }
  }
}

void test_engine_level_is_the_configured_or_the_messages_own(void**) {
  const std::string data = json(20000);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto size_with = [&](uint8_t configured, int own) {
        auto p = Peer::opened(
            deflating(role, agreed, false, [&](Limits& l) { l.deflate_level = configured; }));
        return through(*p, *reader(agreed), data, WS_SEND_LEVEL(own)).wire;
      };
      const size_t fast = size_with(1, 0);
      const size_t small = size_with(9, 0);
      assert_true(small < fast);
      assert_int_equal(size_with(1, 9), small);
      assert_int_equal(size_with(9, 1), fast);
    }
  }
}

// ---- which messages ----

void test_engine_shortest_message_that_is_compressed_is_exact(void**) {
  const struct {
    Agreed agreed;
    uint64_t configured;
    size_t least;
  } cases[] = {{kShared, 0, 256},      {kDedicated, 0, 32}, {kShared, 100, 100},
               {kDedicated, 100, 100}, {kShared, 40, 40},   {kDedicated, 1, 1}};
  for (const auto& c : cases) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(
          deflating(role, c.agreed, false, [&](Limits& l) { l.deflate_min = c.configured; }));
      auto r = reader(c.agreed);
      for (size_t n : {c.least - 1, c.least, c.least + 1}) {
        assert_int_equal(p->engine->may_deflate(n, 0), n >= c.least);
        assert_true(p->engine->may_deflate(n, WS_SEND_DEFLATE));
        assert_false(p->engine->may_deflate(n, WS_SEND_NO_DEFLATE));
        assert_int_equal(through(*p, *r, std::string(n, 'a')).compressed, n >= c.least);
        assert_false(through(*p, *r, std::string(n, 'a'), WS_SEND_NO_DEFLATE).compressed);
        Ref<Message> m;
        assert_false(Message::copy(WS_OP_TEXT, bytes(std::string(n, 'b')), &m).failed());
        assert_int_equal(p->engine->send_message(*m).code(), WS_OK);
        // A prepared message has no context to pay for.
        if (c.least > 1) assert_int_equal(only_message(*p, *r).compressed, n >= c.least);
        p->flush();
        p->output.clear();
      }
    }
  }
}

void test_engine_that_does_not_compress_sends_all_as_it_is(void**) {
  const std::string data = json(5000);
  auto unlimited = [](Limits& l) { l.deflate_min = WS_UNLIMITED; };
  auto off = [](Limits& l) { l.deflate = l.deflate_recv = WS_DEFLATE_OFF; };
  for (Role role : kBothRoles) {
    std::vector<Setup> setups = {deflating(role, kShared, false, unlimited),
                                 deflating(role, kShared, false, off), deflating(role)};
    setups[1].extensions.clear();
    setups[2].extensions.clear();
    // zlib cannot keep to 8 bits: a client does without, a server lets the offer pass.
    if (role == Role::kClient) setups.push_back(deflating(role, {true, false, 8, 15}));
    // One that never compresses can promise anything.
    if (role == Role::kServer)
      setups.push_back(deflating(role, {false, false, 8, 15}, false, unlimited));
    for (const Setup& s : setups) {
      auto p = Peer::opened(s);
      ws_deflate_info info;
      p->engine->deflate_info(&info);
      assert_int_equal((info.flags & WS_DEFLATE_AGREED) != 0, !s.extensions.empty());
      Reader none(15, false);
      for (uint32_t flags : {0u, uint32_t{WS_SEND_DEFLATE}, WS_SEND_LEVEL(9)}) {
        assert_false(p->engine->may_deflate(data.size(), flags));
        assert_false(through(*p, none, data, flags).compressed);
        Ref<Message> m;
        assert_false(Message::copy(WS_OP_BINARY, bytes(data), &m).failed());
        assert_false(m->set_flags(flags).failed());
        assert_int_equal(p->engine->send_message(*m).code(), WS_OK);
        assert_false(only_message(*p, none).compressed);
        assert_false(p->engine->begin_parts(flags).failed());
        assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(data), false).code(), WS_OK);
        assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(data), true).code(), WS_OK);
        const Read read = only_message(*p, none);
        assert_false(read.compressed);
        assert_same(read.data, data + data);
      }
      assert_int_equal(p->resources().deflate.deflated, 0);
      assert_true(p->resources().deflate.empty());
    }
  }
}

// What will not get smaller goes as it is; what looks so at a glance costs the context nothing.
// bad: 159
void test_engine_incompressible_message_goes_as_it_is(void**) {
  const std::string data = json(3000);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed));
      auto r = reader(agreed);
      const size_t first = through(*p, *r, data).wire;
      for (size_t n : {256u, 300u, 5000u, 16383u, 16384u, 100000u}) {
        assert_false(through(*p, *r, noise(n)).compressed);
      }
      assert_int_equal(p->resources().deflate.deflated, 1);
      const size_t again = through(*p, *r, data).wire;
      assert_true(agreed.send_takeover ? again * 5 < first : again == first);
    }
  }
}

// Where a glance does not tell, compressing does.
void test_engine_message_that_grew_goes_as_it_is_and_the_next_decodes(void**) {
  // Noise, but for the places that are looked at; blocks of few symbols make it grow.
  std::string trap = noise(15000);
  for (size_t run = 0; run < 4; ++run) trap.replace(run * ((trap.size() - 64) / 3), 64, 64, '\0');
  const std::string data = json(3000);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed, false, [](Limits& l) {
        l.deflate_mem_level = 1;
        l.deflate_min = 1;
      }));
      auto r = reader(agreed);
      const size_t first = through(*p, *r, data).wire;
      assert_int_equal(through(*p, *r, trap).compressed, !agreed.send_takeover);
      // A new context: the reader has not seen the end of it.
      through(*p, *r, std::string_view(trap).substr(13000, 1900), WS_SEND_DEFLATE);
      const Read after = through(*p, *r, data);
      assert_true(after.compressed);
      assert_true(after.wire * 2 > first);
      // A little may be paid for what later messages refer to; without takeover there are none.
      const std::string once = noise(200);
      const Read small = through(*p, *r, once);
      assert_int_equal(small.compressed, agreed.send_takeover);
      assert_true(small.wire <= once.size() + 16);
      const size_t again = through(*p, *r, once).wire;
      assert_true(agreed.send_takeover ? again < 40 : again == once.size());
    }
  }
}

void test_engine_forced_message_is_compressed_whatever_it_holds(void**) {
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed));
      auto r = reader(agreed);
      for (const std::string& data : {std::string("a"), noise(200), noise(5000), noise(100000),
                                      json(10), json(1000), std::string(), std::string("b")}) {
        const Read read = through(*p, *r, data, WS_SEND_DEFLATE);
        assert_true(read.compressed);
        // bad: 159
        assert_true(read.wire <= data.size() + data.size() / 1000 + 16);
      }
    }
  }
}

// req: 156
// bad: 152
void test_engine_empty_message_is_one_octet_where_it_is_forced(void**) {
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed));
      assert_int_equal(send(*p, "").code(), WS_OK);
      assert_int_equal(send(*p, "", WS_SEND_DEFLATE).code(), WS_OK);
      assert_int_equal(p->engine->send_part(WS_OP_BINARY, {}, true).code(), WS_OK);
      p->flush();
      const std::vector<Sent> f = frames_in(p->output, true);
      assert_int_equal(f.size(), 3);
      assert_false(f[0].rsv1);
      assert_int_equal(f[0].payload.size(), 0);
      for (size_t i : {1u, 2u}) {
        assert_true(f[i].rsv1);
        assert_string_equal(hex(f[i].payload).c_str(), "00");
      }
    }
  }
}

void test_engine_send_flags_are_checked(void**) {
  const std::string data = json(1000);
  for (Role role : kBothRoles) {
    Setup plain = deflating(role);
    plain.extensions.clear();
    for (const Setup& s : {deflating(role, kDedicated), plain}) {
      auto p = Peer::opened(s);
      Engine& e = *p->engine;
      const struct {
        uint32_t flags;
        int code;
      } cases[] = {{WS_SEND_LEVEL(9), WS_OK},
                   {WS_SEND_LEVEL(10), WS_ERR_INVALID},
                   {WS_SEND_LEVEL(15), WS_ERR_INVALID},
                   {WS_SEND_LEVEL(16), WS_ERR_UNSUPPORTED},
                   {WS_SEND_DEFLATE | WS_SEND_NO_DEFLATE, WS_ERR_INVALID},
                   {1u << 4, WS_ERR_UNSUPPORTED},
                   {1u << 12, WS_ERR_UNSUPPORTED},
                   {WS_SEND_LATER | WS_SEND_NO_UTF8_CHECK | WS_SEND_DEFLATE, WS_OK}};
      for (const auto& c : cases) {
        const size_t before = e.buffered();
        assert_int_equal(send(*p, data, c.flags).code(), c.code);
        assert_int_equal(e.begin_parts(c.flags).code(), c.code);
        if (c.code != WS_OK) assert_int_equal(e.buffered(), before);
      }
      // What a call asks for is checked even where it says not to compress.
      assert_int_equal(send(*p, data, WS_SEND_NO_DEFLATE | WS_SEND_LEVEL(10)).code(),
                       WS_ERR_INVALID);
    }
  }
}

// ---- parts ----

// req: 146, 156
// bad: 156, 159, 160
void test_engine_compressed_parts_are_one_message(void**) {
  std::mt19937 random(17);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      for (int bits : {9, 15}) {
        Agreed a = agreed;
        a.send_bits = bits;
        auto p = Peer::opened(deflating(role, a));
        auto r = reader(a);
        for (int round = 0; round < 60; ++round) {
          std::string sent;
          const size_t count = 1 + random() % 8;
          for (size_t i = 0; i < count; ++i) {
            std::string part;
            const unsigned seed = static_cast<unsigned>(random() % 3);
            const size_t n = random() % 5000;
            switch (random() % 5) {
              case 0: break;
              case 1: part = noise(n, seed); break;
              case 2: part = noise(1 + n % 3, seed); break;
              default: part = json(n, seed);
            }
            sent += part;
            const int code = p->engine->send_part(WS_OP_BINARY, bytes(part), i + 1 == count).code();
            assert_int_equal(code, WS_OK);
            if (random() % 3 == 0) assert_false(p->engine->ping(bytes("between")).failed());
          }
          const Read read = only_message(*p, *r);
          assert_true(read.compressed);
          assert_int_equal(read.frames, count);
          assert_same(read.data, sent);
          through(*p, *r, json(400));
        }
      }
    }
  }
}

// One part of each kind behind each other, so that every seam is there.
void test_engine_every_seam_between_parts_decodes(void**) {
  const std::string kinds[] = {"", "a", json(300), noise(300), noise(70000), json(70000)};
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed));
      auto r = reader(agreed);
      for (const std::string& one : kinds) {
        for (const std::string& two : kinds) {
          for (const std::string& three : kinds) {
            Engine& e = *p->engine;
            assert_int_equal(e.send_part(WS_OP_BINARY, bytes(one), false).code(), WS_OK);
            assert_int_equal(e.send_part(WS_OP_BINARY, bytes(two), false).code(), WS_OK);
            assert_int_equal(e.send_part(WS_OP_BINARY, bytes(three), true).code(), WS_OK);
            const Read read = only_message(*p, *r);
            assert_same(read.data, one + two + three);
            assert_true(read.wire <= read.data.size() + read.data.size() / 1000 + 48);
          }
        }
      }
    }
  }
}

// req: 103
// bad: 113
void test_engine_compressed_parts_of_text_are_checked_as_one(void**) {
  const std::string text = "\xf0\x9f\x99\x82\xe2\x82\xac\xc3\xa9";
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed));
      auto r = reader(agreed);
      Engine& e = *p->engine;
      for (size_t cut = 0; cut <= text.size(); ++cut) {
        assert_int_equal(e.send_part(WS_OP_TEXT, bytes(text.substr(0, cut)), false).code(), WS_OK);
        const size_t before = e.buffered();
        assert_int_equal(e.send_part(WS_OP_TEXT, bytes("\xff"), false).code(), WS_ERR_UTF8);
        assert_int_equal(e.send_part(WS_OP_BINARY, bytes("x"), true).code(), WS_ERR_STATE);
        assert_int_equal(e.buffered(), before);
        assert_int_equal(e.send_part(WS_OP_TEXT, bytes(text.substr(cut)), true).code(), WS_OK);
        const Read read = only_message(*p, *r);
        assert_int_equal(read.opcode, kText);
        assert_same(read.data, text);
      }
      assert_int_equal(e.send_part(WS_OP_TEXT, bytes("\xc3"), true).code(), WS_ERR_UTF8);
      assert_false(e.begin_parts(WS_SEND_NO_UTF8_CHECK).failed());
      assert_int_equal(e.send_part(WS_OP_TEXT, bytes("\xc3"), true).code(), WS_OK);
      assert_same(only_message(*p, *r).data, "\xc3");
      assert_int_equal(e.send_part(WS_OP_TEXT, bytes("\xc3"), true).code(), WS_ERR_UTF8);
    }
  }
}

void test_engine_begin_parts_is_for_the_next_message_in_parts(void**) {
  const std::string data = json(2000);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      Peer closed(deflating(role, agreed));
      assert_int_equal(closed.engine->begin_parts(0).code(), WS_ERR_CLOSED);
      auto p = Peer::opened(deflating(role, agreed));
      auto r = reader(agreed);
      Engine& e = *p->engine;
      auto parts = [&] {
        assert_int_equal(e.send_part(WS_OP_TEXT, bytes(data), false).code(), WS_OK);
        assert_int_equal(e.begin_parts(0).code(), WS_ERR_STATE);
        assert_int_equal(e.send(WS_OP_TEXT, bytes(data), 0).code(), WS_ERR_STATE);
        assert_int_equal(e.send_part(WS_OP_TEXT, bytes(data), true).code(), WS_OK);
        const Read read = only_message(*p, *r);
        assert_same(read.data, data + data);
        return read;
      };
      assert_true(parts().compressed);
      assert_false(e.begin_parts(WS_SEND_NO_DEFLATE).failed());
      assert_int_equal(e.part_flags(), WS_SEND_NO_DEFLATE);
      assert_true(through(*p, *r, data).compressed);  // is none of its business
      assert_false(parts().compressed);
      assert_int_equal(e.part_flags(), 0);
      assert_true(parts().compressed);
      // The last one counts, and one that is refused does not.
      assert_false(e.begin_parts(WS_SEND_NO_DEFLATE).failed());
      assert_false(e.begin_parts(WS_SEND_LEVEL(9)).failed());
      assert_int_equal(e.begin_parts(WS_SEND_LEVEL(10)).code(), WS_ERR_INVALID);
      const Read small = parts();
      assert_true(small.compressed);
      assert_false(e.begin_parts(WS_SEND_LEVEL(1)).failed());
      assert_true(parts().wire > small.wire);
    }
  }
}

void test_engine_deflate_info_counts_what_went(void**) {
  const std::string data = json(3000);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed));
      auto r = reader(agreed);
      size_t wire = through(*p, *r, data).wire;
      through(*p, *r, data, WS_SEND_NO_DEFLATE);
      Ref<Message> m;
      assert_false(Message::copy(WS_OP_BINARY, bytes(data), &m).failed());
      assert_int_equal(p->engine->send_message(*m).code(), WS_OK);
      wire += only_message(*p, *r).wire;
      assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(data), false).code(), WS_OK);
      assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(data), true).code(), WS_OK);
      wire += only_message(*p, *r).wire;
      ws_deflate_info info;
      p->engine->deflate_info(&info);
      assert_int_equal(info.sent_plain_bytes, 4 * data.size());
      assert_int_equal(info.sent_wire_bytes, wire);
      assert_int_equal(info.received_plain_bytes, 0);
      assert_int_equal(info.send_window_bits, 15);
      assert_int_equal((info.flags & WS_DEFLATE_SEND_TAKEOVER) != 0, agreed.send_takeover);
      assert_int_equal(p->engine->messages_out(), 4);
      assert_int_equal(p->resources().deflate.deflated, 3);
      const size_t context = agreed.send_takeover ? compressor_bytes(15, 5) : 0;
      assert_int_equal(info.context_bytes, context);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_deflate_is_read_with_the_agreed_window),
      cmocka_unit_test(test_engine_shared_message_refers_to_nothing),
      cmocka_unit_test(test_engine_dedicated_message_refers_to_earlier_ones),
      cmocka_unit_test(test_engine_takeover_is_only_what_both_sides_want),
      cmocka_unit_test(test_engine_level_is_the_configured_or_the_messages_own),
      cmocka_unit_test(test_engine_shortest_message_that_is_compressed_is_exact),
      cmocka_unit_test(test_engine_that_does_not_compress_sends_all_as_it_is),
      cmocka_unit_test(test_engine_incompressible_message_goes_as_it_is),
      cmocka_unit_test(test_engine_message_that_grew_goes_as_it_is_and_the_next_decodes),
      cmocka_unit_test(test_engine_forced_message_is_compressed_whatever_it_holds),
      cmocka_unit_test(test_engine_empty_message_is_one_octet_where_it_is_forced),
      cmocka_unit_test(test_engine_send_flags_are_checked),
      cmocka_unit_test(test_engine_compressed_parts_are_one_message),
      cmocka_unit_test(test_engine_every_seam_between_parts_decodes),
      cmocka_unit_test(test_engine_compressed_parts_of_text_are_checked_as_one),
      cmocka_unit_test(test_engine_begin_parts_is_for_the_next_message_in_parts),
      cmocka_unit_test(test_engine_deflate_info_counts_what_went),
  };
  return cmocka_run_group_tests_name("engine_deflate", tests, nullptr, nullptr);
}
