#include "libws/server/metrics.hpp"

#include "libws/server/server.hpp"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace libws {
namespace {

class Text {
 public:
  Text(char* out, size_t cap) : out_(out), cap_(cap) {}

  __attribute__((format(printf, 2, 3))) void put(const char* format, ...) {
    va_list args;
    va_start(args, format);
    const size_t at = len_ < cap_ ? len_ : cap_;
    const int n = std::vsnprintf(cap_ != 0 ? out_ + at : nullptr, cap_ - at, format, args);
    va_end(args);
    if (n > 0) len_ += static_cast<size_t>(n);
  }
  size_t length() const { return len_; }

  void head(const char* name, const char* type, const char* help) {
    put("# TYPE libws_%s %s\n# HELP libws_%s %s\n", name, type, name, help);
  }
  void gauge(const char* name, uint64_t value, const char* help) {
    head(name, "gauge", help);
    put("libws_%s %" PRIu64 "\n", name, value);
  }
  void counter(const char* name, uint64_t value, const char* help) {
    head(name, "counter", help);
    put("libws_%s_total %" PRIu64 "\n", name, value);
  }
  // Microseconds as seconds, to the last digit.
  void seconds(uint64_t us) { put("%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000); }
  void histogram(const char* name, const Histogram& times, const char* help);

 private:
  char* out_;
  size_t cap_;
  size_t len_ = 0;
};

void Text::histogram(const char* name, const Histogram& times, const char* help) {
  head(name, "histogram", help);
  uint64_t below = 0;
  for (size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
    below += times.buckets[i];
    put("libws_%s_bucket{le=\"", name);
    seconds(uint64_t{1} << i);
    put("\"} %" PRIu64 "\n", below);
  }
  put("libws_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, times.count);
  put("libws_%s_count %" PRIu64 "\nlibws_%s_sum ", name, times.count, name);
  seconds(times.sum_us);
  put("\n");
}

void put_connections(Text& text, const ws_server_stats& s) {
  text.gauge("connections", s.connections, "Open WebSocket connections.");
  text.gauge("opening", s.opening, "Sockets whose opening handshake is not over, or its answer.");
  text.counter("accepted", s.accepted, "Sockets accepted.");
  text.counter("opened", s.opened, "Connections opened.");
  text.counter("answered", s.answered, "Requests answered with another status than 101.");
  text.counter("failed", s.failed, "Sockets that were gone before any answer.");
  text.head("closed", "counter", "Connections ended, by the close code the peer sent.");
  text.put("libws_closed_total{code=\"other\"} %" PRIu64 "\n", s.closed_code[0]);
  for (unsigned i = 1; i < sizeof s.closed_code / sizeof *s.closed_code; ++i) {
    text.put("libws_closed_total{code=\"%u\"} %" PRIu64 "\n", 999 + i, s.closed_code[i]);
  }
  text.counter("closed_clean", s.closed_clean, "Of these, with a Close frame both ways.");
  text.counter("closed_by_peer", s.closed_by_peer, "Of these, ended by the peer first.");
  text.counter("closed_timeout", s.closed_timeout, "Of these, because of a timeout.");
  text.counter("closed_violation", s.closed_violation, "Of these, because of a rule or limit.");
}

void put_traffic(Text& text, const ws_server_stats& s) {
  text.counter("messages_received", s.messages_in, "Messages received.");
  text.counter("messages_sent", s.messages_out, "Messages queued for sending.");
  text.counter("messages_dropped", s.messages_dropped, "Messages that a slow peer did not get.");
  text.counter("received_bytes", s.bytes_in, "Bytes read from connections.");
  text.counter("sent_bytes", s.bytes_out, "Bytes written to connections.");
  text.gauge("waiting_bytes", s.waiting_bytes, "Bytes queued and not yet written.");
  text.gauge("waiting_bytes_max", s.max_waiting_bytes, "Of these, on the slowest connection.");
  text.gauge("rtt_known", s.rtt_count, "Open connections whose round trip was measured.");
  text.head("rtt_seconds", "gauge", "The sum of their last round trips.");
  text.put("libws_rtt_seconds ");
  text.seconds(s.rtt_sum_us);
  text.put("\n");
}

void put_loops(Text& text, const ws_loop_stats& l) {
  text.counter("loop_turns", l.turns, "Turns of the event loops.");
  text.counter("loop_events", l.events, "Descriptors that were ready.");
  text.counter("loop_tasks", l.tasks, "Tasks posted by other threads and run.");
  text.gauge("loop_timers", l.timers, "Timers running.");
  text.counter("deflated", l.deflated, "Messages compressed.");
  text.counter("inflated", l.inflated, "Messages decompressed.");
  text.gauge("deflate_bytes", l.deflate_bytes, "Memory of compression contexts.");
}

}  // namespace

void Metrics::add(const Server& server) {
  add_stats(server.stats(), &servers_);
  const Loop& loop = server.loop();
  loop.add_stats(&loops_);
  ConnShared::add_stats(loop, &loops_);
  turns_.add(loop.turn_times());
  callbacks_.add(loop.callback_times());
  timed_ = timed_ || loop.times_callbacks();
}

size_t Metrics::write(char* out, size_t cap) const {
  Text text(out, cap);
  put_connections(text, servers_);
  put_traffic(text, servers_);
  put_loops(text, loops_);
  text.histogram("turn_seconds", turns_, "How long a turn took, waiting not counted.");
  if (timed_) {
    text.histogram("callback_seconds", callbacks_,
                   "How long the callbacks of one connection took in a turn.");
  }
  text.put("# EOF\n");
  return text.length();
}

}  // namespace libws
