// The scalar validator, which decides what an error is, and the choice of the vector one.

#include "libws/protocol/utf8.hpp"

#include <cassert>

#include "libws/protocol/mask.hpp"

namespace libws {
namespace {

bool within(uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; }

bool is_tail(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// The length of the code point at `p`, which is not ASCII; 0 if it is bad or cut off after `len`
// bytes.
size_t code_point_length(const uint8_t* p, size_t len) {
  const uint8_t lead = p[0];
  if (lead < 0xC2) return 0;  // a continuation byte, or the overlong leads C0 and C1
  if (lead < 0xE0) return len >= 2 && is_tail(p[1]) ? 2 : 0;
  if (lead < 0xF0) {
    if (len < 3) return 0;
    const uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;   // overlong below
    const uint8_t high = lead == 0xED ? 0x9F : 0xBF;  // surrogates above
    return within(p[1], low, high) && is_tail(p[2]) ? 3 : 0;
  }
  if (lead > 0xF4 || len < 4) return 0;
  const uint8_t low = lead == 0xF0 ? 0x90 : 0x80;   // overlong below
  const uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;  // beyond U+10FFFF above
  return within(p[1], low, high) && is_tail(p[2]) && is_tail(p[3]) ? 4 : 0;
}

size_t unmask_ascii_scalar(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  size_t i = 0;
  for (; len - i >= 64; i += 64) {
    uint64_t words[8], all = 0;
    std::memcpy(words, src + i, sizeof(words));
    for (uint64_t& word : words) all |= word ^= detail::mask_twice(key);
    if (all & detail::kUtf8TopBits) break;
    std::memcpy(dst + i, words, sizeof(words));
  }
  return i;
}

constexpr Utf8Ops kScalarOps = {detail::utf8_prefix_scalar, unmask_ascii_scalar};

const Utf8Ops& choose() {
  const Utf8Ops* best = &kScalarOps;
  for (CpuLevel level : kCpuLevels) {
    const Utf8Ops* ops = cpu_includes(cpu_level(), level) ? utf8_ops(level) : nullptr;
    if (ops != nullptr) best = ops;
  }
  // Threads that race here all store the same value.
  detail::utf8_active.store(best, std::memory_order_relaxed);
  return *best;
}

size_t choose_prefix(const uint8_t* data, size_t len) { return choose().prefix(data, len); }

size_t choose_unmask_ascii(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  return choose().unmask_ascii(dst, src, len, key);
}

constexpr Utf8Ops kChoosingOps = {choose_prefix, choose_unmask_ascii};

}  // namespace

constinit std::atomic<const Utf8Ops*> detail::utf8_active{&kChoosingOps};

const Utf8Ops* utf8_ops(CpuLevel level) {
  if (!cpu_includes(cpu_hardware_level(), level)) return nullptr;
  switch (level) {
    case CpuLevel::kScalar: return &kScalarOps;
#if defined(LIBWS_CPU_X86)
    case CpuLevel::kSsse3: return &detail::utf8_ssse3;
    case CpuLevel::kAvx2: return &detail::utf8_avx2;
    case CpuLevel::kAvx512: return &detail::utf8_avx512;
#elif defined(LIBWS_CPU_ARM64)
    case CpuLevel::kNeon: return &detail::utf8_neon;
#endif
    default: return nullptr;
  }
}

size_t detail::utf8_prefix_scalar(const uint8_t* data, size_t len) {
  size_t i = 0;
  while (i < len) {
    if (data[i] < 0x80) {
      while (len - i >= 8 && (utf8_load<uint64_t>(data + i) & kUtf8TopBits) == 0) i += 8;
      while (i < len && data[i] < 0x80) ++i;
    } else {
      const size_t n = code_point_length(data + i, len - i);
      if (n == 0) return i;
      i += n;
    }
  }
  return i;
}

size_t Utf8Validator::validate_with(const Utf8Ops& ops, const uint8_t* data, size_t len) {
  size_t i = 0;
  for (; state_ != State::kBoundary; ++i) {  // finish the code point the last piece ended in
    if (i == len) return len;
    if (!step(data[i])) return i;
  }
  i += ops.prefix(data + i, len - i);
  if (i == len) return len;
  i += detail::utf8_prefix_scalar(data + i, len - i);
  for (; i < len; ++i) {  // a code point that is bad or cut off: not ASCII, at most four bytes
    if (!step(data[i])) return i;
  }
  return len;
}

Utf8Validator::State Utf8Validator::after_lead(uint8_t byte) {
  assert(byte >= 0x80);
  if (byte < 0xC2) return State::kFailed;
  if (byte < 0xE0) return State::kLast;
  if (byte == 0xE0) return State::kAfterE0;
  if (byte == 0xED) return State::kAfterED;
  if (byte < 0xF0) return State::kTwoLeft;
  if (byte == 0xF0) return State::kAfterF0;
  if (byte < 0xF4) return State::kThreeLeft;
  if (byte == 0xF4) return State::kAfterF4;
  return State::kFailed;
}

bool Utf8Validator::step(uint8_t byte) {
  struct Rule {
    uint8_t low, high;
    State next;
  };
  // Indexed by State; kBoundary has its own function, and no byte is within kFailed's range.
  static constexpr Rule kRules[] = {
      {0xFF, 0x00, State::kFailed},  {0x80, 0xBF, State::kBoundary}, {0x80, 0xBF, State::kLast},
      {0x80, 0xBF, State::kTwoLeft}, {0xA0, 0xBF, State::kLast},     {0x80, 0x9F, State::kLast},
      {0x90, 0xBF, State::kTwoLeft}, {0x80, 0x8F, State::kTwoLeft},  {0xFF, 0x00, State::kFailed}};
  if (state_ == State::kBoundary) {
    state_ = after_lead(byte);
  } else {
    const Rule& rule = kRules[static_cast<size_t>(state_)];
    state_ = within(byte, rule.low, rule.high) ? rule.next : State::kFailed;
  }
  return state_ != State::kFailed;
}

}  // namespace libws
