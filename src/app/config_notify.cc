// SPDX-License-Identifier: Apache-2.0
#include "app/config_notify.h"

#include <algorithm>
#include <array>
#include <utility>

#include "app/config_keys.h"
#include "channels/target_rules.h"
#include "checker/address.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

using core::Error;
using core::ErrorKind;
using core::Result;
using sideeffects::ChannelType;
using sideeffects::MailTls;
using sideeffects::RetryKind;

constexpr std::size_t kNameBytesMax = 64;
// The last is no state of a site, but of what a warning is about.
constexpr std::string_view kWarningState = "warning";
constexpr std::array<std::string_view, 4> kStates{"down", "up", "seems_down", kWarningState};

Error invalid(std::string message) {
  return Error{ErrorKind::Invalid, std::move(message)};
}

std::uint64_t ms(core::Duration d) {
  return static_cast<std::uint64_t>(core::duration_cast<std::chrono::milliseconds>(d).count());
}

using Row = Key<NotifyConfig>;
using Check = std::function<Result<void>(const Value&)>;

// `at` gives the field, for reading and for writing.
template <typename At>
Row text(std::string_view name, At at, Check check = {}) {
  Row row{.section = "notify", .name = name, .kind = Kind::Text};
  row.set = [at, check](NotifyConfig& target, const Value& value) -> Result<void> {
    if (check) {
      if (Result<void> fit = check(value); !fit) return fit;
    }
    at(target) = value.text;
    return {};
  };
  row.show = [at](const NotifyConfig& target) { return toml_text(at(target)); };
  return row;
}

template <typename At>
Row texts(std::string_view name, At at, Check check = {}) {
  Row row{.section = "notify", .name = name, .kind = Kind::Texts};
  row.set = [at, check](NotifyConfig& target, const Value& value) -> Result<void> {
    if (check) {
      if (Result<void> fit = check(value); !fit) return fit;
    }
    at(target) = value.texts;
    return {};
  };
  row.show = [at](const NotifyConfig& target) { return toml_texts(at(target)); };
  return row;
}

template <typename At>
Row duration(std::string_view name, core::Duration low, core::Duration high, At at) {
  Row row{
      .section = "notify", .name = name, .kind = Kind::Duration, .low = ms(low), .high = ms(high)};
  row.set = [at](NotifyConfig& target, const Value& value) -> Result<void> {
    at(target) = value.duration;
    return {};
  };
  row.show = [at](const NotifyConfig& target) {
    return toml_text(core::format_duration(at(target)));
  };
  return row;
}

template <typename At>
Row count(std::string_view name, std::uint32_t low, std::uint32_t high, At at) {
  Row row{.section = "notify", .name = name, .kind = Kind::Count, .low = low, .high = high};
  row.set = [at](NotifyConfig& target, const Value& value) -> Result<void> {
    at(target) = static_cast<std::uint32_t>(value.number);
    return {};
  };
  row.show = [at](const NotifyConfig& target) { return std::to_string(at(target)); };
  return row;
}

// A word of a closed list.
template <typename Word, typename At>
Row word(std::string_view name, std::vector<std::string_view> choices,
         std::optional<Word> (*parse)(std::string_view), std::string_view (*show)(Word), At at) {
  Row row{.section = "notify", .name = name, .kind = Kind::Choice, .choices = std::move(choices)};
  row.set = [at, parse](NotifyConfig& target, const Value& value) -> Result<void> {
    const std::optional<Word> known = parse(value.text);
    if (!known) return invalid("it is not known");  // Choices are checked before.
    at(target) = *known;
    return {};
  };
  row.show = [at, show](const NotifyConfig& target) { return toml_text(show(at(target))); };
  return row;
}

Result<void> from_root(const std::string& path) {
  if (path.empty() || path.front() == '/') return {};
  return invalid(
      "the path is relative, and a service has no useful working directory; write it from the "
      "root, like \"/etc/watchwheel/…\"");
}

Result<void> absolute_path(const Value& value) {
  return from_root(value.text);
}

// Each a path from the root, or the name of a systemd credential.
Result<void> paths_or_credentials(const Value& value) {
  for (const std::string& path : value.texts) {
    if (path.find('/') == std::string::npos) continue;
    if (Result<void> fit = from_root(path); !fit) return fit;
  }
  return {};
}

Result<void> path_or_credential(const Value& value) {
  return value.text.find('/') == std::string::npos ? Result<void>{} : from_root(value.text);
}

Result<void> target_name(const Value& value) {
  if (value.text.size() > kNameBytesMax) {
    return invalid("the name has " + std::to_string(value.text.size()) + " bytes; at most " +
                   std::to_string(kNameBytesMax));
  }
  const auto plain = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7F; };
  if (std::all_of(value.text.begin(), value.text.end(), plain)) return {};
  return invalid(
      "the name holds a space or a control character; write it without, like \"on-call\"");
}

