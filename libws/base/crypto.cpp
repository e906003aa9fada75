#include "libws/base/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <limits>

namespace libws {

bool crypto_sha1(Bytes data, std::array<uint8_t, kSha1Bytes>& out) {
  unsigned written = 0;
  return EVP_Digest(data.data(), data.size(), out.data(), &written, EVP_sha1(), nullptr) == 1 &&
         written == kSha1Bytes;
}

void base64_encode(Bytes data, char* out) {
  // EVP_EncodeBlock also writes a NUL, so whole groups go in place and the rest through a buffer.
  unsigned char group[5];
  for (size_t i = 0; i < data.size(); i += 3, out += 4) {
    size_t n = data.size() - i < 3 ? data.size() - i : 3;
    EVP_EncodeBlock(group, data.data() + i, static_cast<int>(n));
    std::memcpy(out, group, 4);
  }
}

bool base64_is_canonical(std::string_view text, size_t size) {
  constexpr size_t kMaxBytes = 64;
  if (size > kMaxBytes || text.size() != base64_size(size)) return false;
  // EVP_DecodeBlock skips white space around its input and counts padding as zero bytes, so
  // encoding the result again is what proves that each character is in its place.
  unsigned char decoded[kMaxBytes + 3];
  int n = EVP_DecodeBlock(decoded, reinterpret_cast<const unsigned char*>(text.data()),
                          static_cast<int>(text.size()));
  if (n < 0 || static_cast<size_t>(n) < size) return false;
  char again[base64_size(kMaxBytes)];
  base64_encode({decoded, size}, again);
  return std::memcmp(again, text.data(), text.size()) == 0;
}

bool base64_decode(std::string_view text, uint8_t* out, size_t* len) {
  size_t n = 0;
  for (; !text.empty(); text.remove_prefix(4)) {
    if (text.size() < 4) return false;
    const std::string_view group = text.substr(0, 4);
    const size_t padding = text.size() > 4 ? 0 : group[3] != '=' ? 0 : group[2] != '=' ? 1 : 2;
    if (!base64_is_canonical(group, 3 - padding)) return false;
    unsigned char decoded[3];
    EVP_DecodeBlock(decoded, reinterpret_cast<const unsigned char*>(group.data()), 4);
    std::memcpy(out + n, decoded, 3 - padding);
    n += 3 - padding;
  }
  *len = n;
  return true;
}

bool crypto_equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

bool crypto_random(void* out, size_t len) {
  if (len > static_cast<size_t>(std::numeric_limits<int>::max())) return false;
  return RAND_bytes(static_cast<unsigned char*>(out), static_cast<int>(len)) == 1;
}

const char* crypto_version() { return OpenSSL_version(OPENSSL_VERSION); }

}  // namespace libws
