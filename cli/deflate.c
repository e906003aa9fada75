/*
 * Names and ratios of permessage-deflate.
 */
#include "deflate.h"

#include <stdio.h>

static void put_name(char *out, int takeover, uint32_t window_bits) {
  snprintf(out, kMaxDeflateName, "%s:%u", takeover ? "dedicated" : "shared", (unsigned)window_bits);
}

void deflate_sending(const ws_deflate_info *info, char out[kMaxDeflateName]) {
  put_name(out, (info->flags & WS_DEFLATE_SEND_TAKEOVER) != 0, info->send_window_bits);
}

void deflate_receiving(const ws_deflate_info *info, char out[kMaxDeflateName]) {
  put_name(out, (info->flags & WS_DEFLATE_RECV_TAKEOVER) != 0, info->recv_window_bits);
}

double deflate_ratio(uint64_t plain_bytes, uint64_t wire_bytes) {
  return wire_bytes == 0 ? 0 : (double)plain_bytes / (double)wire_bytes;
}
