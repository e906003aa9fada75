#include "libws/protocol/deflate_pool.hpp"

#ifdef LIBWS_ISAL
#include "libws/protocol/isal_deflater.hpp"
#endif

#include <algorithm>
#include <cstdio>

namespace libws {
namespace {

// In shared mode ratio costs a connection nothing, so it is the most that zlib has.
constexpr int kMemLevel = 8;

#ifdef LIBWS_ISAL
bool is_fast(int level) { return level <= kMostIsalLevel; }
Deflater* create_fast(int window_bits, int level) {
  return create_isal_deflater(window_bits, level);
}
constexpr const char* kAnotherLibrary = ", isa-l " LIBWS_ISAL;
#else
bool is_fast(int) { return false; }
Deflater* create_fast(int, int) { return nullptr; }
constexpr const char* kAnotherLibrary = "";
#endif

}  // namespace

DeflatePool::~DeflatePool() { trim(); }

Inflater* DeflatePool::take_inflater() {
  if (inflater_count_ == 0) return Inflater::create();
  return inflaters_[--inflater_count_];
}

void DeflatePool::give(Inflater* inflater) {
  if (inflater == nullptr) return;
  if (inflater_count_ == kKeepInflaters) {
    delete inflater;
    return;
  }
  inflaters_[inflater_count_++] = inflater;
}

Deflater* DeflatePool::fresh_deflater(int window_bits, int level) {
  const bool fast = is_fast(level);
  std::unique_ptr<Deflater>& deflater =
      (fast ? fast_ : deflaters_)[static_cast<size_t>(window_bits)];
  if (deflater != nullptr) {
    deflater->restart(level);
  } else {
    deflater.reset(fast ? create_fast(window_bits, level)
                        : Deflater::create(window_bits, kMemLevel, level));
  }
  return deflater.get();
}

std::span<uint8_t> DeflatePool::work_area() {
  if (work_ == nullptr) work_ = static_cast<uint8_t*>(try_alloc(kInflateStep));
  return {work_, work_ != nullptr ? kInflateStep : 0};
}

const char* DeflatePool::libraries() {
  struct Text {
    char text[64];
    Text() {
      std::snprintf(text, sizeof text, "zlib %s%s", Deflater::version_of_zlib(), kAnotherLibrary);
    }
  };
  static const Text text;
  return text.text;
}

void DeflatePool::trim() {
  while (inflater_count_ != 0) delete inflaters_[--inflater_count_];
  for (std::unique_ptr<Deflater>& deflater : deflaters_) deflater.reset();
  for (std::unique_ptr<Deflater>& deflater : fast_) deflater.reset();
  release(work_);
  work_ = nullptr;
}

bool DeflatePool::empty() const {
  const auto none = [](const auto& deflater) { return deflater == nullptr; };
  return inflater_count_ == 0 && work_ == nullptr && std::ranges::all_of(deflaters_, none) &&
         std::ranges::all_of(fast_, none);
}

}  // namespace libws
