#include "payloads.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace bench {
namespace {

// SplitMix64: the standard library's engines are the same everywhere, its distributions are not.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return next() % n; }
  uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
  bool one_in(uint64_t n) { return below(n) == 0; }
  // Small ones often, as words and names are used: near 1/k for the k-th of n.
  size_t skewed(size_t n) {
    const uint64_t octave = uint64_t{1} << below(static_cast<uint64_t>(std::bit_width(n)));
    const uint64_t k = octave - 1 + below(octave);
    return k < n ? k : below(n);
  }
  template <size_t N>
  std::string_view of(const std::array<std::string_view, N>& list) {
    return list[below(N)];
  }

 private:
  uint64_t state_;
};

[[gnu::format(printf, 2, 3)]] void add(std::string& out, const char* format, ...) {
  char text[256];
  std::va_list args;
  va_start(args, format);
  const int size = std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  out.append(text, std::min(static_cast<size_t>(size), sizeof text - 1));
}

constexpr std::array<std::string_view, 64> kCommonWords = {
    "the",  "and",   "to",    "of",    "a",     "in",   "is",    "it",   "you",   "that", "for",
    "was",  "on",    "are",   "with",  "this",  "be",   "have",  "not",  "but",   "we",   "at",
    "all",  "can",   "they",  "from",  "there", "what", "or",    "as",   "when",  "if",   "your",
    "will", "one",   "how",   "which", "do",    "time", "would", "like", "about", "out",  "up",
    "some", "other", "more",  "then",  "these", "see",  "new",   "get",  "today", "just", "know",
    "now",  "order", "price", "first", "after", "also", "made",  "than", "them"};

constexpr std::array<std::string_view, 32> kSyllables = {
    "ba",  "con", "de",  "er",   "fin", "gra", "ho",   "in",  "jo",  "ka",  "la",
    "men", "nor", "o",   "pre",  "qui", "re",  "sta",  "ti",  "un",  "ver", "wi",
    "ex",  "ya",  "zon", "tion", "al",  "ic",  "ment", "ing", "ous", "ter"};

// A few words used often and many used rarely: what makes text compress as text does, and not as
// a list repeated.
class Words {
 public:
  explicit Words(Dice& dice) {
    all_.assign(kCommonWords.begin(), kCommonWords.end());
    while (all_.size() < kCount) {
      std::string word;
      const uint64_t syllables = dice.between(2, 4);
      for (uint64_t i = 0; i < syllables; ++i) word += dice.of(kSyllables);
      all_.push_back(std::move(word));
    }
  }

  const std::string& any(Dice& dice) const { return all_[dice.skewed(all_.size())]; }
  // One that means something: a name, a title.
  const std::string& rare(Dice& dice) const {
    return all_[kCommonWords.size() + dice.skewed(all_.size() - kCommonWords.size())];
  }
  void add_text(std::string& out, Dice& dice, uint64_t count) const {
    for (uint64_t i = 0; i < count; ++i) {
      if (i != 0) out += dice.one_in(12) ? ", " : " ";
      out += any(dice);
    }
  }

 private:
  static constexpr size_t kCount = 4000;
  std::vector<std::string> all_;
};

class Market {
 public:
  explicit Market(Dice& dice) {
    for (Instrument& instrument : instruments_) {
      const uint64_t letters = dice.between(3, 4);
      for (uint64_t i = 0; i < letters; ++i) {
        instrument.symbol += static_cast<char>('A' + dice.below(26));
      }
      instrument.cents = dice.between(500, 60000);
    }
  }

  std::string tick(Dice& dice) {
    Instrument& instrument = instruments_[dice.skewed(instruments_.size())];
    instrument.cents += dice.below(21);
    instrument.cents -= std::min<uint64_t>(dice.below(21), instrument.cents - 100);
    now_ms_ += dice.between(1, 40);
    ++sequence_;
    const uint64_t kind = dice.below(10);
    if (kind < 5) return trade(instrument, dice);
    return kind < 9 ? quote(instrument, dice) : book(instrument, dice);
  }

 private:
  struct Instrument {
    std::string symbol;
    uint64_t cents = 0;
  };

  static constexpr std::array<std::string_view, 6> kVenues = {"XNAS", "XNYS", "ARCX",
                                                              "BATS", "IEXG", "EDGX"};
  static constexpr uint64_t kLots[] = {100, 100, 100, 200, 300, 500, 1000};

