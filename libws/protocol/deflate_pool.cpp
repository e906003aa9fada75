#include "libws/protocol/deflate_pool.hpp"

#include <algorithm>

namespace libws {

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
  std::unique_ptr<Deflater>& deflater = deflaters_[static_cast<size_t>(window_bits)];
  if (deflater == nullptr) {
    deflater.reset(Deflater::create(window_bits, kMemLevel, level));
  } else {
    deflater->restart(level);
  }
  return deflater.get();
}

std::span<uint8_t> DeflatePool::work_area() {
  if (work_ == nullptr) work_ = static_cast<uint8_t*>(try_alloc(kInflateStep));
  return {work_, work_ != nullptr ? kInflateStep : 0};
}

void DeflatePool::trim() {
  while (inflater_count_ != 0) delete inflaters_[--inflater_count_];
  for (std::unique_ptr<Deflater>& deflater : deflaters_) deflater.reset();
  release(work_);
  work_ = nullptr;
}

bool DeflatePool::empty() const {
  return inflater_count_ == 0 && work_ == nullptr &&
         std::ranges::all_of(deflaters_, [](const auto& deflater) { return deflater == nullptr; });
}

}  // namespace libws
