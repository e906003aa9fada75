// The table of routes.  Sorted by how specific they are, so the first that matches is the one; a
// request looks at each route once at most.
#pragma once

#include "libws/conn/conn.hpp"
#include "libws/server/route.hpp"

#include <libws/router.h>

namespace libws {

// Immutable once it is in a table; counted, because requests keep it until they are answered.
class Route final : public RequestTerms {
 public:
  RoutePattern pattern;
  RouteHost host;
  uint32_t kinds = WS_ROUTE_UPGRADE;  // WS_ROUTE_*
  Ref<ConnPolicy> policy;             // what RequestTerms::accept points into
  Vector<String> origins;             // none: the server's
  void (*on_request)(ws_request* r, void* user) = nullptr;

  int compare(const Route& other) const;
  bool origin_allowed(const Request& request) const;
};

class Router final : public Allocated {
 public:
  explicit Router(uint32_t max_routes) : max_routes_(max_routes) {}

  // Errors: INVALID (there is one for the same), TOO_BIG.  Throws std::bad_alloc.
  Error add(Ref<Route> route);
  // Never throws by itself; what the application's callback throws goes through.
  void on_request(Request& request) const;

 private:
  // The route, with the request on its terms; null when the request was refused.
  // Throws std::bad_alloc.
  const Route* take(Request& request) const;

  Vector<Ref<Route>> routes_;
  uint32_t max_routes_;
};
LIBWS_HANDLE(Router, ws_router);

}  // namespace libws
