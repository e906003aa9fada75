// What is agreed on in a handshake, and what peers that are not ours do: versions, ALPN, names,
// resumption, key updates, renegotiation, plain text.
#include "tls_support.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <cerrno>
#include <thread>

using namespace tls_test;

namespace {

// A peer of OpenSSL's own on the other end of a socket pair.
class Peer {
 public:
  explicit Peer(const SSL_METHOD* method) : ctx(SSL_CTX_new(method)) {
    assert_non_null(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, nullptr);
  }
  ~Peer() {
    SSL_free(ssl);
    SSL_CTX_free(ctx);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void use(const Cert* c) {
    BIO* in = BIO_new_mem_buf(cert_pem(c), -1);
    X509* x = PEM_read(in);
    assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
    X509_free(x);
    in = BIO_new_mem_buf(cert_key(c), -1);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    EVP_PKEY_free(key);
  }
  void start() {
    ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fds.theirs);
    if (SSL_is_server(ssl)) return SSL_set_accept_state(ssl);
    SSL_set_connect_state(ssl);
  }
  void connect_to(TlsContext& context) {
    start();
    TlsSession* s;
    assert_false(TlsSession::accept(context, buffers, Transport(fds.ours), &s).failed());
    ours = Transport(fds.ours, s);
  }
  void accept_from(TlsContext& context) {
    start();
    TlsSession* s;
    assert_false(
        TlsSession::connect(context, buffers, Transport(fds.ours), "localhost", 443, &s).failed());
    ours = Transport(fds.ours, s);
  }
  // Both sides take turns until both are done or one fails.
  bool shake() {
    for (int i = 0; i < 20; ++i) {
      const int rc = SSL_do_handshake(ssl);
      uint8_t byte;
      result = SSL_is_server(ssl) != 0 && !ours.tls()->handshaken() ? ours.tls()->handshake()
                                                                    : ours.read(&byte, 1);
      if (rc == 1 && ours.tls()->handshaken()) return true;
      if (result.status == IoResult::kFailed) break;
    }
    SSL_do_handshake(ssl);  // the alert
    return false;
  }
  TransportFault fault() const { return ours.fault(result, ""); }

  SSL_CTX* ctx;
  SSL* ssl = nullptr;
  Fds fds;
  TlsBuffers buffers;
  Transport ours;
  IoResult result{IoResult::kOk, 0, 0};

