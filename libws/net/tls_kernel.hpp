// kTLS, the sending half: the kernel encrypts what is written to the socket.
#pragma once

#include "libws/net/socket.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

// How OpenSSL 3 asks a BIO for it.  Its headers document these numbers and define no names.
constexpr int kBioSetKtls = 72;
constexpr int kBioSetKtlsRecordType = 74;
constexpr int kBioClearKtlsRecordType = 75;

// `keys` is what came with kBioSetKtls.  False: the kernel cannot.
bool kernel_tls_start(int fd, void* keys);

// One record that is not application data: an alert, or a message of the handshake protocol.
IoResult kernel_tls_send(int fd, uint8_t type, const uint8_t* data, size_t len);

}  // namespace libws
