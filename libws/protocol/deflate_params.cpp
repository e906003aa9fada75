// Parameters are read once, the same for offers and answers; what each side makes of them follows
// from RFC 7692 7.1, and the rest of the library sees only DeflateAgreed.
#include "libws/protocol/deflate_params.hpp"

#include <algorithm>
#include <string_view>

namespace libws {
namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerNoTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoTakeover = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";

// The parameters of one offer or answer.  Bits are 0 where the parameter is not there.
struct Params {
  bool server_no_takeover = false;
  bool client_no_takeover = false;
  uint8_t server_bits = 0;
  uint8_t client_bits = 0;
};

enum class From : uint8_t { kClient, kServer };

// RFC 7692 7.1.2: a decimal number without leading zeros, 8 to 15.  0: it is none.
uint8_t parse_bits(std::string_view value) {
  if (value == "8") return 8;
  if (value == "9") return 9;
  if (value.size() != 2 || value[0] != '1' || value[1] < '0' || value[1] > '5') return 0;
  return static_cast<uint8_t>(10 + value[1] - '0');
}

// Each says what is wrong, or nullptr.

// RFC 7692 7.1.1: no value, not even an empty one.
const char* read_flag(const ExtensionParam& param, bool* out) {
  if (*out) return "permessage-deflate has a parameter twice";
  if (param.has_value) return "permessage-deflate has a no_context_takeover with a value";
  *out = true;
  return nullptr;
}

const char* read_bits(const ExtensionParam& param, uint8_t* out) {
  if (*out != 0) return "permessage-deflate has a parameter twice";
  *out = parse_bits(param.value);
  return *out != 0 ? nullptr : "permessage-deflate has a max_window_bits that is not 8 to 15";
}

const char* read_param(const ExtensionParam& param, From from, Params* out) {
  if (param.name == kServerNoTakeover) return read_flag(param, &out->server_no_takeover);
  if (param.name == kClientNoTakeover) return read_flag(param, &out->client_no_takeover);
  if (param.name == kServerBits) return read_bits(param, &out->server_bits);
  if (param.name != kClientBits) return "permessage-deflate has an unknown parameter";
  // RFC 7692 7.1.2.2: a client may leave the value to the server, which is to offer the most.
  if (from == From::kClient && !param.has_value && out->client_bits == 0) {
    out->client_bits = kMaxWindowBits;
    return nullptr;
  }
  return read_bits(param, &out->client_bits);
}

const char* read_params(const Extension& ext, From from, Params* out) {
  // Parameters that were dropped need no look: of more than four, one is repeated or unknown.
  static_assert(kMaxExtensionParams > 4);
  for (const ExtensionParam& param : ext.params) {
    if (const char* wrong = read_param(param, from, out)) return wrong;
  }
  return nullptr;
}

void append_flag(String& out, std::string_view name) { out.append("; ").append(name); }

void append_bits(String& out, std::string_view name, uint8_t bits) {
  append_flag(out, name);
  out.push_back('=');
  if (bits >= 10) out.push_back('1');
  out.push_back(static_cast<char>('0' + bits % 10));
}

// What a side deflates with: our own window counts only where it costs us memory.  `told`: by the
// peer, 0 if it said nothing.
uint8_t send_bits(const DeflateWish& wish, bool takeover, uint8_t told) {
  const uint8_t most = takeover ? wish.window_bits : uint8_t{kMaxWindowBits};
  return told != 0 ? std::min(told, most) : most;
}

// zlib cannot deflate raw data into a window of 8 bits.
bool can_compress(const DeflateWish& wish, uint8_t bits) {
  return wish.compresses && bits > kMinWindowBits;
}

DeflateAgreed accept(const Params& offer, const DeflateWish& wish, String& answer) {
  DeflateAgreed agreed;
  agreed.on = true;
  agreed.send_takeover = wish.send_takeover && !offer.server_no_takeover;
  agreed.recv_takeover = wish.recv_takeover && !offer.client_no_takeover;
  agreed.send_bits = send_bits(wish, agreed.send_takeover, offer.server_bits);
  agreed.compresses = can_compress(wish, agreed.send_bits);

  answer.append(kName);
  // RFC 7692 7.1.1.1, 7.1.1.2: a server may say either without having been asked.
  if (!agreed.send_takeover) append_flag(answer, kServerNoTakeover);
  if (!agreed.recv_takeover) append_flag(answer, kClientNoTakeover);
  if (offer.server_bits != 0) append_bits(answer, kServerBits, agreed.send_bits);
  // RFC 7692 7.1.2.2: never without having been asked.  Without takeover there is nothing to gain,
  // because messages are inflated with the largest window anyway.
  const uint8_t least = std::min(offer.client_bits, wish.window_bits);
  if (agreed.recv_takeover && offer.client_bits != 0 && least < kMaxWindowBits) {
    agreed.recv_bits = least;
    append_bits(answer, kClientBits, least);
  }
  return agreed;
}

// With takeover of what the server sends, or one that asks it to do without.
void append_offer(String& out, const DeflateWish& wish, bool recv_takeover) {
  out.append(kName);
  if (!recv_takeover) append_flag(out, kServerNoTakeover);
  if (!wish.send_takeover) append_flag(out, kClientNoTakeover);
  if (recv_takeover && wish.window_bits < kMaxWindowBits) {
    append_bits(out, kServerBits, wish.window_bits);
  }
  // Without a value, though we may use less: servers are known that refuse a value below their own
  // (npm ws), and none can gain from it what it can not gain by answering with one.
  append_flag(out, kClientBits);
}

// Whether the answer accepts one of our offers: the first, with its window, or the one without
// takeover.  A server may add no_context_takeover and windows to either.
const char* check_accepts_offer(const Params& answer, const DeflateWish& wish) {
  if (answer.server_no_takeover) return nullptr;
  if (!wish.recv_takeover) return "server_no_context_takeover was asked for and is missing";
  if (wish.window_bits == kMaxWindowBits) return nullptr;
  if (answer.server_bits == 0) return "server_max_window_bits was asked for and is missing";
  if (answer.server_bits > wish.window_bits) {
    return "server_max_window_bits is larger than offered";
  }
  return nullptr;
}

}  // namespace

