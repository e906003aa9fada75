#include "envelope.hpp"

#include <algorithm>
#include <cstring>

namespace libws_redis {

std::array<char, Envelope::kBytes> Envelope::encode() const {
  std::array<char, kBytes> bytes;
  bytes[0] = static_cast<char>(kVersion);
  bytes[1] = static_cast<char>(opcode);
  memcpy(&bytes[2], origin.data(), origin.size());
  for (size_t i = 0; i < 8; ++i) {
    bytes[2 + origin.size() + i] = static_cast<char>(number >> (56 - 8 * i));
  }
  return bytes;
}

bool Envelope::decode(std::string_view data, Envelope* out) {
  if (data.size() < kBytes || data[0] != static_cast<char>(kVersion)) return false;
  if (data[1] != WS_OP_TEXT && data[1] != WS_OP_BINARY) return false;
  out->opcode = static_cast<ws_opcode>(data[1]);
  memcpy(out->origin.data(), &data[2], out->origin.size());
  out->number = 0;
  for (size_t i = 0; i < 8; ++i) {
    out->number = out->number << 8 | static_cast<uint8_t>(data[2 + out->origin.size() + i]);
  }
  return out->number != 0;
}

size_t Origins::Hash::operator()(const OriginId& id) const {
  size_t value;
  memcpy(&value, id.data(), sizeof value);
  return value;
}

bool Origins::is_new(const OriginId& origin, uint64_t number) {
  auto found = last_.find(origin);
  if (found == last_.end()) {
    if (last_.size() >= kMost) forget_one();
    found = last_.emplace(origin, Last()).first;
  }
  found->second.when = ++clock_;
  if (number <= found->second.number) return false;
  found->second.number = number;
  return true;
}

void Origins::forget_one() {
  last_.erase(std::min_element(last_.begin(), last_.end(), [](const auto& a, const auto& b) {
    return a.second.when < b.second.when;
  }));
}

}  // namespace libws_redis
