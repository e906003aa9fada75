// Socket addresses: parse, print, resolve for listening.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <cstdint>
#include <string_view>

namespace libws {

struct Address {
  sockaddr_storage storage;  // ss_family AF_UNSPEC: none
  socklen_t len = 0;

  Address();
  int family() const { return storage.ss_family; }
  uint16_t port() const;         // 0 unless TCP
  void set_port(uint16_t port);  // of a TCP address
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The textual forms that ws_request_peer documents: "192.0.2.7:50412", "[2001:db8::1]:443",
// "unix:", "".  An IPv4-mapped IPv6 address prints as IPv4.
constexpr size_t kAddressTextBytes = 80;
void address_print(const Address& a, char (&out)[kAddressTextBytes]);

// The peer of a connection in 19 bytes instead of sockaddr_storage's 128: an idle connection
// keeps one.
struct PackedAddress {
  enum : uint8_t { kNone = 0, kUnix = 1, kV4 = 4, kV6 = 6 };

  uint8_t family = kNone;
  uint8_t ip[16] = {};
  uint8_t port[2] = {};

  PackedAddress() = default;
  explicit PackedAddress(const Address& a);
  void print(char (&out)[kAddressTextBytes]) const;
  // Without the port, and without brackets: "192.0.2.7", "2001:db8::1", "unix:", "".
  void print_host(char (&out)[kAddressTextBytes]) const;
};

// An address from what the system gave.
Address address_from(const void* sa, size_t len);
// The same place: what does not say where, such as padding and a flow label, is not compared.
bool address_equal(const Address& a, const Address& b);

// "192.0.2.7", "2001:db8::1", "fe80::1%eth0" or "fe80::1%2", with port 0; false: not a literal, or
// its zone does not exist here.
bool address_literal(std::string_view host, Address* out);
// 127.0.0.1 or ::1, with port 0.
Address address_loopback(int family);

// A unix address; a leading '@' is the abstract namespace.  Errors: INVALID (empty, too long).
Error address_unix(const char* path, Address* out);

// The addresses to listen on: a literal, or a name through getaddrinfo (blocking; a listener is
// made at start).  host null: [::] when the system has IPv6, else 0.0.0.0.
// Errors: ADDR ("listen on HOST: reason"), NOMEM.
Error address_for_listening(const char* host, uint16_t port, Vector<Address>* out);

}  // namespace libws
