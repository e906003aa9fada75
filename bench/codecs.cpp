#include "codecs.hpp"

#ifdef BENCH_HAS_LIBDEFLATE
#include <libdeflate.h>
#endif
#ifdef BENCH_HAS_ISAL
#include <isa-l/igzip_lib.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "common.hpp"

namespace bench {

// The size of a block stands before it, because zfree() is not told.
constexpr size_t kBlockHead = 16;

void Account::open(z_stream& stream) {
  stream.opaque = this;
  stream.zalloc = take;
  stream.zfree = give;
}

void* Account::take(void* account, unsigned count, unsigned size) {
  const size_t bytes = size_t{count} * size;
  auto* block = static_cast<uint8_t*>(std::malloc(kBlockHead + bytes));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &bytes, sizeof bytes);
  static_cast<Account*>(account)->bytes_ += bytes;
  return block + kBlockHead;
}

void Account::give(void* account, void* block) {
  auto* begin = static_cast<uint8_t*>(block) - kBlockHead;
  size_t bytes = 0;
  std::memcpy(&bytes, begin, sizeof bytes);
  static_cast<Account*>(account)->bytes_ -= bytes;
  std::free(begin);
}

ZlibDeflate::ZlibDeflate(const ZlibSettings& settings) : takeover_(settings.takeover) {
  account_.open(zlib_);
  if (deflateInit2(&zlib_, settings.level, Z_DEFLATED, -settings.window_bits, settings.mem_level,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    die("zlib makes no compressor with window %d, memory level %d", settings.window_bits,
        settings.mem_level);
  }
}

size_t ZlibDeflate::run(Input in, Output out) {
  if (!takeover_) deflateReset(&zlib_);
  zlib_.next_in = const_cast<uint8_t*>(in.data());
  zlib_.avail_in = static_cast<unsigned>(in.size());
  zlib_.next_out = out.data();
  zlib_.avail_out = static_cast<unsigned>(out.size());
  const int result = ::deflate(&zlib_, Z_SYNC_FLUSH);
  if (result != Z_OK || zlib_.avail_in != 0 || zlib_.avail_out == 0) die("zlib: deflate");
  return out.size() - zlib_.avail_out - kFlushTail;
}

ZlibInflate::ZlibInflate(const ZlibSettings& settings) : takeover_(settings.takeover) {
  account_.open(zlib_);
  if (inflateInit2(&zlib_, -settings.window_bits) != Z_OK) die("zlib makes no decompressor");
}

size_t ZlibInflate::run(Input in, Output out) {
  if (!takeover_) inflateReset(&zlib_);
  return inflate_whole(in, out);
}

size_t ZlibInflate::inflate_whole(Input in, Output out) {
  zlib_.next_out = out.data();
  zlib_.avail_out = static_cast<unsigned>(out.size());
  step(in);
  step({kTail.data(), kFlushTail});
  return out.size() - zlib_.avail_out;
}

void ZlibInflate::step(Input in) {
  zlib_.next_in = const_cast<uint8_t*>(in.data());
  zlib_.avail_in = static_cast<unsigned>(in.size());
  const int result = ::inflate(&zlib_, Z_SYNC_FLUSH);
  if (result != Z_OK || zlib_.avail_in != 0 || zlib_.avail_out == 0) {
    die("zlib: inflate: %s", zlib_.msg == nullptr ? "no room" : zlib_.msg);
  }
}

WindowInflate::WindowInflate(int window_bits)
    : ZlibInflate(ZlibSettings{}), window_(size_t{1} << window_bits) {}

size_t WindowInflate::run(Input in, Output out) {
  inflateReset(&zlib_);
  prime();
  const size_t size = inflate_whole(in, out);
  keep(out.first(size));
  return size;
}

void WindowInflate::prime() {
  if (filled_ == 0) return;
  const auto put = [&](size_t from, size_t size) {
    if (size == 0) return;
    if (inflateSetDictionary(&zlib_, window_.data() + from, static_cast<unsigned>(size)) != Z_OK) {
      die("zlib takes no dictionary");
    }
  };
  if (filled_ == window_.size()) put(at_, filled_ - at_);
  put(0, at_);
}

void WindowInflate::keep(Input out) {
  out = out.last(std::min(out.size(), window_.size()));
  filled_ = std::min(filled_ + out.size(), window_.size());
  const size_t first = std::min(out.size(), window_.size() - at_);
  std::memcpy(window_.data() + at_, out.data(), first);
  std::memcpy(window_.data(), out.data() + first, out.size() - first);
  at_ = (at_ + out.size()) % window_.size();
}

namespace {

class ZlibCodec : public Codec {
 public:
  explicit ZlibCodec(const ZlibSettings& settings)
      : level_(settings.level), deflate_(settings), inflate_(settings) {}

  std::string name() const override { return "zlib " + std::to_string(level_); }
  size_t most_deflated(size_t size) const override { return 2 * size + 64; }
  size_t deflate(Input in, Output out) override { return deflate_.run(in, out); }
  size_t inflate(Input in, Output out) override { return inflate_.run(in, out); }

 private:
  int level_;
  ZlibDeflate deflate_;
  ZlibInflate inflate_;
};

#ifdef BENCH_HAS_LIBDEFLATE
// It has no flush, only an end: RFC 7692 7.2.3.4 lets a message be a final block and an empty byte.
class LibdeflateCodec : public Codec {
 public:
  explicit LibdeflateCodec(int level)
      : level_(level),
        deflate_(libdeflate_alloc_compressor(level)),
        inflate_(libdeflate_alloc_decompressor()) {
    if (deflate_ == nullptr || inflate_ == nullptr) die("no libdeflate");
  }
  ~LibdeflateCodec() override {
    libdeflate_free_compressor(deflate_);
    libdeflate_free_decompressor(inflate_);
  }

  std::string name() const override { return "libdeflate " + std::to_string(level_); }
  size_t most_deflated(size_t size) const override {
    return libdeflate_deflate_compress_bound(deflate_, size) + 1;
  }
  size_t deflate(Input in, Output out) override {
    const size_t size =
        libdeflate_deflate_compress(deflate_, in.data(), in.size(), out.data(), out.size() - 1);
    if (size == 0) die("libdeflate: deflate");
    out[size] = 0;
    return size + 1;
  }
  size_t inflate(Input in, Output out) override {
    size_t size = 0;
    const auto result = libdeflate_deflate_decompress(inflate_, in.data(), in.size() + kTail.size(),
                                                      out.data(), out.size(), &size);
    if (result != LIBDEFLATE_SUCCESS) die("libdeflate: inflate: %d", result);
    return size;
  }

 private:
  int level_;
  libdeflate_compressor* deflate_;
  libdeflate_decompressor* inflate_;
};
#endif

#ifdef BENCH_HAS_ISAL
class IsalCodec : public Codec {
 public:
  explicit IsalCodec(int level)
      : level_(level),
        level_buffer_(ISAL_DEF_LVL3_DEFAULT),
        deflate_(std::make_unique<isal_zstream>()),
        inflate_(std::make_unique<inflate_state>()) {
    isal_deflate_init(deflate_.get());
    isal_inflate_init(inflate_.get());
  }

  std::string name() const override { return "isa-l " + std::to_string(level_); }
  size_t most_deflated(size_t size) const override { return 2 * size + 1024; }

  size_t deflate(Input in, Output out) override {
    isal_deflate_reset(deflate_.get());
    deflate_->level = static_cast<uint32_t>(level_);
    deflate_->level_buf = level_buffer_.data();
    deflate_->level_buf_size = static_cast<uint32_t>(level_buffer_.size());
    deflate_->next_in = const_cast<uint8_t*>(in.data());
    deflate_->avail_in = static_cast<uint32_t>(in.size());
    deflate_->next_out = out.data();
    deflate_->avail_out = static_cast<uint32_t>(out.size());
    deflate_->end_of_stream = 0;
    deflate_->flush = SYNC_FLUSH;
    if (isal_deflate(deflate_.get()) != COMP_OK) die("isa-l: deflate");
    return out.size() - deflate_->avail_out - kFlushTail;
  }

  size_t inflate(Input in, Output out) override {
    isal_inflate_reset(inflate_.get());
    inflate_->next_in = const_cast<uint8_t*>(in.data());
    inflate_->avail_in = static_cast<uint32_t>(in.size() + kTail.size());
    inflate_->next_out = out.data();
    inflate_->avail_out = static_cast<uint32_t>(out.size());
    if (isal_inflate_stateless(inflate_.get()) != ISAL_DECOMP_OK) die("isa-l: inflate");
    return out.size() - inflate_->avail_out;
  }

 private:
  int level_;
  std::vector<uint8_t> level_buffer_;
  std::unique_ptr<isal_zstream> deflate_;
  std::unique_ptr<inflate_state> inflate_;
};
#endif

}  // namespace

std::vector<std::unique_ptr<Codec>> whole_message_codecs(const ZlibSettings& zlib) {
  std::vector<std::unique_ptr<Codec>> codecs;
  for (int level : {1, 3, 6, 9}) {
    ZlibSettings settings = zlib;
    settings.level = level;
    codecs.push_back(std::make_unique<ZlibCodec>(settings));
  }
#ifdef BENCH_HAS_LIBDEFLATE
  for (int level : {1, 3, 6, 9}) codecs.push_back(std::make_unique<LibdeflateCodec>(level));
#endif
#ifdef BENCH_HAS_ISAL
  for (int level : {1, 2, 3}) codecs.push_back(std::make_unique<IsalCodec>(level));
#endif
  return codecs;
}

}  // namespace bench