  static uint64_t lot(Dice& dice) {
    return dice.one_in(4) ? dice.between(1, 999) : kLots[dice.below(std::size(kLots))];
  }
  static void add_price(std::string& out, uint64_t cents) {
    add(out, "%" PRIu64 ".%02" PRIu64, cents / 100, cents % 100);
  }
  void begin(std::string& out, const char* type, const Instrument& instrument) const {
    add(out, R"({"type":"%s","symbol":"%s","seq":%)" PRIu64 R"(,"ts":%)" PRIu64, type,
        instrument.symbol.c_str(), sequence_, now_ms_);
  }

  std::string trade(const Instrument& instrument, Dice& dice) const {
    std::string out;
    begin(out, "trade", instrument);
    out += R"(,"price":)";
    add_price(out, instrument.cents);
    add(out, R"(,"size":%)" PRIu64, lot(dice));
    add(out, R"(,"venue":"%s","side":"%s","id":"%08)" PRIx64 "\"}", dice.of(kVenues).data(),
        dice.one_in(2) ? "buy" : "sell", dice.below(uint64_t{1} << 32));
    return out;
  }

  std::string quote(const Instrument& instrument, Dice& dice) const {
    std::string out;
    begin(out, "quote", instrument);
    const uint64_t spread = dice.between(1, 5);
    out += R"(,"bid":)";
    add_price(out, instrument.cents - spread);
    add(out, R"(,"bidSize":%)" PRIu64 R"(,"ask":)", lot(dice));
    add_price(out, instrument.cents + spread);
    add(out, R"(,"askSize":%)" PRIu64 R"(,"venue":"%s"})", lot(dice), dice.of(kVenues).data());
    return out;
  }

  std::string book(const Instrument& instrument, Dice& dice) const {
    std::string out;
    begin(out, "book", instrument);
    for (const char* side : {"bids", "asks"}) {
      add(out, R"(,"%s":[)", side);
      const uint64_t levels = dice.between(3, 8);
      for (uint64_t i = 0; i < levels; ++i) {
        out += i == 0 ? "[" : ",[";
        add_price(out, side[0] == 'b' ? instrument.cents - i - 1 : instrument.cents + i + 1);
        add(out, ",%" PRIu64 "]", lot(dice));
      }
      out += "]";
    }
    return out + "}";
  }

  std::array<Instrument, 40> instruments_;
  uint64_t now_ms_ = 1700000000123;
  uint64_t sequence_ = 4100000;
};

void add_record(std::string& out, const Words& words, Dice& dice, uint64_t id) {
  static constexpr std::array<std::string_view, 4> kStates = {"active", "pending", "suspended",
                                                              "closed"};
  const std::string& first = words.rare(dice);
  const std::string& last = words.rare(dice);
  add(out, R"({"id":%)" PRIu64 R"(,"name":"%s %s","email":"%s.%s@example.com",)", id, first.c_str(),
      last.c_str(), first.c_str(), last.c_str());
  add(out, R"("status":"%s","verified":%s,"balance":%)" PRIu64 ".%02" PRIu64 ",",
      dice.of(kStates).data(), dice.one_in(3) ? "false" : "true", dice.skewed(100000),
      dice.below(100));
  add(out, R"("created":"2024-%02)" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64 R"(:00Z",)",
      dice.between(1, 12), dice.between(1, 28), dice.below(24), dice.below(60));
  out += R"("tags":[)";
  const uint64_t tags = dice.below(4);
  for (uint64_t i = 0; i < tags; ++i) {
    add(out, i == 0 ? "\"%s\"" : ",\"%s\"", words.rare(dice).c_str());
  }
  add(out, R"(],"address":{"street":"%)" PRIu64 R"( %s street","city":"%s"},"about":")",
      dice.between(1, 300), words.rare(dice).c_str(), words.rare(dice).c_str());
  words.add_text(out, dice, dice.between(3, 20));
  out += "\"}";
}

std::string document(const Words& words, Dice& dice, size_t size) {
  std::string out;
  add(out, R"({"request":"%016)" PRIx64 R"(","page":%)" PRIu64 R"(,"items":[)", dice.next(),
      dice.between(1, 40));
  static constexpr std::string_view kNote = R"(],"note":")";
  static constexpr std::string_view kEnd = "\"}";
  uint64_t id = dice.between(1000, 900000);
  std::string record;
  for (size_t records = 0;; ++records, id += dice.between(1, 9)) {
    record.clear();
    if (records != 0) record += ',';
    add_record(record, words, dice, id);
    if (out.size() + record.size() + kNote.size() + kEnd.size() > size) break;
    out += record;
  }
  out += kNote;
  words.add_text(out, dice, size / 4);  // too long: cut to what is left
  out.resize(size - kEnd.size());
  return out.append(kEnd);
}

