// A token bucket: so many tokens a second, one second's worth at once.  More may be taken than
// there are, which leaves a debt.
#pragma once

#include <cstdint>

namespace libws {

class TokenBucket {
 public:
  static constexpr uint64_t kMostRate = uint64_t{1} << 40;

  // Full.  `rate` is 1 to kMostRate tokens a second.
  void start(uint64_t rate, uint64_t now_us) {
    rate_ = rate;
    level_ = full();
    at_us_ = now_us;
  }
  uint64_t rate() const { return rate_; }
  void refill(uint64_t now_us) {
    const uint64_t passed = now_us - at_us_;
    at_us_ = now_us;
    // Up to full this does not overflow, however long nobody looked.
    if (passed >= us_for(full() - level_)) {
      level_ = full();
    } else {
      level_ += static_cast<int64_t>(passed * rate_);
    }
  }
  // Whole tokens; 0 as well while there is a debt.
  uint64_t room() const { return level_ > 0 ? static_cast<uint64_t>(level_ / kUnit) : 0; }
  void take(uint64_t n) {
    const int64_t most = kMostDebt / kUnit;
    const int64_t taken = (n < uint64_t{most} ? static_cast<int64_t>(n) : most) * kUnit;
    level_ = level_ > taken - kMostDebt ? level_ - taken : -kMostDebt;
  }
  // When room() will be `n`, which is at most the rate.
  uint64_t ready_us(uint64_t n) const {
    const int64_t need = static_cast<int64_t>(n) * kUnit;
    return need <= level_ ? at_us_ : at_us_ + us_for(need - level_);
  }

 private:
  // The level is counted in millionths, so that a microsecond brings `rate` of them.
  static constexpr int64_t kUnit = 1'000'000;
  static constexpr int64_t kMostDebt = 4'000'000'000'000 * kUnit;

  int64_t full() const { return static_cast<int64_t>(rate_) * kUnit; }
  uint64_t us_for(int64_t missing) const {
    return (static_cast<uint64_t>(missing) + rate_ - 1) / rate_;
  }

  uint64_t rate_ = 1;
  int64_t level_ = 0;
  uint64_t at_us_ = 0;
};

}  // namespace libws
