#include "wire.h"

#include <string.h>

static const uint8_t kKey[4] = {0x37, 0xfa, 0x21, 0x3d};

static size_t header(uint8_t *out, uint8_t first, uint64_t len, int masked) {
  uint8_t mask_bit = masked ? 0x80 : 0;
  size_t n = 0;
  out[n++] = first;
  if (len < 126) {
    out[n++] = (uint8_t)(mask_bit | len);
  } else {
    int bytes = len < 65536 ? 2 : 8;
    out[n++] = (uint8_t)(mask_bit | (bytes == 2 ? 126 : 127));
    for (int i = bytes - 1; i >= 0; --i) out[n++] = (uint8_t)(len >> (8 * i));
  }
  if (masked) {
    memcpy(out + n, kKey, 4);
    n += 4;
  }
  return n;
}

size_t wire_client_header(uint8_t *out, uint8_t first, uint64_t len) {
  return header(out, first, len, 1);
}

size_t wire_server_header(uint8_t *out, uint8_t first, uint64_t len) {
  return header(out, first, len, 0);
}

size_t wire_client_frame(uint8_t *out, uint8_t first, const void *payload, size_t len) {
  size_t n = header(out, first, len, 1);
  const uint8_t *from = payload;
  for (size_t i = 0; i < len; ++i) out[n + i] = from[i] ^ kKey[i % 4];
  return n + len;
}

size_t wire_server_frame(uint8_t *out, uint8_t first, const void *payload, size_t len) {
  size_t n = header(out, first, len, 0);
  if (len != 0) memcpy(out + n, payload, len);
  return n + len;
}

size_t wire_close_body(uint8_t *out, uint16_t code, const char *reason) {
  size_t len = reason != NULL ? strlen(reason) : 0;
  out[0] = (uint8_t)(code >> 8);
  out[1] = (uint8_t)code;
  if (len != 0) memcpy(out + 2, reason, len);
  return 2 + len;
}

int wire_parse(uint8_t *data, size_t len, WireFrame *out) {
  if (len < 2) return 0;
  size_t n = 2;
  uint64_t payload = data[1] & 0x7f;
  int extra = payload == 126 ? 2 : payload == 127 ? 8 : 0;
  int masked = data[1] >> 7;
  if (len < n + (size_t)extra + (masked ? 4 : 0)) return 0;
  if (extra != 0) payload = 0;
  for (int i = 0; i < extra; ++i) payload = payload << 8 | data[n++];
  const uint8_t *key = data + n;
  if (masked) n += 4;
  if (len - n < payload) return 0;
  if (masked) {
    for (size_t i = 0; i < payload; ++i) data[n + i] ^= key[i % 4];
  }
  out->first = data[0];
  out->masked = masked;
  out->payload = data + n;
  out->len = (size_t)payload;
  out->size = n + (size_t)payload;
  return 1;
}
