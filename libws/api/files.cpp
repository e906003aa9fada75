#include "libws/server/files.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/base/log.hpp"
#include "libws/protocol/http_write.hpp"
#include "libws/protocol/path.hpp"

#include <libws/files.h>

using namespace libws;

namespace {

Error read_options(const ws_files_config& c, FilesOptions* out) {
  constexpr uint32_t kKnown = WS_FILES_PASS;
  if ((c.flags & ~kKnown) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_files_config.flags: unknown bits 0x%x", c.flags & ~kKnown);
  }
  out->pass = (c.flags & WS_FILES_PASS) != 0;
  out->directory = c.directory;
  if (c.index != nullptr) {
    if (!is_public_name(c.index)) {
      return fail(WS_ERR_INVALID, "index '%s' is no file name", Escaped(c.index).c_str());
    }
    out->index = c.index;
  }
  if (c.max_file_bytes > kMaxResponseBody) {
    return fail(WS_ERR_INVALID, "max_file_bytes is more than %zu", kMaxResponseBody);
  }
  if (c.max_file_bytes != 0) out->max_file_bytes = c.max_file_bytes;
  if (c.cache_control != nullptr) {
    if (!is_field_value(c.cache_control)) {
      return fail(WS_ERR_INVALID, "cache_control cannot be sent");
    }
    out->cache_control = c.cache_control;
  }
  return Error();
}

}  // namespace

int ws_files_new(const ws_files_config* cfg, ws_files** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    ws_files_config c;
    if (Error e = read_config(cfg, &c, "ws_files_config")) return e;
    FilesOptions options;
    if (Error e = read_options(c, &options)) return e;
    Ref<Files> files;
    if (Error e = Files::create(std::move(options), &files)) return e;
    *out = to_handle(files.release());
    return Error();
  });
}

ws_files* ws_files_ref(ws_files* f) {
  if (f != nullptr) from_handle<Files>(f)->ref();
  return f;
}

void ws_files_unref(ws_files* f) {
  if (f != nullptr) from_handle<Files>(f)->unref();
}

int ws_files_add(ws_files* f, const char* path, const char* content_type, const void* data,
                 size_t len) {
  return guarded([&] {
    if (f == nullptr) return null_argument("files");
    if (path == nullptr) return null_argument("path");
    if (data == nullptr && len != 0) return null_argument("data");
    return from_handle<Files>(f)->add(path, content_type, bytes(data, len));
  });
}

int ws_files_answer(const ws_files* f, ws_request* r, const char* path) {
  return guarded([&] {
    if (f == nullptr) return null_argument("files");
    if (r == nullptr) return null_argument("request");
    return from_handle<Files>(f)->answer(*from_handle<Request>(r), path);
  });
}
