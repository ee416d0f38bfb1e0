// SPDX-License-Identifier: Apache-2.0
#include "channels/target_rules.h"

#include <algorithm>

#include "channels/mail.h"
#include "channels/template.h"
#include "checker/address.h"
#include "checker/target.h"

namespace watchwheel::channels {
namespace {

using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::MailTls;

constexpr std::size_t kListMax = 100;

class Problems {
 public:
  void add(std::string key, std::string what) {
    found_.push_back({.key = std::move(key), .what = std::move(what)});
  }
  void unless(bool fine, const char* key, const char* what) {
    if (!fine) add(key, what);
  }
  [[nodiscard]] std::vector<TargetProblem> take() { return std::move(found_); }

 private:
  std::vector<TargetProblem> found_;
};

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void judge_url(const ChannelTarget& target, Problems& problems) {
  if (target.type == ChannelType::Command) {
    problems.unless(target.url.empty(), "url", "a command has no url");
    problems.unless(target.url_file.empty(), "url_file", "a command has no url_file");
    return;
  }
  if (!target.url.empty() && !target.url_file.empty())
    return problems.add("url_file", "url and url_file: give one of them");
  if (!target.url.empty()) {
    if (std::string why = url_problem(target.type, target.url); !why.empty())
      problems.add("url", std::move(why));
    return;
  }
  problems.unless(!target.url_file.empty() || target.type == ChannelType::PagerDuty, "url",
                  "it is missing: where to send to");
}

void judge_secrets(const ChannelTarget& target, Problems& problems) {
  const std::size_t count = target.secret_files.size();
  switch (target.type) {
    case ChannelType::Webhook:
      problems.unless(count <= 5, "secret_file", "more than five keys that sign");
      return;
    case ChannelType::PagerDuty:
      problems.unless(count == 1, "secret_file", "one file with the routing key is needed");
      return;
    case ChannelType::Email:
      problems.unless(count <= 1, "secret_file", "one file with the password of user at most");
      problems.unless((count == 0) == target.user.empty(), "user",
                      "user and secret_file: a login has both");
      problems.unless(
          count == 0 || target.mail_tls == MailTls::Required || target.url.starts_with("smtps://"),
          "mail_tls", "a password is never sent without TLS");
      return;
    case ChannelType::Alertmanager:
    case ChannelType::Slack:
      problems.unless(count <= 1, "secret_file", "one file with a bearer token at most");
      return;
    case ChannelType::Command:
      problems.unless(count == 0, "secret_file", "a command has no secret_file");
      return;
  }
}

void judge_mail_keys(const ChannelTarget& target, Problems& problems) {
  if (target.type != ChannelType::Email) {
    problems.unless(target.user.empty(), "user", "only a target of type \"email\" has it");
    problems.unless(target.from.empty(), "from", "only a target of type \"email\" has it");
    problems.unless(target.to.empty(), "to", "only a target of type \"email\" has it");
    return;
  }
  problems.unless(!has_control(target.user), "user", "a control character in it");
  if (const auto from = parse_mailbox(target.from); !from)
    problems.add("from", from.error().message);
  problems.unless(!target.to.empty(), "to", "it is missing: whom to write to");
  problems.unless(target.to.size() <= kListMax, "to", "more than 100 addresses");
  for (const std::string& one : target.to) {
    if (const auto to = parse_mailbox(one); !to) problems.add("to", to.error().message);
  }
}

void judge_command(const ChannelTarget& target, Problems& problems) {
  if (target.type != ChannelType::Command) {
    problems.unless(target.command.empty(), "command", "only a target of type \"command\" has it");
    return;
  }
  if (target.command.empty())
    return problems.add("command", "it is missing: [\"/path/to/program\", \"argument\"]");
  problems.unless(target.command.front().starts_with('/'), "command",
                  "the program's whole path, which begins with '/'; there is no shell");
  problems.unless(target.command.size() <= kListMax, "command", "more than 100 arguments");
  const bool zero =
      std::any_of(target.command.begin(), target.command.end(),
                  [](const std::string& word) { return word.find('\0') != std::string::npos; });
  problems.unless(!zero, "command", "a zero byte in it");
}

void judge_template(const std::string& text, const char* key, Problems& problems) {
  if (const auto parsed = Template::parse(text); !parsed) problems.add(key, parsed.error().message);
}

}  // namespace

std::string url_problem(ChannelType type, const std::string& url) {
  if (type == ChannelType::Command) return "a command has no url";
  if (type != ChannelType::Email) {
    const auto target = checker::parse_target(url);
    if (!target) return target.error().message;
    if (!target->user.empty() || !target->password.empty())
      return "a login in the url: secrets stand in files";
    return "";
  }
  for (const std::string_view scheme : {"smtp://", "smtps://"}) {
    if (!url.starts_with(scheme)) continue;
    // What is behind the scheme is read as that of a web address: host and port follow the same rules.
    const std::string rest = url.substr(scheme.size());
    if (rest.find_first_of("/?#") != std::string::npos)
      return "only host and port: smtp://mail.example.org:587";
    const auto target = checker::parse_target("http://" + rest);
    if (!target) return "smtp://HOST[:PORT] or smtps://HOST[:PORT] with a host that is one";
    if (!target->user.empty() || !target->password.empty())
      return "a login in the url: it belongs into user and secret_file";
    return "";
  }
  return "smtp://HOST[:PORT] (STARTTLS) or smtps://HOST[:PORT]";
}

std::vector<TargetProblem> target_problems(const ChannelTarget& target) {
  Problems problems;
  judge_url(target, problems);
  judge_secrets(target, problems);
  judge_mail_keys(target, problems);
  judge_command(target, problems);
  problems.unless(target.ca_file.empty() || target.ca_file.starts_with('/'), "ca_file",
                  "a path that begins with '/'");
  for (const std::string& block : target.allow) {
    if (const auto cidr = checker::parse_cidr(block); !cidr)
      problems.add("allow", cidr.error().message);
  }
  judge_template(target.subject, "subject", problems);
  judge_template(target.text, "text", problems);
  problems.unless(
      target.timeout >= std::chrono::seconds{1} && target.timeout <= std::chrono::minutes{5},
      "timeout", "1s to 5m");
  return problems.take();
}

}  // namespace watchwheel::channels
