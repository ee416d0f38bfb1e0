// SPDX-License-Identifier: Apache-2.0
#include "checker/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>
#include <random>

namespace watchwheel::checker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Target target(std::string_view url) {
  auto parsed = parse_target(url);
  EXPECT_TRUE(parsed) << url << ": " << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : Target{};
}

std::string refusal(std::string_view url) {
  const auto parsed = parse_target(url);
  EXPECT_FALSE(parsed) << url;
  if (parsed) return "";
  EXPECT_EQ(parsed.error().kind, core::ErrorKind::Invalid);
  return parsed.error().message;
}

TEST(Target, ReadsTheParts) {
  const Target t = target("HTTPS://user:p%40ss@Shop.Example.:8443/a/../b?q=1&r=%20#part");
  EXPECT_TRUE(t.tls);
  EXPECT_EQ(t.host, "shop.example");
  EXPECT_FALSE(t.literal);
  EXPECT_EQ(t.port, 8443);
  EXPECT_EQ(t.path, "/b?q=1&r=%20");
  EXPECT_EQ(t.user, "user");
  EXPECT_EQ(t.password, "p@ss");
  EXPECT_EQ(t.url(), "https://shop.example:8443/b?q=1&r=%20");
  EXPECT_EQ(t.host_header(), "shop.example:8443");
}

TEST(Target, LeavesOutWhatTheSchemeImplies) {
  EXPECT_EQ(target("http://shop.example").url(), "http://shop.example/");
  EXPECT_EQ(target("http://shop.example:80/").host_header(), "shop.example");
  EXPECT_EQ(target("https://shop.example:443/x").url(), "https://shop.example/x");
  EXPECT_EQ(target("http://shop.example:443/").host_header(), "shop.example:443");
  EXPECT_EQ(target("http://shop.example?q").path, "/?q");
  EXPECT_EQ(target("http://shop.example:/").port, 80);
}

// Goal: what is read without libcurl is what libcurl reads. Method: random URLs of characters that matter, each beside itself
// with a fragment, which goes to libcurl and is dropped there.
TEST(Target, PlainUrlsAreReadAsLibcurlReadsThem) {
  std::mt19937 random(20261121);
  const auto pick = [&random](std::string_view from) { return from[random() % from.size()]; };
  const auto some = [&](std::string_view from, std::size_t most) {
    std::string text;
    for (std::size_t i = random() % (most + 1); i > 0; --i) text += pick(from);
    return text;
  };
  std::size_t read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string url = random() % 2 == 0 ? "http://" : "HTTPS://";
    url += some("abXZ019-_", 3) + (random() % 3 == 0 ? "." : "") + some("aB1-_.x", 4);
    if (random() % 3 == 0) url += ":" + some("0123456789", 6);
    if (random() % 4 != 0) url += (random() % 9 == 0 ? "?" : "/") + some("aB0./?:@-._~!$&'()*+,;=|^", 8);
    const auto plain = parse_target(url);
    const auto by_curl = parse_target(url + "#x");
    ASSERT_EQ(bool{plain}, bool{by_curl}) << url;
    if (!plain) continue;
    ASSERT_EQ(*plain, *by_curl) << url;
    ++read;
  }
  EXPECT_GT(read, 5'000U);
}

TEST(Target, EverySpellingOfAnIpv4AddressIsTheAddress) {
  struct Case {
    const char* host;
    const char* address;
  };
  for (const Case& c :
       {Case{"127.0.0.1", "127.0.0.1"}, Case{"127.1", "127.0.0.1"}, Case{"127.0.1", "127.0.0.1"},
        Case{"2130706433", "127.0.0.1"}, Case{"0x7f000001", "127.0.0.1"},
        Case{"0x7F.0.0.0x1", "127.0.0.1"}, Case{"0177.0.0.01", "127.0.0.1"},
        Case{"017700000001", "127.0.0.1"}, Case{"127.0.0.1.", "127.0.0.1"},
        Case{"127.65534", "127.0.255.254"}, Case{"10.0xffffff", "10.255.255.255"},
        Case{"0", "0.0.0.0"}, Case{"0x", "0.0.0.0"}, Case{"1.2.0x3", "1.2.0.3"},
        Case{"4294967295", "255.255.255.255"},
        // Full-width digits and dots become the same by IDNA.
        Case{"１２７.0.0.1", "127.0.0.1"}, Case{"127。0。0。1", "127.0.0.1"}}) {
    const Target t = target(std::string("http://") + c.host + "/");
    ASSERT_TRUE(t.literal) << c.host;
    EXPECT_EQ(to_string(*t.literal), c.address) << c.host;
    EXPECT_EQ(t.url(), std::string("http://") + c.address + "/");
  }
}

