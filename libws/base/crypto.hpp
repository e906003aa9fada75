// SHA-1, base64 and random bytes from OpenSSL's libcrypto: the one door to it.
#pragma once

#include "libws/base/bytes.hpp"

#include <array>
#include <string_view>

namespace libws {

inline constexpr size_t kSha1Bytes = 20;

// False when OpenSSL refuses (out of memory, or SHA-1 disabled by policy).
bool crypto_sha1(Bytes data, std::array<uint8_t, kSha1Bytes>& out);

constexpr size_t base64_size(size_t bytes) { return (bytes + 2) / 3 * 4; }

// Writes base64_size(data.size()) characters, no NUL.
void base64_encode(Bytes data, char* out);

// True when `text` is the canonical base64 of exactly `bytes` bytes, padding bits zero
// (RFC 4648 3.5).  RFC 6455 4.2.1-5 asks that of Sec-WebSocket-Key.
bool base64_is_canonical(std::string_view text, size_t bytes);

// Decodes `text`, which must be canonical as above.  Writes at most text.size() / 4 * 3 bytes and
// tells how many; false when it is not canonical.
bool base64_decode(std::string_view text, uint8_t* out, size_t* len);

// Whether both are the same; the time taken depends on the lengths alone.
bool crypto_equal(Bytes a, Bytes b);

// Unpredictable bytes from OpenSSL's generator, which reseeds itself after fork().
bool crypto_random(void* out, size_t len);

// OpenSSL's version as it names itself.
const char* crypto_version();

}  // namespace libws
