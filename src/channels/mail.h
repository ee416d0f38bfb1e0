// SPDX-License-Identifier: Apache-2.0
// channels/mail.h - a message as RFC 5322 mail.
//
// Pure; any thread. Every line ends with CR LF and is short enough for any relay; all of it is ASCII: other characters are
// encoded (RFC 2047 in the header, quoted-printable in the body). Nothing that is told can begin a new header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::channels {

struct Mailbox {
  std::string name{};  // "": none.
  std::string address{};
  friend bool operator==(const Mailbox&, const Mailbox&) = default;
};

// "noc@example.org" or "The night shift <noc@example.org>". Invalid: an address with anything but one '@' between characters
// that need no quoting, or not ASCII.
[[nodiscard]] core::Result<Mailbox> parse_mailbox(std::string_view text);

struct Mail {
  Mailbox from{};
  std::vector<Mailbox> to{};
  std::string subject{};
  std::string text{};
  // The same at every attempt: what recipients' mail programs tell a repetition by.
  std::string id{};
  std::vector<std::string> conditions{};  // Mails that share one are a conversation.
  core::WallTime date = core::kNoWallTime;
};
[[nodiscard]] std::string compose(const Mail& mail);

[[nodiscard]] std::string quoted_printable(std::string_view text);
// As RFC 2047 words where it is not plain ASCII, folded.
[[nodiscard]] std::string header_text(std::string_view text);
// "Sat, 21 Nov 2026 12:00:00 +0000".
[[nodiscard]] std::string mail_date(core::WallTime t);

}  // namespace watchwheel::channels
