#include "libws/server/totals.hpp"

namespace libws {
namespace {

constexpr uint16_t kFirstCode = 999;  // closed_code[i] is of code 999 + i, from 1000 on

size_t code_index(uint16_t code) {
  constexpr size_t kCodes = sizeof(ws_server_stats::closed_code) / sizeof(uint64_t);
  const size_t index = size_t{code} - kFirstCode;
  return code > kFirstCode && index < kCodes ? index : 0;
}

bool is_violation(int error) {
  return error == WS_ERR_PROTOCOL || error == WS_ERR_UTF8 || error == WS_ERR_DEFLATE ||
         error == WS_ERR_TOO_BIG;
}

}  // namespace

void add_stats(const ws_server_stats& more, ws_server_stats* stats) {
  // The members but `size` are counts of one type, in one row.
  constexpr size_t kCounts = (sizeof(ws_server_stats) - sizeof(size_t)) / sizeof(uint64_t);
  const uint64_t most = stats->max_waiting_bytes > more.max_waiting_bytes ? stats->max_waiting_bytes
                                                                          : more.max_waiting_bytes;
  uint64_t* to = &stats->connections;
  const uint64_t* from = &more.connections;
  for (size_t i = 0; i < kCounts; ++i) to[i] += from[i];
  stats->max_waiting_bytes = most;
}

void Totals::add_traffic(const ws_conn_stats& traffic, ws_server_stats* stats) {
  stats->messages_in += traffic.messages_in;
  stats->messages_out += traffic.messages_out;
  stats->bytes_in += traffic.bytes_in;
  stats->bytes_out += traffic.bytes_out;
  stats->messages_dropped += traffic.messages_dropped;
}

void Totals::count_closed(const ws_close_info& how) {
  ++past_.closed;
  ++past_.closed_code[code_index(how.code)];
  if ((how.flags & WS_CLOSE_CLEAN) != 0) ++past_.closed_clean;
  if ((how.flags & WS_CLOSE_BY_PEER) != 0) ++past_.closed_by_peer;
  if (how.error == WS_ERR_TIMEOUT) ++past_.closed_timeout;
  if (is_violation(how.error)) ++past_.closed_violation;
}

void Totals::ended(const Conn& conn) {
  ws_conn_stats traffic = {};
  conn.get_stats(&traffic);
  add_traffic(traffic, &past_);
  const ws_close_info& how = conn.close_info();
  if (conn.was_opened()) {
    count_closed(how);
  } else if (how.http_status != 0) {
    ++past_.answered;
  } else {
    ++past_.failed;
  }
}

void Totals::add_open(const Conn& conn, ws_server_stats* stats) {
  ws_conn_stats traffic = {};
  conn.get_stats(&traffic);
  add_traffic(traffic, stats);
  const uint64_t waiting = conn.buffered();
  stats->waiting_bytes += waiting;
  if (waiting > stats->max_waiting_bytes) stats->max_waiting_bytes = waiting;
  if (traffic.rtt_us == UINT32_MAX) return;
  ++stats->rtt_count;
  stats->rtt_sum_us += traffic.rtt_us;
}

}  // namespace libws
