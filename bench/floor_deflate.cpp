// The floor for compression: what an echo costs when nobody does anything but call zlib.  As
// floor.cpp, and it knows frames only as far as it takes to find where a message begins and ends:
// each is one frame, whose mask is zero.  It is decompressed and compressed again.

#include <memory>

#include "codecs.hpp"
#include "floor.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: floor_deflate [--port N] [--mode shared|dedicated] [--window-bits N] [--mem-level N]\n"
    "                     [--level N]\n"
    "  --port N         listen on 127.0.0.1:N; 0 takes a free port [0]\n"
    "  --mode MODE      shared: each message for itself, with streams of the process;\n"
    "                   dedicated: messages refer to earlier ones, streams of the connection\n"
    "                   [shared]\n"
    "  --window-bits N  [15 when shared, else 12]\n"
    "  --mem-level N    [8 when shared, else 5]\n"
    "  --level N        [1]\n";

constexpr size_t kMostMessage = 1 << 20;

struct Frame {
  uint8_t first = 0;
  Input payload;
};

// A frame off the front of `in`.  False: it is not all there.
bool take_frame(Input& in, Frame& frame) {
  constexpr size_t kMaskBytes = 4;
  if (in.size() < 2) return false;
  uint64_t length = in[1] & 0x7f;
  const size_t length_bytes = length < 126 ? 0 : length == 126 ? 2 : 8;
  const size_t head = 2 + length_bytes + kMaskBytes;
  if (in.size() < head) return false;
  if (length_bytes != 0) {
    length = 0;
    for (size_t i = 2; i < 2 + length_bytes; ++i) length = length << 8 | in[i];
  }
  if (in.size() - head < length) return false;
  frame = {in[0], in.subspan(head, static_cast<size_t>(length))};
  in = in.subspan(head + static_cast<size_t>(length));
  return true;
}

struct Streams {
  explicit Streams(const ZlibSettings& settings) : inflate(settings), deflate(settings) {}

  ZlibInflate inflate;
  ZlibDeflate deflate;
};

class Recompressed : public PlainSocket {
 public:
  explicit Recompressed(const ZlibSettings& settings)
      : settings_(settings), shared_(settings), plain_(kMostMessage + 1), out_(kFloorReadBytes) {}

  void opened(int fd) {
    const auto slot = static_cast<size_t>(fd);
    if (slot >= conns_.size()) conns_.resize(slot + 1);
    if (settings_.takeover) conns_[slot].streams = std::make_unique<Streams>(settings_);
  }

  bool answer(int fd, Input in, Input& out) {
    Conn& conn = conns_[static_cast<size_t>(fd)];
    if (!conn.has_opened) {
      // The request of the opening handshake, whole in one read, returned as any floor does.
      conn.has_opened = true;
      out = in;
      return true;
    }
    if (!conn.rest.empty()) {
      conn.rest.insert(conn.rest.end(), in.begin(), in.end());
      in = conn.rest;
    }
    used_ = 0;
    Streams& streams = conn.streams ? *conn.streams : shared_;
    for (Frame frame; take_frame(in, frame);) recompress(streams, frame);
    conn.rest = std::vector<uint8_t>(in.begin(), in.end());
    out = Input(out_).first(used_);
    return true;
  }

  void closed(int fd) { conns_[static_cast<size_t>(fd)] = Conn{}; }

 private:
  struct Conn {
    bool has_opened = false;
    std::vector<uint8_t> rest;         // the beginning of a frame
    std::unique_ptr<Streams> streams;  // null: the shared ones
  };

  static constexpr size_t kUsualHead = 4;
  static constexpr size_t kMostHead = 10;

  void recompress(Streams& streams, const Frame& frame) {
    const size_t size = streams.inflate.run(frame.payload, plain_);
    const size_t most = kMostHead + streams.deflate.bound(size);
    if (out_.size() - used_ < most) out_.resize(2 * out_.size() + most);
    const Output room = Output(out_).subspan(used_);
    const size_t length = streams.deflate.run(Input(plain_).first(size), room.subspan(kUsualHead));
    used_ += put_head(room, frame.first, length) + length;
  }

  // Where there are kUsualHead bytes for it; the payload moves if it takes others.
  static size_t put_head(Output at, uint8_t first, size_t length) {
    const size_t length_bytes = length < 126 ? 0 : length <= 0xffff ? 2 : 8;
    const size_t head = 2 + length_bytes;
    if (head != kUsualHead) std::memmove(&at[head], &at[kUsualHead], length);
    at[0] = first;
    at[1] = static_cast<uint8_t>(length_bytes == 0 ? length : length_bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < length_bytes; ++i) {
      at[2 + i] = static_cast<uint8_t>(length >> (8 * (length_bytes - 1 - i)));
    }
    return head;
  }

  const ZlibSettings settings_;
  Streams shared_;
  std::vector<Conn> conns_;  // by descriptor
  std::vector<uint8_t> plain_;
  std::vector<uint8_t> out_;
  size_t used_ = 0;  // of out_
};

ZlibSettings settings_option(Options& options) {
  ZlibSettings settings;
  const std::string mode = options.text("--mode", "shared");
  settings.takeover = mode == "dedicated";
  if (!settings.takeover && mode != "shared") options.fail("--mode", "is shared or dedicated");
  const bool own = settings.takeover;
  settings.window_bits = static_cast<int>(options.number("--window-bits", own ? 12 : 15, 9, 15));
  settings.mem_level = static_cast<int>(options.number("--mem-level", own ? 5 : 8, 1, 9));
  settings.level = static_cast<int>(options.number("--level", 1, 1, 9));
  return settings;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const auto port = static_cast<uint16_t>(options.number("--port", 0, 0, 65535));
  const ZlibSettings settings = settings_option(options);
  options.finish();

  raise_descriptor_limit();
  Floor<Recompressed>(port, kFloorReadBytes, settings).run();
  return 0;
}
