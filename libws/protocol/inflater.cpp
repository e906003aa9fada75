#include "libws/protocol/inflater.hpp"

#include "libws/protocol/deflate_params.hpp"
#include "libws/protocol/zlib_memory.hpp"

#include <algorithm>

namespace libws {

namespace {

constexpr size_t kMostWindow = size_t{1} << kMaxWindowBits;
// RFC 7692 7.2.1: the end of an empty stored block, which is not sent.
constexpr uint8_t kTail[] = {0x00, 0x00, 0xff, 0xff};

// zlib.h, inflate(): bits of data_type.
constexpr int kUnusedBits = 63;
constexpr int kBlockEnded = 128;

}  // namespace

Inflater* Inflater::create() {
  auto* made = new (std::nothrow) Inflater;
  if (made == nullptr) return nullptr;
  made->zlib_.zalloc = zlib_alloc;
  made->zlib_.zfree = zlib_free;
  // Always the largest window.  With a smaller one zlib refuses a distance beyond it, or does not,
  // depending on how much output it has room for; with this one no distance is beyond it.
  if (inflateInit2(&made->zlib_, -kMaxWindowBits) == Z_OK) return made;
  delete made;
  return nullptr;
}

Inflater::~Inflater() {
  inflateEnd(&zlib_);
  release(saved_);
}

void Inflater::begin(Bytes older, Bytes newer) {
  why_ = "";
  produced_ = 0;
  restarts_ = 0;
  any_input_ = false;
  ended_ = false;
  drained_ = true;
  inflateReset(&zlib_);
  // zlib.h, inflateSetDictionary(): a raw stream's second dictionary amends the first.
  ready_ = refer_to(older) && refer_to(newer);
}

bool Inflater::refer_to(Bytes data) {
  return data.empty() ||
         inflateSetDictionary(&zlib_, data.data(), static_cast<uInt>(data.size())) == Z_OK;
}

Inflater::Result Inflater::run(Bytes& in, std::span<uint8_t>& out) {
  any_input_ = any_input_ || !in.empty();
  return inflate_all(in, out);
}

Inflater::Result Inflater::finish(std::span<uint8_t>& out, bool* done) {
  *done = false;
  // Nothing at all is an empty message, and a final block that nothing has followed has ended its
  // message: either stands for itself, without the tail.
  if (any_input_ && !ended_) {
    Bytes nothing;
    if (!drained_) {
      Result result = inflate_all(nothing, out);
      if (result != Result::kOk || !drained_) return result;
    }
    // The tail is the end of a stored block that holds nothing.  So it needs no room, and if it
    // does not end a block either, it was taken for something else: the message has been cut short.
    Bytes tail(kTail);
    std::span<uint8_t> no_room;
    Result result = inflate_all(tail, no_room);
    if (result != Result::kOk) return result;
    const bool boundary = (zlib_.data_type & (kBlockEnded | kUnusedBits)) == kBlockEnded;
    if (!ended_ && !boundary) {
      why_ = "message ends inside a block";
      return Result::kCorrupt;
    }
  }
  *done = true;
  return Result::kOk;
}

Inflater::Result Inflater::inflate_all(Bytes& in, std::span<uint8_t>& out) {
  if (!ready_) return Result::kOutOfMemory;
  for (;;) {
    if (ended_) {
      if (in.empty()) return Result::kOk;
      if (!restart()) return Result::kOutOfMemory;
    }
    Result result = step(in, out);
    if (result != Result::kOk) return result;
    if (!ended_ && (out.empty() || (in.empty() && drained_))) return Result::kOk;
  }
}

Inflater::Result Inflater::step(Bytes& in, std::span<uint8_t>& out) {
  size_t given = std::min(in.size(), kZlibPiece);
  size_t room = std::min(out.size(), kZlibPiece);
  uint8_t none = 0;  // zlib wants an address even where there is no room
  zlib_.next_in = const_cast<uint8_t*>(in.data());  // it does not write there
  zlib_.avail_in = static_cast<uInt>(given);
  zlib_.next_out = out.empty() ? &none : out.data();
  zlib_.avail_out = static_cast<uInt>(room);
  int said = inflate(&zlib_, Z_SYNC_FLUSH);
  in = in.subspan(given - zlib_.avail_in);
  out = out.subspan(room - zlib_.avail_out);
  produced_ += room - zlib_.avail_out;
  ended_ = said == Z_STREAM_END;
  drained_ = ended_ || zlib_.avail_out != 0;
  switch (said) {
    case Z_OK:
    case Z_STREAM_END:
    case Z_BUF_ERROR: return Result::kOk;  // the last: there was nothing to do
    case Z_MEM_ERROR: return Result::kOutOfMemory;
    default: why_ = zlib_.msg != nullptr ? zlib_.msg : "not DEFLATE"; return Result::kCorrupt;
  }
}

// RFC 7692 7.2.3.4: blocks may follow a final one, and refer to what was before it.
bool Inflater::restart() {
  if (saved_ == nullptr) saved_ = static_cast<uint8_t*>(try_alloc(kMostWindow));
  if (saved_ == nullptr) return false;
  uInt size = 0;
  inflateGetDictionary(&zlib_, saved_, &size);
  inflateReset(&zlib_);
  ended_ = false;
  ++restarts_;
  ready_ = refer_to({saved_, size});
  return ready_;
}

}  // namespace libws
