// Addresses: printing, packing, and what a listener's host may be.
#include "libws/net/address.hpp"

#include "libws/base/system.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <cerrno>
#include <cstring>
#include <string>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;

namespace {

Address v4(const char* ip, uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  assert_int_equal(inet_pton(AF_INET, ip, &in.sin_addr), 1);
  Address a;
  memcpy(&a.storage, &in, sizeof in);
  a.len = sizeof in;
  return a;
}

Address v6(const char* ip, uint16_t port) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  assert_int_equal(inet_pton(AF_INET6, ip, &in.sin6_addr), 1);
  Address a;
  memcpy(&a.storage, &in, sizeof in);
  a.len = sizeof in;
  return a;
}

std::string printed(const Address& a) {
  char direct[kAddressTextBytes], packed[kAddressTextBytes];
  address_print(a, direct);
  PackedAddress(a).print(packed);
  assert_string_equal(direct, packed);
  return direct;
}

int reset(void**) {
  system_table = kRealSystem;
  return 0;
}

void test_address_prints_every_family(void**) {
  assert_string_equal(printed(Address()).c_str(), "");
  assert_string_equal(printed(v4("192.0.2.7", 50412)).c_str(), "192.0.2.7:50412");
  assert_string_equal(printed(v4("255.255.255.255", 65535)).c_str(), "255.255.255.255:65535");
  assert_string_equal(printed(v6("2001:db8::1", 443)).c_str(), "[2001:db8::1]:443");
  assert_string_equal(printed(v6("::ffff:192.0.2.7", 80)).c_str(), "192.0.2.7:80");
  std::string longest = printed(v6("1111:2222:3333:4444:5555:6666:7777:8888", 65535));
  assert_string_equal(longest.c_str(), "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
  Address un;
  assert_false(address_unix("/tmp/x", &un).failed());
  assert_string_equal(printed(un).c_str(), "unix:");
  Address unnamed;  // the peer of an accepted unix connection has only a family
  unnamed.storage.ss_family = AF_UNIX;
  unnamed.len = sizeof(sa_family_t);
  assert_string_equal(printed(unnamed).c_str(), "unix:");
}

void test_address_packed_takes_19_bytes(void**) { assert_int_equal(sizeof(PackedAddress), 19); }

void test_address_port_is_zero_unless_tcp(void**) {
  assert_int_equal(Address().port(), 0);
  assert_int_equal(v4("0.0.0.0", 1).port(), 1);
  assert_int_equal(v6("::", 65535).port(), 65535);
  Address un;
  assert_false(address_unix("@name", &un).failed());
  assert_int_equal(un.port(), 0);
}

void test_address_unix_path_of_107_bytes_fits_108_does_not(void**) {
  Address a;
  std::string path(106, 'p');
  assert_false(address_unix(path.c_str(), &a).failed());
  path += 'p';
  assert_false(address_unix(path.c_str(), &a).failed());
  assert_int_equal(a.len, sizeof(sockaddr_un));
  path += 'p';
  assert_int_equal(address_unix(path.c_str(), &a).code(), WS_ERR_INVALID);
  assert_int_equal(address_unix("", &a).code(), WS_ERR_INVALID);
  assert_int_equal(a.len, sizeof(sockaddr_un));  // untouched by the failures
}

void test_address_abstract_name_of_107_bytes_fits_108_does_not(void**) {
  Address a;
  std::string name = "@" + std::string(107, 'n');
  assert_false(address_unix(name.c_str(), &a).failed());
  assert_int_equal(a.len, sizeof(sockaddr_un));
  sockaddr_un un;
  memcpy(&un, &a.storage, sizeof un);
  assert_int_equal(un.sun_path[0], 0);
  assert_int_equal(un.sun_path[1], 'n');
  assert_int_equal(address_unix((name + "n").c_str(), &a).code(), WS_ERR_INVALID);
  assert_int_equal(address_unix("@", &a).code(), WS_ERR_INVALID);
  assert_false(address_unix("@x", &a).failed());
  assert_int_equal(a.len, offsetof(sockaddr_un, sun_path) + 2);
}

void test_listening_address_of_literals_keeps_the_port(void**) {
  Vector<Address> found;
  assert_false(address_for_listening("127.0.0.1", 8080, &found).failed());
  assert_int_equal(found.size(), 1);
  assert_string_equal(printed(found[0]).c_str(), "127.0.0.1:8080");
  assert_false(address_for_listening("::1", 0, &found).failed());
  assert_int_equal(found.size(), 1);
  assert_string_equal(printed(found[0]).c_str(), "[::1]:0");
}

void test_listening_address_of_localhost_is_loopback(void**) {
  Vector<Address> found;
  assert_false(address_for_listening("localhost", 7, &found).failed());
  assert_true(found.size() >= 1);
  for (const Address& a : found) {
    assert_true(printed(a) == "127.0.0.1:7" || printed(a) == "[::1]:7");
  }
}

void test_listening_address_without_host_is_v6_if_there_is_v6(void**) {
  Vector<Address> found;
  system_table.socket = [](int, int, int) {
    errno = EAFNOSUPPORT;
    return -1;
  };
  assert_false(address_for_listening(nullptr, 80, &found).failed());
  assert_string_equal(printed(found[0]).c_str(), "0.0.0.0:80");
  system_table.socket = [](int, int, int) { return real::socket(AF_INET, SOCK_STREAM, 0); };
  assert_false(address_for_listening(nullptr, 80, &found).failed());
  assert_int_equal(found.size(), 1);
  assert_string_equal(printed(found[0]).c_str(), "[::]:80");
}

void test_listening_address_that_does_not_resolve_is_an_address_error(void**) {
  Vector<Address> found;
  found.push_back(v4("192.0.2.1", 1));
  std::string too_long(300, 'a');
  for (const char* host : {"", "fe80::1%nosuchinterface", "1:2:3:4:5:6:7:8:9", too_long.c_str()}) {
    assert_int_equal(address_for_listening(host, 80, &found).code(), WS_ERR_ADDR);
    assert_non_null(strstr(last_detail(), "listen on "));
  }
  assert_int_equal(found.size(), 1);
}

void test_listening_address_without_memory_throws_and_leaks_nothing(void**) {
  system_table.resize = [](void* p, size_t n) -> void* {
    return n == 0 ? real::resize(p, n) : nullptr;
  };
  for (const char* host : {static_cast<const char*>(nullptr), "127.0.0.1"}) {
    bool thrown = false;
    Vector<Address> found;
    try {
      (void)address_for_listening(host, 1, &found).code();
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    assert_true(thrown);
  }
}

Address literal(const char* text) {
  Address a;
  assert_true(address_literal(text, &a));
  assert_int_equal(a.port(), 0);
  return a;
}

uint32_t zone_of(const Address& a) {
  sockaddr_in6 in;
  memcpy(&in, &a.storage, sizeof in);
  return in.sin6_scope_id;
}

void test_literal_of_each_family_is_an_address(void**) {
  assert_string_equal(printed(literal("192.0.2.7")).c_str(), "192.0.2.7:0");
  assert_string_equal(printed(literal("::")).c_str(), "[::]:0");
  assert_string_equal(printed(literal("2001:DB8::1")).c_str(), "[2001:db8::1]:0");
  assert_int_equal(literal("192.0.2.7").len, sizeof(sockaddr_in));
  assert_int_equal(literal("::1").len, sizeof(sockaddr_in6));
  Address a = literal("2001:db8::1");
  a.set_port(65535);
  assert_int_equal(a.port(), 65535);
  a = literal("192.0.2.7");
  a.set_port(443);
  assert_int_equal(a.port(), 443);
}

void test_literal_with_a_zone_has_its_number(void**) {
  assert_int_equal(zone_of(literal("fe80::1")), 0);
  assert_int_equal(zone_of(literal("fe80::1%lo")), if_nametoindex("lo"));
  assert_int_equal(zone_of(literal("fe80::1%1")), 1);
  assert_int_equal(zone_of(literal("fe80::1%4294967295")), UINT32_MAX);
}

void test_literal_that_is_none_is_refused(void**) {
  Address a;
  using namespace std::string_view_literals;
  for (std::string_view text :
       {""sv, "192.0.2"sv, "192.0.2.256"sv, "192.0.2.1 "sv, "127.1"sv, "0x7f000001"sv, "[::1]"sv,
        "::1:80:x"sv, "2001:db8::g"sv, "fe80::1%"sv, "fe80::1%0"sv, "fe80::1%4294967296"sv,
        "fe80::1%nosuchzone0"sv, "fe80::1%1x"sv, "192.0.2.1%1"sv, "example.org"sv, "192.0.2.1\0"sv,
        "::1\0.example"sv}) {
    assert_false(address_literal(text, &a));
    assert_int_equal(a.family(), AF_UNSPEC);
  }
  assert_false(address_literal(std::string(100000, '1'), &a));
}

void test_addresses_are_equal_when_they_are_the_same_place(void**) {
  assert_true(address_equal(v4("192.0.2.1", 80), v4("192.0.2.1", 80)));
  assert_false(address_equal(v4("192.0.2.1", 80), v4("192.0.2.1", 81)));
  assert_false(address_equal(v4("192.0.2.1", 80), v4("192.0.2.2", 80)));
  assert_true(address_equal(v6("2001:db8::1", 80), v6("2001:db8::1", 80)));
  assert_false(address_equal(v6("2001:db8::1", 80), v6("2001:db8::1", 81)));
  assert_false(address_equal(v6("2001:db8::1", 80), v6("2001:db8::2", 80)));
  assert_false(address_equal(literal("fe80::1%1"), literal("fe80::1%2")));
  assert_false(address_equal(v4("127.0.0.1", 80), v6("::ffff:127.0.0.1", 80)));
  Address labelled = v6("2001:db8::1", 80);
  sockaddr_in6 in;
  memcpy(&in, &labelled.storage, sizeof in);
  in.sin6_flowinfo = htonl(5);
  memcpy(&labelled.storage, &in, sizeof in);
  assert_true(address_equal(labelled, v6("2001:db8::1", 80)));
  Address padded = v4("192.0.2.1", 80);
  memset(reinterpret_cast<char*>(&padded.storage) + offsetof(sockaddr_in, sin_zero), 7, 8);
  assert_true(address_equal(padded, v4("192.0.2.1", 80)));
  Address one, two;
  assert_false(address_unix("/tmp/x", &one).failed());
  assert_false(address_unix("/tmp/y", &two).failed());
  assert_true(address_equal(one, one));
  assert_false(address_equal(one, two));
}

void test_loopback_is_127_0_0_1_and_1(void**) {
  assert_string_equal(printed(address_loopback(AF_INET)).c_str(), "127.0.0.1:0");
  assert_string_equal(printed(address_loopback(AF_INET6)).c_str(), "[::1]:0");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_address_prints_every_family),
      cmocka_unit_test(test_address_packed_takes_19_bytes),
      cmocka_unit_test(test_address_port_is_zero_unless_tcp),
      cmocka_unit_test(test_address_unix_path_of_107_bytes_fits_108_does_not),
      cmocka_unit_test(test_address_abstract_name_of_107_bytes_fits_108_does_not),
      cmocka_unit_test(test_literal_of_each_family_is_an_address),
      cmocka_unit_test(test_literal_with_a_zone_has_its_number),
      cmocka_unit_test(test_literal_that_is_none_is_refused),
      cmocka_unit_test(test_addresses_are_equal_when_they_are_the_same_place),
      cmocka_unit_test(test_loopback_is_127_0_0_1_and_1),
      cmocka_unit_test(test_listening_address_of_literals_keeps_the_port),
      cmocka_unit_test(test_listening_address_of_localhost_is_loopback),
      cmocka_unit_test_setup_teardown(test_listening_address_without_host_is_v6_if_there_is_v6,
                                      reset, reset),
      cmocka_unit_test(test_listening_address_that_does_not_resolve_is_an_address_error),
      cmocka_unit_test_setup_teardown(
          test_listening_address_without_memory_throws_and_leaks_nothing, reset, reset),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
