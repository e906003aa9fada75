// The C entries: check, convert, call, and no exception beyond.
#include "bridge.hpp"

#include <libws/redis.h>

#include <algorithm>
#include <cstring>
#include <new>

using namespace libws_redis;

namespace {

thread_local char last_detail[512] = "";

int report(const Failure& failure) {
  if (!failure) return WS_OK;
  snprintf(last_detail, sizeof last_detail, "%s", failure.detail.c_str());
  return failure.code;
}

template <class Function>
int guarded(Function function) {
  try {
    return report(function());
  } catch (const std::bad_alloc&) {
    snprintf(last_detail, sizeof last_detail, "out of memory");
    return WS_ERR_NOMEM;
  }
}

// A caller who is older knows less, and means the defaults; one who is newer must not mean
// anything by what we do not know.
Failure read_config(const ws_redis_config* in, ws_redis_config* out) {
  WS_INIT(out);
  if (in->size < sizeof in->size) return fail(WS_ERR_INVALID, "ws_redis_config: use WS_INIT");
  const char* bytes = reinterpret_cast<const char*>(in);
  for (size_t i = sizeof *out; i < in->size; ++i) {
    if (bytes[i] != 0) return fail(WS_ERR_UNSUPPORTED, "ws_redis_config: a newer member is set");
  }
  memcpy(out, in, std::min(in->size, sizeof *out));
  out->size = sizeof *out;
  return {};
}

Failure take_ms(const char* name, uint32_t value, uint32_t* out) {
  if (value > INT32_MAX)
    return fail(WS_ERR_INVALID, "%s is %u, at most %d", name, value, INT32_MAX);
  if (value != 0) *out = value;
  return {};
}

void take_text(const char* text, std::string* out) {
  if (text != nullptr) *out = text;
}

Failure take_tls(const ws_redis_config& c, BridgeConfig* out) {
  bool asked = c.ca_file != nullptr || c.cert_file != nullptr || c.key_file != nullptr ||
               c.verify != WS_TLS_VERIFY_DEFAULT;
  if (!out->link.url.tls) {
    return asked ? fail(WS_ERR_INVALID, "TLS is for rediss://") : Failure();
  }
  TlsSettings settings;
  take_text(c.ca_file, &settings.ca_file);
  take_text(c.cert_file, &settings.cert_file);
  take_text(c.key_file, &settings.key_file);
  settings.verify = c.verify;
  if (c.verify != WS_TLS_VERIFY_DEFAULT && c.verify != WS_TLS_VERIFY_NONE) {
    return fail(WS_ERR_INVALID, "verify is %d, neither DEFAULT nor NONE", c.verify);
  }
  if (c.key_file != nullptr && c.cert_file == nullptr) {
    return fail(WS_ERR_INVALID, "key_file without cert_file");
  }
  out->link.tls = std::make_unique<TlsContext>();
  return out->link.tls->load(settings);
}

Failure convert(const ws_redis_config& c, BridgeConfig* out) {
  constexpr size_t kLongestPrefix = 256;
  constexpr uint64_t kMaxMessageBytes = uint64_t{64} << 20;
  if (c.url == nullptr) return fail(WS_ERR_INVALID, "url is NULL");
  if (Failure f = parse_url(c.url, &out->link.url)) return f;
  take_text(c.prefix, &out->prefix);
  if (out->prefix.size() > kLongestPrefix) return fail(WS_ERR_INVALID, "prefix is too long");
  if (Failure f = take_ms("retry_min_ms", c.retry_min_ms, &out->retry_min_ms)) return f;
  if (Failure f = take_ms("retry_max_ms", c.retry_max_ms, &out->retry_max_ms)) return f;
  if (Failure f = take_ms("connect_timeout_ms", c.connect_timeout_ms, &out->connect_timeout_ms)) {
    return f;
  }
  if (Failure f = take_ms("ping_interval_ms", c.ping_interval_ms, &out->ping_interval_ms)) return f;
  // Who sets one of the two does not have to know the other's default.
  if (c.retry_max_ms == 0) out->retry_max_ms = std::max(out->retry_max_ms, out->retry_min_ms);
  if (c.retry_min_ms == 0) out->retry_min_ms = std::min(out->retry_min_ms, out->retry_max_ms);
  if (out->retry_min_ms > out->retry_max_ms) {
    return fail(WS_ERR_INVALID, "retry_min_ms is %u, more than retry_max_ms", out->retry_min_ms);
  }
  if (c.max_queued_bytes != 0) out->max_queued_bytes = c.max_queued_bytes;
  out->link.max_message_bytes = c.max_message_bytes != 0 ? c.max_message_bytes : kMaxMessageBytes;
  out->on_state = c.on_state;
  out->user = c.user;
  return take_tls(c, out);
}

Bridge* from_handle(ws_redis_bridge* b) { return reinterpret_cast<Bridge*>(b); }

}  // namespace

int ws_redis_bridge_new(ws_hub* hub, ws_loop* loop, const ws_redis_config* cfg,
                        ws_redis_bridge** out) {
  return guarded([&]() -> Failure {
    if (hub == nullptr || loop == nullptr || cfg == nullptr || out == nullptr) {
      return fail(WS_ERR_INVALID, "a required argument is NULL");
    }
    ws_redis_config c;
    BridgeConfig config;
    std::unique_ptr<Bridge> bridge;
    if (Failure f = read_config(cfg, &c)) return f;
    if (Failure f = convert(c, &config)) return f;
    if (Failure f = Bridge::create(hub, loop, std::move(config), &bridge)) return f;
    *out = reinterpret_cast<ws_redis_bridge*>(bridge.release());
    return {};
  });
}

void ws_redis_bridge_free(ws_redis_bridge* b) { delete from_handle(b); }

int ws_redis_bridge_get_stats(const ws_redis_bridge* b, ws_redis_stats* out) {
  return guarded([&]() -> Failure {
    if (b == nullptr || out == nullptr) return fail(WS_ERR_INVALID, "a required argument is NULL");
    if (out->size < sizeof out->size) return fail(WS_ERR_INVALID, "ws_redis_stats: use WS_INIT");
    ws_redis_stats stats;
    WS_INIT(&stats);
    from_handle(const_cast<ws_redis_bridge*>(b))->get_stats(&stats);
    size_t size = out->size;
    // What a newer caller knows beyond is zero.
    memset(out, 0, size);
    memcpy(out, &stats, std::min(size, sizeof stats));
    out->size = size;
    return {};
  });
}

const char* ws_redis_last_detail(void) { return last_detail; }
