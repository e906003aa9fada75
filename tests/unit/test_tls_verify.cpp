// Who is trusted: chains, times, names and addresses, and certificates of clients.
#include "tls_support.hpp"

#include <ctime>

using namespace tls_test;

namespace {

constexpr long kDay = 24 * 60 * 60;

int refused(const TransportFault& f, int code, const char* why) {
  if (f.error != code) print_error("%d: %s\n", f.error, f.detail);
  assert_int_equal(f.error, code);
  assert_has(f.detail, why);
  return 0;
}

TransportFault client_fault(const Duo& duo) {
  return duo.client.fault(duo.client_result, "reading failed");
}
TransportFault server_fault(const Duo& duo) {
  return duo.server.fault(duo.server_result, "reading failed");
}

// ---- servers' certificates ----

// What a client makes of a server's certificate: "" if it accepts it, else its detail.
struct Judged {
  int error;
  std::string detail;
};

Judged judge(const ws_tls_config& server, const ws_tls_config& client, const char* name) {
  Ref<TlsContext> s = make(server), c = make(client);
  Duo duo(*s, *c, name);
  if (duo.shake()) return {0, ""};
  const TransportFault f = client_fault(duo);
  // The server learns of it by an alert, and no byte of the application's went.
  assert_has(duo.server_detail(), "alert");
  return {f.error, f.detail};
}

Judged judge_leaf(const Pki& pki, const CertSpec& spec, const Cert* issuer, const char* name) {
  Cert* leaf = cert_make(&spec, issuer);
  ws_tls_config server = config();
  server.cert_pem = cert_pem(leaf);
  server.key_pem = cert_key(leaf);
  Judged j = judge(server, pki.client_config(), name);
  cert_free(leaf);
  return j;
}

CertSpec spec_for(const char* names) {
  CertSpec spec = {};
  spec.subject = "test server";
  spec.names = names;
  return spec;
}

// req: 110, 111
void test_verify_good_certificate_is_accepted_by_name_and_address(void**) {
  Pki pki;
  for (const char* name : {"localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", "::1%lo"}) {
    assert_int_equal(judge(pki.server_config(), pki.client_config(), name).error, 0);
  }
}

// req: 110
void test_verify_works_with_each_version(void**) {
  Pki pki;
  for (const uint32_t version : {0x0303u, 0x0304u}) {
    ws_tls_config server = pki.server_config();
    server.min_version = version;
    Ref<TlsContext> s = make(server), c = pki.client();
    SSL_CTX_set_max_proto_version(s->server(), static_cast<int>(version));
    Duo duo(*s, *c);
    assert_true(duo.shake());
    ws_tls_info info;
    assert_false(duo.client.info(&info).failed());
    assert_string_equal(info.version, version == 0x0303 ? "TLSv1.2" : "TLSv1.3");
  }
}

// req: 111
void test_verify_expired_certificate_is_refused_with_its_name(void**) {
  Pki pki;
  CertSpec spec = spec_for("DNS:localhost");
  spec.not_before = -2 * kDay;
  spec.not_after = -60;
  const Judged j = judge_leaf(pki, spec, pki.ca, "localhost");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
  assert_string_equal(j.detail.c_str(),
                      "certificate verify failed: certificate has expired (CN=test server)");
}

// req: 111
void test_verify_certificate_of_tomorrow_is_refused(void**) {
  Pki pki;
  CertSpec spec = spec_for("DNS:localhost");
  spec.not_before = 60 * 60;
  spec.not_after = kDay;
  const Judged j = judge_leaf(pki, spec, pki.ca, "localhost");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
  assert_has(j.detail.c_str(), "not yet valid");
}

// req: 111
void test_verify_name_of_another_host_is_refused(void**) {
  Pki pki;
  const Judged j = judge_leaf(pki, spec_for("DNS:example.org"), pki.ca, "localhost");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
  assert_has(j.detail.c_str(), "hostname mismatch, \"localhost\" was asked for (CN=test server)");
}

// req: 111
void test_verify_another_address_is_refused(void**) {
  Pki pki;
  for (const char* name : {"127.0.0.1", "::1"}) {
    const Judged j =
        judge_leaf(pki, spec_for("IP:192.0.2.1,IP:2001:db8::1,DNS:localhost"), pki.ca, name);
    assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
    assert_has(j.detail.c_str(), "IP address mismatch");
  }
}

// RFC 9525 6.4.4: what identifies is in subjectAltName.
void test_verify_common_name_is_no_name(void**) {
  Pki pki;
  CertSpec spec = spec_for(nullptr);
  spec.subject = "localhost";
  assert_int_equal(judge_leaf(pki, spec, pki.ca, "localhost").error, WS_ERR_TLS_VERIFY);
}

// An address is no name: a certificate for the name "127.0.0.1" is not one for the address.
void test_verify_address_as_a_dns_name_is_refused(void**) {
  Pki pki;
  const Judged j = judge_leaf(pki, spec_for("DNS:127.0.0.1"), pki.ca, "127.0.0.1");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
}

// RFC 9525 6.3: the whole leftmost label, and only one.
void test_verify_wildcard_stands_for_one_label(void**) {
  Pki pki;
  const struct {
    const char *pattern, *name;
    bool good;
  } cases[] = {
      {"DNS:*.example.org", "a.example.org", true},
      {"DNS:*.example.org", "example.org", false},
      {"DNS:*.example.org", "a.b.example.org", false},
      {"DNS:a*.example.org", "ab.example.org", false},
      {"DNS:*b.example.org", "ab.example.org", false},
      {"DNS:a.*.org", "a.example.org", false},
  };
  for (const auto& c : cases) {
    const Judged j = judge_leaf(pki, spec_for(c.pattern), pki.ca, c.name);
    assert_int_equal(j.error, c.good ? 0 : WS_ERR_TLS_VERIFY);
  }
}

// req: 111
void test_verify_self_signed_is_refused_unless_it_is_trusted(void**) {
  Pki pki;
  Judged j = judge_leaf(pki, spec_for("DNS:localhost"), nullptr, "localhost");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
  assert_has(j.detail.c_str(), "self-signed certificate");

  Ref<TlsContext> s;
  assert_false(TlsContext::create_self_signed("example.org", &s).failed());
  ws_tls_config trusting = config();
  trusting.ca_pem = s->certificate_pem();
  Ref<TlsContext> c = make(trusting);
  for (const char* name : {"example.org", "localhost", "127.0.0.1", "::1"}) {
    Duo duo(*s, *c, name);
    assert_true(duo.shake());
  }
}

// req: 111
void test_verify_unknown_authority_is_refused(void**) {
  Pki pki;
  Cert* other = cert_make_ca("another CA");
  const Judged j = judge_leaf(pki, spec_for("DNS:localhost"), other, "localhost");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
  assert_has(j.detail.c_str(), "unable to get local issuer certificate");
  cert_free(other);
}

// A certificate for clients is none for servers (RFC 5280 4.2.1.12).
void test_verify_purpose_is_checked(void**) {
  Pki pki;
  CertSpec spec = spec_for("DNS:localhost");
  spec.is_client = 1;
  assert_int_equal(judge_leaf(pki, spec, pki.ca, "localhost").error, WS_ERR_TLS_VERIFY);
}

void test_verify_rsa_certificate_is_accepted(void**) {
  Pki pki;
  CertSpec spec = spec_for("DNS:localhost");
  spec.rsa = 1;
  assert_int_equal(judge_leaf(pki, spec, pki.ca, "localhost").error, 0);
}

// What the subject says is the peer's choice and must not reach a terminal.
void test_verify_detail_escapes_the_subject(void**) {
  Pki pki;
  CertSpec spec = spec_for("DNS:example.org");
  spec.subject = "x\x1b[2J\"\xc3\xa9";
  const Judged j = judge_leaf(pki, spec, pki.ca, "localhost");
  assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
  for (char c : j.detail) assert_true(c >= 0x20 && c < 0x7f);
}

void test_verify_none_takes_any_certificate_and_vouches_for_none(void**) {
  Pki pki;
  ws_tls_config client = config();
  client.verify = WS_TLS_VERIFY_NONE;
  Ref<TlsContext> s = pki.server(), c = make(client);
  Duo duo(*s, *c, "example.org");
  assert_true(duo.shake());
  ws_tls_info info;
  assert_false(duo.client.info(&info).failed());
  assert_string_equal(info.peer_subject, "");
  assert_string_equal(info.peer_fingerprint, "");
}

// ---- chains ----

struct Chain {
  Cert *upper, *lower, *leaf;
  explicit Chain(const Cert* root) {
    CertSpec spec = {};
    spec.is_ca = 1;
    spec.subject = "upper";
    upper = cert_make(&spec, root);
    spec.subject = "lower";
    lower = cert_make(&spec, upper);
    leaf = cert_make_server(lower, "DNS:localhost");
  }
  ~Chain() {
    cert_free(leaf);
    cert_free(lower);
    cert_free(upper);
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  std::string text(const Cert* second, const Cert* third) const {
    std::string t = cert_pem(leaf);
    if (second != nullptr) t += cert_pem(second);
    if (third != nullptr) t += cert_pem(third);
    return t;
  }
};

Judged judge_chain(const ws_tls_config& client, const Chain& chain, const std::string& text) {
  ws_tls_config server = config();
  server.cert_pem = text.c_str();
  server.key_pem = cert_key(chain.leaf);
  return judge(server, client, "localhost");
}

void test_chain_is_accepted_in_any_order_and_refused_with_a_gap(void**) {
  Pki pki;
  Chain chain(pki.ca);
  const ws_tls_config client = pki.client_config();
  assert_int_equal(judge_chain(client, chain, chain.text(chain.lower, chain.upper)).error, 0);
  assert_int_equal(judge_chain(client, chain, chain.text(chain.upper, chain.lower)).error, 0);
  for (const Cert* only : {chain.lower, chain.upper, static_cast<Cert*>(nullptr)}) {
    const Judged j = judge_chain(client, chain, chain.text(only, nullptr));
    assert_int_equal(j.error, WS_ERR_TLS_VERIFY);
    assert_has(j.detail.c_str(), "unable to get local issuer certificate");
  }
}

void test_chain_to_an_intermediate_needs_the_flag(void**) {
  Pki pki;
  Chain chain(pki.ca);
  ws_tls_config client = config();
  client.ca_pem = cert_pem(chain.lower);
  assert_int_equal(judge_chain(client, chain, chain.text(nullptr, nullptr)).error,
                   WS_ERR_TLS_VERIFY);
  client.flags = WS_TLS_PARTIAL_CHAIN;
  assert_int_equal(judge_chain(client, chain, chain.text(nullptr, nullptr)).error, 0);
}

// ---- clients' certificates ----

struct Asking {
  Pki pki;
  Cert* client_cert = cert_make_client(pki.ca, "Jane, \"the\" client");
  ~Asking() { cert_free(client_cert); }

