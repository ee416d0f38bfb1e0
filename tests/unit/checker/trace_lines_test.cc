// SPDX-License-Identifier: Apache-2.0
#include "checker/trace_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

using ::testing::ElementsAre;

TEST(TraceLines, AHeadIsKeptLineByLineWithoutItsEnd) {
  TraceLines lines;
  lines.add("GET /a:b?auth=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n");
  EXPECT_THAT(lines.take(),
              ElementsAre("GET /a:b?auth=1 HTTP/1.1", "Host: shop.example", "Accept: */*"));
  EXPECT_TRUE(lines.take().empty());
}

// Goal: no secret is ever in a trace, however the line is written.
TEST(TraceLines, ValuesThatMayBeSecretsAreNotKept) {
  TraceLines lines;
  for (const char* line :
       {"HTTP/1.1 200 OK\r\n", "Set-Cookie: id=hunter2; Secure\r\n", "SET-COOKIE:hunter2\r\n",
        "set-cookie : hunter2\r\n", "Authorization: Basic hunter2\r\n",
        "Proxy-Authorization: hunter2\n", "Cookie: hunter2", "X-Api-Key: hunter2\r\n",
        "X-Token: a\r\n", " hunter2 folded\r\n", "\thunter2 folded again\r\n", "Server: nginx\r\n",
        " 1.2\r\n", "\r\n"})
    lines.add(line);
  const std::vector<std::string> kept = lines.take();
  for (const std::string& line : kept) EXPECT_EQ(line.find("hunter2"), std::string::npos) << line;
  EXPECT_THAT(
      kept, ElementsAre("HTTP/1.1 200 OK", "Set-Cookie: (not shown)", "SET-COOKIE: (not shown)",
                        "set-cookie : (not shown)", "Authorization: (not shown)",
                        "Proxy-Authorization: (not shown)", "Cookie: (not shown)",
                        "X-Api-Key: (not shown)", "X-Token: (not shown)", "Server: nginx", " 1.2"));
}

// Goal: a login in a URL is no less a secret than one in a header.
TEST(TraceLines, LoginsInUrlsAreNotKept) {
  TraceLines lines;
  for (const char* line :
       {"HTTP/1.1 302 Found\r\n", "Location: http://user:s3cret@b.example/x?y=1\r\n",
        "Link: <//s3cret@c.example/>; rel=a, <https://u:s3cret@d.example>\r\n",
        "Refresh: 5; url=http://a.example/p@q\r\n"})
    lines.add(line);
  EXPECT_THAT(lines.take(), ElementsAre("HTTP/1.1 302 Found", "Location: http://b.example/x?y=1",
                                        "Link: <//c.example/>; rel=a, <https://d.example>",
                                        "Refresh: 5; url=http://a.example/p@q"));
}

// A status line and a request line are no headers, whatever they hold.
TEST(TraceLines, TheFirstLinesAreNoHeaders) {
  TraceLines lines;
  lines.add("HTTP/1.1 100 Continue: token\r\n");
  lines.add("\r\n");
  lines.add("HTTP/2 401 auth: no\r\n");
  EXPECT_THAT(lines.take(), ElementsAre("HTTP/1.1 100 Continue: token", "HTTP/2 401 auth: no"));
}

TEST(TraceLines, AreBounded) {
  TraceLines lines;
  for (int i = 0; i < 100'000; ++i) lines.add("A: b\r\n");
  std::size_t bytes = 0;
  const std::vector<std::string> kept = lines.take();
  for (const std::string& line : kept) bytes += line.size();
  EXPECT_LE(bytes, kTraceBytesMax + 100);
  EXPECT_EQ(kept.back(), "(more lines were left out)");
  lines.add(std::string(kTraceBytesMax * 2, 'x'));
  EXPECT_THAT(lines.take(), ElementsAre("(more lines were left out)"));
}

}  // namespace
}  // namespace watchwheel::checker
