// SPDX-License-Identifier: Apache-2.0
#include "http/access.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/child_process.h"

namespace watchwheel::http {
namespace {

TEST(Bearer, OnlyTheWholeTokenMatches) {
  EXPECT_TRUE(bearer_matches("Bearer s3cret", "s3cret"));
  EXPECT_TRUE(bearer_matches("bearer   s3cret ", "s3cret"));
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cre", "Bearer s3crett",
        "Bearer S3cret", "Bearer s3creT", "Bearer x s3cret"}) {
    EXPECT_FALSE(bearer_matches(wrong, "s3cret")) << wrong;
  }
}

// Every single wrong byte is noticed, wherever it is.
TEST(Bearer, EachByteCounts) {
  const std::string token = "0123456789abcdef0123456789abcdef";
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string wrong = token;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    EXPECT_FALSE(bearer_matches("Bearer " + wrong, token)) << i;
  }
}

struct OriginCase {
  const char* origin;
  const char* host;
  bool without_token;
  bool with_token;
};

TEST(Origin, OnlyThePageOfThisVeryAddressMayChangeThings) {
  for (
      const OriginCase& c : {
          OriginCase{"", "anything", true, true},  // No browser's page.
          OriginCase{"http://127.0.0.1:9464", "127.0.0.1:9464", true, true},
          OriginCase{"http://[::1]:9464", "[::1]:9464", true, true},
          OriginCase{"http://LOCALHOST:9464", "localhost:9464", true, true},
          OriginCase{"http://localhost", "localhost", true, true},
          OriginCase{"http://evil.example", "127.0.0.1:9464", false, false},
          OriginCase{"http://127.0.0.1:8080", "127.0.0.1:9464", false, false},
          OriginCase{"null", "127.0.0.1:9464", false, false},
          OriginCase{"file://", "", false, false},
          OriginCase{"http://", "", false, true},
          // The name was pointed at us by its owner: origin and host agree, and still it is not ours.
          OriginCase{"http://evil.example:9464", "evil.example:9464", false, true},
          OriginCase{"http://127.0.0.1.evil.example", "127.0.0.1.evil.example", false, true},
          OriginCase{"https://watch.example", "watch.example", false, true},
          OriginCase{"http://[::1", "[::1", false, true},
      }) {
    EXPECT_EQ(origin_allowed(c.origin, c.host, false), c.without_token) << c.origin;
    EXPECT_EQ(origin_allowed(c.origin, c.host, true), c.with_token) << c.origin;
  }
}

TEST(TokenFile, HoldsOneWordWithSpaceAroundIt) {
  const testing::TempDir dir;
  EXPECT_EQ(*load_token(dir.write("token", "  abc123\r\n")), "abc123");
  EXPECT_EQ(*load_token(dir.write("full", std::string(kTokenBytesMax, 'x'))),
            std::string(kTokenBytesMax, 'x'));
}

TEST(TokenFile, WhatIsNoTokenIsRefusedWithoutShowingIt) {
  const testing::TempDir dir;
  const auto message = [](const core::Result<std::string>& result) {
    return result ? "accepted" : result.error().message;
  };
  EXPECT_NE(message(load_token(dir.path() + "/absent")).find("cannot be opened: No such file"),
            std::string::npos);
  EXPECT_NE(message(load_token(dir.path())).find("cannot be"), std::string::npos);
  EXPECT_NE(message(load_token(dir.write("empty", " \n"))).find("openssl rand"), std::string::npos);
  EXPECT_NE(message(load_token(dir.write("long", std::string(kTokenBytesMax + 1, 'x'))))
                .find("longer than"),
            std::string::npos);
  for (const std::string& bad : std::vector<std::string>{"two words", "caf\xc3\xa9", "tab\there",
                                                         std::string("nul\0x", 5)}) {
    const std::string said = message(load_token(dir.write("bad", bad)));
    EXPECT_NE(said.find("one word"), std::string::npos) << said;
    EXPECT_EQ(said.find(bad), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace watchwheel::http