TEST(Target, WhatEndsInANumberAndIsNoAddressIsRefused) {
  for (const char* host :
       {"1.2.3.256", "256.1.1.1", "4294967296", "1.2.3.4.5", "1.2.65536", "08.0.0.1", "example.1",
        "a.0x1", "1..2", "99999999999999999999", "0x100000000"}) {
    EXPECT_THAT(refusal(std::string("http://") + host + "/"), HasSubstr("host")) << host;
  }
}

TEST(Target, ReadsIpv6Literals) {
  const Target t = target("http://[2001:DB8:0::1]:8080/x");
  ASSERT_TRUE(t.literal);
  EXPECT_EQ(t.host, "2001:db8::1");
  EXPECT_EQ(t.host_header(), "[2001:db8::1]:8080");
  EXPECT_EQ(t.url(), "http://[2001:db8::1]:8080/x");
  EXPECT_EQ(target("https://[::ffff:127.0.0.1]/").host, "::ffff:127.0.0.1");
  EXPECT_THAT(refusal("http://[fe80::1%25eth0]/"), HasSubstr("zone"));
  refusal("http://[fe80::1%eth0]/");
  refusal("http://[::1/");
  refusal("http://[::g]/");
  refusal("http://[127.0.0.1]/");
  refusal("http://::1/");
}

// Goal: names outside ASCII are encoded whatever the process's locale is, and it stays what it was.
TEST(Target, EncodesInternationalNames) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  EXPECT_EQ(target("http://b\xc3\xbc"
                   "cher.example/")
                .host,
            "xn--bcher-kva.example");
  EXPECT_EQ(target("http://B\xc3\x9c"
                   "CHER.example/")
                .host,
            "xn--bcher-kva.example");
  EXPECT_EQ(target("http://stra\xc3\x9f"
                   "e.example/")
                .host,
            "xn--strae-oqa.example");
  EXPECT_EQ(target("http://xn--bcher-kva.example/").host, "xn--bcher-kva.example");
  EXPECT_EQ(std::setlocale(LC_ALL, nullptr), before);
  EXPECT_THAT(refusal("http://b\xfc"
                      "cher.example/"),
              HasSubstr("xn--"));  // Latin-1.
}

TEST(Target, SaysWhatWouldBeRight) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  for (const char* url :
       {"shop.example", "shop.example:8080/x", "//shop.example/", "ftp://shop.example/",
        "file:///etc/passwd", "javascript:alert(1)", "http:/shop.example/", "http:shop.example"}) {
    EXPECT_THAT(refusal(url), HasSubstr("http://")) << url;
  }
  for (const char* url :
       {"http://", "http:///", "https://?q", "http://#x", "http:////shop.example/"}) {
    EXPECT_THAT(refusal(url), HasSubstr("host")) << url;
  }
  for (const char* url :
       {"http://shop.example:0/", "http://shop.example:65536/", "http://shop.example:port/"}) {
    EXPECT_FALSE(refusal(url).empty()) << url;
  }
  for (const char* url :
       {"http://shop example/", "http://shop.example/a b", " http://shop.example/",
        "http://shop.example/\n", "http://shop.example/\tx", "http://shop.example/\x7f",
        "http://shop.example\r\nHost: x/"}) {
    EXPECT_THAT(refusal(url), HasSubstr("space or a control character")) << url;
  }
  for (const char* url : {"http://me:a%0ab@shop.example/", "http://m%7fe:pw@shop.example/"})
    EXPECT_THAT(refusal(url), HasSubstr("credentials hold control characters")) << url;
  for (const char* url :
       {"http://a..b/", "http://.example/", "http://sh!op.example/", "http://shop.example../",
        "http://*.example/", "http://a,b/", "http://u@h@shop.example/", "http://a%2fb/"}) {
    EXPECT_FALSE(refusal(url).empty()) << url;
  }
  refusal("http://shop.example\\@evil.example/");
  refusal("http://" + std::string(64, 'a') + ".example/");
  refusal("http://" + std::string(126, 'a') + "." + std::string(126, 'b') + "/");
}

