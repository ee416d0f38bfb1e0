// SPDX-License-Identifier: Apache-2.0
// sideeffects/channel_api.h - what the delivery worker asks of the room that speaks to receivers: one attempt, one answer.
//
// ChannelTarget  where to and how: what one [[notify]] entry says that only a channel needs. A value, shared and never changed.
// Attempt        one message for one target, once.
// SendResult     what became of it: a closed list without a default, so that whoever asks has to say what each means.
//
// Implemented in src/channels, joined by app. A message is rendered when it is sent, by the target as it is then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"

namespace watchwheel::sideeffects {

struct Message;  // sideeffects/message.h

// The words of notify.type, and of the label `channel`.
enum class ChannelType : std::uint8_t {
  Webhook,       // "webhook": our JSON, signed as Standard Webhooks
  Alertmanager,  // "alertmanager": its API v2
  Email,         // "email": SMTP
  Slack,         // "slack": what takes Slack's incoming webhooks
  PagerDuty,     // "pagerduty": what takes PagerDuty's Events v2
  Command,       // "command": a program of the operator's
};
inline constexpr std::size_t kChannelTypes = 6;
[[nodiscard]] std::string_view to_string(ChannelType type);
[[nodiscard]] std::optional<ChannelType> parse_channel_type(std::string_view word);

// How a mail server's connection is protected where the URL is smtp:// (smtps:// is TLS from the first byte).
enum class MailTls : std::uint8_t {
  Required,  // "required": STARTTLS, or it is not sent.
  None,      // "none": plain, for a relay on this machine. No password is ever sent so.
};
[[nodiscard]] std::string_view to_string(MailTls tls);
[[nodiscard]] std::optional<MailTls> parse_mail_tls(std::string_view word);

struct ChannelTarget {
  std::string name;
  ChannelType type = ChannelType::Webhook;
  // Exactly one of the two, but for Command, which has none, and PagerDuty, which needs none. `url_file` names a file with it,
  // for receivers whose URL is the secret (Slack).
  std::string url;
  std::string url_file;
  // Webhook: keys that sign, the newest first; several while one is replaced. Alertmanager, Slack: a bearer token, at most one.
  // Email: the password of `user`. PagerDuty: the routing key, needed.
  std::vector<std::string> secret_files;
  std::string user;
  std::string from;                  // Email.
  std::vector<std::string> to;       // Email.
  MailTls mail_tls = MailTls::Required;
  std::vector<std::string> command;  // The program and its arguments; the program with its whole path.
  std::string ca_file;               // PEM; "": the machine's.
  std::vector<std::string> allow;    // CIDRs that the address guard lets through for this target.
  std::string subject;               // Templates (channels/template.h). "": ours.
  std::string text;
  core::Duration timeout = std::chrono::seconds{15};  // Of an attempt, from send() to done. 1 s to 5 min.
  friend bool operator==(const ChannelTarget&, const ChannelTarget&) = default;
};

struct Attempt {
  std::string message_id;      // The delivery's, the same for every attempt: what receivers tell repetitions by.
  std::uint32_t number = 1;    // 1 for the first.
  std::shared_ptr<const ChannelTarget> target;
  std::shared_ptr<const Message> message;
};

enum class SendOutcome : std::uint8_t {
  Delivered,  // The receiver has taken it.
  Retry,      // It did not, or did not say: busy, broken, silent, not there.
  Permanent,  // It says that this message will never do. Some say so by mistake, so the worker asks some more times.
  Gone,       // It says that there is no such receiver any more (410): ask nobody there again.
  NotSent,    // Our own trouble, before anything was sent or while we stop: the attempt is given back.
};
inline constexpr std::size_t kSendOutcomes = 5;
[[nodiscard]] std::string_view to_string(SendOutcome outcome);

struct SendResult {
  SendOutcome outcome = SendOutcome::NotSent;
  std::optional<core::Duration> retry_after{};  // With Retry: the receiver's wish, at most kRetryAfterMax.
  int status = 0;                             // HTTP's or SMTP's, or the program's exit status; 0: there was none.
  std::string detail{};                         // One line for a person: no secret, at most 200 bytes. Also for Delivered.
  // Of a message that is several requests: the receiver has taken some of it, at this attempt or an earlier one. Not of Delivered.
  bool part_taken = false;
  friend bool operator==(const SendResult&, const SendResult&) = default;
};
inline constexpr core::Duration kRetryAfterMax = std::chrono::hours{24};

// Thread   send(): any, also from inside `done`. `done`: the channels' own thread, which it must not hold up.
// Bounded  attempts_max() attempts at once; one beyond is NotSent.
// Fails    as a SendResult.
class Channels {
 public:
  using Done = std::function<void(SendResult result)>;

  virtual ~Channels() = default;

  // `done` is called exactly once, after send() has returned: within the target's timeout and a second, or when they stop.
  virtual void send(Attempt attempt, Done done) = 0;
  [[nodiscard]] virtual std::size_t attempts_max() const = 0;
};

}  // namespace watchwheel::sideeffects
