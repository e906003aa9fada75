#include "libws/pubsub/hub.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"

#include <libws/hub.h>

using namespace libws;

namespace {

Hub* impl(const ws_hub* h) { return from_handle<Hub>(h); }

}  // namespace

int ws_hub_new(const ws_hub_config* cfg, ws_hub** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    ws_hub_config c;
    if (Error e = read_config(cfg, &c, "ws_hub_config")) return e;
    HubOptions options;
    if (c.max_topics != 0) options.max_topics = c.max_topics;
    if (c.max_subscriptions_per_conn != 0) {
      options.max_subscriptions_per_conn = c.max_subscriptions_per_conn;
    }
    if (c.max_queued_bytes != 0) options.max_queued_bytes = c.max_queued_bytes;
    *out = to_handle(new Hub(options));
    return Error();
  });
}

ws_hub* ws_hub_ref(ws_hub* h) {
  if (h != nullptr) impl(h)->hold();
  return h;
}

void ws_hub_unref(ws_hub* h) {
  if (h != nullptr) impl(h)->drop();
}

int ws_hub_subscribe(ws_hub* h, ws_conn* c, const char* topic) {
  return guarded([&] {
    if (h == nullptr) return null_argument("hub");
    if (c == nullptr) return null_argument("connection");
    if (topic == nullptr) return null_argument("topic");
    return impl(h)->subscribe(*from_handle<Conn>(c), topic);
  });
}

int ws_hub_unsubscribe(ws_hub* h, ws_conn* c, const char* topic) {
  return guarded([&] {
    if (h == nullptr) return null_argument("hub");
    if (c == nullptr) return null_argument("connection");
    if (topic == nullptr) return null_argument("topic");
    return impl(h)->unsubscribe(*from_handle<Conn>(c), topic);
  });
}

int ws_hub_unsubscribe_all(ws_hub* h, ws_conn* c) {
  return guarded([&] {
    if (h == nullptr) return null_argument("hub");
    if (c == nullptr) return null_argument("connection");
    return impl(h)->unsubscribe_all(*from_handle<Conn>(c));
  });
}

int ws_hub_publish(ws_hub* h, const char* topic, ws_message* m, const ws_conn* except,
                   uint32_t flags) {
  return guarded([&] {
    if (h == nullptr) return null_argument("hub");
    if (topic == nullptr) return null_argument("topic");
    if (m == nullptr) return null_argument("message");
    const Conn* who = except != nullptr ? from_handle<Conn>(except) : nullptr;
    return impl(h)->publish(topic, *from_handle<Message>(m), who, flags);
  });
}

size_t ws_hub_count(const ws_hub* h, const char* topic) {
  return h != nullptr && topic != nullptr ? impl(h)->count(topic) : 0;
}

int ws_hub_get_stats(const ws_hub* h, ws_hub_stats* out) {
  return guarded([&] {
    if (h == nullptr) return null_argument("hub");
    ws_hub_stats stats = {};
    if (Error e = impl(h)->get_stats(&stats)) return e;
    return write_struct(stats, out, "ws_hub_stats");
  });
}

int ws_hub_set_bridge(ws_hub* h, const ws_hub_bridge* bridge) {
  return guarded([&] {
    if (h == nullptr) return null_argument("hub");
    if (bridge == nullptr) return impl(h)->set_bridge(nullptr);
    ws_hub_bridge hooks;
    if (Error e = read_config(bridge, &hooks, "ws_hub_bridge")) return e;
    if (hooks.loop == nullptr) return null_argument("ws_hub_bridge.loop");
    return impl(h)->set_bridge(&hooks);
  });
}