 private:
  static X509* PEM_read(BIO* in) {
    X509* x = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    return x;
  }
};

std::string read_all(Transport& t, IoResult* last = nullptr) {
  std::string got;
  for (;;) {
    uint8_t buf[70000];
    const IoResult r = t.read(buf, sizeof buf);
    if (last != nullptr) *last = r;
    if (r.status != IoResult::kOk) return got;
    got.append(reinterpret_cast<char*>(buf), r.bytes);
  }
}

ws_tls_info info_of(const Transport& t) {
  ws_tls_info info;
  assert_false(t.info(&info).failed());
  return info;
}

// ---- versions ----

// req: 110
void test_version_1_1_is_refused_in_both_roles(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  for (const bool ours_serves : {true, false}) {
    Peer peer(ours_serves ? TLS_client_method() : TLS_server_method());
    SSL_CTX_set_min_proto_version(peer.ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(peer.ctx, TLS1_1_VERSION);
    SSL_CTX_set_security_level(peer.ctx, 0);
    SSL_CTX_set_cipher_list(peer.ctx, "ALL:@SECLEVEL=0");
    if (!ours_serves) peer.use(pki.leaf);
    ours_serves ? peer.connect_to(*s) : peer.accept_from(*c);
    assert_false(peer.shake());
    assert_int_equal(peer.fault().error, WS_ERR_TLS);
    assert_has(peer.fault().detail, ours_serves ? "unsupported protocol" : "protocol version");
  }
}

void test_version_1_2_is_refused_where_1_3_is_the_least(void**) {
  Pki pki;
  ws_tls_config config = pki.server_config();
  config.min_version = 0x0304;
  Ref<TlsContext> s = make(config);
  Peer peer(TLS_client_method());
  SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
  peer.connect_to(*s);
  assert_false(peer.shake());
  assert_int_equal(peer.fault().error, WS_ERR_TLS);
}

void test_ciphers_of_1_2_have_forward_secrecy_unless_told_otherwise(void**) {
  Pki pki;
  CertSpec spec = {};
  spec.subject = "rsa";
  spec.names = "DNS:localhost";
  spec.rsa = 1;
  Cert* rsa = cert_make(&spec, pki.ca);
  ws_tls_config config = tls_test::config();
  config.cert_pem = cert_pem(rsa);
  config.key_pem = cert_key(rsa);
  for (const char* offered : {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256"}) {
    for (const bool told : {false, true}) {
      config.ciphers = told ? offered : nullptr;
      Ref<TlsContext> s = make(config);
      Peer peer(TLS_client_method());
      SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
      SSL_CTX_set_cipher_list(peer.ctx, offered);
      peer.connect_to(*s);
      assert_int_equal(peer.shake(), told);
    }
  }
  cert_free(rsa);
}

// ---- ALPN ----

void test_alpn_http_1_1_is_chosen_and_others_are_refused(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  const struct {
    std::string offer;
    bool good;
  } cases[] = {{"", true},
               {"\x08http/1.1", true},
               {std::string("\x02h2\x08http/1.1"), true},
               {"\x02h2", false},
               {"\x08http/1.0", false},
               {"\x07http/1.", false},
               {std::string("\x09http/1.1x"), false}};
  for (const auto& c : cases) {
    Peer peer(TLS_client_method());
    SSL_CTX_set_alpn_protos(peer.ctx, reinterpret_cast<const unsigned char*>(c.offer.data()),
                            static_cast<unsigned>(c.offer.size()));
    peer.connect_to(*s);
    assert_int_equal(peer.shake(), c.good);
    if (!c.good) {
      assert_int_equal(peer.fault().error, WS_ERR_TLS);
      // RFC 7301 3.2.
      assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                       SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
      ERR_clear_error();
      continue;
    }
    const unsigned char* chosen;
    unsigned len;
    SSL_get0_alpn_selected(peer.ssl, &chosen, &len);
    assert_int_equal(len, c.offer.empty() ? 0 : 8);
  }
}

void test_alpn_client_refuses_what_it_did_not_offer(void**) {
  Pki pki;
  Ref<TlsContext> c = pki.client();
  Peer peer(TLS_server_method());
  peer.use(pki.leaf);
  SSL_CTX_set_alpn_select_cb(
      peer.ctx,
      [](SSL*, const unsigned char** out, unsigned char* out_len, const unsigned char* in, unsigned,
         void*) {
        assert_memory_equal(in, "\x08http/1.1", 9);
        *out = reinterpret_cast<const unsigned char*>("h2");
        *out_len = 2;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  peer.accept_from(*c);
  assert_false(peer.shake());
  assert_int_equal(peer.fault().error, WS_ERR_TLS);
}

// ---- names ----

// req: 10
void test_sni_carries_names_and_no_addresses(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  const struct {
    const char *name, *sni;
  } cases[] = {
      {"localhost", "localhost"}, {"localhost.", "localhost"}, {"127.0.0.1", ""}, {"::1", ""}};
  for (const auto& test : cases) {
    Duo duo(*s, *c, test.name);
    assert_true(duo.shake());
    assert_string_equal(info_of(duo.server).server_name, test.sni);
  }
}

void test_sni_that_is_hostile_is_escaped(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  Peer peer(TLS_client_method());
  peer.connect_to(*s);
  SSL_set_tlsext_host_name(peer.ssl, "a\x1b[2J\"b");
  assert_true(peer.shake());
  assert_string_equal(info_of(peer.ours).server_name, "a\\x1b[2J\\x22b");
}

// Which certificate a client gets that asks for `name`.
std::string subject_for(TlsContext& server, const char* name) {
  Peer peer(TLS_client_method());
  peer.connect_to(server);
  if (name != nullptr) SSL_set_tlsext_host_name(peer.ssl, name);
  assert_true(peer.shake());
  char subject[100];
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(peer.ssl)),
                            NID_commonName, subject, sizeof subject);
  return subject;
}

// req: 49
void test_sni_chooses_the_first_certificate_that_is_for_the_name(void**) {
  Pki pki;
  std::vector<Cert*> certs;
  std::vector<Ref<TlsContext>> contexts;
  std::vector<ws_tls*> handles;
  for (const char* names : {"DNS:a.example,DNS:both.example", "DNS:*.b.example,DNS:both.example"}) {
    CertSpec spec = {};
    spec.subject = names + 4;
    spec.names = names;
    certs.push_back(cert_make(&spec, pki.ca));
    ws_tls_config c = config();
    c.cert_pem = cert_pem(certs.back());
    c.key_pem = cert_key(certs.back());
    contexts.push_back(make(c));
    handles.push_back(to_handle(contexts.back().get()));
  }
  ws_tls_config c = pki.server_config();
  c.alternatives = handles.data();
  c.alternative_count = handles.size();
  Ref<TlsContext> s = make(c);
  contexts.clear();  // `s` holds them
  const std::string first = "a.example,DNS:both.example", second = "*.b.example,DNS:both.example";
  assert_string_equal(subject_for(*s, "a.example").c_str(), first.c_str());
  assert_string_equal(subject_for(*s, "A.EXAMPLE").c_str(), first.c_str());
  assert_string_equal(subject_for(*s, "both.example").c_str(), first.c_str());
  assert_string_equal(subject_for(*s, "x.b.example").c_str(), second.c_str());
  assert_string_equal(subject_for(*s, "localhost").c_str(), "test server");
  assert_string_equal(subject_for(*s, "unknown.example").c_str(), "test server");
  assert_string_equal(subject_for(*s, nullptr).c_str(), "test server");
  for (Cert* cert : certs) cert_free(cert);
}

// ---- resumption ----

bool resumes(TlsContext& s, TlsContext& c, const char* name = "localhost", uint16_t port = 443) {
  Duo duo(s, c, name, port);
  assert_true(duo.shake());
  assert_int_equal(info_of(duo.client).resumed, info_of(duo.server).resumed);
  return info_of(duo.client).resumed != 0;
}

void test_resumption_works_per_name_and_port(void**) {
  Pki pki;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Ref<TlsContext> s = pki.server(), c = pki.client();
    SSL_CTX_set_max_proto_version(s->server(), version);
    assert_false(resumes(*s, *c));
    assert_true(resumes(*s, *c));
    assert_true(resumes(*s, *c));
    assert_false(resumes(*s, *c, "127.0.0.1"));
    assert_false(resumes(*s, *c, "localhost", 444));
    assert_true(resumes(*s, *c, "localhost", 444));
    // Another server has another key.
    Ref<TlsContext> other = pki.server();
    SSL_CTX_set_max_proto_version(other->server(), version);
    assert_false(resumes(*other, *c));
  }
}

// RFC 8446 C.4.
void test_resumption_uses_a_1_3_ticket_once(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  assert_false(resumes(*s, *c));
  assert_int_equal(c->tickets().size(), 1);
  Duo first(*s, *c), second(*s, *c);
  assert_true(first.shake());
  assert_true(second.shake());
  assert_int_equal(info_of(first.client).resumed, 1);
  assert_int_equal(info_of(second.client).resumed, 0);
}

void test_resumption_is_off_without_tickets(void**) {
  Pki pki;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const bool server_has_none : {true, false}) {
      ws_tls_config sc = pki.server_config(), cc = pki.client_config();
      (server_has_none ? sc : cc).flags = WS_TLS_NO_TICKETS;
      Ref<TlsContext> s = make(sc), c = make(cc);
      SSL_CTX_set_max_proto_version(s->server(), version);
      assert_false(resumes(*s, *c));
      assert_false(resumes(*s, *c));
      assert_int_equal(c->tickets().size(), 0);
    }
  }
}