  Ref<TlsContext> server(ws_tls_verify verify, uint32_t version) const {
    ws_tls_config c = pki.server_config();
    c.ca_pem = cert_pem(pki.ca);
    c.verify = verify;
    Ref<TlsContext> context = make(c);
    SSL_CTX_set_max_proto_version(context->server(), static_cast<int>(version));
    return context;
  }
  Ref<TlsContext> client(const Cert* certificate) const {
    ws_tls_config c = pki.client_config();
    if (certificate != nullptr) {
      c.cert_pem = cert_pem(certificate);
      c.key_pem = cert_key(certificate);
    }
    return make(c);
  }
};

constexpr uint32_t kVersions[] = {0x0303, 0x0304};

void test_client_certificate_that_is_good_is_told(void**) {
  Asking a;
  for (const uint32_t version : kVersions) {
    for (const ws_tls_verify verify : {WS_TLS_VERIFY_REQUIRE, WS_TLS_VERIFY_OPTIONAL}) {
      Ref<TlsContext> s = a.server(verify, version), c = a.client(a.client_cert);
      // The second connection resumes, and knows the same.
      for (int resumed = 0; resumed < 2; ++resumed) {
        Duo duo(*s, *c);
        assert_true(duo.shake());
        ws_tls_info info;
        assert_false(duo.server.info(&info).failed());
        assert_int_equal(info.resumed, resumed);
        assert_string_equal(info.peer_subject, "CN=Jane\\, \\\"the\\\" client");
        assert_int_equal(strlen(info.peer_fingerprint), 64);
        assert_string_equal(info.server_name, "localhost");
      }
    }
  }
}

void test_client_without_certificate_is_refused_where_one_is_required(void**) {
  Asking a;
  for (const uint32_t version : kVersions) {
    Ref<TlsContext> s = a.server(WS_TLS_VERIFY_REQUIRE, version), c = a.client(nullptr);
    Duo duo(*s, *c);
    assert_false(duo.shake());
    refused(server_fault(duo), WS_ERR_TLS_VERIFY, "the peer gave no certificate");
    refused(client_fault(duo), WS_ERR_TLS, "alert");
  }
}

void test_client_without_certificate_is_welcome_where_one_is_optional(void**) {
  Asking a;
  for (const uint32_t version : kVersions) {
    Ref<TlsContext> s = a.server(WS_TLS_VERIFY_OPTIONAL, version), c = a.client(nullptr);
    Duo duo(*s, *c);
    assert_true(duo.shake());
    ws_tls_info info;
    assert_false(duo.server.info(&info).failed());
    assert_string_equal(info.peer_subject, "");
    assert_string_equal(info.peer_fingerprint, "");
  }
}

void test_client_certificate_of_another_authority_is_refused(void**) {
  Asking a;
  Cert* other_ca = cert_make_ca("another CA");
  Cert* other = cert_make_client(other_ca, "stranger");
  for (const uint32_t version : kVersions) {
    for (const ws_tls_verify verify : {WS_TLS_VERIFY_REQUIRE, WS_TLS_VERIFY_OPTIONAL}) {
      Ref<TlsContext> s = a.server(verify, version), c = a.client(other);
      Duo duo(*s, *c);
      assert_false(duo.shake());
      refused(server_fault(duo), WS_ERR_TLS_VERIFY,
              "unable to get local issuer certificate (CN=st");
      refused(client_fault(duo), WS_ERR_TLS, "alert \"unknown CA\"");
    }
  }
  cert_free(other);
  cert_free(other_ca);
}

void test_client_is_not_asked_by_default(void**) {
  Asking a;
  ws_tls_config server = a.pki.server_config();
  server.ca_pem = cert_pem(a.pki.ca);
  Ref<TlsContext> s = make(server), c = a.client(a.client_cert);
  Duo duo(*s, *c);
  assert_true(duo.shake());
  ws_tls_info info;
  assert_false(duo.server.info(&info).failed());
  assert_string_equal(info.peer_subject, "");
}

// ---- names that cannot be asked for ----

void test_connect_to_what_is_no_name_is_refused(void**) {
  Pki pki;
  Ref<TlsContext> c = pki.client();
  TlsBuffers buffers;
  const std::string longest(253, 'a'), too_long(254, 'a');
  for (const char* name : {"", ".", ".localhost", too_long.c_str()}) {
    Fds fds;
    Transport lower(fds.ours);
    TlsSession* session = nullptr;
    assert_int_equal(TlsSession::connect(*c, buffers, std::move(lower), name, 443, &session).code(),
                     WS_ERR_TLS);
    assert_null(session);
    assert_int_equal(lower.fd(), fds.ours);  // still the caller's
  }
  Fds fds;
  TlsSession* session = nullptr;
  assert_false(TlsSession::connect(*c, buffers, Transport(fds.ours), longest.c_str(), 443, &session)
                   .failed());
  delete session;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_verify_good_certificate_is_accepted_by_name_and_address),
      cmocka_unit_test(test_verify_works_with_each_version),
      cmocka_unit_test(test_verify_expired_certificate_is_refused_with_its_name),
      cmocka_unit_test(test_verify_certificate_of_tomorrow_is_refused),
      cmocka_unit_test(test_verify_name_of_another_host_is_refused),
      cmocka_unit_test(test_verify_another_address_is_refused),
      cmocka_unit_test(test_verify_common_name_is_no_name),
      cmocka_unit_test(test_verify_address_as_a_dns_name_is_refused),
      cmocka_unit_test(test_verify_wildcard_stands_for_one_label),
      cmocka_unit_test(test_verify_self_signed_is_refused_unless_it_is_trusted),
      cmocka_unit_test(test_verify_unknown_authority_is_refused),
      cmocka_unit_test(test_verify_purpose_is_checked),
      cmocka_unit_test(test_verify_rsa_certificate_is_accepted),
      cmocka_unit_test(test_verify_detail_escapes_the_subject),
      cmocka_unit_test(test_verify_none_takes_any_certificate_and_vouches_for_none),
      cmocka_unit_test(test_chain_is_accepted_in_any_order_and_refused_with_a_gap),
      cmocka_unit_test(test_chain_to_an_intermediate_needs_the_flag),
      cmocka_unit_test(test_client_certificate_that_is_good_is_told),
      cmocka_unit_test(test_client_without_certificate_is_refused_where_one_is_required),
      cmocka_unit_test(test_client_without_certificate_is_welcome_where_one_is_optional),
      cmocka_unit_test(test_client_certificate_of_another_authority_is_refused),
      cmocka_unit_test(test_client_is_not_asked_by_default),
      cmocka_unit_test(test_connect_to_what_is_no_name_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
