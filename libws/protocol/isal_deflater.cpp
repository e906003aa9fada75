#include "libws/protocol/isal_deflater.hpp"

#include <isa-l/igzip_lib.h>
#include <algorithm>
#include <array>
#include <cassert>

namespace libws {
namespace {

// ISA-L counts what a stream has taken in 32 bits; a new one begins after this many bytes, long
// before that, and costs one window of context.
constexpr size_t kMostOfStream = size_t{16} << 20;

// What ISA-L writes into in one step.
constexpr size_t kStep = size_t{16} << 10;

class IsalDeflater final : public Deflater {
 public:
  IsalDeflater(int window_bits, int level);
  using Deflater::restart;
  void restart(int level) override;
  bool run(Bytes& in, std::span<uint8_t>& out) override;

 private:
  bool step(Bytes& in);

  isal_zstream isal_;  // both initialize what they need of themselves, which is not all
  std::array<uint8_t, ISAL_DEF_LVL3_SMALL> tables_;
  // What ISA-L writes depends on the room it has, and with little room it is slow: it gets the same
  // room each time, and what it wrote goes to `out` from here.
  std::array<uint8_t, kStep> step_;
  Bytes step_left_;
  size_t taken_ = 0;      // by the stream
  bool flushed_ = false;  // what is in `step_left_` is the end of a piece
};

IsalDeflater::IsalDeflater(int window_bits, int level) : Deflater(level, sizeof(IsalDeflater)) {
  isal_deflate_init(&isal_);
  isal_.hist_bits = static_cast<uint16_t>(window_bits);
  isal_.flush = SYNC_FLUSH;
  isal_.level_buf = tables_.data();
  isal_.level_buf_size = static_cast<uint32_t>(tables_.size());
  restart(level);
}

void IsalDeflater::restart(int level) {
  isal_deflate_reset(&isal_);
  isal_.level = static_cast<uint32_t>(level);
  level_ = level;
  step_left_ = {};
  taken_ = 0;
  flushed_ = false;
}

bool IsalDeflater::run(Bytes& in, std::span<uint8_t>& out) {
  for (;;) {
    const size_t n = std::min(step_left_.size(), out.size());
    copy_bytes(out.data(), step_left_.data(), n);
    step_left_ = step_left_.subspan(n);
    out = out.subspan(n);
    if (!step_left_.empty()) return false;
    if (flushed_) break;
    flushed_ = step(in);
  }
  flushed_ = false;
  return true;
}

// True: that was all of the piece.
bool IsalDeflater::step(Bytes& in) {
  const size_t given = std::min(in.size(), kMostOfStream - taken_);
  isal_.next_in = const_cast<uint8_t*>(in.data());  // it does not write there
  isal_.avail_in = static_cast<uint32_t>(given);
  isal_.next_out = step_.data();
  isal_.avail_out = kStep;
  [[maybe_unused]] const int result = isal_deflate(&isal_);
  assert(result == COMP_OK);  // all that could be wrong is set above
  const size_t used = given - isal_.avail_in;
  taken_ += used;
  in = in.subspan(used);
  step_left_ = Bytes(step_).first(kStep - isal_.avail_out);
  // igzip_lib.h, isal_deflate(): in this state everything has been flushed.
  if (isal_.avail_in != 0 || isal_.internal_state.state != ZSTATE_NEW_HDR) return false;
  if (taken_ == kMostOfStream) {
    isal_deflate_reset(&isal_);
    taken_ = 0;
  }
  return in.empty();
}

}  // namespace

Deflater* create_isal_deflater(int window_bits, int level) {
  return new (std::nothrow) IsalDeflater(window_bits, level);
}

}  // namespace libws
