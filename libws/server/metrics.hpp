// A sum over servers and their loops, and its text for a monitoring system (OpenMetrics 1.0).
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/histogram.hpp"

#include <libws/metrics.h>

#include <cstddef>

namespace libws {

class Server;

class Metrics : public Allocated {
 public:
  void add(const Server& server);
  // As snprintf: the length of the whole text; `cap` bounds what is written, with its NUL.
  size_t write(char* out, size_t cap) const;

 private:
  ws_server_stats servers_ = {};
  ws_loop_stats loops_ = {};
  Histogram turns_;
  Histogram callbacks_;
  bool timed_ = false;  // a loop times its callbacks
};
LIBWS_HANDLE(Metrics, ws_metrics);

}  // namespace libws
