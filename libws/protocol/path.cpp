#include "libws/protocol/path.hpp"

#include "libws/protocol/chars.hpp"

namespace libws {
namespace {

unsigned hex_value(char c) {
  return static_cast<unsigned>(c <= '9' ? c - '0' : to_lower(c) - 'a' + 10);
}

const char* check_segment(std::string_view s, bool last) {
  if (s.empty() && !last) return "the path has an empty segment";
  if (s == "." || s == "..") return "the path has a dot segment";
  if (s.find('/') != std::string_view::npos) return "the path has an encoded slash";
  if (s.find('\0') != std::string_view::npos) return "the path has an encoded NUL";
  return nullptr;
}

}  // namespace

bool percent_decode(std::string_view text, Vector<char>& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    scan_step();
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3 || !char_is(text[i + 1], kHexChar) ||
          !char_is(text[i + 2], kHexChar)) {
        return false;
      }
      c = static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
      i += 2;
    }
    out.push_back(c);
  }
  return true;
}

const char* Path::parse(std::string_view path) {
  text_.clear();
  ends_.clear();
  text_.reserve(path.size() + 1);
  for (bool last = false; !last;) {
    path.remove_prefix(1);  // the slash
    const size_t slash = path.find('/');
    last = slash == std::string_view::npos;
    const std::string_view raw = path.substr(0, slash);
    const size_t from = text_.size();
    if (!percent_decode(raw, text_)) return "the path is not percent-encoded as it should be";
    const std::string_view segment(text_.data() + from, text_.size() - from);
    if (const char* why = check_segment(segment, last)) return why;
    if (ends_.size() == kMaxSegments) return "the path has too many segments";
    ends_.push_back(static_cast<uint32_t>(text_.size()));
    text_.push_back('\0');
    path.remove_prefix(raw.size());
  }
  return nullptr;
}

bool is_public_name(std::string_view name) {
  if (name.empty() || name.find_first_of(std::string_view("/\\\0", 3)) != std::string_view::npos) {
    return false;
  }
  return name[0] != '.' || name == ".well-known";
}

}  // namespace libws
