// Latencies counted in buckets whose width grows with the value: every value is known to within
// 1 %, whatever the run's length, in 64 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bench {

// Values below 2^kBits have a bucket each; every further power of two shares 2^kBits of them.
struct Buckets {
  static constexpr unsigned kBits = 7;
  static constexpr uint64_t kSteps = uint64_t{1} << kBits;
  static constexpr size_t kCount = static_cast<size_t>((64 - kBits + 1) * kSteps);

  static constexpr size_t of(uint64_t value) {
    if (value < kSteps) return static_cast<size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
    return static_cast<size_t>(shift * kSteps + (value >> shift));
  }

  static constexpr uint64_t last_value(size_t bucket) {
    if (bucket < 2 * kSteps) return bucket;
    const uint64_t shift = bucket / kSteps - 1;
    const uint64_t step = bucket - shift * kSteps;
    return (step << shift) + ((uint64_t{1} << shift) - 1);
  }
};

static_assert(Buckets::of(UINT64_MAX) == Buckets::kCount - 1);
static_assert(Buckets::last_value(Buckets::of(255)) == 255);
static_assert(Buckets::last_value(Buckets::of(256)) == 257);
static_assert(Buckets::last_value(Buckets::of(UINT64_MAX)) == UINT64_MAX);

class Histogram {
 public:
  void add(uint64_t value) {
    ++counts_[Buckets::of(value)];
    ++total_;
    largest_ = std::max(largest_, value);
  }

  uint64_t largest() const { return largest_; }

  // The value that `part` of all values do not exceed, rounded up to its bucket's end: a latency
  // is never reported better than it was.
  uint64_t quantile(double part) const {
    const auto wanted = static_cast<uint64_t>(static_cast<double>(total_) * part);
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return std::min(Buckets::last_value(i), largest_);
    }
    return largest_;
  }

 private:
  std::array<uint64_t, Buckets::kCount> counts_{};
  uint64_t total_ = 0;
  uint64_t largest_ = 0;
};

}  // namespace bench
