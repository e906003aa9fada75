/*
 * Telling the service manager what state the server is in: systemd's protocol of NOTIFY_SOCKET,
 * sd_notify(3).  Does nothing where there is no such socket, and never fails.
 */
#ifndef WS_CLI_SERVE_NOTIFY_H
#define WS_CLI_SERVE_NOTIFY_H

void notify_ready(void); /* with the process that is to be watched, which a takeover changes */
void notify_reloading(void);
void notify_stopping(void);

#endif /* WS_CLI_SERVE_NOTIFY_H */
