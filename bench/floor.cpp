// The floor: what an echo costs when nobody looks at the bytes.  A WebSocket server with the same
// socket calls can only add to this, so its cost is given as a ratio to it.

#include "floor.hpp"
#include "floor_reply.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: floor [--port N] [--read-bytes BYTES] [--upgrade]\n"
    "  --port N            listen on 127.0.0.1:N; 0 takes a free port [0]\n"
    "  --read-bytes BYTES  size of the one read buffer [262144]\n"
    "  --upgrade           answer the opening handshake, for clients that want it\n";

// Nothing to do and nothing to remember.
class SameBytes : public PlainSocket {
 public:
  explicit SameBytes(bool upgrading) : reply_(upgrading) {}

  void opened(int fd) { reply_.opened(fd); }
  bool answer(int fd, std::span<const uint8_t> in, std::span<const uint8_t>& out) {
    out = reply_.to(fd, in);
    return true;
  }
  void closed(int) {}

 private:
  FloorReply reply_;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const auto port = static_cast<uint16_t>(options.number("--port", 0, 0, 65535));
  const auto read_bytes =
      static_cast<size_t>(options.number("--read-bytes", kFloorReadBytes, 1, 1 << 30));
  const bool upgrading = options.flag("--upgrade");
  options.finish();

  raise_descriptor_limit();
  Floor<SameBytes>(port, read_bytes, upgrading).run();
  return 0;
}
