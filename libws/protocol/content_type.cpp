// The list is short on purpose: it has what web pages are made of.  Answers carry nosniff, so that
// an unknown ending stays a download and is never guessed to be a page.
#include "libws/protocol/content_type.hpp"

#include "libws/protocol/http.hpp"

namespace libws {
namespace {

struct Known {
  std::string_view ending;
  std::string_view type;
};

constexpr Known kKnown[] = {
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"gif", "image/gif"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/x-icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"txt", "text/plain; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xml", "application/xml"},
};

}  // namespace

std::string_view content_type_of(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // all of it without a slash
  const size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    for (const Known& k : kKnown) {
      if (equals_ignore_case(name.substr(dot + 1), k.ending)) return k.type;
    }
  }
  return "application/octet-stream";
}

}  // namespace libws
