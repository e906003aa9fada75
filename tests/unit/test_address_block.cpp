// Lists of addresses as an administrator writes them.
#include "libws/net/address_block.hpp"

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

PackedAddress ip(const char* text) {
  PackedAddress a;
  if (std::string(text) == "unix:") {
    a.family = PackedAddress::kUnix;
  } else if (!parse_ip(text, &a)) {
    fail_msg("%s is no address", text);
  }
  return a;
}

bool block_has(const char* block, const char* address) {
  AddressBlock b;
  if (!AddressBlock::parse(block, &b)) fail_msg("%s is no block", block);
  return b.contains(ip(address));
}

void test_address_block_holds_its_first_and_last_address_and_no_other(void**) {
  const struct {
    const char *block, *before, *first, *last, *after;
  } rows[] = {
      {"10.0.0.0/8", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
      {"192.0.2.64/26", "192.0.2.63", "192.0.2.64", "192.0.2.127", "192.0.2.128"},
      {"192.0.2.4/31", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"},
      {"192.0.2.4/32", "192.0.2.3", "192.0.2.4", "192.0.2.4", "192.0.2.5"},
      {"192.0.2.4", "192.0.2.3", "192.0.2.4", "192.0.2.4", "192.0.2.5"},
      {"128.0.0.0/1", "127.255.255.255", "128.0.0.0", "255.255.255.255", "0.0.0.0"},
      {"fd00::/8", "fcff::1", "fd00::", "fdff:ffff:ffff:ffff::1", "fe00::"},
      {"2001:db8::/33", "2001:db7:ffff::", "2001:db8::", "2001:db8:7fff:ffff::", "2001:db8:8000::"},
      {"2001:db8::1", "2001:db8::", "2001:db8::1", "2001:db8::1", "2001:db8::2"},
      {"2001:db8::2/127", "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"},
      {"::ffff:10.0.0.0/104", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
  };
  for (const auto& row : rows) {
    assert_false(block_has(row.block, row.before));
    assert_true(block_has(row.block, row.first));
    assert_true(block_has(row.block, row.last));
    assert_false(block_has(row.block, row.after));
  }
}

void test_address_block_of_length_0_holds_its_family_alone(void**) {
  assert_true(block_has("0.0.0.0/0", "255.1.2.3"));
  assert_true(block_has("0.0.0.0/0", "::ffff:1.2.3.4"));  // which is IPv4
  assert_false(block_has("0.0.0.0/0", "::1"));
  assert_false(block_has("0.0.0.0/0", "unix:"));
  assert_true(block_has("::/0", "2001:db8::1"));
  assert_false(block_has("::/0", "1.2.3.4"));
  assert_true(block_has("unix:", "unix:"));
  assert_false(block_has("unix:", "0.0.0.0"));
  assert_false(AddressBlocks().contain(PackedAddress()));
}

void test_address_block_that_is_malformed_is_refused(void**) {
  const char* const rows[] = {
      "",
      " ",
      "10",
      "10.0.0",
      "10.0.0.0/",
      "10.0.0.0/33",
      "/8",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.0/+8",
      "10.0.0.0/8 ",
      " 10.0.0.0/8",
      "10.0.0.1/8",
      "10.0.0.0/8/8",
      "::/129",
      "fd00::1/64",
      "[::1]",
      "fe80::1%lo",
      "10.0.0.0:80",
      "localhost",
      "unix",
      "unix:/tmp",
      "*",
      "256.0.0.1",
      "01.2.3.4",
      "::ffff:0:0/95",
      "1.2.3.4/32x",
      "10.0.0.0/1234",
      "2001:db8::/64/",
  };
  AddressBlock b;
  for (const char* row : rows) {
    if (AddressBlock::parse(row, &b)) fail_msg("%s was accepted", row);
  }
  assert_false(AddressBlock::parse(std::string_view("10.0.0.0\0/8", 11), &b));
}

void test_address_blocks_name_what_they_refuse(void**) {
  AddressBlocks blocks;
  assert_true(blocks.empty());
  assert_int_equal(blocks.add("10.0.0.0/8", "list").code(), WS_OK);
  assert_int_equal(blocks.add("fd00::/8", "list").code(), WS_OK);
  assert_int_equal(blocks.add("10.0.0.0/7x", "list").code(), WS_ERR_INVALID);
  assert_string_equal(last_detail(),
                      "list: '10.0.0.0/7x' is not an address, address/length or unix:");
  assert_true(blocks.contain(ip("10.1.1.1")));
  assert_true(blocks.contain(ip("fd00::1")));
  assert_false(blocks.contain(ip("12.1.1.1")));
  assert_false(blocks.contain(PackedAddress()));
}

void test_address_prints_without_its_port(void**) {
  const char* const rows[] = {"192.0.2.7", "2001:db8::1", "::1", "unix:"};
  char text[kAddressTextBytes];
  for (const char* row : rows) {
    ip(row).print_host(text);
    assert_string_equal(text, row);
  }
  ip("::ffff:192.0.2.7").print_host(text);
  assert_string_equal(text, "192.0.2.7");
  PackedAddress().print_host(text);
  assert_string_equal(text, "");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_address_block_holds_its_first_and_last_address_and_no_other),
      cmocka_unit_test(test_address_block_of_length_0_holds_its_family_alone),
      cmocka_unit_test(test_address_block_that_is_malformed_is_refused),
      cmocka_unit_test(test_address_blocks_name_what_they_refuse),
      cmocka_unit_test(test_address_prints_without_its_port),
  };
  return cmocka_run_group_tests_name("address_block", tests, nullptr, nullptr);
}
