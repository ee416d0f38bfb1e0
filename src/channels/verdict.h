// SPDX-License-Identifier: Apache-2.0
// channels/verdict.h - what a receiver's answer means for the message.
//
//   2xx                      Delivered
//   408, 425, 429, 5xx       Retry, as soon as it says (Retry-After), else when the target's policy says
//   3xx                      Retry: a redirect is not followed (it could lead anywhere), and whoever set it up can undo it
//   410                      Gone
//   other 4xx, 1xx           Permanent
//   no answer                Retry; NotSent when it is our own machine that has no memory, descriptor, port or network
//
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "sideeffects/channel_api.h"

namespace watchwheel::channels {

// What is known of a transfer when it has ended.
struct TransferEnd {
  bool failed = false;       // The transfer itself, whatever the status says.
  bool our_trouble = false;  // With `failed`: our machine's.
  bool timed_out = false;
  bool of_recipient = false;  // With `failed`: a mail server's word on this recipient alone.
  int status = 0;
  std::string retry_after{};  // The header's text; "": there was none.
  std::string said{};         // The beginning of the body, or the mail server's last line.
  std::string error{};        // With `failed`: why.
};

[[nodiscard]] sideeffects::SendResult judge_http(const TransferEnd& end, core::WallTime now);
// SMTP: 2xx and 3xx are progress, 4yz says later, 5yz says no.
[[nodiscard]] sideeffects::SendResult judge_mail(const TransferEnd& end);

struct ProgramEnd {
  enum class Why : std::uint8_t { Exited, Signalled, TimedOut, TooMuchOutput };
  Why why = Why::Exited;
  int status = 0;      // Exited: its exit status. Signalled: the signal.
  std::string output{};  // The beginning.
};
// 0 is Delivered, 65 (EX_DATAERR of sysexits.h) Permanent, all else Retry.
[[nodiscard]] sideeffects::SendResult judge_program(const ProgramEnd& end);

// Seconds, or one of the three dates of HTTP; at most kRetryAfterMax, a date in the past is 0. Nothing: neither.
[[nodiscard]] std::optional<core::Duration> parse_retry_after(std::string_view text,
                                                              core::WallTime now);

}  // namespace watchwheel::channels
