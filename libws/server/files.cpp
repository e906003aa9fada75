#include "libws/server/files.hpp"

#include "libws/base/crypto.hpp"
#include "libws/base/log.hpp"
#include "libws/protocol/content_type.hpp"
#include "libws/protocol/http_write.hpp"
#include "libws/protocol/path.hpp"
#include "libws/protocol/validator.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <new>

namespace libws {
namespace {

constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxStored = 4096;

int status_of_errno(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM: return 503;
    case EIO: return 500;
    default: return 404;  // not there, or not ours to show: which of the two is nobody's business
  }
}

const char* why_refused(int status) {
  switch (status) {
    case 400: return "the path is not percent-encoded as it should be\n";
    case 500: return "the file cannot be read\n";
    case 503: return "no room for the file at the moment\n";
    default: return "not found\n";
  }
}

bool etag_of(Bytes data, String* out) {
  std::array<uint8_t, kSha1Bytes> digest;
  if (!crypto_sha1(data, digest)) return false;
  char text[base64_size(kSha1Bytes)];
  base64_encode(digest, text);
  // The last character is padding.
  *out = "\"";
  out->append(text, sizeof text - 1).append("\"");
  return true;
}

String etag_of(const File& file) {
  char text[80];
  std::snprintf(text, sizeof text, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%" PRIx32 "\"",
                file.inode, file.size, static_cast<uint64_t>(file.modified_s), file.modified_ns);
  return text;
}

}  // namespace

