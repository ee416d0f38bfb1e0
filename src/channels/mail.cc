// SPDX-License-Identifier: Apache-2.0
#include "channels/mail.h"

#include <algorithm>
#include <array>

namespace watchwheel::channels {
namespace {

constexpr std::string_view kEnd = "\r\n";
constexpr std::size_t kLineMax = 76;

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string hex_byte(char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  return {'=', kDigits[byte >> 4U], kDigits[byte & 15U]};
}

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The length of the UTF-8 character at the front: encoded words must not cut one in two.
std::size_t character_bytes(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && length < 4 &&
         (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U)
    ++length;
  return length;
}

std::string domain_of(const std::string& address) {
  return address.substr(address.find('@') + 1);
}

core::Error bad_mailbox(std::string_view what) {
  return {core::ErrorKind::Invalid,
          std::string(what) + "; write noc@example.org or \"Night shift <noc@example.org>\""};
}

std::string shown_mailbox(const Mailbox& mailbox) {
  if (mailbox.name.empty()) return mailbox.address;
  const bool plain =
      is_plain(mailbox.name) && mailbox.name.find_first_of("\"\\()<>[]:;@,.") == std::string::npos;
  if (plain) return mailbox.name + " <" + mailbox.address + ">";
  if (!is_plain(mailbox.name)) return header_text(mailbox.name) + " <" + mailbox.address + ">";
  std::string quoted;
  for (const char c : mailbox.name) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "\"" + quoted + "\" <" + mailbox.address + ">";
}

std::string joined(const std::vector<Mailbox>& mailboxes) {
  std::string out;
  for (const Mailbox& mailbox : mailboxes)
    out += (out.empty() ? "" : ",\r\n ") + shown_mailbox(mailbox);
  return out;
}

}  // namespace

core::Result<Mailbox> parse_mailbox(std::string_view text) {
  Mailbox out;
  const std::size_t open = text.rfind('<');
  if (open != std::string_view::npos) {
    if (!text.ends_with('>')) return bad_mailbox("text behind the address");
    std::string_view name = text.substr(0, open);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
      return bad_mailbox("a control character in the name");
    out.name = name;
    text = text.substr(open + 1, text.size() - open - 2);
  }
  const std::size_t at = text.find('@');
  const bool fits = is_plain(text) &&
                    text.find_first_of(" \"(),:;<>[\\]") == std::string_view::npos &&
                    at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
                    text.find('@', at + 1) == std::string_view::npos && text.size() <= 254 &&
                    !text.starts_with('-');
  if (!fits) return bad_mailbox("no mail address");
  out.address = text;
  return out;
}

std::string quoted_printable(std::string_view text) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += kEnd;
      column = 0;
      continue;
    }
    if (c == '\r') continue;
    const bool at_end = i + 1 == text.size() || text[i + 1] == '\n' || text[i + 1] == '\r';
    const bool blank = c == ' ' || c == '\t';
    const bool as_it_is = blank ? !at_end : (c > 0x20 && c < 0x7f && c != '=');
    const std::string piece = as_it_is ? std::string(1, c) : hex_byte(c);
    if (column + piece.size() > kLineMax - 1) {
      out += "=\r\n";
      column = 0;
    }
    out += piece;
    column += piece.size();
  }
  if (column != 0) out += kEnd;
  return out;
}

std::string header_text(std::string_view text) {
  // An encoded word that was not meant as one would be read as one.
  if (is_plain(text) && text.find("=?") == std::string_view::npos) {
    std::string folded;
    std::size_t column = 0;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' ', 1), text.size());
      if (column > 0 && column + end > kLineMax && text.front() == ' ') {
        folded += kEnd;
        column = 0;
      }
      folded += text.substr(0, end);
      column += end;
      text.remove_prefix(end);
    }
    return folded;
  }
  std::string out;
  std::string word;
  const auto flush = [&out, &word] {
    if (word.empty()) return;
    out += (out.empty() ? "" : "\r\n ") + ("=?utf-8?q?" + word + "?=");
    word.clear();
  };
  while (!text.empty()) {
    const std::size_t length = character_bytes(text);
    std::string piece;
    for (const char c : text.substr(0, length)) {
      if (c == ' ') {
        piece += '_';
      } else if (is_word_char(c)) {
        piece += c;
      } else {
        piece += hex_byte(c);
      }
    }
    if (word.size() + piece.size() > 60) flush();
    word += piece;
    text.remove_prefix(length);
  }
  flush();
  return out;
}

std::string mail_date(core::WallTime t) {
  static constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                         "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths{
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string iso = core::to_iso8601(t);  // "2026-11-20T12:00:00.123Z"
  const auto days = std::chrono::floor<std::chrono::days>(t.time_since_epoch()).count();
  const auto weekday = static_cast<std::size_t>(((days % 7) + 11) % 7);  // 1970-01-01: a Thursday.
  const auto month = static_cast<std::size_t>((iso[5] - '0') * 10 + iso[6] - '0' - 1);
  return std::string(kDays.at(weekday)) + ", " + iso.substr(8, 2) + " " +
         std::string(kMonths.at(month)) + " " + iso.substr(0, 4) + " " + iso.substr(11, 8) +
         " +0000";
}

std::string compose(const Mail& mail) {
  const std::string domain = domain_of(mail.from.address);
  std::string out;
  const auto header = [&out](std::string_view name, std::string_view value) {
    out += std::string(name) + ": " + std::string(value);
    out += kEnd;
  };
  header("Date", mail_date(mail.date));
  header("From", shown_mailbox(mail.from));
  header("To", joined(mail.to));
  header("Subject", header_text(mail.subject));
  header("Message-ID", "<" + mail.id + "@" + domain + ">");
  if (!mail.conditions.empty()) {
    // References must not grow without end: those of the first sites are enough to find the conversation by.
    std::string references;
    for (std::size_t i = 0; i < std::min<std::size_t>(mail.conditions.size(), 10); ++i)
      references += (i == 0 ? "" : "\r\n ") + ("<" + mail.conditions[i] + "@" + domain + ">");
    header("References", references);
  }
  header("Auto-Submitted", "auto-generated");
  header("MIME-Version", "1.0");
  header("Content-Type", "text/plain; charset=utf-8");
  header("Content-Transfer-Encoding", "quoted-printable");
  out += kEnd;
  out += quoted_printable(mail.text);
  return out;
}

}  // namespace watchwheel::channels
