// SPDX-License-Identifier: Apache-2.0
// docs/reference/notifications.md against the code: what receivers are promised is what they get.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "channels/bodies.h"
#include "channels/template.h"
#include "messages.h"
#include "sideeffects/channel_api.h"

namespace watchwheel::channels {
namespace {

using Json = nlohmann::json;

std::string document() {
  std::ifstream file(WATCHWHEEL_SOURCE_DIR "/docs/reference/notifications.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The first block of that language.
std::string block(const std::string& text, const std::string& language) {
  const std::string begin = "```" + language + "\n";
  const std::size_t at = text.find(begin);
  if (at == std::string::npos) return "";
  const std::size_t from = at + begin.size();
  return text.substr(from, text.find("```", from) - from);
}

TEST(NotificationsDocument, ShowsTheBodyOfAWebhook) {
  sideeffects::Message message = testing::down();
  message.sites.front().name = "shop.example";
  Json shown = Json::parse(block(document(), "json"), nullptr, false);
  ASSERT_TRUE(shown.is_object());
  shown["data"]["sites"][0]["incident"] = condition_key(message.sites.front());
  EXPECT_EQ(shown, Json::parse(webhook_body(message, message.id, "")));
}

TEST(NotificationsDocument, NamesEveryFieldAndKind) {
  const std::string text = document();
  const auto names = [&text](std::string_view word) {
    return text.find("`" + std::string(word) + "`") != std::string::npos;
  };
  for (const std::string_view field : kMessageFields) EXPECT_TRUE(names(field)) << field;
  for (const std::string_view field : kSiteFields) EXPECT_TRUE(names(field)) << field;
  for (const std::string_view kind : sideeffects::kMessageKindNames)
    EXPECT_TRUE(names(kind)) << kind;
  for (std::size_t i = 0; i < sideeffects::kChannelTypes; ++i) {
    const std::string word(to_string(static_cast<sideeffects::ChannelType>(i)));
    EXPECT_NE(text.find("## `" + word + "`"), std::string::npos) << word;
  }
}

TEST(NotificationsDocument, ItsExampleOfATemplateIsOne) {
  const std::string example = block(document(), "toml");
  const std::size_t subject = example.find('"') + 1;
  const std::size_t text = example.find("\"\"\"\n") + 4;
  EXPECT_TRUE(Template::parse(example.substr(subject, example.find('"', subject) - subject)));
  const auto parsed = Template::parse(example.substr(text, example.find("\"\"\"", text) - text));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->render(message_values(testing::digest()), 1000),
            "The \"shop\" <main> & more is down (connect_timeout: no answer in 5s), since "
            "2026-11-21T12:00:00.123Z\n"
            "https://blog.example/ is down (connect_timeout: no answer in 5s), since "
            "2026-11-21T12:00:00.123Z\n");
}

}  // namespace
}  // namespace watchwheel::channels
