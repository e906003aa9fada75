// A hand-written reader that only moves forward: each byte is looked at a fixed number of times
// whatever it is (bad_inputs 16, where a regular expression went exponential).
#include "libws/protocol/extension.hpp"

#include "libws/protocol/chars.hpp"

#include <utility>

namespace libws {
namespace {

// RFC 6455 4.3 uses the ABNF of RFC 2616 with its implied white space, so OWS may stand around
// "," ";" and "=".
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool at_end() const { return pos_ == text_.size(); }

  void skip_ows() {
    while (!at_end() && is_ows(text_[pos_])) advance();
  }

  bool take(char c) {
    if (at_end() || text_[pos_] != c) return false;
    advance();
    return true;
  }

  bool token(std::string_view* out) {
    const size_t begin = pos_;
    while (!at_end() && char_is(text_[pos_], kTokenChar)) advance();
    *out = text_.substr(begin, pos_ - begin);
    return !out->empty();
  }

  // The rest of a quoted-string (RFC 9110 5.6.4).  What is left after unescaping must be a
  // token, so each character can be checked as it comes.  `out` null: only check.
  bool quoted(String* out) {
    bool any = false;
    while (!at_end() && text_[pos_] != '"') {
      if (text_[pos_] == '\\') {
        advance();
        if (at_end()) return false;
      }
      if (!char_is(text_[pos_], kTokenChar)) return false;
      if (out != nullptr) out->push_back(text_[pos_]);
      any = true;
      advance();
    }
    return take('"') && any;
  }

 private:
  void advance() {
    scan_step();
    ++pos_;
  }

  std::string_view text_;
  size_t pos_ = 0;
};

// After ";".  `param` null: check and drop.
bool read_param(Reader& in, ExtensionParam* param) {
  std::string_view name;
  in.skip_ows();
  if (!in.token(&name)) return false;
  if (param != nullptr) param->name = name;
  in.skip_ows();
  if (!in.take('=')) return true;
  in.skip_ows();
  if (param != nullptr) param->has_value = true;
  if (in.take('"')) {
    const bool good = in.quoted(param != nullptr ? &param->value : nullptr);
    in.skip_ows();
    return good;
  }
  std::string_view value;
  if (!in.token(&value)) return false;
  if (param != nullptr) param->value = value;
  in.skip_ows();
  return true;
}

bool read_extension(Reader& in, Vector<Extension>* out) {
  Extension* ext = nullptr;
  std::string_view name;
  if (!in.token(&name)) return false;
  if (out->size() < kMaxExtensions) {
    ext = &out->emplace_back();
    ext->name = name;
  }
  in.skip_ows();
  while (in.take(';')) {
    ExtensionParam* param = nullptr;
    if (ext != nullptr) {
      if (ext->params.size() < kMaxExtensionParams) {
        param = &ext->params.emplace_back();
      } else {
        ext->dropped_params = true;
      }
    }
    if (!read_param(in, param)) return false;
  }
  return true;
}

}  // namespace

bool parse_extensions(std::string_view value, Vector<Extension>* out) {
  Reader in(value);
  for (;;) {
    in.skip_ows();
    if (in.at_end()) return true;
    if (in.take(',')) continue;
    if (!read_extension(in, out)) return false;
    if (!in.at_end() && !in.take(',')) return false;
  }
}

}  // namespace libws
