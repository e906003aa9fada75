/* Prints the version of the headers and of the library, which must be the same. */
#include <libws/ws.h>
#include <stdio.h>

int main(void) {
  unsigned headers = WS_VERSION_MAJOR << 16 | WS_VERSION_MINOR << 8 | WS_VERSION_PATCH;
  printf("%06x %06x %s\n", headers, (unsigned)ws_version(), ws_build_info());
  return headers != ws_version();
}
