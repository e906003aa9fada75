// Settings: what is accepted, what is refused, and what the error then says.
#include "tls_support.hpp"

#include <sys/stat.h>
#include <algorithm>
#include <cstdio>

using namespace tls_test;

namespace {

// A directory for files, gone with the test.
struct Folder {
  char path[32] = "/tmp/libws-tls-XXXXXX";
  std::vector<std::string> files;
  Folder() {
    if (mkdtemp(path) == nullptr) abort();
  }
  ~Folder() {
    for (const std::string& f : files) unlink(f.c_str());
    rmdir(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const char* name(const char* file) {
    files.push_back(std::string(path) + "/" + file);
    return files.back().c_str();
  }
  std::string write(const char* file, const std::string& text) {
    const std::string where = name(file);
    FILE* f = std::fopen(where.c_str(), "w");
    assert_non_null(f);
    std::fwrite(text.data(), 1, text.size(), f);
    std::fclose(f);
    return where;
  }
};

std::string read_file(const std::string& path) {
  FILE* f = std::fopen(path.c_str(), "r");
  assert_non_null(f);
  std::string text(100000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), f));
  std::fclose(f);
  return text;
}

void refuse(const ws_tls_config& c, int code, const char* why) {
  Ref<TlsContext> out;
  assert_int_equal(TlsContext::create(c, &out).code(), code);
  assert_false(static_cast<bool>(out));
  assert_has(last_detail(), why);
}

void accept_config(const ws_tls_config& c) { assert_non_null(make(c).get()); }

// ---- what can be judged without a file ----

void test_config_of_defaults_is_a_client(void**) {
  Ref<TlsContext> c = make(config());
  assert_false(c->has_certificate());
  assert_string_equal(c->certificate_pem(), "");
  assert_null(c->server());
}

void test_config_flags_that_are_unknown_are_unsupported(void**) {
  ws_tls_config c = config();
  c.flags = WS_TLS_NO_NAME_CHECK;
  accept_config(c);
  c.flags = WS_TLS_NO_NAME_CHECK << 1;
  refuse(c, WS_ERR_UNSUPPORTED, "0x10");
}

void test_config_versions_are_1_2_and_1_3(void**) {
  ws_tls_config c = config();
  for (const uint32_t version : {0u, 0x0303u, 0x0304u}) {
    c.min_version = version;
    accept_config(c);
  }
  for (const uint32_t version : {1u, 0x0302u, 0x0305u, 0xfefdu}) {
    c.min_version = version;
    refuse(c, WS_ERR_INVALID, "min_version");
  }
}

void test_config_verify_out_of_range_is_invalid(void**) {
  ws_tls_config c = config();
  for (const int verify : {-1, 4}) {
    memcpy(&c.verify, &verify, sizeof verify);  // as a C program can
    refuse(c, WS_ERR_INVALID, "verify");
  }
}

void test_config_of_file_and_text_together_is_invalid(void**) {
  Pki pki;
  ws_tls_config c = pki.server_config();
  c.cert_file = "/x";
  refuse(c, WS_ERR_INVALID, "cert_pem");
  c = pki.server_config();
  c.key_file = "/x";
  refuse(c, WS_ERR_INVALID, "key_pem");
  c = pki.client_config();
  c.ca_file = "/x";
  refuse(c, WS_ERR_INVALID, "ca_pem");
}

void test_config_of_a_key_alone_is_invalid(void**) {
  Pki pki;
  ws_tls_config c = config();
  c.key_pem = cert_key(pki.leaf);
  refuse(c, WS_ERR_INVALID, "key without its certificate");
}

void test_config_alternatives_need_certificates(void**) {
  Pki pki;
  Ref<TlsContext> none = pki.client(), good = pki.server();
  ws_tls* list[] = {to_handle(good.get()), to_handle(none.get())};
  ws_tls_config c = pki.server_config();
  c.alternatives = list;
  c.alternative_count = 1;
  accept_config(c);
  c.alternative_count = 2;
  refuse(c, WS_ERR_INVALID, "alternatives[1]");
  list[1] = nullptr;
  refuse(c, WS_ERR_INVALID, "alternatives[1]");
  c.alternatives = nullptr;
  refuse(c, WS_ERR_INVALID, "alternatives");
  c = config();
  c.alternatives = list;
  c.alternative_count = 1;
  refuse(c, WS_ERR_INVALID, "alternatives");
}

void test_config_server_that_asks_needs_roots(void**) {
  Pki pki;
  for (const ws_tls_verify verify : {WS_TLS_VERIFY_REQUIRE, WS_TLS_VERIFY_OPTIONAL}) {
    ws_tls_config c = pki.server_config();
    c.verify = verify;
    refuse(c, WS_ERR_TLS_CONFIG, "ca_file");
    c.ca_pem = cert_pem(pki.ca);
    accept_config(c);
  }
}

void test_config_ciphers_that_match_nothing_are_refused(void**) {
  ws_tls_config c = config();
  c.ciphers = "NO-SUCH-CIPHER";
  refuse(c, WS_ERR_TLS_CONFIG, "ciphers: no cipher match");
  c.ciphers = "ECDHE+AESGCM";
  c.ciphersuites = "TLS_NO_SUCH";
  refuse(c, WS_ERR_TLS_CONFIG, "ciphersuites");
  c.ciphersuites = "TLS_AES_128_GCM_SHA256";
  accept_config(c);
}

// ---- files and texts ----

void test_files_are_loaded_as_texts_are(void**) {
  Pki pki;
  Folder d;
  const std::string cert = d.write("cert.pem", cert_pem(pki.leaf));
  const std::string key = d.write("key.pem", cert_key(pki.leaf));
  const std::string both =
      d.write("both.pem", std::string(cert_pem(pki.leaf)) + cert_key(pki.leaf));
  const std::string key_first =
      d.write("key-first.pem", std::string(cert_key(pki.leaf)) + cert_pem(pki.leaf));
  const std::string ca = d.write("ca.pem", std::string("A comment.\n") + cert_pem(pki.ca));
  ws_tls_config c = config();
  c.cert_file = cert.c_str();
  c.key_file = key.c_str();
  c.ca_file = ca.c_str();
  assert_string_equal(make(c)->certificate_pem(), cert_pem(pki.leaf));
  c.key_file = nullptr;
  refuse(c, WS_ERR_TLS_CONFIG, "cert.pem: no private key in it");
  for (const std::string& file : {both, key_first}) {
    c.cert_file = file.c_str();
    accept_config(c);
  }
}

void test_files_that_cannot_be_read_are_named_with_the_reason(void**) {
  Folder d;
  ws_tls_config c = config();
  c.cert_file = "/nonexistent/cert.pem";
  refuse(c, WS_ERR_TLS_CONFIG, "/nonexistent/cert.pem: No such file or directory");
  c.cert_file = d.path;
  refuse(c, WS_ERR_TLS_CONFIG, ": Is a directory");
  c.cert_file = "/dev/zero";
  refuse(c, WS_ERR_TLS_CONFIG, "/dev/zero: too large");
  c = config();
  c.ca_file = "/nonexistent/ca.pem";
  refuse(c, WS_ERR_TLS_CONFIG, "/nonexistent/ca.pem: No such file or directory");
}

void test_files_without_a_certificate_are_refused(void**) {
  Pki pki;
  Folder d;
  const std::string empty = d.write("empty.pem", "");
  const std::string key = d.write("key.pem", cert_key(pki.leaf));
  for (const std::string& file : {empty, key}) {
    ws_tls_config c = config();
    c.cert_file = file.c_str();
    refuse(c, WS_ERR_TLS_CONFIG, ".pem: no certificate in it");
    c = config();
    c.ca_file = file.c_str();
    refuse(c, WS_ERR_TLS_CONFIG, ".pem: no certificate in it");
  }
}

void test_texts_that_are_damaged_are_refused(void**) {
  Pki pki;
  const std::string good = cert_pem(pki.leaf);
  std::string cut = good.substr(0, good.size() / 2), changed = good, second = good + cut;
  changed[100] = '!';
  for (const std::string& text : {cut, changed, second}) {
    ws_tls_config c = pki.server_config();
    c.cert_pem = text.c_str();
    refuse(c, WS_ERR_TLS_CONFIG, "cert_pem: certificate");
    c = config();
    c.ca_pem = text.c_str();
    refuse(c, WS_ERR_TLS_CONFIG, "ca_pem: CA certificate: ");
  }
  // Every length of the text, with nothing worse than an error.
  for (size_t n = 0; n < good.size() - 1; n += 7) {
    const std::string text = good.substr(0, n);
    ws_tls_config c = config();
    c.ca_pem = text.c_str();
    refuse(c, WS_ERR_TLS_CONFIG, "ca_pem");
  }
}

void test_key_of_another_certificate_is_refused(void**) {
  Pki pki;
  ws_tls_config c = pki.server_config();
  c.key_pem = cert_key(pki.ca);
  refuse(c, WS_ERR_TLS_CONFIG, "key_pem: the key does not match the certificate in cert_pem");
}

void test_key_that_is_encrypted_needs_its_password(void**) {
  Pki pki;
  ws_tls_config c = pki.server_config();
  c.key_pem = cert_key_encrypted(pki.leaf, "secret");
  refuse(c, WS_ERR_TLS_CONFIG, "key_pem: the key is encrypted and key_password is not set");
  const std::string too_long(5000, 'x');
  for (const char* wrong : {"", "secre", "secret ", too_long.c_str()}) {
    c.key_password = wrong;
    refuse(c, WS_ERR_TLS_CONFIG, "key_pem: private key: ");
  }
  c.key_password = "secret";
  accept_config(c);
  c.key_pem = cert_key(pki.leaf);  // a password that is not needed does no harm
  accept_config(c);
}

void test_key_that_is_damaged_is_refused(void**) {
  Pki pki;
  const std::string good = cert_key(pki.leaf);
  const std::string cut = good.substr(0, good.size() / 2);
  ws_tls_config c = pki.server_config();
  c.key_pem = cut.c_str();
  refuse(c, WS_ERR_TLS_CONFIG, "key_pem: private key");
  c.key_pem = "";
  refuse(c, WS_ERR_TLS_CONFIG, "key_pem: no private key in it");
}

// ---- the key log ----

void test_keylog_is_appended_and_private(void**) {
  Pki pki;
  Folder d;
  const std::string log = d.name("keys");
  size_t before = 0;
  for (int i = 0; i < 2; ++i) {
    ws_tls_config sc = pki.server_config();
    sc.keylog_file = log.c_str();
    Ref<TlsContext> s = make(sc), c = pki.client();
    Duo duo(*s, *c);
    assert_true(duo.shake());
    const std::string text = read_file(log);
    assert_has(text.c_str() + before, "SERVER_TRAFFIC_SECRET_0 ");
    assert_int_equal(text.back(), '\n');
    assert_true(text.size() > before);
    before = text.size();
  }
  struct stat st;
  assert_int_equal(stat(log.c_str(), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  ws_tls_config c = config();
  c.keylog_file = "/nonexistent/keys";
  refuse(c, WS_ERR_TLS_CONFIG, "/nonexistent/keys: No such file or directory");
}

// ---- made on the spot ----

void test_self_signed_is_for_the_host_and_for_this_machine(void**) {
  const std::string longest(63, 'a');
  const std::string long_name = longest + "." + longest + "." + longest + ".example";
  for (const char* host :
       {"example.org", "localhost", "192.0.2.7", "2001:db8::7", "127.0.0.1", long_name.c_str()}) {
    Ref<TlsContext> s;
    assert_false(TlsContext::create_self_signed(host, &s).failed());
    assert_true(s->has_certificate());
    ws_tls_config c = config();
    c.ca_pem = s->certificate_pem();
    Ref<TlsContext> client = make(c);
    for (const char* name : {host, "localhost", "127.0.0.1", "::1"}) {
      Duo duo(*s, *client, name);
      assert_true(duo.shake());
    }
    Duo other(*s, *client, "other.example");
    assert_false(other.shake());
  }
}

void test_self_signed_refuses_what_is_no_host(void**) {
  const std::string too_long(254, 'a');
  for (const char* host : {"", ".", "a b", "a,IP:1.2.3.4", "a\n", "*.example", "fe80::1%eth0",
                           "[::1]", "a:1", "\xc3\xa9.example", too_long.c_str()}) {
    Ref<TlsContext> s;
    assert_int_equal(TlsContext::create_self_signed(host, &s).code(), WS_ERR_INVALID);
    assert_false(static_cast<bool>(s));
    for (const char* p = last_detail(); *p != '\0'; ++p) assert_true(*p >= 0x20 && *p < 0x7f);
  }
  Ref<TlsContext> s;
  assert_false(TlsContext::create_self_signed(std::string(253, 'a').c_str(), &s).failed());
}

// ---- tickets ----

std::string server_number(size_t i) { return "server" + std::to_string(i) + ":443"; }

void test_tickets_are_bounded(void**) {
  TlsTickets tickets;
  SSL_SESSION* session = SSL_SESSION_new();
  SSL_SESSION_set_protocol_version(session, TLS1_2_VERSION);
  for (size_t i = 0; i < TlsTickets::kMaxTickets; ++i) tickets.remember(server_number(i), session);
  assert_int_equal(tickets.size(), TlsTickets::kMaxTickets);
  tickets.remember(server_number(5), session);  // known: nobody makes room
  assert_int_equal(tickets.size(), TlsTickets::kMaxTickets);
  SSL_SESSION* first = tickets.take(server_number(0));  // asked for, so not the oldest any more
  assert_non_null(first);
  SSL_SESSION_free(first);
  tickets.remember("one more:443", session);
  assert_int_equal(tickets.size(), TlsTickets::kMaxTickets);
  assert_null(tickets.take(server_number(1)));
  for (const std::string& kept :
       {server_number(0), server_number(2), std::string("one more:443")}) {
    SSL_SESSION* taken = tickets.take(kept);
    assert_non_null(taken);
    SSL_SESSION_free(taken);
  }
  tickets.forget(server_number(2));
  assert_null(tickets.take(server_number(2)));
  tickets.forget("never known:443");
  SSL_SESSION_free(session);
}

void test_tickets_of_one_server_are_few_and_used_once(void**) {
  constexpr size_t kFew = TlsTickets::kMaxPerServer;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const bool once = version == TLS1_3_VERSION;
    for (size_t given : {kFew - 1, kFew, kFew + 1}) {
      TlsTickets tickets;
      SSL_SESSION* session = SSL_SESSION_new();
      SSL_SESSION_set_protocol_version(session, version);
      tickets.remember("other:443", session);
      for (size_t i = 0; i < given; ++i) tickets.remember("server:443", session);
      const size_t kept = once ? std::min(given, kFew) : 1;
      assert_int_equal(tickets.size(), 1 + kept);
      for (size_t i = 0; i < kept; ++i) {
        SSL_SESSION* taken = tickets.take("server:443");
        assert_non_null(taken);
        SSL_SESSION_free(taken);
      }
      assert_int_equal(tickets.size(), once ? 1 : 2);
      tickets.forget("server:443");
      assert_null(tickets.take("server:443"));
      assert_int_equal(tickets.size(), 1);
      SSL_SESSION_free(session);
    }
  }
}

void test_tickets_without_memory_are_not_kept(void**) {
  TlsTickets tickets;
  SSL_SESSION* session = SSL_SESSION_new();
  Faults faults;
  faults.fail_alloc = 1;
  set_faults(faults);
  tickets.remember("a server with a long name:443", session);
  assert_int_equal(tickets.size(), 0);
  clear_faults();
  SSL_SESSION_free(session);
}

// Each of our allocations fails in turn.
void test_context_without_memory_is_not_made(void**) {
  Pki pki;
  Folder d;
  const std::string ca = d.write("ca.pem", cert_pem(pki.ca));
  const int64_t before = live_allocations();
  uint64_t n = 0;
  for (bool made = false; !made;) {
    Faults faults;
    faults.fail_alloc = ++n;
    set_faults(faults);
    ws_tls_config c = pki.server_config();
    c.ca_file = ca.c_str();
    try {
      Ref<TlsContext> out;
      const Error e = TlsContext::create(c, &out);
      made = !e.failed();
      if (!made) assert_int_equal(e.code(), WS_ERR_NOMEM);
    } catch (const std::bad_alloc&) {
      // api/guard.hpp makes NOMEM of it.
    }
    clear_faults();
    assert_int_equal(live_allocations(), before);
  }
  assert_true(n > 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_config_of_defaults_is_a_client),
      cmocka_unit_test(test_config_flags_that_are_unknown_are_unsupported),
      cmocka_unit_test(test_config_versions_are_1_2_and_1_3),
      cmocka_unit_test(test_config_verify_out_of_range_is_invalid),
      cmocka_unit_test(test_config_of_file_and_text_together_is_invalid),
      cmocka_unit_test(test_config_of_a_key_alone_is_invalid),
      cmocka_unit_test(test_config_alternatives_need_certificates),
      cmocka_unit_test(test_config_server_that_asks_needs_roots),
      cmocka_unit_test(test_config_ciphers_that_match_nothing_are_refused),
      cmocka_unit_test(test_files_are_loaded_as_texts_are),
      cmocka_unit_test(test_files_that_cannot_be_read_are_named_with_the_reason),
      cmocka_unit_test(test_files_without_a_certificate_are_refused),
      cmocka_unit_test(test_texts_that_are_damaged_are_refused),
      cmocka_unit_test(test_key_of_another_certificate_is_refused),
      cmocka_unit_test(test_key_that_is_encrypted_needs_its_password),
      cmocka_unit_test(test_key_that_is_damaged_is_refused),
      cmocka_unit_test(test_keylog_is_appended_and_private),
      cmocka_unit_test(test_self_signed_is_for_the_host_and_for_this_machine),
      cmocka_unit_test(test_self_signed_refuses_what_is_no_host),
      cmocka_unit_test(test_tickets_are_bounded),
      cmocka_unit_test(test_tickets_of_one_server_are_few_and_used_once),
      cmocka_unit_test(test_tickets_without_memory_are_not_kept),
      cmocka_unit_test(test_context_without_memory_is_not_made),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
