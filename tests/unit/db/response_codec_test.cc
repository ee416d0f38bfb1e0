// SPDX-License-Identifier: Apache-2.0
#include "db/response_codec.h"

#include <gtest/gtest.h>

namespace watchwheel::db {
namespace {

TEST(ResponseCodec, TakesWhatItWrites) {
  core::ResponseHistogram responses;
  EXPECT_EQ(responses_to_text(responses), "");
  EXPECT_EQ(responses_from_text("").value(), responses);
  responses.counts[23] = 12;
  responses.counts[63] = 1;
  EXPECT_EQ(responses_to_text(responses), "23:12,63:1");
  EXPECT_EQ(responses_from_text("23:12,63:1").value(), responses);
  responses.counts.fill(UINT64_MAX);
  const std::string longest = responses_to_text(responses);
  EXPECT_LT(longest.size(), 1536U) << "the column's length";
  EXPECT_EQ(responses_from_text(longest).value(), responses);
}

TEST(ResponseCodec, RefusesWhatItNeverWrites) {
  for (const char* text : {"x", "1", "1:", "1:0", "1:2,", ",1:2", "1:2,1:3", "2:1,1:1", "64:1",
                           "-1:1", "1:2 ", "01:2", "1:02", "1:2;3:4", "1:99999999999999999999"})
    EXPECT_FALSE(responses_from_text(text)) << text;
}

TEST(ResponseCodec, PagesTakeWhatTheyWrite) {
  PageResponses page;
  EXPECT_EQ(page_to_text(page), "");
  EXPECT_EQ(page_from_text("").value(), page);
  page[0].counts[23] = 12;
  page[127].counts[24] = 1;
  page[127].counts[63] = 2;
  EXPECT_EQ(page_to_text(page), "0=23:12;127=24:1,63:2");
  EXPECT_EQ(page_from_text("0=23:12;127=24:1,63:2").value(), page);
  for (const char* text : {"x", "0", "0=", "=1:2", "0=1:2,", "0:1=2", "128=1:2", "-1=1:2",
                           "0=1:2;0=1:2", "0=1:2;;1=1:2", ";0=1:2", "256=1:2", "0 =1:2", "0=1:2;",
                           ";", "2=1:2;1=1:2", "00=1:2", "01=1:2", "0=01:2"})
    EXPECT_FALSE(page_from_text(text)) << text;
}

}  // namespace
}  // namespace watchwheel::db
