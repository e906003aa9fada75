// What compressing holds, and for how long: a queue that is full, one form of a message for many
// connections, compressors that are freed when idle or refused by the budget, missing memory.
#include "deflate_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

constexpr Agreed kBothModes[] = {kShared, kDedicated};
constexpr Agreed kSendTakeover = {true, false, 15, 15};

Error send(Peer& p, std::string_view data, uint32_t flags = 0) {
  return p.engine->send(WS_OP_BINARY, bytes(data), flags);
}

Read through(Peer& p, Reader& r, std::string_view data, uint32_t flags = 0) {
  assert_int_equal(send(p, data, flags).code(), WS_OK);
  Read read = only_message(p, r);
  assert_same(read.data, data);
  return read;
}

Ref<Message> message(std::string_view data, uint32_t flags = 0) {
  Ref<Message> m;
  assert_false(Message::copy(WS_OP_BINARY, bytes(data), &m).failed());
  assert_false(m->set_flags(flags).failed());
  return m;
}

// ---- a queue that is full ----

// bad: 162, 169
void test_engine_full_queue_takes_nothing_and_the_next_message_decodes(void**) {
  constexpr size_t kLimit = 20000;
  auto limit = [](Limits& l) { l.send_low = l.send_high = l.send_limit = kLimit; };
  const std::string data = json(3000);
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      auto p = Peer::opened(deflating(role, agreed, false, limit));
      auto r = reader(agreed);
      Engine& e = *p->engine;
      const std::string big = json(kLimit - 3000);
      assert_int_equal(send(*p, data).code(), WS_OK);
      assert_int_equal(send(*p, noise(8000)).code(), WS_OK);
      const size_t before = e.buffered();
      // Asked before it is compressed, so of the size that it has.
      assert_int_equal(send(*p, big).code(), WS_ERR_FULL);
      assert_int_equal(send(*p, big, WS_SEND_DEFLATE).code(), WS_ERR_FULL);
      assert_int_equal(e.send_message(*message(big)).code(), WS_ERR_FULL);
      assert_int_equal(e.send_part(WS_OP_BINARY, bytes(big), false).code(), WS_ERR_FULL);
      assert_int_equal(e.send_part(WS_OP_BINARY, bytes(data), false).code(), WS_OK);
      const size_t with_part = e.buffered();
      assert_int_equal(e.send_part(WS_OP_BINARY, bytes(big), true).code(), WS_ERR_FULL);
      assert_int_equal(e.buffered(), with_part);
      assert_int_equal(e.send_part(WS_OP_BINARY, bytes(data), true).code(), WS_OK);
      assert_true(before < with_part);
      assert_int_equal(e.messages_out(), 3);
      const std::vector<Read> read = messages_in(*p, *r);
      assert_int_equal(read.size(), 3);
      assert_same(read[0].data, data);
      assert_same(read[2].data, data + data);
      through(*p, *r, data);
    }
  }
}

// What grows by being compressed is measured again, and refused only if it does not fit as it is.
// bad: 169
void test_engine_limit_of_the_queue_is_exact_for_what_was_compressed(void**) {
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      const size_t header = role == Role::kClient ? 8 : 4;
      for (size_t n : {size_t{1000}, size_t{10000}}) {
        const std::string data = noise(n);
        for (size_t room = n + header - 1; room <= n + header + 40; ++room) {
          auto limit = [&](Limits& l) { l.send_low = l.send_high = l.send_limit = room; };
          for (int way = 0; way < 3; ++way) {
            auto p = Peer::opened(deflating(role, agreed, false, limit));
            auto r = reader(agreed);
            Engine& e = *p->engine;
            Error error;
            switch (way) {
              case 0: error = send(*p, data, WS_SEND_DEFLATE); break;
              case 1: error = e.send_message(*message(data, WS_SEND_DEFLATE)); break;
              default: error = e.send_part(WS_OP_BINARY, bytes(data), true); break;
            }
            assert_true(e.buffered() <= room);
            if (error.failed()) {
              assert_int_equal(error.code(), WS_ERR_FULL);
              assert_int_equal(e.buffered(), 0);
              assert_true(way == 2 ? room < n + header + 6 : room < n + header);
              continue;
            }
            const Read read = only_message(*p, *r);
            assert_same(read.data, data);
            if (room == n + header + 40) assert_true(read.compressed);
          }
        }
      }
    }
  }
}