TEST(Target, HoldsItsLimit) {
  const std::string head = "http://shop.example/";
  EXPECT_EQ(target(head + std::string(kUrlBytesMax - head.size(), 'x')).path.size(),
            kUrlBytesMax - head.size() + 1);
  EXPECT_THAT(refusal(head + std::string(kUrlBytesMax - head.size() + 1, 'x')), HasSubstr("2048"));
  refusal(std::string_view("http://shop.example/\0x", 22));
}

TEST(Target, PathsOutsideAsciiAreEncoded) {
  EXPECT_EQ(target("http://shop.example/caf\xc3\xa9?q=\xc3\xbc&r=%C3%A9").path,
            "/caf%C3%A9?q=%C3%BC&r=%C3%A9");
}

TEST(Target, MessagesHoldNoSecrets) {
  for (const char* url :
       {"ftp://user:hunter2@shop.example/?token=abc123", "http://user:hunter2@sh!op/?token=abc123",
        "http://user:hunter2@shop.example:0/?token=abc123",
        "http://user:hunter2@1.2.3.256/?token=abc123"}) {
    EXPECT_THAT(refusal(url), Not(HasSubstr("hunter2"))) << url;
    EXPECT_THAT(refusal(url), Not(HasSubstr("abc123"))) << url;
  }
}

// ---- redirects

std::string leads(const Target& base, std::string_view location) {
  const auto next = follow(base, location);
  return next ? next->url() : "refused: " + next.error().message;
}

TEST(Follow, ResolvesEveryFormOfLocation) {
  const Target base = target("https://shop.example:8443/a/b/c?q=1");
  EXPECT_EQ(leads(base, "https://other.example/x"), "https://other.example/x");
  EXPECT_EQ(leads(base, "http://other.example"), "http://other.example/");
  EXPECT_EQ(leads(base, "//other.example/x"), "https://other.example/x");
  EXPECT_EQ(leads(base, "/x?y"), "https://shop.example:8443/x?y");
  EXPECT_EQ(leads(base, "x"), "https://shop.example:8443/a/b/x");
  EXPECT_EQ(leads(base, "../x"), "https://shop.example:8443/a/x");
  EXPECT_EQ(leads(base, "./x/../y"), "https://shop.example:8443/a/b/y");
  EXPECT_EQ(leads(base, "?z=2"), "https://shop.example:8443/a/b/c?z=2");
  EXPECT_EQ(leads(base, "#part"), "https://shop.example:8443/a/b/c?q=1");
  EXPECT_EQ(leads(base, "/x#part"), "https://shop.example:8443/x");
  EXPECT_EQ(leads(base, "  /x \t"), "https://shop.example:8443/x");
  EXPECT_EQ(leads(base, "/a b?c d"), "https://shop.example:8443/a%20b?c%20d");
  // libcurl encodes what it joins, in lower case.
  EXPECT_EQ(leads(base, "/caf\xc3\xa9"), "https://shop.example:8443/caf%c3%a9");
  EXPECT_EQ(leads(base, "https://other.example/caf\xc3\xa9"), "https://other.example/caf%C3%A9");
  EXPECT_EQ(leads(base,
                  "//b\xc3\xbc"
                  "cher.example/x"),
            "https://xn--bcher-kva.example/x");
  EXPECT_EQ(leads(base, "HTTP://OTHER.example:80/X"), "http://other.example/X");
  EXPECT_EQ(leads(base, "http://127.1/"), "http://127.0.0.1/");
  EXPECT_EQ(leads(base, "/x?u=http://other.example/"),
            "https://shop.example:8443/x?u=http://other.example/");
}

