// SPDX-License-Identifier: Apache-2.0
#include "checker/head_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace watchwheel::checker {
namespace {

using Step = HeadCheck::Step;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Feeds `text` line by line; "\n" ends a line.
Step read(HeadCheck& check, std::string_view text) {
  Step step = Step::More;
  while (!text.empty() && step == Step::More) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    step = check.take(text.substr(0, end));
    text.remove_prefix(end);
  }
  return step;
}

// The header of a 200 with these lines, to its end.
HeadCheck with(std::string_view lines, std::string_view status_line = "HTTP/1.1 200 OK") {
  HeadCheck check;
  const Step step = read(check, std::string(status_line) + "\r\n" + std::string(lines) + "\r\n");
  EXPECT_EQ(step == Step::Bad, !check.problem().empty());
  EXPECT_EQ(step == Step::Complete, check.complete());
  return check;
}

struct Row {
  std::string_view lines;
  std::string_view problem;  // A part of it; "": healthy.
};

void expect(const Row& row, const HeadCheck& check) {
  if (row.problem.empty()) {
    EXPECT_TRUE(check.complete()) << row.lines << " -> " << check.problem();
  } else {
    EXPECT_THAT(check.problem(), HasSubstr(std::string(row.problem))) << row.lines;
  }
}

// Goal: each way in which a length or a coding can be wrong is told, and nothing else is.
TEST(HeadCheck, JudgesTheFraming) {
  static constexpr std::string_view kNoLength = "is no length";
  static constexpr std::string_view kDiffer = "differ";
  static constexpr std::string_view kCoding = "nobody asked for";
  static constexpr std::string_view kFold = "folded";
  static constexpr std::string_view kSpace = "a space before the colon";
  static constexpr Row kRows[] = {
      {"", ""},
      {"Content-Length: 5\r\n", ""},
      {"content-length:5\r\n", ""},
      {"Content-Length: 0005\r\n", ""},
      {"Content-Length: 9223372036854775807\r\n", ""},
      {"Content-Length: 5\r\nContent-Length: 5\r\n", ""},
      {"Content-Length: 5, 5\r\n", ""},
      {"Content-Length: 5,,5\r\n", ""},
      {"Content-Length: 5\r\nContent-Length: 6\r\n", kDiffer},
      {"Content-Length: 5, 6\r\n", kDiffer},
      {"Content-Length: 5\r\nContent-Length: 6\r\nContent-Length: 5\r\n", kDiffer},
      {"Content-Length: +5\r\n", kNoLength},
      {"Content-Length: -5\r\n", kNoLength},
      {"Content-Length: 5abc\r\n", kNoLength},
      {"Content-Length: 0x5\r\n", kNoLength},
      {"Content-Length: 5.0\r\n", kNoLength},
      {"Content-Length: 5 5\r\n", kNoLength},
      {"Content-Length: five\r\n", kNoLength},
      {"Content-Length: 9223372036854775808\r\n", kNoLength},
      {"Content-Length: 99999999999999999999999\r\n", kNoLength},
      {"Content-Length:\r\n", "empty"},
      {"Content-Length: ,\r\n", "empty"},
      {"Content-Length: ,5\r\n", kNoLength},
      {"Content-Length : 5\r\n", kSpace},
      {"Content-Length\t: 5\r\n", kSpace},
      {"Content-Length:\r\n 5\r\n", "empty"},
      {"Content-Length: 5\r\n 0\r\n", kFold},
      {"Transfer-Encoding: chunked\r\n", ""},
      {"TRANSFER-ENCODING: CHUNKED\r\n", ""},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""},
      {"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", ""},
      {"Transfer-Encoding:\r\nContent-Length: 5\r\n", ""},
      {"Transfer-Encoding: identity, chunked\r\n", ""},
      {"Transfer-Encoding: gzip, chunked\r\n", kCoding},
      {"Transfer-Encoding: chunked, gzip\r\n", kCoding},
      {"Transfer-Encoding: xchunked\r\n", kCoding},
      {"Transfer-Encoding: chunked;x\r\n", kCoding},
      {"Transfer-Encoding: chunked ;x=y\r\n", kCoding},
      {"Transfer-Encoding: \"chunked\"\r\n", kCoding},
      {"Transfer-Encoding : chunked\r\n", kSpace},
      {"Transfer-Encoding:\r\n chunked\r\n", kFold},
      // Chunked wins over any length.
      {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", ""},
      {"Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n", ""},
      {"Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: identity\r\n", kDiffer},
  };
  for (const Row& row : kRows) expect(row, with(row.lines));
}

