/*
 * The option reader.  getopt_long() is not used: it is no part of POSIX, and it accepts
 * abbreviations, which turn into errors when a later version adds an option.
 */
#include "options.h"

#include <string.h>

#include "command.h"

static int take_next_argument(struct option_reader *r, const char **value) {
  if (r->next >= r->argc) return 0;
  *value = r->argv[r->next++];
  return 1;
}

static int read_long(struct option_reader *r, const char *text, const char **value) {
  const char *equals = strchr(text, '=');
  size_t len = equals != NULL ? (size_t)(equals - text) : strlen(text);
  for (size_t i = 0; i < r->count; i++) {
    const struct option *o = &r->table[i];
    if (strlen(o->name) != len || memcmp(o->name, text, len) != 0) continue;
    if (!o->takes_value) {
      if (equals == NULL) return (int)i;
      usage_error(r->command, "option '--%s' takes no value", o->name);
      return OPTIONS_WRONG;
    }
    if (equals != NULL) *value = equals + 1;
    if (equals != NULL || o->takes_value == MAYBE_VALUE) return (int)i;
    if (take_next_argument(r, value)) return (int)i;
    usage_error(r->command, "option '--%s' needs a value", o->name);
    return OPTIONS_WRONG;
  }
  usage_error(r->command, "unknown option '--%.*s'", (int)len, text);
  return OPTIONS_WRONG;
}

static int read_short(struct option_reader *r, const char **value) {
  char letter = *r->flags++;
  const char *rest = r->flags;
  if (*rest == '\0') r->flags = NULL;
  for (size_t i = 0; i < r->count; i++) {
    const struct option *o = &r->table[i];
    if (o->letter != letter) continue;
    if (!o->takes_value) return (int)i;
    r->flags = NULL;
    if (*rest != '\0') {
      *value = rest;
      return (int)i;
    }
    if (take_next_argument(r, value)) return (int)i;
    usage_error(r->command, "option '-%c' needs a value", letter);
    return OPTIONS_WRONG;
  }
  usage_error(r->command, "unknown option '-%c'", letter);
  return OPTIONS_WRONG;
}

static int read_operand(struct option_reader *r, const char *text, const char **value) {
  if (r->operands == 0) {
    usage_error(r->command, "unexpected argument '%s'", text);
    return OPTIONS_WRONG;
  }
  r->operands--;
  *value = text;
  return (int)r->count;
}

int options_next(struct option_reader *r, const char **value) {
  *value = NULL;
  if (r->flags != NULL) return read_short(r, value);
  if (r->next >= r->argc) return OPTIONS_END;
  const char *text = r->argv[r->next++];
  if (r->options_over || text[0] != '-' || text[1] == '\0') return read_operand(r, text, value);
  if (text[1] != '-') {
    r->flags = text + 1;
    return read_short(r, value);
  }
  if (text[2] != '\0') return read_long(r, text + 2, value);
  r->options_over = 1;
  return options_next(r, value);
}
