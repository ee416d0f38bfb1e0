// SPDX-License-Identifier: Apache-2.0
#include "channels/prepare.h"

#include <algorithm>
#include <cstdlib>

#include "channels/bodies.h"
#include "channels/mail.h"
#include "channels/message_values.h"
#include "channels/signature.h"
#include "channels/target_rules.h"
#include "checker/secret_file.h"

namespace watchwheel::channels {
namespace {

using sideeffects::Attempt;
using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::MailTls;
using sideeffects::Message;

constexpr std::string_view kAlertsPath = "/api/v2/alerts";

core::Result<std::string> url_of(const ChannelTarget& target) {
  std::string url = target.url;
  if (!target.url_file.empty()) {
    core::Result<std::string> read = checker::read_secret(target.url_file);
    if (!read) return read.error();
    url = *std::move(read);
  }
  if (url.empty() && target.type == ChannelType::PagerDuty) url = kPagerDutyUrl;
  const std::string problem = url_problem(target.type, url);
  if (problem.empty()) return url;
  // The file's content stays out of it.
  return core::Error{core::ErrorKind::Invalid,
                     target.url_file.empty() ? "the url: " + problem
                                             : "what url_file names holds no URL of this channel"};
}

core::Result<std::vector<std::string>> secrets_of(const ChannelTarget& target) {
  std::vector<std::string> secrets;
  for (const std::string& file : target.secret_files) {
    core::Result<std::string> secret = checker::read_secret(file);
    if (!secret) return secret.error();
    secrets.push_back(*std::move(secret));
  }
  return secrets;
}

// "" takes none.
core::Result<std::string> secret_of(const ChannelTarget& target) {
  core::Result<std::vector<std::string>> secrets = secrets_of(target);
  if (!secrets) return secrets.error();
  return secrets->empty() ? std::string() : secrets->front();
}

core::Result<std::vector<checker::Cidr>> blocks_of(const ChannelTarget& target) {
  std::vector<checker::Cidr> blocks;
  for (const std::string& text : target.allow) {
    const core::Result<checker::Cidr> block = checker::parse_cidr(text);
    if (!block) return block.error();
    blocks.push_back(*block);
  }
  return blocks;
}

std::vector<std::string> json_headers(const std::string& user_agent, const std::string& token) {
  std::vector<std::string> headers{"Content-Type: application/json", "User-Agent: " + user_agent,
                                   "Accept: */*"};
  if (!token.empty()) headers.push_back("Authorization: Bearer " + token);
  return headers;
}

// Only the operator's own words: ours would repeat what the JSON says.
core::Result<std::string> own_text(const ChannelTarget& target, const Message& message) {
  if (target.text.empty()) return std::string();
  core::Result<Wording> wording = word(message, "", target.text, kTextBytesMax);
  if (!wording) return wording.error();
  return std::move(wording->text);
}

core::Result<HttpRequests> webhook(const Attempt& attempt, core::WallTime now,
                                   const std::string& user_agent) {
  const ChannelTarget& target = *attempt.target;
  core::Result<std::string> url = url_of(target);
  if (!url) return url.error();
  const core::Result<std::vector<std::string>> secrets = secrets_of(target);
  if (!secrets) return secrets.error();
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < secrets->size(); ++i) {
    core::Result<std::string> key = webhook_key((*secrets)[i]);
    if (!key) {
      return core::Error{core::ErrorKind::Invalid,
                         target.secret_files[i] + ": " + key.error().message};
    }
    keys.push_back(*std::move(key));
  }
  const core::Result<std::string> text = own_text(target, *attempt.message);
  if (!text) return text.error();