Result<void> target_url(const Value& value) {
  if (std::string secret = inline_secret(value.text); !secret.empty()) {
    return invalid(secret +
                   "; put the secret into a file named by secret_file, or the whole URL into one "
                   "named by url_file");
  }
  if (value.text.empty()) return {};
  for (const std::string_view scheme : {"https://", "http://", "smtps://", "smtp://"}) {
    if (value.text.starts_with(scheme) && value.text.size() > scheme.size()) return {};
  }
  return invalid("this is no URL; write \"https://…\", or of mail \"smtps://HOST\"");
}

Result<void> blocks(const Value& value) {
  for (const std::string& block : value.texts) {
    if (const auto cidr = checker::parse_cidr(block); !cidr) return cidr.error();
  }
  return {};
}

Row states() {
  Row row = texts(
      "states", [](auto& n) -> auto& { return n.channel.to; });
  row.set = [](NotifyConfig& target, const Value& value) -> Result<void> {
    std::vector<core::SiteState> states;
    bool warnings = false;
    for (const std::string& state : value.texts) {
      if (std::find(kStates.begin(), kStates.end(), state) == kStates.end()) {
        return invalid(
            "'" + printable(state) +
            "' is no state that is told; write some of \"down\", \"up\", \"seems_down\", "
            "\"warning\"");
      }
      if (state == kWarningState) {
        if (std::exchange(warnings, true))
          return invalid("'" + state + "' is there twice; remove one");
        continue;
      }
      const std::optional<core::SiteState> known = core::parse_site_state(state);
      if (std::find(states.begin(), states.end(), *known) != states.end())
        return invalid("'" + state + "' is there twice; remove one");
      states.push_back(*known);
    }
    target.states = std::move(states);
    target.warnings = warnings;
    return {};
  };
  row.show = [](const NotifyConfig& target) {
    std::vector<std::string> words;
    for (const core::SiteState state : target.states) words.emplace_back(core::to_string(state));
    if (target.warnings) words.emplace_back(kWarningState);
    return toml_texts(words);
  };
  return row;
}

Row schedule() {
  Row row = texts(
      "schedule", [](auto& n) -> auto& { return n.channel.to; });
  row.set = [](NotifyConfig& target, const Value& value) -> Result<void> {
    std::vector<core::Duration> waits;
    for (const std::string& text : value.texts) {
      const Result<core::Duration> wait = core::parse_duration(text);
      if (!wait) return wait.error();
      if (*wait < 250ms || *wait > std::chrono::hours{24 * 7})
        return invalid("\"" + text + "\" is out of range; write \"250ms\" to \"7d\"");
      waits.push_back(*wait);
    }
    if (waits.empty() || waits.size() > 100)
      return invalid("it has " + std::to_string(waits.size()) + " entries; write 1 to 100");
    target.retry.schedule = std::move(waits);
    return {};
  };
  row.show = [](const NotifyConfig& target) {
    std::vector<std::string> words;
    for (const core::Duration wait : target.retry.schedule)
      words.push_back(core::format_duration(wait));
    return toml_texts(words);
  };
  return row;
}

Row secret_files() {
  Row row = texts(
      "secret_file", [](auto& n) -> auto& { return n.channel.secret_files; }, paths_or_credentials);
  row.kind = Kind::TextOrTexts;
  return row;
}

Row flag(std::string_view name, bool NotifyConfig::*field) {
  Row row{.section = "notify", .name = name, .kind = Kind::Flag};
  row.set = [field](NotifyConfig& target, const Value& value) -> Result<void> {
    target.*field = value.flag;
    return {};
  };
  row.show = [field](const NotifyConfig& target) {
    return std::string(target.*field ? "true" : "false");
  };
  return row;
}

template <typename Names>
std::vector<std::string_view> all_of(const Names& names) {
  return {names.begin(), names.end()};
}

