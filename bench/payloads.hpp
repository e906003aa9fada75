// What WebSocket connections carry, made up: messages of the kinds that decide whether compression
// pays.  The same seed makes the same bytes on every machine, and nothing is taken from anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

enum class Payload : uint8_t {
  kTicks,  // JSON, 100 to 300 bytes: trades, quotes and order books of a market
  kJson,   // JSON documents of exactly the size asked for
  kChat,   // chat lines in a small JSON envelope, some of them not ASCII
  kHtml,   // pages of 4 to 30 KiB
  kPacked  // 2 to 16 KiB that are compressed already: to a compressor, noise
};

inline constexpr size_t kLeastJson = 256;

// `size` is for kJson alone, and at least kLeastJson.
std::vector<std::string> make_payloads(Payload kind, size_t count, size_t size = 0);

// Sets as the tables name them: large enough that 32 KiB of window do not hold one whole.
struct PayloadSet {
  std::string_view name;
  Payload kind;
  size_t count;
  size_t size;  // of kJson
};

inline constexpr PayloadSet kPayloadSets[] = {
    {"ticks", Payload::kTicks, 2000, 0},   {"chat", Payload::kChat, 2000, 0},
    {"json1K", Payload::kJson, 256, 1024}, {"json64K", Payload::kJson, 8, 64 * 1024},
    {"html", Payload::kHtml, 32, 0},       {"packed", Payload::kPacked, 64, 0},
};

}  // namespace bench
