// A scripted peer for engine tests: one engine, a fake clock, a log of its events and its output.
// Every input can be delivered whole, byte by byte, at each single cut, at seeded random cuts, and
// through the landing buffer; expect_same_events() does all of them and compares the logs.
#pragma once

#include "hex_support.hpp"

#include "libws/base/crypto.hpp"
#include "libws/base/fault.hpp"
#include "libws/protocol/engine.hpp"
#include "libws/protocol/mask.hpp"

#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Last: cmocka.h defines a macro named fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace libws::test {

constexpr uint32_t kTestKey = 0xd4c3b2a1;

// A frame as the peer of an engine in `role` sends it: masked when that engine is the server.
inline std::string frame(Role role, uint8_t opcode, std::string_view payload, bool fin = true,
                         uint8_t rsv = 0) {
  uint8_t head[kMaxFrameHeader];
  uint32_t key = kTestKey;
  bool masked = role == Role::kServer;
  size_t n = encode_frame(head, fin, opcode, payload.size(), masked ? &key : nullptr);
  head[0] = static_cast<uint8_t>(head[0] | rsv);
  std::string out(reinterpret_cast<char*>(head), n);
  size_t at = out.size();
  out += payload;
  if (masked && !payload.empty()) {
    mask_in_place(reinterpret_cast<uint8_t*>(&out[at]), payload.size(), key);
  }
  return out;
}

// A header with any length in any form, for what encode_frame refuses to write.
inline std::string raw_header(Role role, uint8_t first, uint8_t length7,
                              std::string_view extended) {
  std::string out;
  out += static_cast<char>(first);
  out += static_cast<char>(role == Role::kServer ? length7 | 0x80 : length7);
  out += extended;
  if (role == Role::kServer) out += std::string(4, '\0');
  return out;
}

// A frame that an engine sent, unmasked.
struct Sent {
  uint8_t opcode;
  bool fin;
  bool rsv1;
  bool masked;
  uint32_t key;
  std::string payload;
};

// `deflate`: RSV1 may be set.
inline std::vector<Sent> frames_in(const std::string& output, bool deflate = false) {
  std::vector<Sent> frames;
  size_t at = 0;
  while (at < output.size()) {
    const auto* p = reinterpret_cast<const uint8_t*>(output.data()) + at;
    bool masked = (p[1] & 0x80) != 0;
    FrameHeader h;
    const char* why = nullptr;
    assert_int_equal(static_cast<int>(decode_frame(p, output.size() - at, masked, deflate,
                                                   UINT64_MAX, &h, &why)),
                     static_cast<int>(FrameStatus::kOk));
    std::string payload = output.substr(at + h.size, static_cast<size_t>(h.length));
    assert_int_equal(payload.size(), h.length);
    if (masked && !payload.empty()) {
      mask_in_place(reinterpret_cast<uint8_t*>(payload.data()), payload.size(), h.key);
    }
    frames.push_back({h.opcode, h.fin, h.rsv1, masked, h.key, payload});
    at += h.size + static_cast<size_t>(h.length);
  }
  return frames;
}

inline std::string close_body(uint16_t code, std::string_view reason = "") {
  std::string body;
  body += static_cast<char>(code >> 8);
  body += static_cast<char>(code & 0xff);
  return body + std::string(reason);
}

inline const char* kRequest =
    "GET /chat HTTP/1.1\r\nHost: localhost:9001\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";

// The engine's random source: counted bytes, so that keys are known and differ.
inline int test_random(void* user, void* out, size_t len) {
  auto* next = static_cast<uint8_t*>(user);
  for (size_t i = 0; i < len; ++i) static_cast<uint8_t*>(out)[i] = (*next)++;
  return 0;
}

struct Setup {
  Role role = Role::kServer;
  bool chunks = false;
  std::function<void(Limits&)> limits;
  std::string extensions = {};  // Sec-WebSocket-Extensions of the peer: its offer, or its answer
  std::function<int64_t()> inflate_budget = {};  // each turn's; none: without end
  EngineResources* shared = nullptr;             // another peer's
};

