// What every program here needs: giving up with a reason, a clock, and reading options.  These
// are tools for one person at a terminal, so an error ends the program; nothing recovers.
#pragma once

#include <sys/resource.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

[[noreturn]] [[gnu::format(printf, 1, 2)]] inline void die(const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  std::vfprintf(stderr, format, args);
  va_end(args);
  std::fputc('\n', stderr);
  std::exit(1);
}

[[noreturn]] inline void die_errno(const char* what) { die("%s: %s", what, std::strerror(errno)); }

inline uint64_t now_ns() {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count());
}

// The soft limit is often 1024; the hard one is what the machine really allows.
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) die_errno("setrlimit");
}

// Options are asked for by name, `--name value` or a bare `--name`; finish() refuses whatever
// nobody asked for, so a misspelt option cannot quietly measure something else.
class Options {
 public:
  Options(int argc, char** argv, const char* usage) : usage_(usage) {
    for (int i = 1; i < argc; ++i) words_.push_back({argv[i], false});
    if (flag("--help")) {
      std::fputs(usage_, stdout);
      std::exit(0);
    }
  }

  bool flag(std::string_view name) { return find(name) != nullptr; }

  std::string text(std::string_view name, std::string_view fallback) {
    Word* word = find(name);
    if (word == nullptr) return std::string(fallback);
    Word* value = word + 1;
    if (value == words_.data() + words_.size()) fail(name, "needs a value");
    value->asked_for = true;
    return std::string(value->text);
  }

  uint64_t number(std::string_view name, uint64_t fallback, uint64_t least, uint64_t most) {
    return parse<uint64_t>(name, fallback, least, most);
  }

  double seconds(std::string_view name, double fallback) {
    return parse<double>(name, fallback, 0, kMostSeconds);
  }

  void finish() {
    for (const Word& word : words_) {
      if (!word.asked_for) fail(word.text, "is not an option here");
    }
  }

  [[noreturn]] void fail(std::string_view name, const char* why) {
    die("%.*s %s\n\n%s", static_cast<int>(name.size()), name.data(), why, usage_);
  }

 private:
  struct Word {
    std::string_view text;
    bool asked_for;
  };

  // A day: longer than any sensible run, short enough to count in nanoseconds.
  static constexpr double kMostSeconds = 86400;

  Word* find(std::string_view name) {
    for (Word& word : words_) {
      if (word.text != name || word.asked_for) continue;
      word.asked_for = true;
      return &word;
    }
    return nullptr;
  }

  template <class T>
  T parse(std::string_view name, T fallback, T least, T most) {
    const std::string given = text(name, "");
    if (given.empty()) return fallback;
    T value{};
    const char* end = given.data() + given.size();
    const auto [stop, error] = std::from_chars(given.data(), end, value);
    if (error != std::errc{} || stop != end) fail(name, "needs a number");
    if (!(value >= least && value <= most)) fail(name, "is out of range");
    return value;
  }

  const char* usage_;
  std::vector<Word> words_;
};

}  // namespace bench