TEST(Follow, RefusesWhatIsNoWebAddress) {
  const Target base = target("https://shop.example/");
  for (const std::string& location :
       {std::string(), std::string("   "), std::string("ftp://shop.example/"),
        std::string("mailto:a@b.example"), std::string("javascript:alert(1)"),
        std::string("file:///etc/passwd"), std::string("http://"), std::string("http://sh!op/"),
        std::string("http://shop.example:0/"), std::string("/x\r\ny"),
        std::string("http://1.2.3.256/"), "/" + std::string(kLocationBytesMax, 'x')}) {
    const auto next = follow(base, location);
    ASSERT_FALSE(next) << location.substr(0, 40) << " -> " << next->url();
    EXPECT_EQ(next.error().kind, core::ErrorKind::Invalid);
  }
}

TEST(Follow, CredentialsStayWithinTheOrigin) {
  const Target base = target("https://user:secret@shop.example/");
  for (const char* location : {"/x", "https://shop.example/x", "https://shop.example:443/x",
                               "https://SHOP.example./x", "?q"}) {
    const auto next = follow(base, location);
    ASSERT_TRUE(next) << location;
    EXPECT_EQ(next->user, "user") << location;
    EXPECT_EQ(next->password, "secret") << location;
  }
  for (const char* location :
       {"https://other.example/x", "//other.example/x", "http://shop.example/x",
        "https://shop.example:8443/x", "https://www.shop.example/"}) {
    const auto next = follow(base, location);
    ASSERT_TRUE(next) << location;
    EXPECT_EQ(next->user + next->password, "") << location;
  }
}

TEST(Follow, CredentialsInALocationAreDropped) {
  const Target plain = target("https://shop.example/");
  EXPECT_EQ(follow(plain, "https://evil:pw@other.example/")->user, "");
  const Target base = target("https://user:secret@shop.example/");
  EXPECT_EQ(follow(base, "https://evil:pw@shop.example/")->user, "user");
  EXPECT_EQ(follow(base, "https://evil:pw@shop.example/")->password, "secret");
}

// ---- what logs may show

TEST(UrlWithoutSecrets, KeepsPlaceAndDropsSecrets) {
  struct Case {
    const char* url;
    const char* shown;
  };
  for (const Case& c :
       {Case{"https://shop.example/a?token=1#x", "https://shop.example/a"},
        Case{"https://user:pw@shop.example:8443/a", "https://shop.example:8443/a"},
        Case{"https://us@er:p@w@shop.example/", "https://shop.example/"},
        Case{"https://shop.example#x", "https://shop.example"},
        Case{"https://shop.example?x", "https://shop.example"},
        Case{"https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"},
        Case{"https://medium.example/@someone", "https://medium.example/@someone"},
        Case{"https://user:p/w@shop.example/", "https://(unreadable)"},
        Case{"https://user:p?w@shop.example/", "https://(unreadable)"},
        Case{"https://user:pw:1/x@shop.example/", "https://(unreadable)"},
        Case{"https://user:[p]w/x@shop.example/", "https://(unreadable)"},
        Case{"https://[::1]pw/x@shop.example/", "https://[::1]pw/x@shop.example/"},
        Case{"https://[user:pw/x@shop.example/", "https://(unreadable)"},
        Case{"a\x1b://user:p/w@shop.example/", "a?://(unreadable)"},
        Case{"user:pw@shop.example", "shop.example"}, Case{"/relative?x=1", "/relative"},
        Case{"", ""}, Case{"http://a\nb/\x80", "http://a?b/?"}, Case{"ftp", "ftp"}}) {
    EXPECT_EQ(url_without_secrets(c.url), c.shown) << c.url;
  }
}

TEST(UrlWithoutSecrets, IsShort) {
  const std::string shown = url_without_secrets("http://shop.example/" + std::string(5000, 'x'));
  EXPECT_EQ(shown.size(), 256U);
  EXPECT_TRUE(shown.ends_with("..."));
}

}  // namespace
}  // namespace watchwheel::checker
