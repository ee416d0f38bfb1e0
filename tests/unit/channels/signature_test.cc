// SPDX-License-Identifier: Apache-2.0
#include "channels/signature.h"

#include <gtest/gtest.h>

#include <array>

namespace watchwheel::channels {
namespace {

// The example of the Standard Webhooks document and of its libraries' tests.
constexpr std::string_view kKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr Signed kExample{.id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
                          .unix_seconds = 1614265330,
                          .body = "{\"test\": 2432232314}"};

TEST(WebhookSignature, IsThatOfThePublishedExample) {
  const auto key = webhook_key(kKey);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->size(), 24U);
  EXPECT_EQ(webhook_signature(kExample, std::array{*key}),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignature, EveryKeySignsWhileOneIsReplaced) {
  const std::string old_key(24, 'o');
  const std::string new_key(32, 'n');
  const std::string both = webhook_signature(kExample, std::array{new_key, old_key});
  EXPECT_EQ(both, webhook_signature(kExample, std::array{new_key}) + " " +
                      webhook_signature(kExample, std::array{old_key}));
}

TEST(WebhookSignature, AnythingSignedChangesIt) {
  const std::string key(24, 'k');
  const std::string before = webhook_signature(kExample, std::array{key});
  EXPECT_NE(before,
            webhook_signature({.id = "msg_x", .unix_seconds = 1614265330, .body = kExample.body},
                              std::array{key}));
  EXPECT_NE(before, webhook_signature(
                        {.id = kExample.id, .unix_seconds = 1614265331, .body = kExample.body},
                        std::array{key}));
  EXPECT_NE(before, webhook_signature({.id = kExample.id, .unix_seconds = 1614265330, .body = "{}"},
                                      std::array{key}));
}

TEST(WebhookKey, IsBase64WithOrWithoutItsPrefix) {
  EXPECT_EQ(webhook_key(kKey).value(), webhook_key(kKey.substr(6)).value());
  EXPECT_EQ(webhook_key("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNA==").value(),
            "0123456789012345678901234");
  EXPECT_EQ(webhook_key("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNA").value(),
            "0123456789012345678901234")
      << "without its padding";
}

// Goal: what is no key is refused, and no message holds a part of it.
TEST(WebhookKey, WhatIsNoKeyIsRefusedWithoutBeingShown) {
  for (const std::string_view text :
       {"", "whsec_", "secret-password-of-ours!",
        "whsec_c2hvcnQ=", "whsec_MfKQ9r8GKYqrTwjU PD8ILPZIo2LaLaSw",
        "MfKQ9r8G=KYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa===",
        "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy"
        "MzQ1Njc4OTAxMjM0NTY3ODk="}) {
    const auto key = webhook_key(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().kind, core::ErrorKind::Invalid);
    if (text.size() > 12) {
      EXPECT_EQ(key.error().message.find(text.substr(6, 6)), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace watchwheel::channels