// ---- one message for many ----

struct Member {
  std::unique_ptr<Peer> peer;
  std::unique_ptr<Reader> reader;
};

// Connections that share what a loop's do; the first brings it.
std::vector<Member> members(Role role, const std::vector<Agreed>& agreed, uint8_t level = 1) {
  std::vector<Member> out;
  for (const Agreed& a : agreed) {
    Setup s = deflating(role, a, false, [&](Limits& l) { l.deflate_level = level; });
    if (!out.empty()) s.shared = &out[0].peer->resources();
    out.push_back({Peer::opened(s), reader(a)});
  }
  return out;
}

void part(std::vector<Member>& all) {
  while (!all.empty()) all.pop_back();  // the first goes last
}

void test_engine_message_for_many_is_deflated_once(void**) {
  for (Role role : kBothRoles) {
    // Above 4 KiB a server's connections send the form itself.
    for (const std::string& data : {json(1024), json(60000), std::string(100, 'a')}) {
      std::vector<Agreed> agreed(50, kShared);
      for (size_t i = 0; i < agreed.size(); i += 3) agreed[i] = kSendTakeover;
      std::vector<Member> all = members(role, agreed);
      DeflatePool& pool = all[0].peer->resources().deflate;
      for (Member& m : all) through(*m.peer, *m.reader, json(300));
      const uint64_t before = pool.deflated;
      Ref<Message> shared = message(data, WS_SEND_DEFLATE);
      for (int round = 0; round < 2; ++round) {
        for (Member& m : all) assert_int_equal(m.peer->engine->send_message(*shared).code(), WS_OK);
        assert_int_equal(pool.deflated, before + 1);
        for (Member& m : all) {
          const Read read = only_message(*m.peer, *m.reader);
          assert_true(read.compressed);
          assert_same(read.data, data);
        }
      }
      // A context of one's own cannot know the form, and begins anew.
      for (Member& m : all) {
        through(*m.peer, *m.reader, data);
        through(*m.peer, *m.reader, json(300));
      }
      part(all);
    }
  }
}

void test_engine_message_has_a_form_for_each_window_and_level(void**) {
  const std::string data = json(2000);
  for (Role role : kBothRoles) {
    std::vector<Agreed> agreed;
    for (int i = 0; i < 30; ++i) agreed.push_back({i % 2 == 0, false, 13 + i % 3, 15});
    std::vector<Member> all = members(role, agreed);
    DeflatePool& pool = all[0].peer->resources().deflate;
    Ref<Message> m = message(data);
    for (Member& one : all) assert_int_equal(one.peer->engine->send_message(*m).code(), WS_OK);
    assert_int_equal(pool.deflated, 3);
    for (Member& one : all) assert_same(only_message(*one.peer, *one.reader).data, data);
    // A level of the message's own is the same for all.
    m = message(data, WS_SEND_LEVEL(9));
    Setup other =
        deflating(role, {false, false, 13, 15}, false, [](Limits& l) { l.deflate_level = 4; });
    other.shared = &all[0].peer->resources();
    all.push_back({Peer::opened(other), std::make_unique<Reader>(13, false)});
    for (Member& one : all) assert_int_equal(one.peer->engine->send_message(*m).code(), WS_OK);
    assert_int_equal(pool.deflated, 6);
    for (Member& one : all) assert_same(only_message(*one.peer, *one.reader).data, data);
    assert_int_equal(all.back().peer->engine->send_message(*message(data)).code(), WS_OK);
    assert_int_equal(pool.deflated, 7);
    part(all);
  }
}

