/*
 * Passwords from where they are kept to where they are sent.
 */
#ifndef WS_CLI_CLIENT_CREDENTIALS_H
#define WS_CLI_CLIENT_CREDENTIALS_H

/* "Basic " and USER:PASSWORD in base64 (RFC 7617), to be freed; NULL = out of memory. */
char *basic_authorization(const char *user);

enum { kMaxPassword = 1024 };

/* The first line of the file, without its end, into `out`.  Returns NULL, or what is wrong. */
const char *read_password(const char *path, char out[kMaxPassword + 1]);

#endif /* WS_CLI_CLIENT_CREDENTIALS_H */
