// Log lines for the operator: levels, formatting, and the escaping of bytes that a peer chose.
#pragma once

#include <libws/base.h>

#include <string_view>

namespace libws {

class Log {
 public:
  Log() = default;
  Log(ws_log_level level, ws_log_fn fn, void* user) : level_(level), fn_(fn), user_(user) {}

  bool enabled(ws_log_level level) const { return fn_ != nullptr && level <= level_; }
  void write(ws_log_level level, const char* format, ...) const
      __attribute__((format(printf, 3, 4)));

 private:
  ws_log_level level_ = WS_LOG_OFF;
  ws_log_fn fn_ = nullptr;
  void* user_ = nullptr;
};

// A peer's bytes as printable ASCII, at most 100 characters: anything else, quotes and backslashes
// too, becomes \xHH, so a log cannot be forged or a terminal driven by it (bad_inputs 181).
class Escaped {
 public:
  explicit Escaped(std::string_view bytes);
  const char* c_str() const { return text_; }

 private:
  char text_[104];
};

}  // namespace libws
