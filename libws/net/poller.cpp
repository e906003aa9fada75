#include "libws/net/poller.hpp"

#include "libws/base/log.hpp"

#include <cstring>

namespace libws {

Error make_poller(const char* name, int max_events, std::unique_ptr<Poller>* out) {
#ifdef __linux__
  if (name == nullptr || std::strcmp(name, "epoll") == 0) return make_epoll_poller(max_events, out);
#endif
  if (name == nullptr || std::strcmp(name, "poll") == 0) return make_poll_poller(max_events, out);
  return fail(WS_ERR_UNSUPPORTED, "poller \"%s\": not in this build", Escaped(name).c_str());
}

}  // namespace libws