// What does not get smaller has no form; the contexts of the connections stay.
void test_engine_incompressible_message_for_many_goes_as_it_is(void**) {
  const std::string text = json(3000);
  for (Role role : kBothRoles) {
    std::vector<Member> all = members(role, std::vector<Agreed>(5, kSendTakeover));
    std::vector<size_t> first;
    for (Member& m : all) first.push_back(through(*m.peer, *m.reader, text).wire);
    DeflatePool& pool = all[0].peer->resources().deflate;
    for (const std::string& data : {noise(5000), noise(200), std::string()}) {
      const uint64_t before = pool.deflated;
      Ref<Message> m = message(data);
      for (Member& one : all) {
        assert_int_equal(one.peer->engine->send_message(*m).code(), WS_OK);
        const Read read = only_message(*one.peer, *one.reader);
        assert_false(read.compressed);
        assert_same(read.data, data);
      }
      assert_int_equal(pool.deflated, before);
    }
    for (size_t i = 0; i < all.size(); ++i) {
      assert_true(through(*all[i].peer, *all[i].reader, text).wire * 5 < first[i]);
    }
    part(all);
  }
}

void test_engine_message_and_its_forms_are_released_when_sent(void**) {
  static int released;
  released = 0;
  auto release = [](void*, const void*, size_t) { ++released; };
  const std::string data = json(60000);
  for (Role role : kBothRoles) {
    released = 0;
    const int64_t before = live_allocations();
    {
      std::vector<Member> all = members(role, {kShared, kSendTakeover, kShared});
      Ref<Message> m;
      assert_false(Message::wrap(WS_OP_TEXT, bytes(data), release, nullptr, &m).failed());
      for (Member& one : all) assert_int_equal(one.peer->engine->send_message(*m).code(), WS_OK);
      m = Ref<Message>();
      assert_int_equal(released, role == Role::kServer ? 0 : 1);
      assert_same(only_message(*all[0].peer, *all[0].reader).data, data);
      all[1].peer->flush(100);
      all[1].peer->engine->abort(WS_ERR_CANCELLED, 0, "test");
      assert_int_equal(released, role == Role::kServer ? 0 : 1);
      part(all);
      assert_int_equal(released, 1);
    }
    assert_true(live_allocations() == before);
  }
}

// ---- time ----

void test_engine_idle_compressor_is_freed_and_the_next_message_decodes(void**) {
  const std::string data = json(3000);
  auto idle = [](Limits& l) { l.deflate_idle_us = 5'000'000; };
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kSendTakeover, false, idle));
    auto r = reader(kSendTakeover);
    DeflatePool& pool = p->resources().deflate;
    assert_int_equal(pool.held(), 0);  // made by the first message
    const uint64_t before = p->engine->take_deadline_us();
    assert_true(p->engine->at_rest());
    const size_t first = through(*p, *r, data).wire;
    assert_int_equal(pool.held(), compressor_bytes(15, 5));
    assert_false(p->engine->at_rest());  // the owner's timer is too late now
    assert_true(before > p->now_us() + 5'000'000);
    assert_true(p->engine->take_deadline_us() == p->now_us() + 5'000'000);
    assert_true(p->engine->at_rest());

    p->advance_ms(4999);
    assert_true(through(*p, *r, data).wire * 5 < first);  // and it is in use again
    p->advance_ms(4999);
    assert_int_equal(pool.held(), compressor_bytes(15, 5));
    p->advance_ms(1);
    assert_int_equal(pool.held(), 0);
    ws_deflate_info info;
    p->engine->deflate_info(&info);
    assert_int_equal(info.context_bytes, 0);
    assert_true((info.flags & WS_DEFLATE_SEND_TAKEOVER) != 0);

    const Read after = through(*p, *r, data);
    assert_true(after.compressed);
    assert_int_equal(after.wire, first);
    assert_true(through(*p, *r, data).wire * 5 < first);
    // In the middle of a message in parts, too.
    assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(data), false).code(), WS_OK);
    p->advance_ms(5000);
    assert_int_equal(pool.held(), 0);
    assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(data), true).code(), WS_OK);
    assert_same(only_message(*p, *r).data, data + data);
    through(*p, *r, data);
  }
}

