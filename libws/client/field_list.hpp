// Header fields that are kept: copies of what a caller gave.
#pragma once

#include "libws/base/alloc.hpp"

#include <libws/base.h>

#include <span>
#include <utility>

namespace libws {

class FieldList {
 public:
  FieldList() = default;
  // Throws std::bad_alloc.
  explicit FieldList(std::span<const ws_header> fields) {
    for (const ws_header& f : fields) add(f.name, f.value);
  }
  void add(const char* name, const char* value) { fields_.emplace_back(name, value); }

  // Views of those that `keep` wants.  Throws std::bad_alloc.
  template <class Keep>
  Vector<ws_header> views(Keep keep) const {
    Vector<ws_header> out;
    for (const auto& [name, value] : fields_) {
      if (keep(name)) out.push_back({name.c_str(), value.c_str()});
    }
    return out;
  }

 private:
  Vector<std::pair<String, String>> fields_;
};

}  // namespace libws