DeflateAgreed accept_deflate(std::span<const Extension> offers, const DeflateWish& wish,
                             String& answer) {
  if (!wish.on) return {};
  for (const Extension& ext : offers) {
    Params offer;
    if (ext.name != kName || read_params(ext, From::kClient, &offer) != nullptr) continue;
    // RFC 7692 7.1.2.1: a window that cannot be kept to is a reason to decline.
    if (offer.server_bits == kMinWindowBits && wish.compresses) continue;
    return accept(offer, wish, answer);
  }
  return {};
}

void append_deflate_offer(String& out, const DeflateWish& wish) {
  if (!wish.on) return;
  if (wish.recv_takeover) {
    append_offer(out, wish, true);
    if (wish.window_bits == kMaxWindowBits) return;
    // For servers that cannot limit their window, and have to decline the first.
    out.append(", ");
  }
  append_offer(out, wish, false);
}

const char* check_deflate_answer(std::span<const Extension> answers, const DeflateWish& wish,
                                 DeflateAgreed* agreed) {
  *agreed = {};
  for (const Extension& ext : answers) {
    if (!wish.on || ext.name != kName) return "an extension that was not offered";
  }
  if (answers.empty()) return nullptr;
  if (answers.size() > 1) return "permessage-deflate is there twice";
  Params answer;
  if (const char* wrong = read_params(answers[0], From::kServer, &answer)) return wrong;
  if (const char* wrong = check_accepts_offer(answer, wish)) return wrong;

  agreed->on = true;
  agreed->send_takeover = wish.send_takeover && !answer.client_no_takeover;
  agreed->recv_takeover = wish.recv_takeover && !answer.server_no_takeover;
  agreed->send_bits = send_bits(wish, agreed->send_takeover, answer.client_bits);
  if (answer.server_bits != 0) agreed->recv_bits = answer.server_bits;
  agreed->compresses = can_compress(wish, agreed->send_bits);
  return nullptr;
}

}  // namespace libws
