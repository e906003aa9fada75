#include "libws/server/router.hpp"

#include <algorithm>
#include <new>

namespace libws {

int Route::compare(const Route& other) const {
  const int by_host = host.compare(other.host);
  return by_host != 0 ? by_host : pattern.compare(other.pattern);
}

bool Route::origin_allowed(const Request& request) const {
  if (!request.is_upgrade()) return true;
  if (origins.empty()) return !request.origin_refused();
  const std::string_view origin = request.origin();
  if (origin.empty()) return true;  // not a browser (RFC 6455 4.2.1-7)
  return std::any_of(origins.begin(), origins.end(), [&](const String& allowed) {
    const std::string_view view = allowed;
    return origin_is_allowed(origin, {&view, 1});
  });
}

Error Router::add(Ref<Route> route) {
  if (routes_.size() >= max_routes_) {
    return fail(WS_ERR_TOO_BIG, "route: there are %zu already", routes_.size());
  }
  auto at =
      std::lower_bound(routes_.begin(), routes_.end(), route,
                       [](const Ref<Route>& a, const Ref<Route>& b) { return a->compare(*b) < 0; });
  for (; at != routes_.end() && (*at)->compare(*route) == 0; ++at) {
    if (((*at)->kinds & route->kinds) != 0) {
      return fail(WS_ERR_INVALID, "route: there is one for this host and pattern");
    }
  }
  routes_.insert(at, std::move(route));
  return Error();
}

const Route* Router::take(Request& request) const {
  Path path;
  if (const char* why = path.parse(request.path())) {
    request.refuse(400, why);
    return nullptr;
  }
  Authority host;
  const Authority* named = parse_authority(request.host(), &host) ? &host : nullptr;
  const uint32_t kind = request.is_upgrade() ? WS_ROUTE_UPGRADE : WS_ROUTE_HTTP;
  bool other_kind = false;
  for (const Ref<Route>& route : routes_) {
    if (!route->host.matches(named) || !route->pattern.matches(path)) continue;
    if ((route->kinds & kind) == 0) {
      other_kind = true;
      continue;
    }
    if (!route->origin_allowed(request)) {
      request.refuse(403, "origin not allowed");
      return nullptr;
    }
    Vector<RequestParam> params;
    Vector<char> values;
    route->pattern.read(path, &params, &values);
    request.set_route(Ref<RequestTerms>::share(route.get()), std::move(params), std::move(values));
    return route.get();
  }
  if (other_kind && !request.is_upgrade()) {
    request.refuse(426, "this is a WebSocket endpoint");
  } else {
    request.refuse(404, "nothing is served at this path");
  }
  return nullptr;
}

void Router::on_request(Request& request) const {
  const Route* route = nullptr;
  if (request.answered()) return;
  try {
    route = take(request);
  } catch (const std::bad_alloc&) {
    request.refuse(500, "out of memory");
  }
  if (route == nullptr || route->on_request == nullptr) return;
  route->on_request(to_handle(&request), route->accept.user);
}

}  // namespace libws
