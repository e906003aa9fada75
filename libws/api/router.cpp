#include "libws/server/router.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/api/offers.hpp"
#include "libws/api/policy.hpp"

#include <libws/router.h>

using namespace libws;

namespace {

constexpr uint32_t kMaxRoutes = 1024;

Error read_kinds(const ws_route& r, Route* out) {
  constexpr uint32_t kKnown = WS_ROUTE_UPGRADE | WS_ROUTE_HTTP;
  if ((r.flags & ~kKnown) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_route.flags: unknown bits 0x%x", r.flags & ~kKnown);
  }
  if (r.flags != 0) out->kinds = r.flags;
  if ((out->kinds & WS_ROUTE_HTTP) != 0 && r.on_request == nullptr) {
    return fail(WS_ERR_INVALID, "route: WS_ROUTE_HTTP without on_request");
  }
  return Error();
}

Error read_route(const ws_route& r, Route* out) {
  if (r.pattern == nullptr) return null_argument("pattern");
  if (Error e = out->pattern.parse(r.pattern)) return e;
  if (Error e = out->host.parse(r.host)) return e;
  if (Error e = read_kinds(r, out)) return e;
  if (Error e = read_policy(r.conn, r.handlers, &out->policy)) return e;
  if (Error e = read_subprotocols(r.subprotocols, r.subprotocol_count, &out->subprotocols))
    return e;
  if (Error e = read_origins(r.origins, r.origin_count, &out->origins)) return e;
  out->on_request = r.on_request;
  out->accept.user = r.user;
  out->accept.policy = out->policy.get();
  if (r.conn != nullptr) out->accept.limits = &out->policy->limits;
  if (r.handlers != nullptr) out->accept.handlers = &out->policy->handlers;
  return Error();
}

}  // namespace

int ws_router_new(const ws_router_config* cfg, ws_router** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    ws_router_config c;
    if (Error e = read_config(cfg, &c, "ws_router_config")) return e;
    *out = to_handle(new Router(c.max_routes != 0 ? c.max_routes : kMaxRoutes));
    return Error();
  });
}

void ws_router_free(ws_router* router) {
  if (router != nullptr) delete from_handle<Router>(router);
}

int ws_router_add(ws_router* router, const ws_route* route) {
  return guarded([&] {
    if (router == nullptr) return null_argument("router");
    if (route == nullptr) return null_argument("route");
    ws_route r;
    if (Error e = read_config(route, &r, "ws_route")) return e;
    const Ref<Route> added = Ref<Route>::adopt(new Route);
    if (Error e = read_route(r, added.get())) return e;
    return from_handle<Router>(router)->add(added);
  });
}

// Not guarded: it fails by refusing the request, and what a callback throws is for the connection.
void ws_router_on_request(ws_request* r, void* router) {
  if (r == nullptr || router == nullptr) return;
  from_handle<Router>(static_cast<ws_router*>(router))->on_request(*from_handle<Request>(r));
}
