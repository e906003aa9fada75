// For the TLS tests: two sessions, or one and a peer of OpenSSL's own, on socket pairs with the
// test in between, which sees every byte and decides how many arrive at a time.
#pragma once

#include "libws/base/fault.hpp"
#include "libws/net/transport_tls.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

#include "certs.h"

namespace tls_test {

using namespace libws;

struct Fds {
  int ours, theirs;  // `ours` goes to a transport, which closes it
  Fds() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) abort();
    ours = fds[0];
    theirs = fds[1];
  }
  ~Fds() { hang_up(); }
  Fds(const Fds&) = delete;
  Fds& operator=(const Fds&) = delete;
  void hang_up() {
    if (theirs >= 0) close(theirs);
    theirs = -1;
  }
};

// One direction: what was read at one end and did not yet arrive at the other.
struct Stream {
  std::string all;    // everything that came, for looking at
  size_t passed = 0;  // of it
  bool ended = false;

  size_t collect(int from) {
    char part[65536];
    ssize_t n;
    size_t total = 0;
    while (from >= 0 && (n = read(from, part, sizeof part)) >= 0) {
      if (n == 0) {
        ended = true;
        break;
      }
      all.append(part, static_cast<size_t>(n));
      total += static_cast<size_t>(n);
    }
    return total;
  }
  size_t pass(int to, size_t most) {
    const size_t n = std::min(most, all.size() - passed);
    if (n == 0 || to < 0) return 0;
    const ssize_t done = ::send(to, all.data() + passed, n, MSG_NOSIGNAL);
    if (done <= 0) return 0;
    passed += static_cast<size_t>(done);
    return static_cast<size_t>(done);
  }
  // The lengths of the TLS records from `from` on, headers left out.
  std::vector<size_t> records(size_t from) const {
    std::vector<size_t> lengths;
    for (size_t at = from; at + 5 <= all.size();) {
      const size_t len = static_cast<size_t>(static_cast<uint8_t>(all[at + 3])) << 8 |
                         static_cast<uint8_t>(all[at + 4]);
      lengths.push_back(len);
      at += 5 + len;
    }
    return lengths;
  }
};

// A client and a server; the test carries their bytes.
class Duo {
 public:
  Duo(TlsContext& server_context, TlsContext& client_context, const char* name = "localhost",
      uint16_t port = 443) {
    TlsSession* s = nullptr;
    TlsSession* c = nullptr;
    assert_false(
        TlsSession::accept(server_context, buffers, Transport(server_fds.ours), &s).failed());
    assert_false(
        TlsSession::connect(client_context, buffers, Transport(client_fds.ours), name, port, &c)
            .failed());
    server = Transport(server_fds.ours, s);
    client = Transport(client_fds.ours, c);
  }

  // Carries bytes, at most `chunk` in each direction; how many.
  size_t carry() {
    up.collect(client_fds.theirs);
    down.collect(server_fds.theirs);
    return up.pass(server_fds.theirs, chunk) + down.pass(client_fds.theirs, chunk);
  }

  // Until both are done, one has failed, or nothing moves any more.  True: both are done.
  bool shake() {
    for (int idle = 0; idle < 4;) {
      uint8_t byte;
      client_result =
          client.tls()->handshaken() ? client.read(&byte, 1) : client.tls()->handshake();
      if (!server.tls()->handshaken()) server_result = server.read(&byte, 1);
      client.flush();
      server.flush();
      idle = carry() != 0 ? 0 : idle + 1;
      if (client.tls()->handshaken() && server.tls()->handshaken()) return settle();
    }
    return false;
  }

  // The server's answer to the client's last flight: tickets, or an alert.
  bool settle() {
    for (int idle = 0; idle < 4; idle = carry() != 0 ? 0 : idle + 1) {
      uint8_t byte;
      client_result = client.read(&byte, 1);
      if (client_result.status != IoResult::kWouldBlock) break;
    }
    return client_result.status == IoResult::kWouldBlock;
  }

  // All that arrives at `to` until nothing moves; the last result is in *last.
  std::string drain(Transport& to, IoResult* last = nullptr) {
    std::string got;
    for (int idle = 0; idle < 4;) {
      client.flush();
      server.flush();
      const bool moved = carry() != 0;
      const IoResult r = read_some(to, &got);
      if (last != nullptr) *last = r;
      if (r.status == IoResult::kEof || r.status == IoResult::kFailed) break;
      idle = moved || r.status == IoResult::kOk ? 0 : idle + 1;
    }
    return got;
  }

  IoResult read_some(Transport& from, std::string* got) {
    std::vector<uint8_t> buf(read_bytes);
    const IoResult r = from.read(buf.data(), buf.size());
    if (r.status == IoResult::kOk) got->append(reinterpret_cast<char*>(buf.data()), r.bytes);
    return r;
  }

  const char* client_detail() const { return client.tls()->detail(); }
  const char* server_detail() const { return server.tls()->detail(); }

  TlsBuffers buffers;
  Fds client_fds, server_fds;
  Stream up, down;  // to the server, to the client
  size_t chunk = SIZE_MAX;
  size_t read_bytes = 65536;
  Transport client, server;
  IoResult client_result{IoResult::kOk, 0, 0}, server_result{IoResult::kOk, 0, 0};
};

// ---- contexts ----

inline ws_tls_config config() {
  ws_tls_config c;
  WS_INIT(&c);
  return c;
}

inline Ref<TlsContext> make(const ws_tls_config& c) {
  Ref<TlsContext> context;
  const Error e = TlsContext::create(c, &context);
  if (e.failed()) print_error("%d: %s\n", e.code(), last_detail());
  assert_false(e.failed());
  return context;
}

// An authority, a server signed by it for localhost, and contexts of both sides.
struct Pki {
  Cert* ca = cert_make_ca("test CA");
  Cert* leaf = cert_make_server(ca, "DNS:localhost,IP:127.0.0.1,IP:::1");
  Pki() = default;
  ~Pki() {
    cert_free(leaf);
    cert_free(ca);
  }
  Pki(const Pki&) = delete;
  Pki& operator=(const Pki&) = delete;

  ws_tls_config server_config() const {
    ws_tls_config c = config();
    c.cert_pem = cert_pem(leaf);
    c.key_pem = cert_key(leaf);
    return c;
  }
  ws_tls_config client_config() const {
    ws_tls_config c = config();
    c.ca_pem = cert_pem(ca);
    return c;
  }
  Ref<TlsContext> server() const { return make(server_config()); }
  Ref<TlsContext> client() const { return make(client_config()); }
};

#define assert_has(text, part)                                                   \
  do {                                                                           \
    if (strstr((text), (part)) == nullptr) print_error("got: \"%s\"\n", (text)); \
    assert_non_null(strstr((text), (part)));                                     \
  } while (0)

}  // namespace tls_test
