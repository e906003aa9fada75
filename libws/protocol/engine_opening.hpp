// What an engine needs only for the opening handshake; private to engine*.cpp.  A server gives it
// back when the connection opens, a client keeps it for the response's headers.
#pragma once

#include "libws/protocol/engine.hpp"
#include "libws/protocol/http_body.hpp"
#include "libws/protocol/http_fields.hpp"

namespace libws {

struct Engine::Opening : Allocated {
  Opening(HeadParser::Kind kind, const Limits& limits);

  HeadLimits head_limits;
  HeadParser parser;
  Ref<Request> request;  // server: reported, perhaps answered

  // Client: what was asked for, and what came.
  char key[kKeyChars];
  Vector<String> offered;
  Vector<const char*> offered_views;
  DeflateWish deflate;
  Head response;
  bool has_response = false;
  unsigned interim = 0;
  Vector<uint8_t> body;
  BodyReader body_reader;
  JoinedFields joined;  // of `response`
};

}  // namespace libws
