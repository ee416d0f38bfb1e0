// SPDX-License-Identifier: Apache-2.0
#include "channels/mail.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

namespace watchwheel::channels {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find("\r\n", at);
    EXPECT_NE(end, std::string::npos) << "a line without CR LF";
    if (end == std::string::npos) break;
    lines.push_back(text.substr(at, end - at));
    at = end + 2;
  }
  return lines;
}

// Undoes quoted-printable, as simply as its document says.
std::string decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out += text[i];
    } else if (text.compare(i, 3, "=\r\n") == 0) {
      i += 2;
    } else {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    }
  }
  return out;
}

TEST(Mailbox, IsAnAddressWithOrWithoutAName) {
  EXPECT_EQ(parse_mailbox("noc@example.org").value(),
            (Mailbox{.name = "", .address = "noc@example.org"}));
  EXPECT_EQ(parse_mailbox("Night shift <noc@example.org>").value(),
            (Mailbox{.name = "Night shift", .address = "noc@example.org"}));
  EXPECT_EQ(parse_mailbox("Bereitschaft für Läden <a.b+c@x.example>").value().address,
            "a.b+c@x.example");
  for (const char* text : {"", "noc", "@example.org", "noc@", "a@b@c", "a b@example.org",
                           "noc@example.org\r\nBcc: x@y.example", "x\r\nBcc: y <noc@example.org>",
                           "<noc@example.org> x", "n\xc3\xb6t@example.org", "-oX@example.org",
                           "a,b@example.org", "<>"}) {
    EXPECT_FALSE(parse_mailbox(text)) << text;
  }
}

TEST(QuotedPrintable, KeepsLinesShortAndComesBackWhole) {
  EXPECT_EQ(quoted_printable("plain\n"), "plain\r\n");
  EXPECT_EQ(quoted_printable("a=b ä"), "a=3Db =C3=A4\r\n");
  EXPECT_EQ(quoted_printable("ends with a blank \nx"), "ends with a blank=20\r\nx\r\n");
  EXPECT_EQ(quoted_printable(".\n"), ".\r\n");
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random{seed};
    std::string text;
    for (std::uint64_t i = 0; i < random() % 400; ++i) {
      const auto roll = random() % 10;
      text += roll == 0  ? '\n'
              : roll < 3 ? ' '
              : roll < 5 ? static_cast<char>(random() % 256)
                         : 'x';
    }
    text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
    const std::string encoded = quoted_printable(text);
    for (const std::string& line : lines_of(encoded)) {
      EXPECT_LE(line.size(), 76U);
      EXPECT_FALSE(line.ends_with(' '));
    }
    std::string back = decoded(encoded);
    std::string expected;
    for (const char c : text) expected += c == '\n' ? std::string("\r\n") : std::string(1, c);
    if (!expected.empty() && !expected.ends_with("\r\n")) expected += "\r\n";
    EXPECT_EQ(back, expected) << seed;
  }
}

TEST(HeaderText, IsAsciiAndFolded) {
  EXPECT_EQ(header_text("DOWN shop.example: connect_timeout"),
            "DOWN shop.example: connect_timeout");
  EXPECT_EQ(header_text("Läden"), "=?utf-8?q?L=C3=A4den?=");
  EXPECT_EQ(header_text("a =?x?= b"), "=?utf-8?q?a_=3D=3Fx=3F=3D_b?=");
  EXPECT_EQ(header_text("x\r\nBcc: y"), "=?utf-8?q?x=0D=0ABcc=3A_y?=") << "no header of its own";
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "ä";
  for (const std::string& line : lines_of(header_text(umlauts) + "\r\n")) {
    EXPECT_LE(line.size(), 80U);
    EXPECT_EQ((line.find_last_of('?') - line.find("q?") - 2) % 6, 0U) << "a character cut in two";
  }
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word ";
  for (const std::string& line : lines_of(header_text(words) + "\r\n")) EXPECT_LE(line.size(), 80U);
}

TEST(MailDate, IsThatOfTheMailFormat) {
  EXPECT_EQ(mail_date(core::parse_iso8601("2026-11-21T12:00:00Z").value()),
            "Sat, 21 Nov 2026 12:00:00 +0000");
  EXPECT_EQ(mail_date(core::parse_iso8601("1970-01-01T00:00:00Z").value()),
            "Thu, 01 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(mail_date(core::parse_iso8601("2028-02-29T23:59:59.999Z").value()),
            "Tue, 29 Feb 2028 23:59:59 +0000");
}

Mail example() {
  return {
      .from = {.name = "Watchwheel", .address = "ww@example.org"},
      .to = {{.name = "", .address = "a@example.org"}, {.name = "Bé", .address = "b@example.org"}},
      .subject = "DOWN shop.example: connect_timeout",
      .text = "Läden\n",
      .id = "msg_1",
      .conditions = {"ww-1"},
      .date = core::parse_iso8601("2026-11-21T12:00:00Z").value()};
}

TEST(Compose, IsThisMail) {
  EXPECT_EQ(compose(example()),
            "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            "From: Watchwheel <ww@example.org>\r\n"
            "To: a@example.org,\r\n =?utf-8?q?B=C3=A9?= <b@example.org>\r\n"
            "Subject: DOWN shop.example: connect_timeout\r\n"
            "Message-ID: <msg_1@example.org>\r\n"
            "References: <ww-1@example.org>\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "\r\n"
            "L=C3=A4den\r\n");
}

// Goal: nothing that a site says can become a header, or end the mail before its end.
TEST(Compose, TextsStayWhereTheyBelong) {
  Mail mail = example();
  mail.subject = "x\r\nBcc: everybody@example.org\r\n\r\nbody";
  mail.text = "\r\n.\r\nQUIT\r\n";
  const std::vector<std::string> lines = lines_of(compose(mail));
  for (const std::string& line : lines) EXPECT_FALSE(line.starts_with("Bcc:")) << line;
  EXPECT_EQ(std::count(lines.begin(), lines.end(), ""), 2)
      << "the end of the header, the text's first line";
}

}  // namespace
}  // namespace watchwheel::channels
