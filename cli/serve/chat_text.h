/*
 * What may be a name and what may be said in the chat.
 */
#ifndef WS_CLI_SERVE_CHAT_TEXT_H
#define WS_CLI_SERVE_CHAT_TEXT_H

#include <stddef.h>

enum { kMaxName = 40, kMaxSaying = 2000 }; /* bytes of UTF-8 */

/* Clean a name up: spaces at the ends go, runs of them become one.  Returns NULL, or what is
 * wrong with it: not UTF-8, empty, too long, or characters that do not show or turn the
 * writing direction and so could make one name look like another. */
const char *chat_name(const char *text, size_t len, char out[kMaxName + 1]);

/* `name` with " 2" (say) behind it, shortened at a character if it must be. */
void chat_numbered_name(const char *name, unsigned number, char out[kMaxName + 1]);

/* 1 if two names differ at most in the case of ASCII letters. */
int chat_same_name(const char *a, const char *b);

/* NULL if text may be said, else why not.  Newlines and tabs are allowed, other control
 * characters are not. */
const char *chat_saying(const char *text, size_t len);

#endif /* WS_CLI_SERVE_CHAT_TEXT_H */