std::string chat_line(const Words& words, Dice& dice, uint64_t id) {
  static constexpr std::array<std::string_view, 8> kExtras = {
      "\xF0\x9F\x98\x80", "\xF0\x9F\x91\x8D", ":)",  "lol",
      "caf\xC3\xA9",      "\xE2\x82\xAC 5",   "ok!", "https://example.com/p/"};
  std::string out;
  add(out, R"({"id":%)" PRIu64 R"(,"from":"%s%)" PRIu64 R"(","text":")", id,
      words.rare(dice).c_str(), dice.below(100));
  words.add_text(out, dice, dice.between(1, dice.one_in(6) ? 40 : 12));
  if (dice.one_in(3)) out.append(" ").append(dice.of(kExtras));
  return out + "\"}";
}

void add_row(std::string& out, const Words& words, Dice& dice, uint64_t row) {
  add(out, "    <tr class=\"row %s\" data-id=\"%" PRIu64 "\">\n", row % 2 == 0 ? "even" : "odd",
      dice.between(10000, 99999));
  const std::string& name = words.rare(dice);
  add(out, "      <td class=\"name\"><a href=\"/items/%s-%" PRIu64 "\">%s</a></td>\n", name.c_str(),
      dice.below(1000), name.c_str());
  add(out, "      <td class=\"number\">%" PRIu64 "</td>\n", dice.skewed(5000));
  add(out, "      <td class=\"number\">%" PRIu64 ".%02" PRIu64 "</td>\n    </tr>\n",
      dice.skewed(900), dice.below(100));
}

std::string page(const Words& words, Dice& dice) {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n";
  add(out, "  <title>%s %s</title>\n", words.rare(dice).c_str(), words.rare(dice).c_str());
  out += "  <link rel=\"stylesheet\" href=\"/static/site.css\">\n</head>\n<body>\n<nav>\n  <ul>\n";
  for (int i = 0; i < 8; ++i) {
    const std::string& word = words.rare(dice);
    add(out, "    <li class=\"nav-item\"><a class=\"nav-link\" href=\"/%s\">%s</a></li>\n",
        word.c_str(), word.c_str());
  }
  out += "  </ul>\n</nav>\n<main>\n";
  const uint64_t sections = dice.between(2, 8);
  for (uint64_t section = 0; section < sections; ++section) {
    add(out, "  <section id=\"s%" PRIu64 "\">\n  <h2>", section);
    words.add_text(out, dice, dice.between(2, 5));
    out += "</h2>\n";
    const uint64_t paragraphs = dice.between(1, 4);
    for (uint64_t i = 0; i < paragraphs; ++i) {
      out += "  <p>";
      words.add_text(out, dice, dice.between(30, 120));
      out += ".</p>\n";
    }
    out += "  <table class=\"table table-striped\">\n";
    const uint64_t rows = dice.below(10);
    for (uint64_t row = 0; row < rows; ++row) add_row(out, words, dice, row);
    out += "  </table>\n  </section>\n";
  }
  return out + "</main>\n<footer>Example</footer>\n</body>\n</html>\n";
}

std::string noise(Dice& dice) {
  std::string out(dice.between(2048, 16384), '\0');
  for (char& byte : out) byte = static_cast<char>(dice.next());
  return out;
}

}  // namespace

std::vector<std::string> make_payloads(Payload kind, size_t count, size_t size) {
  Dice dice(1 + static_cast<uint64_t>(kind));
  const Words words(dice);
  Market market(dice);
  std::vector<std::string> payloads;
  payloads.reserve(count);
  while (payloads.size() < count) {
    switch (kind) {
      case Payload::kTicks: payloads.push_back(market.tick(dice)); break;
      case Payload::kJson: payloads.push_back(document(words, dice, size)); break;
      case Payload::kChat:
        payloads.push_back(chat_line(words, dice, 70000 + payloads.size()));
        break;
      case Payload::kHtml: payloads.push_back(page(words, dice)); break;
      case Payload::kPacked: payloads.push_back(noise(dice)); break;
    }
  }
  return payloads;
}

}  // namespace bench
