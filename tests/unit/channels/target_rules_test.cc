// SPDX-License-Identifier: Apache-2.0
#include "channels/target_rules.h"

#include <gtest/gtest.h>

#include <functional>

namespace watchwheel::channels {
namespace {

using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::MailTls;
using namespace std::chrono_literals;

ChannelTarget good(ChannelType type) {
  ChannelTarget target;
  target.name = "ops";
  target.type = type;
  target.url = "https://hooks.example/x";
  if (type == ChannelType::PagerDuty) {
    target.url.clear();
    target.secret_files = {"/etc/watchwheel/key"};
  }
  if (type == ChannelType::Command) {
    target.url.clear();
    target.command = {"/usr/local/bin/tell", "--now"};
  }
  if (type == ChannelType::Email) {
    target.url = "smtp://mail.example.org:587";
    target.from = "Watchwheel <ww@example.org>";
    target.to = {"noc@example.org"};
    target.user = "ww";
    target.secret_files = {"mail-password"};
  }
  return target;
}

std::vector<std::string> keys(const ChannelTarget& target) {
  std::vector<std::string> out;
  for (const TargetProblem& problem : target_problems(target)) {
    EXPECT_FALSE(problem.what.empty());
    out.push_back(problem.key);
  }
  return out;
}

TEST(TargetRules, WhatIsRightHasNoProblem) {
  for (std::size_t i = 0; i < sideeffects::kChannelTypes; ++i) {
    const auto type = static_cast<ChannelType>(i);
    EXPECT_EQ(target_problems(good(type)), std::vector<TargetProblem>{}) << to_string(type);
  }
  ChannelTarget slack = good(ChannelType::Slack);
  slack.url.clear();
  slack.url_file = "slack-url";
  EXPECT_EQ(keys(slack), std::vector<std::string>{});
}

struct Wrong {
  ChannelType type;
  std::function<void(ChannelTarget&)> spoil;
  const char* key;
};

TEST(TargetRules, WhatCannotWorkIsToldByItsKey) {
  using Type = ChannelType;
  const std::vector<Wrong> all{
      {Type::Webhook, [](auto& t) { t.url.clear(); }, "url"},
      {Type::Webhook, [](auto& t) { t.url = "ftp://x.example/"; }, "url"},
      {Type::Webhook, [](auto& t) { t.url = "https://user:pw@x.example/"; }, "url"},
      {Type::Webhook, [](auto& t) { t.url_file = "/f"; }, "url_file"},
      {Type::Webhook, [](auto& t) { t.secret_files.assign(6, "/f"); }, "secret_file"},
      {Type::Webhook, [](auto& t) { t.to = {"a@b.example"}; }, "to"},
      {Type::Webhook, [](auto& t) { t.command = {"/bin/true"}; }, "command"},
      {Type::Webhook, [](auto& t) { t.ca_file = "ca.pem"; }, "ca_file"},
      {Type::Webhook, [](auto& t) { t.allow = {"10.0.0.1/8"}; }, "allow"},
      {Type::Webhook, [](auto& t) { t.subject = "{{nope}}"; }, "subject"},
      {Type::Webhook, [](auto& t) { t.text = "{{#sites}}"; }, "text"},
      {Type::Webhook, [](auto& t) { t.timeout = 500ms; }, "timeout"},
      {Type::Webhook, [](auto& t) { t.timeout = 6min; }, "timeout"},
      {Type::Slack, [](auto& t) { t.secret_files.assign(2, "/f"); }, "secret_file"},
      {Type::PagerDuty, [](auto& t) { t.secret_files.clear(); }, "secret_file"},
      {Type::Email, [](auto& t) { t.url = "https://mail.example.org/"; }, "url"},
      {Type::Email, [](auto& t) { t.url = "smtp://mail.example.org/x"; }, "url"},
      {Type::Email, [](auto& t) { t.url = "smtp://u:p@mail.example.org"; }, "url"},
      {Type::Email, [](auto& t) { t.from = "ww"; }, "from"},
      {Type::Email, [](auto& t) { t.to.clear(); }, "to"},
      {Type::Email, [](auto& t) { t.to = {"a@b.example, c@d.example"}; }, "to"},
      {Type::Email, [](auto& t) { t.user.clear(); }, "user"},
      {Type::Email, [](auto& t) { t.mail_tls = MailTls::None; }, "mail_tls"},
      {Type::Command, [](auto& t) { t.command.clear(); }, "command"},
      {Type::Command, [](auto& t) { t.command = {"tell"}; }, "command"},
      {Type::Command, [](auto& t) { t.url = "https://x.example/"; }, "url"},
      {Type::Command, [](auto& t) { t.secret_files = {"/f"}; }, "secret_file"},
  };
  for (const Wrong& wrong : all) {
    ChannelTarget target = good(wrong.type);
    wrong.spoil(target);
    EXPECT_EQ(keys(target), std::vector<std::string>{wrong.key}) << to_string(wrong.type);
  }
}

TEST(TargetRules, ThePublicPagerDutyIsAUrlOfItsChannel) {
  EXPECT_EQ(url_problem(ChannelType::PagerDuty, kPagerDutyUrl), "");
}

}  // namespace
}  // namespace watchwheel::channels
