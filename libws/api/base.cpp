#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/base/alloc.hpp"
#include "libws/base/cpu.hpp"
#include "libws/base/crypto.hpp"
#include "libws/protocol/deflate_pool.hpp"

#include <libws/base.h>

#include <cstdio>

using namespace libws;

#define LIBWS_TEXT_(x) #x
#define LIBWS_TEXT(x) LIBWS_TEXT_(x)

uint32_t ws_version(void) {
  return (uint32_t{WS_VERSION_MAJOR} << 16) | (uint32_t{WS_VERSION_MINOR} << 8) |
         uint32_t{WS_VERSION_PATCH};
}

const char* ws_build_info(void) {
  struct Line {
    char text[160];
    Line() {
      std::snprintf(text, sizeof text,
                    "libws " LIBWS_TEXT(WS_VERSION_MAJOR) "." LIBWS_TEXT(
                        WS_VERSION_MINOR) "." LIBWS_TEXT(WS_VERSION_PATCH) ", %s, simd %s, %s, %s",
#ifdef __linux__
                    "epoll",
#else
                    "poll",
#endif
                    cpu_level_name(cpu_level()), crypto_version(), DeflatePool::libraries());
    }
  };
  static const Line line;
  return line.text;
}

const char* ws_strerror(int code) { return error_text(code); }

const char* ws_last_detail(void) { return last_detail(); }

int ws_set_allocator(const ws_allocator* a) {
  return guarded([&] {
    if (a == nullptr) return null_argument("allocator");
    ws_allocator copy;
    if (Error e = read_config(a, &copy, "ws_allocator")) return e;
    if (copy.resize == nullptr) return null_argument("ws_allocator.resize");
    if (!set_allocator_hook(copy.resize, copy.user)) {
      return fail(WS_ERR_STATE, "set_allocator: memory has been allocated already");
    }
    return Error();
  });
}