// RFC 5246 7.2.2.
void test_resumption_does_not_follow_a_fatal_alert(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  Duo duo(*s, *c);
  assert_true(duo.shake());
  assert_int_equal(c->tickets().size(), 1);
  duo.server.write("x", 1);
  duo.down.collect(duo.server_fds.theirs);
  duo.down.all.back() ^= 1;
  duo.drain(duo.client);
  assert_int_equal(c->tickets().size(), 0);
}

// Contexts are shared: this is for the thread sanitizer.
void test_context_is_used_by_several_threads(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        Duo duo(*s, *c);
        if (!duo.shake()) abort();
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

// ---- peers that are not ours ----

// req: 49
void test_plain_http_on_a_tls_port_is_refused(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  for (const char* request : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\n\r\n"}) {
    Peer peer(TLS_client_method());
    peer.connect_to(*s);
    assert_true(write(peer.fds.theirs, request, strlen(request)) > 0);
    uint8_t buf[100];
    peer.result = peer.ours.read(buf, sizeof buf);
    assert_int_equal(peer.result.status, IoResult::kFailed);
    assert_int_equal(peer.fault().error, WS_ERR_TLS);
    assert_string_equal(peer.fault().detail, "the peer does not speak TLS: plain HTTP came");
  }
}

void test_peer_that_does_not_speak_tls_is_refused(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  for (const bool ours_serves : {true, false}) {
    Peer peer(ours_serves ? TLS_client_method() : TLS_server_method());
    ours_serves ? peer.connect_to(*s) : peer.accept_from(*c);
    const char hello[] = "SSH-2.0-OpenSSH_9.2p1 Debian\r\n";
    assert_true(write(peer.fds.theirs, hello, sizeof hello - 1) > 0);
    uint8_t buf[100];
    peer.result = ours_serves ? peer.ours.read(buf, sizeof buf) : peer.ours.tls()->handshake();
    assert_int_equal(peer.result.status, IoResult::kFailed);
    assert_int_equal(peer.fault().error, WS_ERR_TLS);
    assert_has(peer.fault().detail, "the peer does not speak TLS");
  }
}

void test_noise_is_refused_whatever_it_is(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  uint32_t x = 4711;
  for (int i = 0; i < 300; ++i) {
    Peer peer(TLS_client_method());
    peer.connect_to(*s);
    std::string data(1 + (x >> 8) % 600, '\0');
    for (char& c : data) c = static_cast<char>((x = x * 1664525u + 1013904223u) >> 24);
    // A third looks like a record of the handshake, the other half of which is noise.
    if (i % 3 == 0) data = std::string("\x16\x03\x01\x00\x20\x01\x00\x00\x1c\x03\x03", 11) + data;
    assert_true(write(peer.fds.theirs, data.data(), data.size()) > 0);
    peer.fds.hang_up();
    for (int turn = 0; turn < 2; ++turn) read_all(peer.ours, &peer.result);
    assert_true(peer.result.status == IoResult::kFailed || peer.result.status == IoResult::kEof);
  }
}

void test_key_update_is_answered_and_data_goes_on(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  Peer peer(TLS_client_method());
  peer.connect_to(*s);
  assert_true(peer.shake());
  for (int i = 0; i < 3; ++i) {
    assert_int_equal(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(peer.ssl, "after", 5), 5);
    assert_string_equal(read_all(peer.ours).c_str(), "after");
    assert_int_equal(peer.ours.write("answer", 6).bytes, 6);
    char buf[10];
    assert_int_equal(SSL_read(peer.ssl, buf, sizeof buf), 6);
  }
}

// A peer that asks and asks, and never reads the answers.
void test_key_updates_without_end_are_bounded(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  Peer peer(TLS_client_method());
  peer.connect_to(*s);
  assert_true(peer.shake());
  system_table.send = [](int, const void*, size_t) -> ssize_t {
    errno = EAGAIN;
    return -1;
  };
  for (int i = 0; i < 20000; ++i) {
    SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(peer.ssl);
    if (i % 50 == 0) read_all(peer.ours);
    assert_true(peer.ours.unsent() <= TlsBuffers::kOutBytes);
  }
  // It has come to the bound, reads no further, and does not ask to be called for that.
  assert_true(peer.ours.unsent() > TlsBuffers::kOutBytes - TlsBuffers::kRecordOverhead);
  assert_false(peer.ours.has_unread());
  assert_true(peer.ours.read_waits());
  clear_faults();
  assert_int_equal(peer.ours.flush().status, IoResult::kOk);
  assert_true(peer.ours.has_unread());
}

// req: 110
void test_renegotiation_is_refused(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  Peer peer(TLS_client_method());
  SSL_CTX_set_max_proto_version(peer.ctx, TLS1_2_VERSION);
  peer.connect_to(*s);
  assert_true(peer.shake());
  assert_int_equal(SSL_renegotiate(peer.ssl), 1);
  assert_false(peer.shake());
  ERR_clear_error();
}

void test_records_of_one_byte_are_taken_together(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server();
  Peer peer(TLS_client_method());
  peer.connect_to(*s);
  assert_true(peer.shake());
  std::string sent;
  for (int i = 0; i < 2000; ++i) {
    const char c = static_cast<char>('a' + i % 26);
    assert_int_equal(SSL_write(peer.ssl, &c, 1), 1);
    sent += c;
    if (i % 100 == 99) {
      assert_string_equal(read_all(peer.ours).c_str(), sent.c_str());
      sent.clear();
    }
  }
}

void test_info_is_told_after_the_handshake_only(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  Duo duo(*s, *c);
  ws_tls_info info;
  assert_int_equal(duo.server.info(&info).code(), WS_ERR_STATE);
  assert_true(duo.shake());
  info = info_of(duo.client);
  assert_string_equal(info.version, "TLSv1.3");
  assert_has(info.cipher, "TLS_");
  assert_string_equal(info.peer_subject, "CN=test server");
  assert_int_equal(strlen(info.peer_fingerprint), 64);
  assert_int_equal(info.kernel, 0);
  assert_int_equal(Transport().info(&info).code(), WS_ERR_STATE);
}

// The peer refused our certificate and went away, and we notice when we write.
void test_alert_explains_a_write_that_fails(void**) {
  Pki pki;
  ws_tls_config config = pki.server_config();
  config.ca_pem = cert_pem(pki.ca);
  config.verify = WS_TLS_VERIFY_REQUIRE;
  Ref<TlsContext> s = make(config), c = pki.client();
  for (const bool alert_came : {true, false}) {
    Duo duo(*s, *c);
    uint8_t byte;
    for (int i = 0; i < 4 && !duo.client.tls()->handshaken(); ++i) {
      duo.client.tls()->handshake();
      duo.carry();
      if (i == 0) duo.server.read(&byte, 1);
      duo.carry();
    }
    assert_true(duo.client.tls()->handshaken());
    if (alert_came) {
      assert_int_equal(duo.server.read(&byte, 1).status, IoResult::kFailed);
      duo.carry();
    }
    system_table.send = [](int, const void*, size_t) -> ssize_t {
      errno = EPIPE;
      return -1;
    };
    const IoResult r = duo.client.write("GET /", 5);
    clear_faults();
    assert_int_equal(r.status, IoResult::kFailed);
    const TransportFault f = duo.client.fault(r, "");
    assert_int_equal(f.error, alert_came ? WS_ERR_TLS : WS_ERR_EOF);
    assert_has(f.detail, alert_came ? "certificate required" : "the peer reset the connection");
  }
}

// The kernel cannot, or can; the stream is the same.
void test_kernel_flag_changes_nothing_in_the_stream(void**) {
  Pki pki;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ws_tls_config sc = pki.server_config(), cc = pki.client_config();
    sc.flags = cc.flags = WS_TLS_KERNEL;
    Ref<TlsContext> s = make(sc), c = make(cc);
    SSL_CTX_set_max_proto_version(s->server(), version);
    Duo duo(*s, *c);
    assert_true(duo.shake());
    const std::string data(100000, 'k');
    assert_int_equal(duo.client.write(data.data(), data.size()).bytes, data.size());
    assert_true(duo.drain(duo.server) == data);
    duo.client.end_writing();
    IoResult last;
    duo.drain(duo.server, &last);
    assert_int_equal(last.status, IoResult::kEof);
    assert_false(duo.server.truncated());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_version_1_1_is_refused_in_both_roles),
      cmocka_unit_test(test_version_1_2_is_refused_where_1_3_is_the_least),
      cmocka_unit_test(test_ciphers_of_1_2_have_forward_secrecy_unless_told_otherwise),
      cmocka_unit_test(test_alpn_http_1_1_is_chosen_and_others_are_refused),
      cmocka_unit_test(test_alpn_client_refuses_what_it_did_not_offer),
      cmocka_unit_test(test_sni_carries_names_and_no_addresses),
      cmocka_unit_test(test_sni_that_is_hostile_is_escaped),
      cmocka_unit_test(test_sni_chooses_the_first_certificate_that_is_for_the_name),
      cmocka_unit_test(test_resumption_works_per_name_and_port),
      cmocka_unit_test(test_resumption_uses_a_1_3_ticket_once),
      cmocka_unit_test(test_resumption_is_off_without_tickets),
      cmocka_unit_test(test_resumption_does_not_follow_a_fatal_alert),
      cmocka_unit_test(test_context_is_used_by_several_threads),
      cmocka_unit_test(test_plain_http_on_a_tls_port_is_refused),
      cmocka_unit_test(test_peer_that_does_not_speak_tls_is_refused),
      cmocka_unit_test(test_noise_is_refused_whatever_it_is),
      cmocka_unit_test(test_key_update_is_answered_and_data_goes_on),
      cmocka_unit_test(test_key_updates_without_end_are_bounded),
      cmocka_unit_test(test_renegotiation_is_refused),
      cmocka_unit_test(test_records_of_one_byte_are_taken_together),
      cmocka_unit_test(test_info_is_told_after_the_handshake_only),
      cmocka_unit_test(test_alert_explains_a_write_that_fails),
      cmocka_unit_test(test_kernel_flag_changes_nothing_in_the_stream),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