std::vector<Row> rows() {
  std::vector<std::string_view> types;
  for (std::size_t i = 0; i < sideeffects::kChannelTypes; ++i)
    types.push_back(to_string(static_cast<ChannelType>(i)));
  return {
      text(
          "name", [](auto& n) -> auto& { return n.channel.name; }, target_name),
      word<ChannelType>(
          "type", types, sideeffects::parse_channel_type, sideeffects::to_string,
          [](auto& n) -> auto& { return n.channel.type; }),
      text(
          "url", [](auto& n) -> auto& { return n.channel.url; }, target_url),
      text(
          "url_file", [](auto& n) -> auto& { return n.channel.url_file; }, path_or_credential),
      secret_files(),
      text(
          "user", [](auto& n) -> auto& { return n.channel.user; }),
      text(
          "from", [](auto& n) -> auto& { return n.channel.from; }),
      texts(
          "to", [](auto& n) -> auto& { return n.channel.to; }),
      word<MailTls>(
          "mail_tls", {"required", "none"}, sideeffects::parse_mail_tls, sideeffects::to_string,
          [](auto& n) -> auto& { return n.channel.mail_tls; }),
      texts(
          "command", [](auto& n) -> auto& { return n.channel.command; }),
      text(
          "ca_file", [](auto& n) -> auto& { return n.channel.ca_file; }, absolute_path),
      texts(
          "allow", [](auto& n) -> auto& { return n.channel.allow; }, blocks),
      text(
          "subject", [](auto& n) -> auto& { return n.channel.subject; }),
      text(
          "text", [](auto& n) -> auto& { return n.channel.text; }),
      duration(
          "timeout", 1s, 5min, [](auto& n) -> auto& { return n.channel.timeout; }),
      texts(
          "tags", [](auto& n) -> auto& { return n.tags; }),
      states(),
      word<sideeffects::Severity>(
          "severity", all_of(sideeffects::kSeverityNames), sideeffects::parse_severity,
          sideeffects::to_string, [](auto& n) -> auto& { return n.severity; }),
      duration(
          "remind", 0s, std::chrono::hours{24 * 30}, [](auto& n) -> auto& { return n.remind; }),
      flag("skip_short", &NotifyConfig::skip_short),
      count(
          "rate", 0, 100'000, [](auto& n) -> auto& { return n.rate.per_minute; }),
      count(
          "burst", 1, 10'000, [](auto& n) -> auto& { return n.rate.burst; }),
      count(
          "in_flight_max", 1, 64, [](auto& n) -> auto& { return n.in_flight_max; }),
      word<RetryKind>(
          "retry", all_of(sideeffects::kRetryKindNames), sideeffects::parse_retry_kind,
          sideeffects::to_string, [](auto& n) -> auto& { return n.retry.kind; }),
      duration(
          "retry_base", 250ms, 1h, [](auto& n) -> auto& { return n.retry.base; }),
      duration(
          "retry_max", 250ms, std::chrono::hours{24 * 7},
          [](auto& n) -> auto& { return n.retry.cap; }),
      schedule(),
      count(
          "attempts", 1, 100, [](auto& n) -> auto& { return n.retry.attempts_max; }),
      duration(
          "max_age", 0s, std::chrono::hours{24 * 30}, [](auto& n) -> auto& { return n.max_age; }),
  };
}

// One entry against the rules of its type.
class EntryJudge {
 public:
  EntryJudge(const NotifyConfig& entry, std::size_t index, const NotifyReport& report)
      : entry_(entry), to_(entry.channel), index_(index), report_(report) {}

  void run() {
    where();
    secrets();
    mail();
    program();
    patience();
    wishes();
    if (!failed_) channel();
  }

 private:
  void error(std::string_view key, std::string message) const {
    failed_ = true;
    report_(Severity::Error, index_, key, std::move(message));
  }
  void warning(std::string_view key, std::string message) const {
    report_(Severity::Warning, index_, key, std::move(message));
  }
  [[nodiscard]] bool is(ChannelType type) const { return to_.type == type; }
  [[nodiscard]] std::string type() const { return std::string(to_string(to_.type)); }

  void where() const {
    const bool has_url = !to_.url.empty() || !to_.url_file.empty();
    if (!to_.url.empty() && !to_.url_file.empty())
      return error("url_file", "notify.url_file: notify.url is there too; remove one of them");
    if (is(ChannelType::Command)) {
      if (has_url) error("url", "notify.url: a command is not told over a URL; remove it");
      return;
    }
    if (!has_url && is(ChannelType::Email))
      return error("", "a [[notify]] of type email needs a url; add url = \"smtps://HOST\"");
    if (!has_url && !is(ChannelType::PagerDuty))
      return error("", "a [[notify]] needs a url; add url = \"https://…\"");
    if (to_.url.empty()) return;
    if (is(ChannelType::Email) != to_.url.starts_with("smtp")) {
      return error("url", "notify.url: it does not fit type \"" + type() + "\"; write \"" +
                              (is(ChannelType::Email) ? "smtps://HOST" : "https://…") + "\"");
    }
    if (is(ChannelType::Slack)) {
      warning("url",
              "notify.url: whoever knows the URL of a Slack webhook can write there; put it into a "
              "file that only the service can read and name that with url_file");
    }
  }

  void secrets() const {
    const std::size_t files = to_.secret_files.size();
    const auto most = [&](std::size_t many, const std::string& what) {
      if (files > many) error("secret_file", "notify.secret_file: " + what);
    };
    switch (to_.type) {
      case ChannelType::Webhook:
        return most(5, "more than 5; old secrets need not sign for ever");
      case ChannelType::Alertmanager:
      case ChannelType::Slack:
        return most(1, "one bearer token is sent; remove the others");
      case ChannelType::Email:
        most(1, "a user has one password; remove the others");
        if ((files == 0) != to_.user.empty()) {
          error(files == 0 ? "user" : "secret_file",
                "notify.user and notify.secret_file belong together; add the one that is missing");
        }
        return;
      case ChannelType::PagerDuty:
        if (files != 1) {
          error(files == 0 ? "" : "secret_file",
                "a [[notify]] of type pagerduty needs its routing key; name the file with it with "
                "secret_file, one");
        }
        return;
      case ChannelType::Command:
        return most(0, "a command is given no secret; remove it");
    }
  }

  void mail() const {
    if (!is(ChannelType::Email)) {
      if (!to_.user.empty()) error("user", only_mail("user"));
      if (!to_.from.empty()) error("from", only_mail("from"));
      if (!to_.to.empty()) error("to", only_mail("to"));
      if (to_.mail_tls != MailTls::Required) error("mail_tls", only_mail("mail_tls"));
      return;
    }
    if (to_.from.empty())
      error("", "a [[notify]] of type email needs a sender; add from = \"watchwheel@…\"");
    if (to_.to.empty()) error("", "a [[notify]] of type email needs a receiver; add to = [\"…\"]");
    if (to_.mail_tls == MailTls::None && !to_.user.empty()) {
      error("mail_tls",
            "notify.mail_tls: a password is never sent without encryption; remove user and "
            "secret_file, or write mail_tls = \"required\"");
    }
  }
  [[nodiscard]] static std::string only_mail(std::string_view key) {
    return "notify." + std::string(key) + ": only a target of type email has it; remove it";
  }

  void program() const {
    if (!is(ChannelType::Command)) {
      if (!to_.command.empty())
        error("command", "notify.command: only a target of type command has it; remove it");
      return;
    }
    if (to_.command.empty()) {
      error("",
            "a [[notify]] of type command needs the program; add command = [\"/usr/local/bin/…\"]");
    } else if (to_.command.front().front() != '/') {
      error("command",
            "notify.command: the program's path is relative; write it from the root, like "
            "\"/usr/local/bin/page\"");
    }
  }

  void patience() const {
    if (entry_.retry.base > entry_.retry.cap) {
      error("retry_base", "notify.retry_base (" + core::format_duration(entry_.retry.base) +
                              ") is longer than notify.retry_max (" +
                              core::format_duration(entry_.retry.cap) + "); lower it");
    }
    if (entry_.retry.kind != RetryKind::Schedule &&
        entry_.retry.schedule != sideeffects::RetrySettings{}.schedule)
      warning("schedule",
              "notify.schedule has no effect while notify.retry is not \"schedule\"; remove it");
  }

  // What only the channel itself knows: addresses of mail, templates.
  void channel() const {
    for (const channels::TargetProblem& problem : channels::target_problems(to_))
      error(problem.key, "notify." + problem.key + ": " + problem.what);
  }

  void wishes() const {
    const bool begins =
        entry_.wants(core::SiteState::Down) || entry_.wants(core::SiteState::SeemsDown);
    const bool ends_only = !begins && (!entry_.warnings || entry_.wants(core::SiteState::Up));
    if (ends_only) {
      error("states",
            "notify.states: nobody is told that something is over who was not told that it began; "
            "add \"down\"");
    }
    if (entry_.remind > core::Duration{} && entry_.remind < 1min)
      error("remind",
            "notify.remind: more often than once a minute; write \"0\" or at least \"1m\"");
    if (entry_.remind > core::Duration{} && !entry_.wants(core::SiteState::Down)) {
      warning("remind",
              "notify.remind has no effect while \"down\" is not in notify.states; remove it");
    }
    if (entry_.severity == sideeffects::Severity::Critical &&
        entry_.wants(core::SiteState::SeemsDown)) {
      warning("severity",
              "notify.severity: \"seems_down\" is a warning, so with \"critical\" it is not told; "
              "lower it or take the state out");
    }
  }

  const NotifyConfig& entry_;
  const sideeffects::ChannelTarget& to_;
  const std::size_t index_;
  const NotifyReport& report_;
  mutable bool failed_ = false;
};

}  // namespace

const std::vector<Key<NotifyConfig>>& notify_keys() {
  static const std::vector<Row> all = rows();
  return all;
}

void judge_notify(const std::vector<NotifyConfig>& entries, const NotifyReport& report) {
  for (std::size_t i = 0; i < entries.size(); ++i) EntryJudge(entries[i], i, report).run();
}

}  // namespace watchwheel::app