  HttpRequest request{.url = *std::move(url), .headers = json_headers(user_agent, "")};
  request.body = webhook_body(*attempt.message, attempt.message_id, *text);
  const std::int64_t seconds = core::to_unix_ms(now) / 1000;
  request.headers.push_back("webhook-id: " + attempt.message_id);
  request.headers.push_back("webhook-timestamp: " + std::to_string(seconds));
  if (!keys.empty()) {
    request.headers.push_back(
        "webhook-signature: " +
        webhook_signature({.id = attempt.message_id, .unix_seconds = seconds, .body = request.body},
                          keys));
  }
  return HttpRequests{std::move(request)};
}

core::Result<HttpRequests> with_words(const Attempt& attempt, core::WallTime now,
                                      const std::string& user_agent) {
  const ChannelTarget& target = *attempt.target;
  const Message& message = *attempt.message;
  core::Result<std::string> url = url_of(target);
  if (!url) return url.error();
  const core::Result<std::string> secret = secret_of(target);
  if (!secret) return secret.error();
  const bool slack = target.type == ChannelType::Slack;
  const core::Result<Wording> wording =
      word(message, target.subject, target.text, kTextBytesMax, slack ? &slack_escape : nullptr);
  if (!wording) return wording.error();

  HttpRequests requests;
  const auto add = [&](std::string body, const std::string& token) {
    requests.push_back(
        {.url = *url, .headers = json_headers(user_agent, token), .body = std::move(body)});
  };
  if (slack) {
    add(slack_body(message, *wording), *secret);
  } else if (target.type == ChannelType::Alertmanager) {
    while (url->ends_with('/')) url->pop_back();
    if (!url->ends_with(kAlertsPath)) *url += kAlertsPath;
    add(alertmanager_body(message, target.name, *wording, now), *secret);
  } else {
    for (std::string& body : pagerduty_bodies(message, *secret, *wording)) add(std::move(body), "");
  }
  return requests;
}

core::Result<MailRequests> mails(const Attempt& attempt) {
  const ChannelTarget& target = *attempt.target;
  const Message& message = *attempt.message;
  core::Result<std::string> url = url_of(target);
  if (!url) return url.error();
  core::Result<std::string> password = secret_of(target);
  if (!password) return password.error();
  const core::Result<Wording> wording = word(message, target.subject, target.text, kMailBytesMax);
  if (!wording) return wording.error();

  MailRequest request{.url = *std::move(url),
                      .user = target.user,
                      .password = *std::move(password),
                      .starttls = target.mail_tls == MailTls::Required};
  Mail out{.subject = wording->subject,
           .text = wording->text,
           .id = attempt.message_id,
           .date = message.made_at};
  const core::Result<Mailbox> from = parse_mailbox(target.from);
  if (!from) return from.error();
  out.from = *from;
  request.from = from->address;
  for (const std::string& one : target.to) {
    const core::Result<Mailbox> to = parse_mailbox(one);
    if (!to) return to.error();
    out.to.push_back(*to);
  }
  for (const sideeffects::MessageSite& site : message.sites)
    out.conditions.push_back(condition_key(site));
  request.mail = std::make_shared<const std::string>(compose(out));
  MailRequests requests;
  for (const Mailbox& to : out.to) {
    request.to = to.address;
    requests.push_back(request);
  }
  return requests;
}

core::Result<ProgramRequest> program(const Attempt& attempt) {
  const ChannelTarget& target = *attempt.target;
  const core::Result<std::string> text = own_text(target, *attempt.message);
  if (!text) return text.error();
  // Nobody changes it while we run.
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
  ProgramRequest request{.words = target.command};
  request.environment = {
      std::string("PATH=") + (path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path),
      "LANG=C.UTF-8",
      "HOME=/",
      "WATCHWHEEL_MESSAGE_ID=" + attempt.message_id,
      "WATCHWHEEL_ATTEMPT=" + std::to_string(attempt.number),
      "WATCHWHEEL_KIND=" + std::string(to_string(attempt.message->kind)),
      "WATCHWHEEL_TARGET=" + target.name,
  };
  request.input = webhook_body(*attempt.message, attempt.message_id, *text) + "\n";
  return request;
}

template <typename Made>
core::Result<Prepared> with_blocks(core::Result<Made> made, const ChannelTarget& target) {
  if (!made) return made.error();
  core::Result<std::vector<checker::Cidr>> allow = blocks_of(target);
  if (!allow) return allow.error();
  return Prepared{.what = *std::move(made), .allow = *std::move(allow)};
}

}  // namespace

core::Result<Prepared> prepare(const Attempt& attempt, core::WallTime now,
                               const std::string& user_agent) {
  const ChannelTarget& target = *attempt.target;
  switch (target.type) {
    case ChannelType::Webhook:
      return with_blocks(webhook(attempt, now, user_agent), target);
    case ChannelType::Alertmanager:
    case ChannelType::Slack:
    case ChannelType::PagerDuty:
      return with_blocks(with_words(attempt, now, user_agent), target);
    case ChannelType::Email:
      return with_blocks(mails(attempt), target);
    case ChannelType::Command:
      break;
  }
  return with_blocks(program(attempt), target);
}

}  // namespace watchwheel::channels
