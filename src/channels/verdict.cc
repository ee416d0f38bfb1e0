// SPDX-License-Identifier: Apache-2.0
#include "channels/verdict.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

#include "checker/safe_text.h"

namespace watchwheel::channels {
namespace {

using sideeffects::SendOutcome;
using sideeffects::SendResult;

constexpr std::size_t kDetailBytesMax = 200;

std::string first_line(std::string_view text) {
  while (!text.empty() && (text.front() == '\n' || text.front() == '\r' || text.front() == ' '))
    text.remove_prefix(1);
  return std::string(text.substr(0, text.find_first_of("\r\n")));
}

std::string detail_of(std::string head, std::string_view said) {
  const std::string line = first_line(said);
  if (!line.empty()) head += (head.empty() ? "" : ": ") + line;
  return checker::safe_text(head, kDetailBytesMax);
}

SendOutcome of_http_status(int status) {
  if (status >= 200 && status < 300) return SendOutcome::Delivered;
  if (status == 410) return SendOutcome::Gone;
  if (status == 408 || status == 425 || status == 429) return SendOutcome::Retry;
  if (status >= 300 && status < 400) return SendOutcome::Retry;
  if (status >= 500 && status < 600) return SendOutcome::Retry;
  return SendOutcome::Permanent;
}

SendResult failed(const TransferEnd& end) {
  return {.outcome = end.our_trouble ? SendOutcome::NotSent : SendOutcome::Retry,
          .status = end.status,
          .detail = detail_of(end.error, "")};
}

}  // namespace

SendResult judge_http(const TransferEnd& end, core::WallTime now) {
  if (end.failed) return failed(end);
  SendResult result{.outcome = of_http_status(end.status), .status = end.status};
  const std::string status = "status " + std::to_string(end.status);
  if (result.outcome == SendOutcome::Delivered) {
    result.detail = status;
  } else if (end.status >= 300 && end.status < 400) {
    result.detail = status + ": a redirect, which is not followed; give its address as the url";
  } else {
    result.detail = detail_of(status, end.said);
  }
  if (result.outcome == SendOutcome::Retry)
    result.retry_after = parse_retry_after(end.retry_after, now);
  return result;
}

SendResult judge_mail(const TransferEnd& end) {
  if (!end.failed) {
    return {
        .outcome = SendOutcome::Delivered, .status = end.status, .detail = detail_of("", end.said)};
  }
  SendResult result = failed(end);
  if (!end.our_trouble && !end.timed_out && end.status >= 500 && end.status < 600)
    result.outcome = SendOutcome::Permanent;
  result.detail = detail_of(end.error, end.said);
  return result;
}

SendResult judge_program(const ProgramEnd& end) {
  SendResult result{.outcome = SendOutcome::Retry};
  std::string what;
  switch (end.why) {
    case ProgramEnd::Why::Exited:
      result.status = end.status;
      what = "exit status " + std::to_string(end.status);
      if (end.status == 0) result.outcome = SendOutcome::Delivered;
      if (end.status == 65) result.outcome = SendOutcome::Permanent;
      break;
    case ProgramEnd::Why::Signalled:
      what = "ended by signal " + std::to_string(end.status);
      break;
    case ProgramEnd::Why::TimedOut:
      what = "killed: it took longer than the target's timeout";
      break;
    case ProgramEnd::Why::TooMuchOutput:
      what = "killed: it wrote more than 64 KiB";
      break;
  }
  result.detail = detail_of(what, end.output);
  return result;
}

std::optional<core::Duration> parse_retry_after(std::string_view text, core::WallTime now) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.empty() || text.size() > 64) return std::nullopt;
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (digits) {
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const std::int64_t most = sideeffects::kRetryAfterMax / std::chrono::seconds{1};
    if (error != std::errc{} || seconds > most) return sideeffects::kRetryAfterMax;
    return std::chrono::seconds{seconds};
  }
  // It takes more than HTTP's three forms; what begins with a letter is the name of a day.
  if (text.front() < 'A' || text.front() > 'Z') return std::nullopt;
  const time_t at = curl_getdate(std::string(text).c_str(), nullptr);
  if (at < 0) return std::nullopt;
  constexpr std::int64_t kLatest = 9'000'000'000;  // Before a WallTime ends.
  const core::WallTime date{std::chrono::seconds{std::min<std::int64_t>(at, kLatest)}};
  return std::clamp<core::Duration>(date - now, core::Duration::zero(),
                                    sideeffects::kRetryAfterMax);
}

}  // namespace watchwheel::channels
