// SPDX-License-Identifier: Apache-2.0
#include "checker/address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace watchwheel::checker {
namespace {

TEST(Address, ReadsAndWritesBothFamilies) {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1",
                           "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "fe80::1"}) {
    const auto ip = parse_ip(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(to_string(*ip), text);
  }
  EXPECT_EQ(to_string(*parse_ip("2001:DB8:0:0::0:1")), "2001:db8::1");
}

TEST(Address, RefusesOtherSpellings) {
  for (const std::string_view text :
       {"",          " 1.2.3.4",   "1.2.3.4 ",      "1.2.3",      "1.2.3.4.5", "01.2.3.4",
        "1.2.3.256", "0x7f.0.0.1", "127.1",         "2130706433", "[::1]",     "fe80::1%eth0",
        "fe80::1%2", ":::",        "1:2:3:4:5:6:7", "12345::",    "localhost", "1.2.3.4/8",
        "+1.2.3.4",  "::1.2.3",    "-1.0.0.0"}) {
    EXPECT_FALSE(parse_ip(text)) << text;
  }
  EXPECT_FALSE(parse_ip(std::string_view("1.2.3.4\0x", 9)));
  EXPECT_FALSE(parse_ip(std::string(1000, '1')));
}

TEST(Endpoint, ReadsItsThreeForms) {
  EXPECT_EQ(to_string(*parse_endpoint("192.0.2.1", 53)), "192.0.2.1:53");
  EXPECT_EQ(to_string(*parse_endpoint("192.0.2.1:5353", 53)), "192.0.2.1:5353");
  EXPECT_EQ(to_string(*parse_endpoint("2001:db8::1", 53)), "[2001:db8::1]:53");
  EXPECT_EQ(to_string(*parse_endpoint("[2001:db8::1]", 53)), "[2001:db8::1]:53");
  EXPECT_EQ(to_string(*parse_endpoint("[2001:db8::1]:65535", 53)), "[2001:db8::1]:65535");
}

TEST(Endpoint, SaysWhatIsWrong) {
  for (const char* text :
       {"", "dns.example", "dns.example:53", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
        "192.0.2.1:053", "192.0.2.1:5x", "[2001:db8::1", "[2001:db8::1]53", "[192.0.2.1]:53",
        "[]:53", "2001:db8::1:99999", "192.0.2.1:53:53", "192.0.2.1:-1"}) {
    const auto endpoint = parse_endpoint(text, 53);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().kind, core::ErrorKind::Invalid);
    EXPECT_FALSE(endpoint.error().message.empty());
  }
}

TEST(Endpoint, GoesThroughASockaddrUnchanged) {
  for (const char* text : {"192.0.2.1:80", "[2001:db8::1]:443"}) {
    const Endpoint endpoint = *parse_endpoint(text, 0);
    sockaddr_storage storage{};
    const socklen_t length = to_sockaddr(endpoint, storage);
    EXPECT_EQ(from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length), endpoint);
    EXPECT_FALSE(from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length - 1));
  }
  sockaddr_storage unknown{};
  unknown.ss_family = AF_UNIX;
  EXPECT_FALSE(from_sockaddr(reinterpret_cast<const sockaddr*>(&unknown), sizeof unknown));
  EXPECT_FALSE(from_sockaddr(nullptr, 0));
}

TEST(Cidr, ContainsExactlyItsBlock) {
  struct Case {
    const char* block;
    const char* ip;
    bool inside;
  };
  for (const Case& c :
       {Case{"10.0.0.0/8", "10.0.0.0", true}, Case{"10.0.0.0/8", "10.255.255.255", true},
        Case{"10.0.0.0/8", "11.0.0.0", false}, Case{"10.0.0.0/8", "9.255.255.255", false},
        Case{"172.16.0.0/12", "172.31.255.255", true}, Case{"172.16.0.0/12", "172.32.0.0", false},
        Case{"192.0.2.1", "192.0.2.1", true}, Case{"192.0.2.1", "192.0.2.2", false},
        Case{"0.0.0.0/0", "255.255.255.255", true}, Case{"0.0.0.0/0", "::1", false},
        Case{"::/0", "ff02::1", true}, Case{"::/0", "1.2.3.4", false},
        Case{"2001:db8::/33", "2001:db8:7fff::", true},
        Case{"2001:db8::/33", "2001:db8:8000::", false}, Case{"2001:db8::1", "2001:db8::1", true},
        Case{"2001:db8::1", "2001:db8::", false}}) {
    EXPECT_EQ(parse_cidr(c.block)->contains(*parse_ip(c.ip)), c.inside) << c.block << " " << c.ip;
  }
}

TEST(Cidr, RefusesHostBitsAndBadPrefixes) {
  for (const char* text :
       {"10.0.0.1/8", "2001:db8::1/64", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08",
        "10.0.0.0/-1", "10.0.0.0/8/8", "ten/8", "", "/8", "10.0.0/8"}) {
    const auto block = parse_cidr(text);
    ASSERT_FALSE(block) << text;
    EXPECT_EQ(block.error().kind, core::ErrorKind::Invalid);
  }
}

}  // namespace
}  // namespace watchwheel::checker
