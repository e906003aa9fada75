#include "libws/server/metrics.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/server/server.hpp"

#include <libws/metrics.h>

using namespace libws;

namespace {

Error write_text(const Metrics& metrics, char* out, size_t cap) {
  if (out == nullptr && cap != 0) return null_argument("out");
  return Error(static_cast<int>(metrics.write(out, cap)));
}

}  // namespace

int ws_server_get_stats(const ws_server* s, ws_server_stats* out) {
  return guarded([&] {
    if (s == nullptr) return null_argument("server");
    return write_struct(from_handle<Server>(s)->stats(), out, "ws_server_stats");
  });
}

int ws_metrics_new(ws_metrics** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    *out = to_handle(new Metrics);
    return Error();
  });
}

void ws_metrics_free(ws_metrics* m) {
  if (m != nullptr) delete from_handle<Metrics>(m);
}

int ws_metrics_add_server(ws_metrics* m, const ws_server* s) {
  return guarded([&] {
    if (m == nullptr) return null_argument("metrics");
    if (s == nullptr) return null_argument("server");
    from_handle<Metrics>(m)->add(*from_handle<Server>(s));
    return Error();
  });
}

int ws_metrics_text(const ws_metrics* m, char* out, size_t cap) {
  return guarded([&] {
    if (m == nullptr) return null_argument("metrics");
    return write_text(*from_handle<Metrics>(m), out, cap);
  });
}

int ws_server_metrics_text(const ws_server* s, char* out, size_t cap) {
  return guarded([&] {
    if (s == nullptr) return null_argument("server");
    Metrics metrics;
    metrics.add(*from_handle<Server>(s));
    return write_text(metrics, out, cap);
  });
}
