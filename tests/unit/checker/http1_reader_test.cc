// SPDX-License-Identifier: Apache-2.0
#include "checker/http1_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace watchwheel::checker {
namespace {

using Step = Http1Reader::Step;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Read {
  Step last = Step::More;
  std::string body;
  std::string problem;
  std::string left;  // Of the bytes, behind the response.
  bool head = false;
  bool may_end = false;
};

// Reads all of `text`, `piece` bytes at a time; 0: at once.
Read read_with(Http1Reader& reader, std::string_view text, std::size_t piece = 0) {
  Read read;
  if (piece == 0) piece = std::max<std::size_t>(1, text.size());
  bool over = false;
  while (!text.empty() && !over) {
    std::string_view bytes = text.substr(0, piece);
    text.remove_prefix(bytes.size());
    for (bool more = true; more && !over;) {
      std::string_view body;
      read.last = reader.take(bytes, body);
      EXPECT_EQ(read.last == Step::Body, !body.empty());
      read.body += body;
      if (read.last == Step::Head) read.head = true;
      more = read.last == Step::Head || read.last == Step::Body;
      over = read.last == Step::Done || read.last == Step::Bad;
    }
    read.left = bytes;
  }
  read.left += text;
  read.problem = reader.problem();
  read.may_end = reader.may_end_here();
  EXPECT_EQ(read.last == Step::Bad, !read.problem.empty());
  EXPECT_EQ(read.head, reader.head().complete());
  EXPECT_EQ(read.body.size(), reader.body_bytes());
  return read;
}

Read read(std::string_view text, bool asked_head = false) {
  Http1Reader reader(asked_head);
  return read_with(reader, text);
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kChunked = kOk + "Transfer-Encoding: chunked\r\n\r\n";

TEST(Http1Reader, ReadsABodyByItsLength) {
  const Read got = read(kOk + "Content-Length: 5\r\n\r\nhello and more");
  EXPECT_EQ(got.last, Step::Done);
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.left, " and more");
}

TEST(Http1Reader, AnEmptyBodyIsDoneWithoutFurtherBytes) {
  EXPECT_EQ(read(kOk + "Content-Length: 0\r\n\r\n").last, Step::Done);
}

TEST(Http1Reader, ABodyWithoutLengthMayEndAnywhere) {
  const Read got = read(kOk + "\r\nhello");
  EXPECT_EQ(got.last, Step::More);
  EXPECT_EQ(got.body, "hello");
  EXPECT_TRUE(got.may_end);
}

TEST(Http1Reader, AnAnswerWithoutBodyHasNone) {
  const std::string promises = "Content-Length: 5\r\n\r\nhello";
  EXPECT_EQ(read(kOk + promises, true).left, "hello");
  for (const char* status : {"204 No Content", "304 Not Modified"}) {
    const Read got = read("HTTP/1.1 " + std::string(status) + "\r\n" + promises);
    EXPECT_EQ(got.last, Step::Done) << status;
    EXPECT_EQ(got.left, "hello") << status;
  }
  EXPECT_EQ(read("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n").last, Step::Done);
  EXPECT_EQ(read(kChunked, true).last, Step::Done);
}

TEST(Http1Reader, ReadsChunks) {
  const std::vector<std::string> good = {
      "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
      "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n",
      "00000005\r\nhello\r\n000\r\n\r\n",
      "0000000000000005\r\nhello\r\n0\r\n\r\n",
      "5 \r\nhello\r\n0 \r\n\r\n",
      "5\nhello\n0\n\n",
      "5\r\nhello\r\r\n0\r\n\r\n",
      "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nX-More: 2\r\n folded\r\n\r\n",
      "5\r\nhello\r\n0\r\nX: y\n\n",
  };
  for (const std::string& body : good) {
    const Read got = read(kChunked + body);
    EXPECT_EQ(got.last, Step::Done) << body << got.problem;
    EXPECT_EQ(got.body, "hello") << body;
    EXPECT_EQ(got.left, "") << body;
  }
  const Read capitals = read(kChunked + "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\nmore");
  EXPECT_EQ(capitals.body.size(), 20U);
  EXPECT_EQ(capitals.left, "more");
}

TEST(Http1Reader, RefusesBrokenChunks) {
  struct Case {
    std::string body;
    std::string_view problem;
    bool in_chunks = true;
  };
  const std::vector<Case> bad = {
      {"zz\r\nhello", "no size"},
      {"-5\r\nhello", "no size"},
      {" 5\r\nhello", "no size"},
      {"\r\nhello", "no size"},
      {";a=b\r\nhello", "no size"},
      {"5\r\nhello\r\n\r\n", "no size"},
      {"00000000000000005\r\nhello", "too long"},
      {"fffffffffffffffff\r\nhello", "too long"},
      {"ffffffffffffffff\r\nhello", "too large"},
      {"8000000000000000\r\nhello", "too large"},
      {"5\r\nhello!!\r\n0\r\n\r\n", "beyond its size"},
      {"5\r\nhello0\r\n\r\n", "beyond its size"},
      {"5;" + std::string(kChunkLineBytesMax, 'x') + "\r\nhello", "too long"},
      {"0\r\nX: a\rb\r\n\r\n", "a CR in a trailer"},
      {"0\r\n\rX: a\r\n\r\n", "a CR in a trailer"},
      {"0\r\nX: " + std::string(kTrailerBytesMax, 'x') + "\r\n\r\n", "trailer is too long"},
      {"0\r\ngarbage\r\n\r\n", "no colon", false},
      {"0\r\nX: " + std::string(1, '\0') + "\r\n\r\n", "zero byte", false},
  };
  for (const Case& one : bad) {
    Http1Reader reader;
    const Read got = read_with(reader, kChunked + one.body);
    EXPECT_EQ(got.last, Step::Bad) << one.body;
    EXPECT_THAT(got.problem, HasSubstr(one.problem)) << one.body;
    EXPECT_EQ(reader.chunks_broken(), one.in_chunks) << one.body;
    EXPECT_TRUE(got.head);
    EXPECT_FALSE(got.may_end);
    std::string_view more = "0\r\n\r\n";
    std::string_view body;
    EXPECT_EQ(reader.take(more, body), Step::Bad) << "what is bad stays bad";
  }
}

TEST(Http1Reader, TheLargestChunkIsOne) {
  EXPECT_EQ(read(kChunked + "7fffffffffffffff\r\nhello").body, "hello");
}

TEST(Http1Reader, TrailersHaveTheHeadersLimits) {
  std::string body = "0\r\n";
  for (int i = 0; i < 200; ++i) body += "X: y\r\n";
  const Read got = read(kChunked + body);
  EXPECT_EQ(got.last, Step::Bad);
  EXPECT_THAT(got.problem, HasSubstr("200 lines"));
}

TEST(Http1Reader, TellsWhatIsNoHttpAtItsFirstBytes) {
  for (const char* text : {"S", "HTTQ", "HTTP ", " HTTP/1.1 200 OK\r\n", "\r\nHTTP/1.1 200 OK\r\n",
                           "<html>", "ICY 200 OK\r\n", "\n"}) {
    const Read got = read(text);
    EXPECT_EQ(got.last, Step::Bad) << text;
    EXPECT_EQ(got.problem, "the answer is not HTTP") << text;
  }
  EXPECT_EQ(read("HTT").last, Step::More);
  EXPECT_EQ(read("http/1").last, Step::More);
  const std::string interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
  EXPECT_EQ(read(interim + "x").last, Step::Bad);
  EXPECT_EQ(read(interim + "\r\n").last, Step::Bad);
}

TEST(Http1Reader, RefusesWhatHeadCheckRefuses) {
  const std::vector<std::string> bad = {
      "HTTP/1.1 20 OK\r\n",
      "HTTP/1.1 099 OK\r\n",
      "HTTP/9.9 200 OK\r\n",
      "HTTP/1.2 200 OK\r\n",
      "http/9.9 200 OK\r\n",
      "HTTP/1.10 200 OK\r\n",
      "HTTP/1.1\t200 OK\r\n",
      "HTTP/1.1 101 Switching\r\n",
      kOk + "garbage\r\n",
      kOk + " folded: x\r\n",
      kOk + "\rX: a\r\n\r\n",
      kOk + "Content-Length: +5\r\n\r\n",
      kOk + "Content-Length:\r\n" + "Transfer-Encoding: chunked\r\n\r\n",
      kOk + "Content-Length: abc\r\nTransfer-Encoding: chunked\r\n\r\n",
      kOk + "Content-Length: 99999999999999999999\r\nTransfer-Encoding: chunked\r\n\r\n",
      std::string("HTTP/1.1 200 O\0K\r\n", 18),
  };
  for (const std::string& text : bad) {
    const Read got = read(text);
    EXPECT_EQ(got.last, Step::Bad) << text;
    EXPECT_FALSE(got.head) << text;
  }
  EXPECT_EQ(read(kOk + "Content-Length: 5abc\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").last,
            Step::Done);
}

TEST(Http1Reader, ALineHasALimitBeforeItsEnd) {
  const Read got = read(kOk + "X: " + std::string(kHeadBytesMax, 'x'));
  EXPECT_EQ(got.last, Step::Bad);
  EXPECT_THAT(got.problem, HasSubstr("too long"));
}

TEST(Http1Reader, TheLengthOfAnInterimResponseIsNotTheFinalOnes) {
  const Read got =
      read("HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n" + kOk + "\r\nhello");
  EXPECT_EQ(got.body, "hello");
  EXPECT_TRUE(got.may_end);
}

TEST(Http1Reader, MayEndOnlyWhereTheResponseDoes) {
  const std::vector<std::pair<std::string, bool>> table = {
      {"", false},
      {"HTTP/1.1 2", false},
      {kOk, false},
      {kOk + "Content-Length: 5\r\n\r\n", false},
      {kOk + "Content-Length: 5\r\n\r\nhell", false},
      {kOk + "Content-Length: 5\r\n\r\nhello", true},
      {kOk + "\r\n", true},
      {kOk + "\r\nhello", true},
      {kChunked, false},
      {kChunked + "5\r\nhel", false},
      {kChunked + "5\r\nhello\r\n", false},
      {kChunked + "5\r\nhello\r\n0\r\n", false},
      {kChunked + "5\r\nhello\r\n0\r\n\r\n", true},
      {"HTTP/1.1 103 Early Hints\r\n\r\n", false},
  };
  for (const auto& [text, may] : table) EXPECT_EQ(read(text).may_end, may) << text;
}

TEST(Http1Reader, KnowsHowMuchIsExpected) {
  Http1Reader reader;
  EXPECT_FALSE(reader.begun());
  (void)read_with(reader, "HT");
  EXPECT_TRUE(reader.begun());
  EXPECT_EQ(reader.head().bytes(), 0U);
  Http1Reader by_length;
  (void)read_with(by_length, kOk + "Content-Length: 9\r\n\r\nhello");
  EXPECT_EQ(by_length.body_expected(), 9U);
  EXPECT_EQ(by_length.body_bytes(), 5U);
  Http1Reader chunked;
  (void)read_with(chunked,
                  kOk + "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  EXPECT_EQ(chunked.body_expected(), std::nullopt);
  EXPECT_EQ(chunked.body_bytes(), 5U);
}

TEST(Http1Reader, KeepsTheLinesOfAllHeadersAndTrailers) {
  TraceLines lines;
  Http1Reader reader;
  reader.keep_lines(lines);
  (void)read_with(reader,
                  "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + kChunked +
                      "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
                  3);
  EXPECT_THAT(lines.take(), ElementsAre("HTTP/1.1 103 Early Hints", "Link: </x>", "HTTP/1.1 200 OK",
                                        "Transfer-Encoding: chunked", "X: y"));
}

}  // namespace
}  // namespace watchwheel::checker
