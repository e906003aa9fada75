/*
 * Frames and handshakes as bytes, written out by hand: what libws must read and write is not
 * computed by libws.
 */
#ifndef TESTS_SUPPORT_WIRE_H
#define TESTS_SUPPORT_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { /* first byte of a frame */
       FIN_TEXT = 0x81,
       FIN_BINARY = 0x82,
       FIN_CLOSE = 0x88,
       FIN_PING = 0x89,
       FIN_PONG = 0x8a,
       PART_TEXT = 0x01,
       PART_BINARY = 0x02,
       PART_MORE = 0x00,
       PART_LAST = 0x80
};

#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* An opening handshake: WIRE_OPEN("/chat", "Origin: null\r\n"). */
#define WIRE_OPEN(target, more)                                                                    \
  "GET " target                                                                                    \
  " HTTP/1.1\r\nHost: localhost:9001\r\nUpgrade: websocket\r\n"                                    \
  "Connection: Upgrade\r\nSec-WebSocket-Key: " SAMPLE_KEY "\r\nSec-WebSocket-Version: 13\r\n" more \
  "\r\n"

#define WIRE_GET(target, more) "GET " target " HTTP/1.1\r\nHost: localhost:9001\r\n" more "\r\n"

/* Room a frame needs beside its payload. */
#define WIRE_OVERHEAD 14

/* Write a frame to `out` and return its size.  Client frames are masked with a fixed key that
 * has no zero byte.  `out` may be `payload` + WIRE_OVERHEAD or distinct. */
size_t wire_client_frame(uint8_t *out, uint8_t first, const void *payload, size_t len);
size_t wire_server_frame(uint8_t *out, uint8_t first, const void *payload, size_t len);
/* Only the header, with any announced length. */
size_t wire_client_header(uint8_t *out, uint8_t first, uint64_t len);
size_t wire_server_header(uint8_t *out, uint8_t first, uint64_t len);

/* A Close's payload; returns its size. */
size_t wire_close_body(uint8_t *out, uint16_t code, const char *reason);

typedef struct WireFrame {
  uint8_t first;
  int masked;
  const uint8_t *payload; /* unmasked in place */
  size_t len;
  size_t size; /* header and payload */
} WireFrame;

/* Parse the frame at the front.  0: not all there yet. */
int wire_parse(uint8_t *data, size_t len, WireFrame *out);

#endif /* TESTS_SUPPORT_WIRE_H */