TEST(HeadCheck, JudgesTheLines) {
  static constexpr Row kRows[] = {
      {"X: a\r\n", ""},
      {"X: a\n", ""},
      {"X: a\r\r\n", ""},
      {"X:\r\n", ""},
      {"X : a\r\n", ""},
      {"X Y: a\r\n", ""},
      {": a\r\n", ""},
      {"X: a\rb\r\n", ""},
      {"X: a\x01\x7f\xe4 b\r\n", ""},
      {"X: a\r\n folded\r\n\tonce more\r\n", ""},
      {"X: a\r\n \r\n", ""},  // A folded line of a space, not the end.
      {"X: a\r\nContent-Length: 5\r\n", ""},
      {" folded: a\r\n", "begins with a folded line"},
      {"no colon\r\n", "no colon"},
      {"X\rY: a\r\n", "no colon"},  // Before a CR, libcurl's end of a line.
      {std::string_view("X: a\0b\r\n", 8), "zero byte"},
      {std::string_view("\0X: a\r\n", 7), "zero byte"},
  };
  for (const Row& row : kRows) expect(row, with(row.lines));
}

TEST(HeadCheck, ReadsTheStatusLine) {
  struct Line {
    std::string_view text;
    int status;  // 0: refused.
    std::string_view version, reason;
  };
  static constexpr Line kLines[] = {
      {"HTTP/1.1 200 OK", 200, "HTTP/1.1", "OK"},
      {"HTTP/1.0 404 Not Found", 404, "HTTP/1.0", "Not Found"},
      {"HTTP/2 200 ", 200, "HTTP/2", ""},
      {"HTTP/1.1 200", 200, "HTTP/1.1", ""},
      {"HTTP/1.1 200OK", 200, "HTTP/1.1", "OK"},
      {"HTTP/1.1  200  OK ", 200, "HTTP/1.1", "OK"},
      {"http/1.1 200 ok", 200, "http/1.1", "ok"},
      {"HTTP/1.1 999 X", 999, "HTTP/1.1", "X"},
      {"HTTP/1.1 503 a\x01\xe4z", 503, "HTTP/1.1", "a??z"},
      {"HTTP/1.1 20 OK", 0, "", ""},
      {"HTTP/1.1 20", 0, "", ""},
      {"HTTP/1.1 099 X", 0, "", ""},
      {"HTTP/1.1 1000 X", 0, "", ""},
      {"HTTP/1.1 -20 X", 0, "", ""},
      {"HTTP/1.1 +20 X", 0, "", ""},
      {"HTTP/1.1 2x0 X", 0, "", ""},
      {"HTTP/1.1", 0, "", ""},
      {"HTTP/1.1 ", 0, "", ""},
      {"ICY 200 OK", 0, "", ""},
      {"SSH-2.0-OpenSSH", 0, "", ""},
      {"<html>", 0, "", ""},
      {"", 0, "", ""},
  };
  for (const Line& line : kLines) {
    const HeadCheck check = with("", line.text);
    if (line.status == 0) {
      EXPECT_THAT(check.problem(), HasSubstr("status line")) << line.text;
      continue;
    }
    ASSERT_TRUE(check.complete()) << line.text;
    EXPECT_EQ(check.head().status, line.status) << line.text;
    EXPECT_EQ(check.head().version, line.version);
    EXPECT_EQ(check.head().reason, line.reason);
  }
  EXPECT_EQ(with("", "HTTP/1.1 200 " + std::string(60'000, 'x')).head().reason.size(), 64U);
}

TEST(HeadCheck, KeepsWhatTheFinalResponseSays) {
  HeadCheck check;
  EXPECT_EQ(read(check,
                 "HTTP/1.1 103 Early Hints\r\nLocation: /hint\r\nContent-Length: 5, 6\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n"
                 "HTTP/1.1 302 Found\r\nLocation:  /next \r\nContent-Type: text/html\r\n"
                 "Content-Encoding: gzip\r\ncontent-encoding: br\r\nSet-Cookie: a=b; Path=/\r\n"
                 "set-cookie: c=d\r\nContent-Length: 5\r\n\r\n"),
            Step::Complete);
  const ResponseHead& head = check.head();
  EXPECT_EQ(head.status, 302);
  EXPECT_EQ(head.location, "/next");
  EXPECT_FALSE(head.locations_differ);
  EXPECT_EQ(head.content_type, "text/html");
  EXPECT_EQ(head.content_encoding, "gzip, br");
  EXPECT_THAT(head.cookies, ElementsAre("a=b; Path=/", "c=d"));
  EXPECT_EQ(read(check, "X-Trailer: a\r\nContent-Length: -1\r\n\r\n"), Step::More);
  EXPECT_EQ(check.head().content_type, "text/html");
}

TEST(HeadCheck, AnInterimResponseHasAFramingToo) {
  HeadCheck check;
  EXPECT_EQ(read(check, "HTTP/1.1 103 Early Hints\r\nContent-Length: 5, 6\r\n\r\n"), Step::Bad);
}

TEST(HeadCheck, SeveralLocations) {
  EXPECT_FALSE(with("Location: /a\r\nLocation: /a\r\n").head().locations_differ);
  const HeadCheck check = with("Location: /a\r\nLocation: /b\r\n");
  EXPECT_TRUE(check.head().locations_differ);
  EXPECT_EQ(check.head().location, "/a");
  // One more than a redirect may have is kept, so that it is refused and not cut.
  EXPECT_EQ(with("Location: /" + std::string(20'000, 'x') + "\r\n").head().location->size(), 8193U);
}

TEST(HeadCheck, CookiesAreOfRedirectsOnlyAndLimited) {
  EXPECT_TRUE(with("Set-Cookie: a=b\r\n").head().cookies.empty());
  std::string many;
  for (int i = 0; i < 60; ++i) many += "Set-Cookie: a=b\r\n";
  EXPECT_EQ(with(many, "HTTP/1.1 302 Found").head().cookies.size(), kCookieLinesMax);
  EXPECT_TRUE(
      with("Set-Cookie: a=" + std::string(kCookieBytesMax, 'x') + "\r\n", "HTTP/1.1 302 Found")
          .head()
          .cookies.empty());
}

TEST(HeadCheck, NothingIsWithoutEnd) {
  const auto times = [](std::size_t n, std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += text;
    return out;
  };
  HeadCheck interim;
  EXPECT_EQ(read(interim,
                 times(kInterimMax, "HTTP/1.1 100 Continue\r\n\r\n") + "HTTP/1.1 200 OK\r\n\r\n"),
            Step::Complete);
  HeadCheck flood;
  EXPECT_EQ(read(flood, times(kInterimMax + 1, "HTTP/1.1 100 Continue\r\n\r\n")), Step::Bad);
  EXPECT_THAT(flood.problem(), HasSubstr("20 interim"));

  EXPECT_TRUE(with(times(kHeadLinesMax - 2, "X: y\r\n")).complete());
  EXPECT_THAT(with(times(kHeadLinesMax - 1, "X: y\r\n")).problem(), HasSubstr("200 lines"));
  EXPECT_THAT(with("X: " + std::string(kHeadBytesMax, 'x') + "\r\n").problem(),
              HasSubstr("64 KiB"));
  HeadCheck trailers;
  EXPECT_EQ(read(trailers, "HTTP/1.1 200 OK\r\n\r\n"), Step::Complete);
  EXPECT_EQ(read(trailers, times(kHeadLinesMax - 2, "X: y\r\n")), Step::More);
  EXPECT_EQ(read(trailers, "X: y\r\n"), Step::Bad);
}

TEST(HeadCheck, RefusesAProtocolNobodyAskedFor) {
  EXPECT_THAT(with("Upgrade: websocket\r\n", "HTTP/1.1 101 Switching Protocols").problem(),
              HasSubstr("101"));
}

}  // namespace
}  // namespace watchwheel::checker
