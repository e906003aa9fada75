// The floors for TLS: what an echo costs when nobody looks at the bytes but OpenSSL.  As floor.cpp,
// in the two ways in which OpenSSL can be used with epoll.

#include <openssl/err.h>

#include <optional>

#include "floor.hpp"
#include "floor_reply.hpp"
#include "tls.hpp"

namespace bench {
namespace {

constexpr char kUsage[] =
    "usage: floor_tls [--port N] [--tls-cert FILE --tls-key FILE] [--upgrade] [--own-bio]\n"
    "  --port N         listen on 127.0.0.1:N; 0 takes a free port [0]\n"
    "  --tls-cert FILE  PEM; without it a certificate is made (EC P-256, signed by itself)\n"
    "  --tls-key FILE   its key\n"
    "  --upgrade        answer the opening handshake, for clients that want it\n"
    "  --own-bio        keep the socket from OpenSSL: one recv and one send for many records\n";

template <class T>
T& grown_to(std::vector<T>& conns, int fd) {
  const auto slot = static_cast<size_t>(fd);
  if (slot >= conns.size()) conns.resize(slot + 1);
  return conns[slot];
}

// As the manual has it: OpenSSL has the socket, is asked for more until there is no more, and
// given the answer to all of it at once.
class TlsOnSocket {
 public:
  TlsOnSocket(TlsContext& context, bool upgrading) : context_(context), reply_(upgrading) {
    // The rest of a blocked answer is written from where the floor keeps it.
    SSL_CTX_set_mode(context.openssl(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  }

  void opened(int fd) {
    OpensslPtr<SSL> ssl(SSL_new(context_.openssl()));
    if (ssl == nullptr || SSL_set_fd(ssl.get(), fd) != 1) die("no TLS connection");
    SSL_set_accept_state(ssl.get());
    grown_to(conns_, fd).ssl = std::move(ssl);
    reply_.opened(fd);
  }

  ssize_t receive(int fd, std::span<uint8_t> into) {
    Conn& conn = conns_[static_cast<size_t>(fd)];
    size_t have = 0;
    ssize_t outcome = 0;
    do {
      size_t got = 0;
      const int result = SSL_read_ex(conn.ssl.get(), into.data() + have, into.size() - have, &got);
      if (result <= 0) outcome = failed(conn, result);
      have += got;
    } while (outcome == 0 && have < into.size());
    conn.filled_buffer = outcome == 0;
    return have != 0 ? static_cast<ssize_t>(have) : outcome;
  }

  bool answer(int fd, std::span<const uint8_t> in, std::span<const uint8_t>& out) {
    out = reply_.to(fd, in);
    return true;
  }

  // All or, as far as the caller can see, nothing: OpenSSL remembers how far it came, and wants the
  // same bytes again.
  ssize_t send(int fd, std::span<const uint8_t> from) {
    Conn& conn = conns_[static_cast<size_t>(fd)];
    size_t written = 0;
    const int result = SSL_write_ex(conn.ssl.get(), from.data(), from.size(), &written);
    return result <= 0 ? failed(conn, result) : static_cast<ssize_t>(written);
  }

  bool holds_more(int fd) const { return conns_[static_cast<size_t>(fd)].filled_buffer; }
  void closed(int fd) { conns_[static_cast<size_t>(fd)] = Conn{}; }

 private:
  struct Conn {
    OpensslPtr<SSL> ssl;
    bool filled_buffer = false;  // OpenSSL was not asked until it had no more
  };

  // As a system call would tell it.  Reading never waits for writing: what a handshake sends is
  // little, and the socket still empty.
  static ssize_t failed(Conn& conn, int result) {
    const int why = SSL_get_error(conn.ssl.get(), result);
    const bool waits = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
    if (!waits) ERR_clear_error();  // or the next connection would seem to have failed
    errno = waits ? EAGAIN : EPROTO;
    return -1;
  }

  TlsContext& context_;
  FloorReply reply_;
  std::vector<Conn> conns_;  // by descriptor
};

// The fewest system calls: the records of one recv decrypted, the answer to all of them encrypted
// into one buffer and sent with one call.
class TlsOnBuffers : public PlainSocket {
 public:
  TlsOnBuffers(TlsContext& context, bool upgrading) : context_(context), reply_(upgrading) {}

  void opened(int fd) {
    grown_to(conns_, fd).emplace(context_);
    reply_.opened(fd);
  }

  bool answer(int fd, std::span<const uint8_t> in, std::span<const uint8_t>& out) {
    Tls& tls = *conns_[static_cast<size_t>(fd)];
    wire_.clear();
    tls.encrypt(reply_.to(fd, tls.decrypt(in, wire_)), wire_);
    out = wire_;
    return !tls.has_ended();
  }

  void closed(int fd) { conns_[static_cast<size_t>(fd)].reset(); }

 private:
  TlsContext& context_;
  FloorReply reply_;
  std::vector<std::optional<Tls>> conns_;  // by descriptor
  std::vector<uint8_t> wire_;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  Options options(argc, argv, kUsage);
  const auto port = static_cast<uint16_t>(options.number("--port", 0, 0, 65535));
  const std::string cert_file = options.text("--tls-cert", "");
  const std::string key_file = options.text("--tls-key", "");
  const bool upgrading = options.flag("--upgrade");
  const bool own_bio = options.flag("--own-bio");
  options.finish();
  if (cert_file.empty() != key_file.empty()) options.fail("--tls-cert", "goes with --tls-key");

  raise_descriptor_limit();
  const std::unique_ptr<TlsContext> context = TlsContext::server(cert_file, key_file);
  if (own_bio) {
    Floor<TlsOnBuffers>(port, kMostWireBytes, *context, upgrading).run();
  } else {
    Floor<TlsOnSocket>(port, kFloorReadBytes, *context, upgrading).run();
  }
  return 0;
}
