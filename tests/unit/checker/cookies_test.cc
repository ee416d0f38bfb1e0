// SPDX-License-Identifier: Apache-2.0
#include "checker/cookies.h"

#include <gtest/gtest.h>

#include <string>

namespace watchwheel::checker {
namespace {

constexpr core::WallTime kNow{std::chrono::seconds{1'800'000'000}};  // January 2027.

Target target(std::string_view url) {
  auto parsed = parse_target(url);
  EXPECT_TRUE(parsed) << url;
  return parsed ? *parsed : Target{};
}

// What goes to `to` after `from` set one cookie.
std::string sent(std::string_view set_cookie, std::string_view from, std::string_view to) {
  CookieJar jar;
  jar.take(set_cookie, target(from), kNow);
  return jar.header_for(target(to));
}

TEST(CookieJar, GoesBackToItsHostOnly) {
  EXPECT_EQ(sent("a=b", "https://shop.example/", "https://shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b", "http://shop.example:8080/", "http://shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b", "https://shop.example/", "https://www.shop.example/"), "");
  EXPECT_EQ(sent("a=b", "https://www.shop.example/", "https://shop.example/"), "");
  EXPECT_EQ(sent("a=b", "https://shop.example/", "https://evil.example/"), "");
  EXPECT_EQ(sent("a=b", "http://127.0.0.1/", "http://127.0.0.1/"), "a=b");
  EXPECT_EQ(sent("a=b", "http://127.0.0.1/", "http://127.0.0.2/"), "");
}

TEST(CookieJar, ADomainIsOnesOwn) {
  const char* shop = "https://www.shop.example/";
  EXPECT_EQ(sent("a=b; Domain=shop.example", shop, "https://api.shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b; domain=.SHOP.example", shop, "https://shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b; Domain=www.shop.example", shop, "https://x.www.shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b; Domain=shop.example", shop, "https://notshop.example/"), "");
  // Not the setter's, or nobody's.
  EXPECT_EQ(sent("a=b; Domain=evil.example", shop, "https://evil.example/"), "");
  EXPECT_EQ(sent("a=b; Domain=api.shop.example", shop, shop), "");
  EXPECT_EQ(sent("a=b; Domain=example", shop, shop), "");
  EXPECT_EQ(sent("a=b; Domain=example", shop, "https://evil.example/"), "");
  EXPECT_EQ(sent("a=b; Domain=", shop, shop), "a=b");
  // One label that is the host itself: host only.
  EXPECT_EQ(sent("a=b; Domain=intranet", "http://intranet/", "http://intranet/"), "a=b");
  EXPECT_EQ(sent("a=b; Domain=intranet", "http://intranet/", "http://x.intranet/"), "");
  // Addresses have no domains.
  EXPECT_EQ(sent("a=b; Domain=127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/"), "a=b");
  EXPECT_EQ(sent("a=b; Domain=0.0.1", "http://127.0.0.1/", "http://127.0.0.1/"), "");
}

TEST(CookieJar, KeepsToItsPath) {
  const char* deep = "https://shop.example/a/b/c?x=/y/z";
  EXPECT_EQ(sent("a=b", deep, "https://shop.example/a/b/d"), "a=b");
  EXPECT_EQ(sent("a=b", deep, "https://shop.example/a/b"), "a=b");
  EXPECT_EQ(sent("a=b", deep, "https://shop.example/a/bc"), "");
  EXPECT_EQ(sent("a=b", deep, "https://shop.example/"), "");
  EXPECT_EQ(sent("a=b; Path=/", deep, "https://shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b; Path=/a/", deep, "https://shop.example/a/x"), "a=b");
  EXPECT_EQ(sent("a=b; Path=/a/", deep, "https://shop.example/a"), "");
  EXPECT_EQ(sent("a=b; Path=no", deep, "https://shop.example/a/b/"), "a=b");
  EXPECT_EQ(sent("a=b; Path=/a", deep, "https://shop.example/a?q"), "a=b");
}

TEST(CookieJar, SecureIsForHttps) {
  EXPECT_EQ(sent("a=b; Secure", "https://shop.example/", "https://shop.example/"), "a=b");
  EXPECT_EQ(sent("a=b; secure", "https://shop.example/", "http://shop.example/"), "");
  EXPECT_EQ(sent("a=b; Secure", "http://shop.example/", "https://shop.example/"), "");
}

TEST(CookieJar, ReadsPairsAsTheyCome) {
  const char* url = "https://shop.example/";
  EXPECT_EQ(sent(" a = b ;Path=/; HttpOnly; SameSite=Lax", url, url), "a=b");
  EXPECT_EQ(sent("a=\"b c\"", url, url), "a=\"b c\"");
  EXPECT_EQ(sent("a=b=c", url, url), "a=b=c");
  EXPECT_EQ(sent("a=", url, url), "a=");
  for (const std::string_view none :
       {"", ";", "a", "=b", " = b", "a\r\nX: y=b", "a=b\x01", "a=b\x7f"}) {
    EXPECT_EQ(sent(none, url, url), "") << none;
  }
}

TEST(CookieJar, EndsWhenItIsTold) {
  const char* url = "https://shop.example/";
  const auto after = [&](std::string_view second) {
    CookieJar jar;
    jar.take("a=b", target(url), kNow);
    jar.take(second, target(url), kNow);
    return jar.header_for(target(url));
  };
  EXPECT_EQ(after("a=c"), "a=c");
  EXPECT_EQ(after("a=; Max-Age=0"), "");
  EXPECT_EQ(after("a=c; Max-Age=-1"), "");
  EXPECT_EQ(after("a=c; Max-Age=60"), "a=c");
  EXPECT_EQ(after("a=c; Max-Age=soon"), "a=c");
  EXPECT_EQ(after("a=c; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "");
  EXPECT_EQ(after("a=c; Expires=Thu, 01-Jan-1970 00:00:01 GMT"), "");
  EXPECT_EQ(after("a=c; Expires=Wed, 01 Jan 2098 00:00:00 GMT"), "a=c");
  EXPECT_EQ(after("a=c; Expires=whenever"), "a=c");
  EXPECT_EQ(after("a=c; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "a=c");
  EXPECT_EQ(after("a=; Path=/other; Max-Age=0"), "a=b");  // Another cookie.
}

TEST(CookieJar, JoinsTheChecksOwn) {
  CookieJar jar;
  const Target shop = target("https://shop.example/");
  EXPECT_EQ(jar.header_for(shop, "own=1"), "own=1");
  jar.take("a=b; Path=/", shop, kNow);
  jar.take("deep=1; Path=/x/y", shop, kNow);
  EXPECT_EQ(jar.header_for(shop, "own=1; two=2"), "own=1; two=2; a=b");
  EXPECT_EQ(jar.header_for(shop, "a=mine; own=1"), "own=1; a=b");
  EXPECT_EQ(jar.header_for(target("https://shop.example/x/y/z"), "own=1"), "own=1; deep=1; a=b");
}

TEST(CookieJar, IsBounded) {
  const Target shop = target("https://shop.example/");
  CookieJar many;
  for (std::size_t i = 0; i < 2 * kCookiesMax; ++i)
    many.take("c" + std::to_string(i) + "=x", shop, kNow);
  EXPECT_EQ(many.size(), kCookiesMax);
  many.take("c0=changed", shop, kNow);
  EXPECT_EQ(many.header_for(shop).substr(0, 10), "c0=changed");
  CookieJar large;
  for (int i = 0; i < 10; ++i)
    large.take("c" + std::to_string(i) + "=" + std::string(4000, 'x'), shop, kNow);
  EXPECT_EQ(large.size(), 4U);
  EXPECT_LE(large.header_for(shop).size(), kJarBytesMax);
  for (int i = 0; i < 10; ++i) large.take("c" + std::to_string(i) + "=; Max-Age=0", shop, kNow);
  EXPECT_EQ(large.size(), 0U);
  large.take("a=b", shop, kNow);  // The room is there again.
  EXPECT_EQ(large.header_for(shop), "a=b");
  large.take("long=" + std::string(5000, 'x'), shop, kNow);
  EXPECT_EQ(large.size(), 1U);
}

}  // namespace
}  // namespace watchwheel::checker
