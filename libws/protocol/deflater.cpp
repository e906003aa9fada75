#include "libws/protocol/deflater.hpp"

#include "libws/protocol/zlib_memory.hpp"

#include <zlib.h>
#include <algorithm>
#include <array>

namespace libws {
namespace {

class ZlibDeflater final : public Deflater {
 public:
  explicit ZlibDeflater(int level) : Deflater(level, sizeof(ZlibDeflater)) {}
  ~ZlibDeflater() override { deflateEnd(&zlib_); }

  bool start(int window_bits, int mem_level);
  using Deflater::restart;
  void restart(int level) override;
  bool run(Bytes& in, std::span<uint8_t>& out) override;

 private:
  // A flush with nothing to flush: up to 7 bits that were waiting, 3 bits of a header, the tail.
  static constexpr size_t kMostMarker = 2 + kFlushTailBytes;

  void step(Bytes& in, std::span<uint8_t>& out, int flush);
  bool put_marker(std::span<uint8_t>& out);

  z_stream zlib_ = {};
  std::array<uint8_t, kMostMarker + 1> marker_ = {};  // where it does not fit into `out`
  Bytes marker_left_;
};

// False: out of memory.
bool ZlibDeflater::start(int window_bits, int mem_level) {
  zlib_.opaque = &memory_;
  zlib_.zalloc = zlib_alloc;
  zlib_.zfree = zlib_free;
  return deflateInit2(&zlib_, level_, Z_DEFLATED, -window_bits, mem_level, Z_DEFAULT_STRATEGY) ==
         Z_OK;
}

void ZlibDeflater::restart(int level) {
  deflateReset(&zlib_);
  marker_left_ = {};
  if (level == level_) return;
  // Nothing is written, as nothing has been compressed since the reset; zlib wants room even so.
  uint8_t room[16];
  zlib_.next_in = nullptr;
  zlib_.avail_in = 0;
  zlib_.next_out = room;
  zlib_.avail_out = sizeof room;
  deflateParams(&zlib_, level, Z_DEFAULT_STRATEGY);
  level_ = level;
}

// In two steps, because Z_SYNC_FLUSH writes its marker again when it is repeated: on return with
// `out` full nobody can tell whether it was written before (zlib.h, deflate()).  Z_BLOCK may be
// repeated until there is room left, and then the marker is all there is to write.
bool ZlibDeflater::run(Bytes& in, std::span<uint8_t>& out) {
  if (!marker_left_.empty()) return put_marker(out);
  do {
    if (out.empty()) return false;
    step(in, out, in.size() <= kZlibPiece ? Z_BLOCK : Z_NO_FLUSH);
  } while (!in.empty() || zlib_.avail_out == 0);
  Bytes nothing;
  if (out.size() > kMostMarker) {
    step(nothing, out, Z_SYNC_FLUSH);
    return true;
  }
  std::span<uint8_t> room = marker_;
  step(nothing, room, Z_SYNC_FLUSH);
  marker_left_ = Bytes(marker_).first(marker_.size() - room.size());
  return put_marker(out);
}

void ZlibDeflater::step(Bytes& in, std::span<uint8_t>& out, int flush) {
  size_t given = std::min(in.size(), kZlibPiece);
  size_t room = std::min(out.size(), kZlibPiece);
  zlib_.next_in = const_cast<uint8_t*>(in.data());  // it does not write there
  zlib_.avail_in = static_cast<uInt>(given);
  zlib_.next_out = out.data();
  zlib_.avail_out = static_cast<uInt>(room);
  deflate(&zlib_, flush);  // Z_BUF_ERROR: there was nothing to do
  in = in.subspan(given - zlib_.avail_in);
  out = out.subspan(room - zlib_.avail_out);
}

bool ZlibDeflater::put_marker(std::span<uint8_t>& out) {
  size_t n = std::min(marker_left_.size(), out.size());
  copy_bytes(out.data(), marker_left_.data(), n);
  marker_left_ = marker_left_.subspan(n);
  out = out.subspan(n);
  return marker_left_.empty();
}

}  // namespace

Deflater* Deflater::create(int window_bits, int mem_level, int level) {
  auto* made = new (std::nothrow) ZlibDeflater(level);
  if (made == nullptr || made->start(window_bits, mem_level)) return made;
  delete made;
  return nullptr;
}

size_t Deflater::memory_of(int window_bits, int mem_level) {
  // zconf.h: the window and its chains, the hash table and what waits to be written, and a few
  // kilobytes, which are zlib's state.
  constexpr size_t kState = size_t{6} << 10;
  return (size_t{1} << (window_bits + 2)) + (size_t{1} << (mem_level + 9)) + kState +
         sizeof(ZlibDeflater);
}

const char* Deflater::version_of_zlib() { return zlibVersion(); }

}  // namespace libws
