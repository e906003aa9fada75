/*
 * What was agreed on for permessage-deflate, and what it has brought, in the words that all
 * commands use.
 */
#ifndef WS_CLI_DEFLATE_H
#define WS_CLI_DEFLATE_H

#include <libws/ws.h>

enum { kMaxDeflateName = 24 };

/* "shared:15" or "dedicated:12", as `ws serve --deflate` writes it: may messages refer to earlier
 * ones, and how far back (a power of 2)? */
void deflate_sending(const ws_deflate_info *info, char out[kMaxDeflateName]);
void deflate_receiving(const ws_deflate_info *info, char out[kMaxDeflateName]);

/* How many times smaller it became; 0 where nothing was compressed. */
double deflate_ratio(uint64_t plain_bytes, uint64_t wire_bytes);

#endif /* WS_CLI_DEFLATE_H */
