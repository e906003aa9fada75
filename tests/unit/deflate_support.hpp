// For tests of engines with permessage-deflate: a peer that has agreed to it, what it sends, and
// what zlib itself makes of the bytes that an engine wrote.
#pragma once

#include "engine_support.hpp"
#include "stream_support.hpp"

#include "libws/base/system.hpp"

#include <map>
#include <memory>

namespace libws::test {

// What is agreed on, seen from the engine.
struct Agreed {
  bool send_takeover = false;
  bool recv_takeover = false;
  int send_bits = 15;
  int recv_bits = 15;
};

inline constexpr Agreed kShared = {};
inline constexpr Agreed kDedicated = {true, true, 15, 15};

inline Setup deflating(Role role, const Agreed& agreed = kShared, bool chunks = false,
                       const std::function<void(Limits&)>& limits = {}) {
  Setup s;
  s.role = role;
  s.chunks = chunks;
  s.limits = [=](Limits& l) {
    l.deflate = agreed.send_takeover ? WS_DEFLATE_DEDICATED : WS_DEFLATE_SHARED;
    l.deflate_recv = agreed.recv_takeover ? WS_DEFLATE_DEDICATED : WS_DEFLATE_SHARED;
    l.deflate_window_bits = 15;
    if (limits) limits(l);
  };
  const bool server = role == Role::kServer;
  const char* const sender[] = {"client", "server"};
  const std::string ours = sender[server];
  const std::string theirs = sender[!server];
  s.extensions = "permessage-deflate";
  if (!agreed.send_takeover) s.extensions += "; " + ours + "_no_context_takeover";
  if (!agreed.recv_takeover) s.extensions += "; " + theirs + "_no_context_takeover";
  if (agreed.send_bits != 15) {
    s.extensions += "; " + ours + "_max_window_bits=" + std::to_string(agreed.send_bits);
  }
  if (agreed.recv_bits != 15) {
    s.extensions += "; " + theirs + "_max_window_bits=" + std::to_string(agreed.recv_bits);
  }
  return s;
}

inline std::string label(uint8_t opcode, std::string_view payload) {
  std::string data(payload);
  return (opcode == kText ? "TEXT:" : "BINARY:") +
         (data.size() <= 64 ? hex(data)
                            : std::to_string(data.size()) + "#" +
                                  std::to_string(std::hash<std::string>{}(data))) +
         " ";
}

// ---- what the peer sends ----

inline std::string rsv1_frame(Role role, uint8_t opcode, std::string_view payload,
                              bool fin = true) {
  return frame(role, opcode, payload, fin, kRsv1Bit);
}

// A compressed message in frames of `each` bytes of payload.
inline std::string rsv1_fragments(Role role, uint8_t opcode, std::string_view payload,
                                  size_t each) {
  std::string out;
  bool first = true;
  do {
    const size_t n = std::min(each, payload.size());
    const bool fin = n == payload.size();
    out += frame(role, first ? opcode : uint8_t{kContinuation}, payload.substr(0, n), fin,
                 first ? kRsv1Bit : uint8_t{0});
    payload.remove_prefix(n);
    first = false;
    if (fin) return out;
  } while (true);
}

inline std::string deflated(std::string_view data, int level = 6) {
  std::unique_ptr<Deflater> deflater{Deflater::create(15, 8, level)};
  return deflate_message(*deflater, data);
}

// In stored blocks of at most `each` bytes.
inline std::string stored(std::string_view data, size_t each = 0xffff) {
  std::string out;
  while (!data.empty()) {
    const size_t n = std::min(each, data.size());
    out += '\0';
    out += static_cast<char>(n & 0xff);
    out += static_cast<char>(n >> 8);
    out += static_cast<char>(~n & 0xff);
    out += static_cast<char>((~n >> 8) & 0xff);
    out += data.substr(0, n);
    data.remove_prefix(n);
  }
  return out + '\0';
}

inline std::string repeated(std::string_view part, size_t times) {
  std::string out;
  out.reserve(part.size() * times);
  for (size_t i = 0; i < times; ++i) out += part;
  return out;
}

// ---- what the peer reads ----

// zlib with a window of exactly so many bits.  Output comes byte by byte, because zlib takes a
// distance beyond the window for good where it happens to have the bytes.
class Reader {
 public:
  Reader(int bits, bool takeover) : takeover_(takeover) {
    assert_int_equal(inflateInit2(&zlib_, -bits), Z_OK);
  }
  ~Reader() { inflateEnd(&zlib_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::string message(std::string_view payload) {
    if (!takeover_) inflateReset(&zlib_);
    std::string in(payload);
    in += kTail;
    zlib_.next_in = reinterpret_cast<uint8_t*>(in.data());
    zlib_.avail_in = static_cast<uInt>(in.size());
    std::string out;
    for (;;) {
      uint8_t byte = 0;
      zlib_.next_out = &byte;
      zlib_.avail_out = 1;
      const int said = inflate(&zlib_, Z_SYNC_FLUSH);
      if (zlib_.avail_out != 0) {
        assert_true(said == Z_OK || said == Z_BUF_ERROR);
        break;
      }
      out += static_cast<char>(byte);
    }
    assert_int_equal(zlib_.avail_in, 0);
    return out;
  }

 private:
  z_stream zlib_ = {};
  bool takeover_;
};

inline std::unique_ptr<Reader> reader(const Agreed& agreed) {
  // zlib has no raw window of 8 bits.
  return std::make_unique<Reader>(std::max(agreed.send_bits, 9), agreed.send_takeover);
}

struct Read {
  uint8_t opcode;
  bool compressed;
  size_t frames;
  size_t wire;  // payload bytes
  std::string data;
};

// The messages in what an engine has written since the last time.
inline std::vector<Read> messages_in(Peer& p, Reader& reader) {
  p.flush();
  std::vector<Read> out;
  std::string wire;
  bool open = false;
  for (const Sent& f : frames_in(p.output, true)) {
    if (is_control(f.opcode)) continue;
    if (!open) {
      assert_int_not_equal(f.opcode, kContinuation);
      out.push_back({f.opcode, f.rsv1, 0, 0, ""});
      wire.clear();
    } else {
      assert_int_equal(f.opcode, kContinuation);
    }
    ++out.back().frames;
    wire += f.payload;
    open = !f.fin;
    if (open) continue;
    out.back().wire = wire.size();
    out.back().data = out.back().compressed ? reader.message(wire) : wire;
  }
  assert_false(open);
  p.output.clear();
  return out;
}

inline Read only_message(Peer& p, Reader& reader) {
  std::vector<Read> read = messages_in(p, reader);
  assert_int_equal(read.size(), 1);
  return read[0];
}

// ---- verdicts ----

inline void expect_events(const Setup& setup, const std::string& input, const std::string& events) {
  const std::string got = expect_same_events(setup, input);
  assert_string_equal(got.substr(0, got.find("| ")).c_str(), events.c_str());
}

// Exactly one Close with `code` and the detail as its reason, however the input comes.
inline void expect_closed(const Setup& setup, const std::string& input, uint16_t code, int error,
                          const char* why, const std::string& before = "") {
  const std::string got = expect_same_events(setup, input);
  char closed[120];
  std::snprintf(closed, sizeof closed,
                "CLOSED:error=%d,code=1006,sent=%u,flags=0,http=0,reason= ", error, code);
  assert_string_equal(got.substr(0, got.find("| ")).c_str(), (before + closed).c_str());
  auto p = Peer::opened(setup);
  p->feed(input);
  p->flush();
  assert_string_equal(p->engine->close_info().detail, why);
  const std::vector<Sent> sent = frames_in(p->output, true);
  assert_int_equal(sent.back().opcode, kClose);
  assert_same(sent.back().payload, close_body(code, why));
}

// ---- memory ----

// Counts bytes that the library takes, from when it is made.
class Memory {
 public:
  Memory() : before_(system_table.resize) {
    table() = {};
    system_table.resize = resize;
  }
  ~Memory() { system_table.resize = before_; }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  size_t now() const { return table().now; }
  size_t most() const { return table().most; }
  void measure_again() { table().most = table().now; }

 private:
  struct Table {
    std::map<void*, size_t> live;
    size_t now = 0;
    size_t most = 0;
  };
  static Table& table() {
    static Table one;
    return one;
  }
  static void* resize(void* ptr, size_t bytes) {
    Table& t = table();
    void* result = real::resize(ptr, bytes);
    if (result == nullptr && bytes != 0) return nullptr;
    if (auto known = t.live.find(ptr); known != t.live.end()) {
      t.now -= known->second;
      t.live.erase(known);
    }
    if (bytes != 0) t.live[result] = bytes;
    t.now += bytes;
    t.most = std::max(t.most, t.now);
    return result;
  }

  void* (*before_)(void*, size_t);
};

// What a compressor takes; memory_of() is what it is expected to.
inline uint64_t compressor_bytes(int window_bits, int mem_level) {
  std::unique_ptr<Deflater> d(Deflater::create(window_bits, mem_level, 1));
  return d->memory();
}

}  // namespace libws::test