class Peer final : private RequestHost {
 public:
  explicit Peer(const Setup& setup)
      : role_(setup.role),
        own_(8192, test_random, &seed_),
        resources_(setup.shared != nullptr ? *setup.shared : own_),
        extensions_(setup.extensions),
        budget_(setup.inflate_budget) {
    if (setup.limits) setup.limits(limits_);
    if (setup.shared == nullptr) resources_.now_us = 1'000'000;
    engine = std::make_unique<Engine>(role_, limits_, resources_, setup.chunks);
    engine->tick();
  }

  // The engine gives its blocks back to the pool, so it goes first.
  ~Peer() { engine.reset(); }

  // Past the handshake, logs empty.
  static std::unique_ptr<Peer> opened(const Setup& setup) {
    auto p = std::make_unique<Peer>(setup);
    p->open();
    return p;
  }

  void open() {
    std::string field;
    if (!extensions_.empty()) field = "Sec-WebSocket-Extensions: " + extensions_ + "\r\n";
    if (role_ == Role::kServer) {
      feed(std::string_view(kRequest).substr(0, std::strlen(kRequest) - 2));
      feed(field + "\r\n");
    } else {
      start_client();
      feed(switching_protocols(field.c_str()));
    }
    assert_string_equal(events.c_str(), role_ == Role::kServer ? "REQUEST OPEN " : "OPEN ");
    flush();
    events.clear();
    output.clear();
  }

  void start_client() {
    OpenRequest request;
    request.host = "localhost:9001";
    request.target = "/chat";
    assert_false(engine->start_client(request).failed());
    flush();
    size_t at = output.find("Sec-WebSocket-Key: ") + 19;
    key = output.substr(at, kKeyChars);
  }

  std::string switching_protocols(const char* extra = "") const {
    char accept[kAcceptChars];
    assert_true(handshake_accept(key, accept));
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: " +
           std::string(accept, kAcceptChars) + "\r\n" + extra + "\r\n";
  }

  void feed(std::string_view bytes) {
    if (bytes.empty()) return;
    buffer_.assign(bytes.begin(), bytes.end());
    engine->feed(reinterpret_cast<uint8_t*>(buffer_.data()), buffer_.size());
    pull();
  }

  // Delivers to the landing buffer while one is offered, the rest by feed().
  void feed_landing(std::string_view bytes) {
    while (!bytes.empty()) {
      std::span<uint8_t> area = engine->landing();
      if (area.empty()) return feed(bytes);
      size_t n = area.size() < bytes.size() ? area.size() : bytes.size();
      std::memcpy(area.data(), bytes.data(), n);
      engine->landed(n);
      landed += n;
      bytes.remove_prefix(n);
      pull();
    }
  }

  void eof() {
    engine->feed_eof();
    pull();
  }

  void pull() {
    do pull_turn();
    while (engine->yielded());
  }

  // As an owner's turn does it, until the budget is used up.
  void pull_turn() {
    if (budget_) resources_.inflate_budget = budget_();
    Event ev;
    while (engine->next(ev)) log(ev);
    if (engine->yielded()) ++yields;
  }

  // Everything the engine wants to write, as a peer that reads at once would get it.
  void flush(size_t at_most = SIZE_MAX) {
    ws_slice slices[8];
    while (at_most != 0) {
      size_t n = engine->output(slices, 8);
      if (n == 0) return;
      size_t sent = 0;
      for (size_t i = 0; i < n && sent < at_most; ++i) {
        size_t take = slices[i].len < at_most - sent ? slices[i].len : at_most - sent;
        output.append(static_cast<const char*>(slices[i].data), take);
        sent += take;
      }
      at_most -= sent;
      engine->sent(sent);
    }
  }

  void advance_ms(uint64_t ms) {
    resources_.now_us += ms * 1000;
    engine->tick();
    pull();
  }

  uint64_t now_us() const { return resources_.now_us; }
  EngineResources& resources() { return resources_; }
  const Limits& limits() const { return limits_; }

  std::unique_ptr<Engine> engine;
  std::string events;  // "TEXT:hello BINARY:2 bytes CLOSED:..."
  std::string output;
  std::string key;
  size_t landed = 0;
  size_t yields = 0;   // turns that ended because inflate_budget was used up
  bool answer = true;  // accept requests as they come
  std::function<void(const Event&)> on_event;

 private:
  Error accept(const AcceptOptions& how) override { return engine->accept(how); }
  void refuse(int status, const char* why) override { engine->refuse(status, why); }
  Error respond(const Response& r) override { return engine->respond(r); }

