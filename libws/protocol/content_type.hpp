// The Content-Type that the ending of a file name stands for.
#pragma once

#include <string_view>

namespace libws {

// "text/html; charset=utf-8" for "a/b.HTML"; "application/octet-stream" if it is not known.
std::string_view content_type_of(std::string_view path);

}  // namespace libws