// The two deadlines do not get in each other's way.
void test_engine_idle_compressor_leaves_keepalive_as_it_is(void**) {
  const std::string data = json(3000);
  for (Role role : kBothRoles) {
    for (bool paused : {false, true}) {
      for (uint64_t idle_ms : {7000u, 20000u, 33000u}) {
        auto p = Peer::opened(deflating(role, kSendTakeover, false,
                                        [&](Limits& l) { l.deflate_idle_us = idle_ms * 1000; }));
        auto r = reader(kSendTakeover);
        p->engine->set_held(paused, paused);
        DeflatePool& pool = p->resources().deflate;
        const uint64_t start = p->now_us();
        through(*p, *r, data);
        uint64_t freed_ms = 0;
        std::vector<uint64_t> pings;
        // As an owner does it: to the deadline and not further.
        while (p->engine->is_open() && p->now_us() < start + 60'000'000) {
          const uint64_t next = p->engine->take_deadline_us();
          if (next == kNeverUs) break;
          assert_true(next > p->now_us());
          p->advance_ms((next - p->now_us()) / 1000);
          const uint64_t now_ms = (p->now_us() - start) / 1000;
          if (freed_ms == 0 && pool.held() == 0) freed_ms = now_ms;
          p->flush();
          if (!p->output.empty()) pings.push_back(now_ms);
          p->output.clear();
        }
        assert_int_equal(freed_ms, idle_ms);
        if (paused) {
          assert_true(p->engine->is_open());
          assert_int_equal(pings.size(), 0);
        } else {
          assert_false(p->engine->is_open());  // 40 s, and nothing was received
          assert_true(p->now_us() == start + 40'000'000);
          assert_true(pings == std::vector<uint64_t>{20000});
        }
      }
    }
  }
}

void test_engine_compressor_that_is_never_idle_stays(void**) {
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kSendTakeover, false, [](Limits& l) {
      l.deflate_idle_us = kNeverUs;
      l.idle_us = l.ping_us = kNeverUs;
    }));
    auto r = reader(kSendTakeover);
    const size_t first = through(*p, *r, json(3000)).wire;
    assert_true(p->engine->deadline_us() == kNeverUs);
    p->advance_ms(uint64_t{1000} * 3600 * 24);
    assert_true(through(*p, *r, json(3000)).wire * 5 < first);
  }
}

// ---- the budget ----

void test_engine_beyond_the_budget_agrees_to_share(void**) {
  const uint64_t window = uint64_t{1} << 15;
  const uint64_t stream = Deflater::memory_of(15, 5);
  const struct {
    uint64_t budget;
    bool fits;
  } cases[] = {{stream + window + 1, true},
               {stream + window, true},
               {stream + window - 1, false},
               {0, false}};
  for (const auto& c : cases) {
    Setup s = deflating(Role::kServer, kDedicated);
    Peer owner(s);
    owner.resources().deflate.set_budget(c.budget);
    s.shared = &owner.resources();
    auto p = Peer::opened(s);
    ws_deflate_info info;
    p->engine->deflate_info(&info);
    uint32_t want = WS_DEFLATE_AGREED;
    if (c.fits) want |= WS_DEFLATE_SEND_TAKEOVER | WS_DEFLATE_RECV_TAKEOVER;
    assert_int_equal(info.flags, want);
    auto r = reader({c.fits, c.fits, 15, 15});
    const size_t first = through(*p, *r, json(3000)).wire;
    assert_int_equal(owner.resources().deflate.held(),
                     c.fits ? compressor_bytes(15, 5) + window : 0);
    const size_t again = through(*p, *r, json(3000)).wire;
    assert_true(c.fits ? again * 5 < first : again == first);
    p->engine->release_buffers();
    assert_int_equal(owner.resources().deflate.held(), 0);
  }
}

