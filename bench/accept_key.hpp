// The proof in an opening handshake's answer that the server read this request (RFC 6455 1.3).
#pragma once

#include <string>

namespace bench {

std::string base64(const unsigned char* data, size_t size);
std::string accept_for(const std::string& key);  // of Sec-WebSocket-Key

}  // namespace bench
