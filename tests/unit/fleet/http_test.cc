// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "fleet/http_head.h"
#include "fleet/replies.h"

namespace watchwheel::fleet {
namespace {

TEST(FleetHttpHead, ReadsWhatTheServerNeeds) {
  const std::string text =
      "POST /a?b HTTP/1.1\r\nhost:  s1.fleet.test:80 \r\nContent-Length: 12\r\n"
      "CONNECTION: Close\r\nAccept: */*\r\n\r\nbody";
  RequestHead head;
  ASSERT_EQ(read_request_head(text, head), HeadState::Complete);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.host, "s1.fleet.test:80");
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_FALSE(head.keep_alive);
  EXPECT_EQ(head.length, text.size() - 4);
}

TEST(FleetHttpHead, EveryCutOfAHeadNeedsMore) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestHead head;
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_EQ(read_request_head(text.substr(0, i), head), HeadState::NeedMore) << i;
  }
  EXPECT_EQ(read_request_head(text, head), HeadState::Complete);
}

TEST(FleetHttpHead, RefusesWhatIsNotHttp) {
  RequestHead head;
  for (const char* text : {"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/2\r\n\r\n", " / HTTP/1.1\r\n\r\n",
                           "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nnocolon\r\n\r\n",
                           "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    EXPECT_EQ(read_request_head(text, head), HeadState::Malformed) << text;
  }
  EXPECT_EQ(read_request_head(std::string(kRequestHeadMax, 'a'), head), HeadState::TooLarge);
}

std::string text_of(const ReplyMaker& maker, const ReplyWish& wish) {
  Reply reply;
  maker.make(wish, reply);
  EXPECT_LT(reply.front_length, reply.front.size() - 1) << "cut short";
  return std::string(reply.front.data(), reply.front_length) + std::string(reply.shared);
}

std::string body_of(const std::string& text) {
  return text.substr(text.find("\r\n\r\n") + 4);
}

TEST(FleetReplies, PagesHaveTheirSizeTitleAndPhrase) {
  for (const std::uint32_t bytes : {512U, 2048U, 100'000U}) {
    const ReplyMaker maker(bytes);
    for (const std::uint32_t site : {0U, 3'999'999U}) {
      for (const FaultKind kind : {FaultKind::None, FaultKind::ArticleOk}) {
        const std::string text = text_of(maker, {site, kind, false, false, true});
        EXPECT_EQ(body_of(text).size(), bytes);
        EXPECT_NE(text.find("Content-Length: " + std::to_string(bytes) + "\r\n"),
                  std::string::npos);
        EXPECT_NE(text.find("<title>Site " + std::to_string(site) + "</title>"), std::string::npos);
        EXPECT_NE(text.find("all good here"), std::string::npos);
        EXPECT_TRUE(text.ends_with("</html>\n"));
      }
    }
  }
}

TEST(FleetReplies, ContentLengthIsTrueForEveryWholeAnswer) {
  const ReplyMaker maker(2048);
  for (const FaultFacts& facts : fault_table()) {
    const std::string text = text_of(maker, {7, facts.kind, false, false, false});
    const std::size_t field = text.find("Content-Length: ");
    const bool is_cut = facts.kind == FaultKind::Truncated || facts.kind == FaultKind::SlowBody;
    if (field == std::string::npos || is_cut) continue;
    EXPECT_EQ(std::stoul(text.substr(field + 16)), body_of(text).size()) << facts.name;
  }
  EXPECT_EQ(body_of(text_of(maker, {7, FaultKind::Truncated, false, false, false})).size(), 2048U);
}

// Goal: what is sent again and again is one gzip stream. Method: decode its front and three laps.
TEST(FleetReplies, TheBombIsAThousandTimesItsSize) {
  const ReplyMaker maker(2048);
  Reply reply;
  maker.make({7, FaultKind::GzipBomb, false, false, false}, reply);
  std::string sent = body_of(std::string(reply.front.data(), reply.front_length));
  for (int lap = 0; lap < 3; ++lap) sent += reply.shared;

  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, 16 + 15), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(sent.data());
  stream.avail_in = static_cast<uInt>(sent.size());
  std::string out(1024 * 1024, 'x');
  std::uint64_t zeros = 0;
  int status = Z_OK;
  while (stream.avail_in > 0 && status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    status = inflate(&stream, Z_NO_FLUSH);
    zeros += out.size() - stream.avail_out;
  }
  EXPECT_EQ(inflateEnd(&stream), Z_OK);
  EXPECT_TRUE(status == Z_OK || status == Z_BUF_ERROR) << status;
  EXPECT_GT(zeros, sent.size() * 500);
}

TEST(FleetReplies, HeadHasNoBody) {
  const ReplyMaker maker(2048);
  for (const FaultFacts& facts : fault_table()) {
    const std::string text = text_of(maker, {7, facts.kind, false, true, false});
    if (!text.starts_with("HTTP/") || facts.kind == FaultKind::EndlessHead) continue;
    EXPECT_TRUE(text.ends_with("\r\n\r\n")) << facts.name;
  }
}

TEST(FleetReplies, RedirectsEndWhereTheyShould) {
  const ReplyMaker maker(2048);
  EXPECT_NE(text_of(maker, {1, FaultKind::RedirectOk, false, false, true}).find("301 "),
            std::string::npos);
  EXPECT_NE(text_of(maker, {1, FaultKind::RedirectOk, true, false, true}).find("200 OK"),
            std::string::npos);
  EXPECT_NE(text_of(maker, {1, FaultKind::RedirectLoop, true, false, true}).find("302 "),
            std::string::npos);
}

}  // namespace
}  // namespace watchwheel::fleet