// A context was agreed on, but by the time it is needed others have taken the room.
void test_engine_without_room_for_its_context_shares_until_there_is(void**) {
  const std::string data = json(3000);
  const uint64_t stream = Deflater::memory_of(15, 5);
  for (Role role : kBothRoles) {
    auto p = Peer::opened(deflating(role, kSendTakeover));
    auto r = reader(kSendTakeover);
    DeflatePool& pool = p->resources().deflate;
    pool.set_budget(stream - 1);
    const size_t first = through(*p, *r, data).wire;
    for (int i = 0; i < 3; ++i) assert_int_equal(through(*p, *r, data).wire, first);
    assert_int_equal(pool.held(), 0);
    pool.set_budget(stream);
    through(*p, *r, data);
    assert_int_equal(pool.held(), compressor_bytes(15, 5));
    assert_true(through(*p, *r, data).wire * 5 < first);
    pool.set_budget(0);  // what is there stays
    assert_true(through(*p, *r, data).wire * 5 < first);
    p->advance_ms(30000);
    assert_int_equal(pool.held(), 0);
    assert_int_equal(through(*p, *r, data).wire, first);
    pool.set_budget(stream);
    for (int i = 0; i < 3; ++i) through(*p, *r, data);
  }
}

// bad: 164
void test_engine_idle_connections_hold_what_is_documented(void**) {
  for (Role role : kBothRoles) {
    for (const Agreed& agreed : {kShared, kDedicated, Agreed{true, true, 12, 12}}) {
      std::vector<Member> all = members(role, std::vector<Agreed>(20, agreed));
      DeflatePool& pool = all[0].peer->resources().deflate;
      const uint64_t window = uint64_t{1} << agreed.recv_bits;
      const uint64_t stream = compressor_bytes(agreed.send_bits, 5);
      const uint64_t n = all.size();
      assert_int_equal(pool.held(), agreed.recv_takeover ? n * window : 0);
      for (Member& m : all) {
        through(*m.peer, *m.reader, json(3000));
        m.peer->feed(rsv1_frame(role, kText, deflated(json(50000))));
        ws_deflate_info info;
        m.peer->engine->deflate_info(&info);
        assert_int_equal(info.context_bytes, agreed.recv_takeover ? window + stream : 0);
      }
      assert_int_equal(pool.held(), agreed.recv_takeover ? n * (window + stream) : 0);
      all[0].peer->advance_ms(31000);
      for (Member& m : all) m.peer->engine->tick();
      assert_int_equal(pool.held(), agreed.recv_takeover ? n * window : 0);
      for (size_t i = 0; i < all.size(); ++i) {
        if (i % 2 == 0) all[i].peer->engine->abort(WS_ERR_CANCELLED, 0, "test");
        all[i].peer->engine->release_buffers();
      }
      assert_int_equal(pool.held(), 0);
      part(all);
    }
  }
}

// ---- memory that is missing ----

