/*
 * The `ws` command: finds the command that the first argument names and runs it.  A new command
 * is one more line in `commands` and files of its own.
 */
#include <libws/ws.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct command commands[] = {
    {"serve", "run a WebSocket server: echo, broadcast or a chat page", serve_command},
    {"connect", "connect to a server: standard input and output become messages", connect_command},
    {"ping", "measure round trips to a server", ping_command},
};
enum { kCommandCount = sizeof commands / sizeof commands[0] };

static int print_help(void) {
  char text[2048];
  int at = snprintf(text, sizeof text,
                    "Usage: ws COMMAND [OPTION]...\n"
                    "       ws --help | --version\n"
                    "\n"
                    "WebSocket at the command line.\n"
                    "\n"
                    "Commands:\n");
  for (size_t i = 0; i < kCommandCount; i++) {
    at += snprintf(text + at, sizeof text - (size_t)at, "  %-15s %s\n", commands[i].name,
                   commands[i].summary);
  }
  snprintf(text + at, sizeof text - (size_t)at,
           "\n"
           "Options:\n"
           "  -h, --help      show this help and exit\n"
           "  -V, --version   show the version and what it was built with, and exit\n"
           "\n"
           "Examples:\n"
           "  ws serve                           echo on ws://127.0.0.1:9001/\n"
           "  ws serve --chat --listen :8080     a chat page for everyone on the network\n"
           "  ws connect ws://127.0.0.1:9001/    type lines, see what comes back\n"
           "  ws ping wss://example.com/         how long does a round trip take?\n"
           "  ws serve --help                    the options of 'ws serve'\n"
           "\n"
           "Exit status: 0 done, 1 failed, 2 wrong usage; 'connect' has more, see its\n"
           "--help.  More in ws(1).\n");
  return print_text("ws", text);
}

static int print_version(void) {
  uint32_t v = ws_version();
  char text[512];
  snprintf(text, sizeof text, "ws %u.%u.%u\n%s\n", (unsigned)(v >> 16 & 0xff),
           (unsigned)(v >> 8 & 0xff), (unsigned)(v & 0xff), ws_build_info());
  return print_text("ws", text);
}

int main(int argc, char **argv) {
  if (argc < 2) return usage_error("ws", "a command is missing");
  const char *word = argv[1];
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return print_help();
  if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) return print_version();
  for (size_t i = 0; i < kCommandCount; i++) {
    if (strcmp(word, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
  }
  return usage_error("ws", "unknown %s '%s'", word[0] == '-' ? "option" : "command", word);
}
