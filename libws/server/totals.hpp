// What a server has counted: of connections that are gone, kept here when each ends; of those that
// are there, asked of them.
#pragma once

#include "libws/conn/conn.hpp"

#include <libws/metrics.h>

namespace libws {

// `stats` without its size: sums of everything but max_waiting_bytes, which is the larger one.
void add_stats(const ws_server_stats& more, ws_server_stats* stats);

class Totals {
 public:
  void accepted() { ++past_.accepted; }
  void opened() { ++past_.opened; }
  // Its last callback is over.
  void ended(const Conn& conn);

  const ws_server_stats& past() const { return past_; }
  // Adds an open connection's figures of now.
  static void add_open(const Conn& conn, ws_server_stats* stats);

 private:
  static void add_traffic(const ws_conn_stats& traffic, ws_server_stats* stats);
  void count_closed(const ws_close_info& how);

  ws_server_stats past_ = {};
};

}  // namespace libws