// Each allocation fails in turn: a message goes as it is or not at all, and what follows decodes.
// bad: 158
void test_engine_deflating_without_memory_leaves_a_stream_that_decodes(void**) {
  const std::string data[] = {json(3000), json(60000), noise(3000)};
  for (const Agreed& agreed : kBothModes) {
    for (Role role : kBothRoles) {
      uint64_t failed = 0;
      for (uint64_t n = 1; failed + 1 >= n; ++n) {
        const int64_t before = live_allocations();
        {
          auto p = Peer::opened(deflating(role, agreed));
          auto r = reader(agreed);
          std::vector<std::string> sent;
          std::vector<Ref<Message>> prepared;
          for (const std::string& d : data) prepared.push_back(message(d));
          Faults faults;
          faults.fail_alloc = n;
          set_faults(faults);
          auto keep = [&](const Error& e, const std::string& d) {
            if (!e.failed()) sent.push_back(d);
            if (e.failed()) assert_int_equal(e.code(), WS_ERR_NOMEM);
            return !e.failed();
          };
          for (size_t i = 0; i < std::size(data); ++i) {
            keep(send(*p, data[i]), data[i]);
            keep(p->engine->send_message(*prepared[i]), data[i]);
            if (p->engine->send_part(WS_OP_BINARY, bytes(data[i]), false).failed()) continue;
            // A part that was refused can be sent again.
            while (!keep(p->engine->send_part(WS_OP_BINARY, bytes("end"), true), data[i] + "end")) {
            }
          }
          failed += allocations_seen() >= n;
          clear_faults();
          assert_in_range(sent.size(), failed == n ? 8 : 9, 9);
          const std::vector<Read> read = messages_in(*p, *r);
          assert_int_equal(read.size(), sent.size());
          for (size_t i = 0; i < sent.size(); ++i) assert_same(read[i].data, sent[i]);
          through(*p, *r, data[0]);
        }
        assert_true(live_allocations() == before);
      }
      assert_in_range(failed, 5, 200);
    }
  }
}

// A client that cannot mask sends nothing, and its context knows of nothing.
// bad: 200
void test_engine_deflating_without_random_bytes_leaves_a_stream_that_decodes(void**) {
  static bool broken;
  broken = false;
  auto source = [](void*, void* out, size_t len) {
    std::memset(out, 7, len);
    return broken ? -1 : 0;
  };
  EngineResources resources(8192, source, nullptr);
  const std::string data[] = {json(3000), json(60000)};
  for (const Agreed& agreed : kBothModes) {
    Setup s = deflating(Role::kClient, agreed);
    s.shared = &resources;
    auto p = Peer::opened(s);
    auto r = reader(agreed);
    through(*p, *r, data[0]);
    broken = true;
    for (int i = 0; i < 1000 && !send(*p, data[0]).failed(); ++i) only_message(*p, *r);
    for (const std::string& d : data) {
      assert_int_equal(send(*p, d).code(), WS_ERR_IO);
      assert_int_equal(send(*p, d, WS_SEND_DEFLATE).code(), WS_ERR_IO);
      assert_int_equal(p->engine->send_message(*message(d)).code(), WS_ERR_IO);
      assert_int_equal(p->engine->send_part(WS_OP_BINARY, bytes(d), true).code(), WS_ERR_IO);
    }
    assert_false(p->engine->has_output());
    broken = false;
    for (const std::string& d : data) through(*p, *r, d);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_full_queue_takes_nothing_and_the_next_message_decodes),
      cmocka_unit_test(test_engine_limit_of_the_queue_is_exact_for_what_was_compressed),
      cmocka_unit_test(test_engine_message_for_many_is_deflated_once),
      cmocka_unit_test(test_engine_message_has_a_form_for_each_window_and_level),
      cmocka_unit_test(test_engine_incompressible_message_for_many_goes_as_it_is),
      cmocka_unit_test(test_engine_message_and_its_forms_are_released_when_sent),
      cmocka_unit_test(test_engine_idle_compressor_is_freed_and_the_next_message_decodes),
      cmocka_unit_test(test_engine_idle_compressor_leaves_keepalive_as_it_is),
      cmocka_unit_test(test_engine_compressor_that_is_never_idle_stays),
      cmocka_unit_test(test_engine_beyond_the_budget_agrees_to_share),
      cmocka_unit_test(test_engine_without_room_for_its_context_shares_until_there_is),
      cmocka_unit_test(test_engine_idle_connections_hold_what_is_documented),
      cmocka_unit_test(test_engine_deflating_without_memory_leaves_a_stream_that_decodes),
      cmocka_unit_test(test_engine_deflating_without_random_bytes_leaves_a_stream_that_decodes),
  };
  return cmocka_run_group_tests_name("engine_deflate_life", tests, nullptr, nullptr);
}
