/*
 * The page of --chat, embedded at build time from web/chat.html by embed.py.
 */
#ifndef WS_CLI_SERVE_CHAT_PAGE_H
#define WS_CLI_SERVE_CHAT_PAGE_H

#include <stddef.h>

extern const unsigned char chat_page[];
extern const size_t chat_page_len;

/* Its Content-Security-Policy: names its one script and one style sheet by their hashes. */
extern const char chat_page_policy[];

#endif /* WS_CLI_SERVE_CHAT_PAGE_H */