  void log(const Event& ev) {
    if (on_event) on_event(ev);
    if (ev.type == kEvRoom) return;  // not the application's
    std::string data(reinterpret_cast<const char*>(ev.data), ev.len);
    switch (ev.type) {
      case WS_EV_REQUEST: {
        events += "REQUEST ";
        Request* r = engine->request();
        r->set_host(this);
        if (answer) assert_false(r->accept(AcceptOptions{}).failed());
        return;
      }
      case WS_EV_OPEN: events += "OPEN "; return;
      case WS_EV_MESSAGE: log_message(ev, data); return;
      case WS_EV_PING: events += "PING:" + hex(data) + " "; return;
      case WS_EV_PONG: events += "PONG:" + hex(data) + " "; return;
      case WS_EV_CLOSED: {
        const ws_close_info& i = engine->close_info();
        char text[160];
        std::snprintf(text, sizeof text,
                      "CLOSED:error=%d,code=%u,sent=%u,flags=%u,http=%d,reason=", i.error, i.code,
                      i.sent_code, i.flags, i.http_status);
        events += text + std::string(i.reason, i.reason_len) + " ";
        return;
      }
    }
  }

  // Parts of one message are logged as one, so that chunk delivery compares with whole delivery.
  void log_message(const Event& ev, const std::string& data) {
    if ((ev.flags & WS_PART_FIRST) != 0) part_.clear();
    part_ += data;
    if ((ev.flags & WS_PART_LAST) == 0) return;
    events += ev.op == WS_OP_TEXT ? "TEXT:" : "BINARY:";
    if (part_.size() <= 64) {
      events += hex(part_);
    } else {
      events +=
          std::to_string(part_.size()) + "#" + std::to_string(std::hash<std::string>{}(part_));
    }
    events += " ";
  }

  Role role_;
  uint8_t seed_ = 1;
  Limits limits_;
  EngineResources own_;
  EngineResources& resources_;
  std::string extensions_;
  std::function<int64_t()> budget_;
  std::string buffer_;
  std::string part_;
};

// What a delivery came to: events, then what was written, then whether the transport may close.
inline std::string outcome(Peer& p) {
  p.flush();
  return p.events + "| " + hex(p.output);
}

// One delivery of `input` to a fresh peer, cut where `cuts` says (ascending offsets).
inline std::string deliver(const Setup& setup, const std::string& input,
                           const std::vector<size_t>& cuts, bool landing, bool eof) {
  auto p = Peer::opened(setup);
  size_t at = 0;
  for (size_t cut : cuts) {
    std::string_view piece = std::string_view(input).substr(at, cut - at);
    landing ? p->feed_landing(piece) : p->feed(piece);
    at = cut;
  }
  std::string_view rest = std::string_view(input).substr(at);
  landing ? p->feed_landing(rest) : p->feed(rest);
  if (eof) p->eof();
  return outcome(*p);
}

// Delivers in every mode and returns the outcome, which must be the same in each.
inline std::string expect_same_events(const Setup& setup, const std::string& input,
                                      bool eof = false) {
  std::string whole = deliver(setup, input, {}, false, eof);
  auto check = [&](const std::vector<size_t>& cuts, bool landing) {
    assert_string_equal(deliver(setup, input, cuts, landing, eof).c_str(), whole.c_str());
  };
  std::vector<size_t> every;
  size_t n = input.size();
  for (size_t i = 1; i < n && n <= 4096; ++i) every.push_back(i);
  check(every, false);
  check(every, true);
  for (size_t i = 1; i < n && n <= 300; ++i) check({i}, false);
  std::mt19937 random(static_cast<uint32_t>(n) * 7919u + 1);
  for (int round = 0; round < 32; ++round) {
    std::vector<size_t> cuts;
    size_t step = 1 + random() % (round % 2 == 0 ? 16 : n / 3 + 1);
    for (size_t at = 1 + random() % step; at < n; at += 1 + random() % step) cuts.push_back(at);
    check(cuts, round % 3 == 0);
  }
  return whole;
}

inline Setup server(std::function<void(Limits&)> limits = {}) {
  return {Role::kServer, false, std::move(limits)};
}
inline Setup client(std::function<void(Limits&)> limits = {}) {
  return {Role::kClient, false, std::move(limits)};
}

inline constexpr Role kBothRoles[] = {Role::kServer, Role::kClient};

}  // namespace libws::test
