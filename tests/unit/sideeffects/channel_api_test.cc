// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/channel_api.h"

#include <gtest/gtest.h>

#include <set>

namespace watchwheel::sideeffects {
namespace {

// Goal: configuration, metrics and queue speak of channels by the same words, and every word is read back as what it was.
TEST(ChannelWords, AreReadBackAsWhatTheyWere) {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kChannelTypes; ++i) {
    const auto type = static_cast<ChannelType>(i);
    words.insert(to_string(type));
    EXPECT_EQ(parse_channel_type(to_string(type)), type);
  }
  EXPECT_EQ(words.size(), kChannelTypes);
  EXPECT_EQ(parse_channel_type("pager"), std::nullopt);
  EXPECT_EQ(parse_channel_type(""), std::nullopt);
  for (const MailTls tls : {MailTls::Required, MailTls::None})
    EXPECT_EQ(parse_mail_tls(to_string(tls)), tls);
  EXPECT_EQ(parse_mail_tls("maybe"), std::nullopt);
  std::set<std::string_view> outcomes;
  for (std::size_t i = 0; i < kSendOutcomes; ++i)
    outcomes.insert(to_string(static_cast<SendOutcome>(i)));
  EXPECT_EQ(outcomes.size(), kSendOutcomes);
}

}  // namespace
}  // namespace watchwheel::sideeffects
