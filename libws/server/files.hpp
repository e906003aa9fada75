// Files for plain HTTP: found by path in memory or below a directory, then answered with what
// RFC 9110 asks for.  Threads may share one once all is added.
#pragma once

#include "libws/base/ref.hpp"
#include "libws/net/file.hpp"
#include "libws/protocol/request.hpp"

#include <libws/files.h>

namespace libws {

struct FilesOptions {
  const char* directory = nullptr;  // null: none
  String index = "index.html";
  uint64_t max_file_bytes = kMaxResponseBody;
  String cache_control = "no-cache";  // "": none sent
  bool pass = false;
};

// Where in the files `path` leads, in its decoded form: "a/b.html", and for a path that ends in a
// slash "a/" and the name of the index.  False: nowhere, because no such name is served.  `path`
// has no slash in front.  Throws std::bad_alloc.
bool find_file_name(std::string_view path, std::string_view index, String* out);

class Files final : public RefCounted<Files>, public Allocated {
 public:
  // Errors: IO.  Throws std::bad_alloc.
  static Error create(FilesOptions options, Ref<Files>* out);

  // ---- the public calls of files.h, same contracts ----
  Error add(std::string_view path, const char* content_type, Bytes data);
  // `path` null: the request's.  A positive code is the status.
  Error answer(Request& request, const char* path) const;

 private:
  friend class RefCounted<Files>;
  ~Files() = default;
  explicit Files(FilesOptions options) : options_(std::move(options)) {}

  struct Stored {
    String name;
    String type;
    String etag;
    Vector<char> data;
  };
  // What was found, ready to be sent.
  struct Found {
    int status = 404;
    std::string_view type;
    std::string_view body;  // into `read` or a Stored
    String etag;
    String modified;  // "" if it has no such time
    Vector<char> read;
  };

  int find(const Request& request, const char* path, Found* out) const;
  int find_stored(const Request& request, const String& name, Found* out) const;
  int find_on_disk(const Request& request, const String& name, Found* out) const;
  bool names_directory(const String& name) const;
  const Stored* stored(std::string_view name) const;
  Error send(Request& request, const Found& found) const;
  Error redirect(Request& request) const;
  Error refuse(Request& request, int status) const;

  FilesOptions options_;
  Folder directory_;
  Vector<Stored> stored_;  // sorted by name
};
LIBWS_HANDLE(Files, ws_files);

}  // namespace libws
