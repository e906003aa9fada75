// The floor of a broadcast: the same bytes to the same sockets, and nobody looks at what is sent.
// One connection talks; each of its messages goes to all others, with a `send` of its own, or, with
// --gather, up to 16 of those that came in one read with one `send`.

#include "floor.hpp"
#include "floor_reply.hpp"
#include "messages.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: floor_fanout [--port N] [--size BYTES] [--gather]\n"
    "  --port N      listen on 127.0.0.1:N; 0 takes a free port [0]\n"
    "  --size BYTES  payload of a message, as the load sends it; at most 125 [100]\n"
    "  --gather      up to 16 messages with one send\n";

constexpr size_t kGathered = 16;
constexpr size_t kMaskBytes = 4;

class ToAll : public PlainSocket {
 public:
  ToAll(size_t size, bool gather) : reply_(true), burst_(gather ? kGathered : 1) {
    const std::vector<uint8_t> frame =
        unmasked_frame(Opcode::kBinary, Messages(Opcode::kBinary, size, false).payloads[0]);
    frame_bytes_ = frame.size();
    for (size_t i = 0; i < burst_; ++i) frames_.insert(frames_.end(), frame.begin(), frame.end());
  }

  void opened(int fd) {
    reply_.opened(fd);
    listeners_.push_back(fd);
  }
  bool answer(int fd, std::span<const uint8_t> in, std::span<const uint8_t>& out) {
    const std::span<const uint8_t> reply = reply_.to(fd, in);
    if (reply.data() != in.data()) {
      out = reply;  // the opening handshake
      return true;
    }
    received_ += in.size();
    const size_t messages = received_ / (frame_bytes_ + kMaskBytes);
    received_ %= frame_bytes_ + kMaskBytes;
    for (const int listener : listeners_) {
      if (listener != fd) tell(listener, messages);
    }
    return true;
  }
  void closed(int fd) { std::erase(listeners_, fd); }

 private:
  void tell(int fd, size_t messages) {
    for (size_t told = 0; told < messages;) {
      const size_t count = std::min(burst_, messages - told);
      const size_t len = count * frame_bytes_;
      if (send(fd, {frames_.data(), len}) != static_cast<ssize_t>(len)) die_errno("send");
      told += count;
    }
  }

  FloorReply reply_;
  size_t burst_;
  size_t frame_bytes_ = 0;
  size_t received_ = 0;  // of a frame that is not whole; there is one talker
  std::vector<uint8_t> frames_;
  std::vector<int> listeners_;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const auto port = static_cast<uint16_t>(options.number("--port", 0, 0, 65535));
  const auto size = static_cast<size_t>(options.number("--size", 100, 0, 125));
  const bool gather = options.flag("--gather");
  options.finish();

  raise_descriptor_limit();
  Floor<ToAll>(port, kFloorReadBytes, size, gather).run();
  return 0;
}