bool find_file_name(std::string_view path, std::string_view index, String* out) {
  out->clear();
  if (path.size() > kMaxNameBytes) return false;
  const bool wants_directory = path.empty() || path.ends_with('/');
  for (std::string_view rest = path; !rest.empty();) {
    const size_t slash = rest.find('/');
    if (!is_public_name(rest.substr(0, slash))) return false;
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  out->append(path);
  if (wants_directory) out->append(index);
  return true;
}

Error Files::create(FilesOptions options, Ref<Files>* out) {
  const char* directory = options.directory;
  Ref<Files> files = Ref<Files>::adopt(new Files(std::move(options)));
  files->options_.directory = nullptr;  // the caller's text
  if (directory != nullptr) {
    if (Error e = files->directory_.open(directory)) return e;
  }
  *out = std::move(files);
  return Error();
}

const Files::Stored* Files::stored(std::string_view name) const {
  const auto at = std::lower_bound(stored_.begin(), stored_.end(), name,
                                   [](const Stored& s, std::string_view n) { return s.name < n; });
  return at != stored_.end() && at->name == name ? &*at : nullptr;
}

Error Files::add(std::string_view path, const char* content_type, Bytes data) {
  Stored file;
  if (!path.starts_with('/') || !find_file_name(path.substr(1), options_.index, &file.name)) {
    return fail(WS_ERR_INVALID, "file '%s': no request can name it", Escaped(path).c_str());
  }
  file.type = content_type != nullptr ? std::string_view(content_type) : content_type_of(file.name);
  if (file.type.empty() || !is_field_value(file.type)) {
    return fail(WS_ERR_INVALID, "file '%s': the content type cannot be sent",
                Escaped(path).c_str());
  }
  if (data.size() > options_.max_file_bytes) {
    return fail(WS_ERR_TOO_BIG, "file '%s': %zu bytes", Escaped(path).c_str(), data.size());
  }
  if (!etag_of(data, &file.etag)) return fail(WS_ERR_UNSUPPORTED, "file: OpenSSL has no SHA-1");
  const std::string_view content = text(data);
  file.data.assign(content.begin(), content.end());
  if (const Stored* there = stored(file.name)) {
    stored_[static_cast<size_t>(there - stored_.data())] = std::move(file);
    return Error();
  }
  if (stored_.size() == kMaxStored) {
    return fail(WS_ERR_TOO_BIG, "file '%s': there are %zu already", Escaped(path).c_str(),
                stored_.size());
  }
  const auto at =
      std::lower_bound(stored_.begin(), stored_.end(), file.name,
                       [](const Stored& s, const String& name) { return s.name < name; });
  stored_.insert(at, std::move(file));
  return Error();
}

// Whether there are files in memory below it, as if it were a directory.
bool Files::names_directory(const String& name) const {
  const String prefix = name + "/";
  const auto at = std::lower_bound(stored_.begin(), stored_.end(), prefix,
                                   [](const Stored& s, const String& p) { return s.name < p; });
  return at != stored_.end() && at->name.starts_with(prefix);
}

int Files::find_stored(const Request& request, const String& name, Found* out) const {
  const Stored* file = stored(name);
  if (file == nullptr) return 404;
  out->etag = file->etag;
  out->type = file->type;
  out->body = {file->data.data(), file->data.size()};
  return is_not_modified(request.head(), out->etag, kNoTime) ? 304 : 200;
}

int Files::find_on_disk(const Request& request, const String& name, Found* out) const {
  if (!directory_.is_open()) return 404;
  File file;
  if (int error = directory_.open_file(name.c_str(), &file)) return status_of_errno(error);
  if (file.is_directory) return 301;
  if (file.size > options_.max_file_bytes) return 404;
  out->etag = etag_of(file);
  append_http_date(out->modified, file.modified_s);
  if (is_not_modified(request.head(), out->etag, file.modified_s)) return 304;
  if (file.read_all(&out->read) != 0) return 500;
  out->type = content_type_of(name);
  out->body = {out->read.data(), out->read.size()};
  return 200;
}

int Files::find(const Request& request, const char* path, Found* out) const {
  Vector<char> decoded;
  std::string_view at;
  if (path != nullptr) {
    at = path;
  } else {
    // Cut first and decoded after, so that an encoded slash never separates.
    Path parsed;
    if (!percent_decode(request.path(), decoded)) return 400;
    if (parsed.parse(request.path()) != nullptr) return 404;
    at = {decoded.data(), decoded.size()};
  }
  if (at.starts_with('/')) at.remove_prefix(1);
  String name;
  if (!find_file_name(at, options_.index, &name)) return 404;
  int status = find_stored(request, name, out);
  if (status == 404) status = find_on_disk(request, name, out);
  if (status == 404 && !at.empty() && !at.ends_with('/') && names_directory(name)) status = 301;
  // The index is one, or an index that is a directory.
  if (status == 301 && (at.empty() || at.ends_with('/'))) status = 404;
  return status;
}

Error Files::answer(Request& request, const char* path) const {
  if (request.answered()) return fail(WS_ERR_STATE, "answer: the request is answered already");
  Found found;
  try {
    found.status = find(request, path, &found);
  } catch (const std::bad_alloc&) {
    found.status = 503;
  }
  if (found.status == 404 && options_.pass) return Error(0);
  if (found.status == 301) return redirect(request);
  if (found.status != 200 && found.status != 304) return refuse(request, found.status);
  if (Error e = send(request, found)) return e;
  return Error(found.status);
}

Error Files::send(Request& request, const Found& found) const {
  ws_header fields[5];
  size_t count = 0;
  fields[count++] = {"ETag", found.etag.c_str()};
  if (!found.modified.empty()) fields[count++] = {"Last-Modified", found.modified.c_str()};
  if (!options_.cache_control.empty()) {
    fields[count++] = {"Cache-Control", options_.cache_control.c_str()};
  }
  const String type(found.type);
  if (found.status == 200) {
    fields[count++] = {"Content-Type", type.c_str()};
    fields[count++] = {"X-Content-Type-Options", "nosniff"};
  }
  Response response;
  response.status = found.status;
  response.headers = {fields, count};
  if (found.status == 200) response.body = found.body;
  return request.respond(response);
}

// Relative to the request's own path, which may be longer than what names the file.
Error Files::redirect(Request& request) const {
  const std::string_view path = request.path();
  // "//host" and what browsers take for it would send them to somebody else.
  const bool may_lead_away = path.size() > 1 && (path[1] == '/' || path[1] == '\\');
  if (path.ends_with('/') || may_lead_away) {
    return options_.pass ? Error(0) : refuse(request, 404);
  }
  String location(path);
  location.push_back('/');
  if (request.query()[0] != '\0') location.append("?").append(request.query());
  const ws_header fields[] = {{"Location", location.c_str()},
                              {"Content-Type", "text/plain; charset=utf-8"},
                              {"X-Content-Type-Options", "nosniff"}};
  Response response;
  response.status = 301;
  response.headers = fields;
  response.body = "it is a directory\n";
  if (Error e = request.respond(response)) return e;
  return Error(301);
}

Error Files::refuse(Request& request, int status) const {
  const ws_header fields[] = {{"Content-Type", "text/plain; charset=utf-8"},
                              {"X-Content-Type-Options", "nosniff"}};
  Response response;
  response.status = status;
  response.headers = fields;
  response.body = why_refused(status);
  if (Error e = request.respond(response)) return e;
  return Error(status);
}

}  // namespace libws
