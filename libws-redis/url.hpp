// Where Redis is and how to log in: redis://, rediss:// and unix:// addresses.
#pragma once

#include "error.hpp"

#include <string>

namespace libws_redis {

struct Url {
  bool tls = false;
  std::string path;  // of a unix socket; then there is no host
  std::string host;  // without brackets
  std::string port = "6379";
  std::string user, password;  // decoded; AUTH only with a password
  std::string database;        // digits; empty: none is selected
};

Failure parse_url(const std::string& text, Url* out);

}  // namespace libws_redis
