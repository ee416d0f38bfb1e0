// SPDX-License-Identifier: Apache-2.0
#include "checker/head_check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

constexpr std::size_t kLocationKept =
    8192 + 1;  // One more than follow() takes, so that it can refuse it.
constexpr std::size_t kListBytesMax = 128;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r' || text.back() == '\n'))
    text.remove_suffix(1);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  // Programs that write text files for Windows send "\r\r\n".
  while (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool same_name(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + ('a' - 'A')) : x) == y;
         });
}

// Calls `each` with the trimmed elements of a comma list, empty ones left out.
template <typename Each>
void for_each_element(std::string_view list, Each each) {
  for (;;) {
    const std::size_t comma = list.find(',');
    if (const std::string_view element = trimmed(list.substr(0, comma)); !element.empty())
      each(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// 1*DIGIT that a body can be as long as; no sign, no "0x".
std::optional<std::uint64_t> body_length(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (text.empty() || problem != std::errc{} || stop != end || value > INT64_MAX)
    return std::nullopt;
  return value;
}

// "HTTP/1.1", in any case.
bool is_version(std::string_view word) {
  if (!same_name(word.substr(0, 5), "http/")) return false;
  word.remove_prefix(5);
  return word == "1.1" || word == "1.0" || word == "2" || word == "2.0";
}

// No number at all, or one that nothing can count.
bool is_hopeless_length(std::string_view value) {
  if (value.starts_with('+')) value.remove_prefix(1);
  const std::size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
  return digits == 0 || !body_length(value.substr(0, digits));
}

}  // namespace

HeadCheck::Name HeadCheck::known_name(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Name>, 6> kNames{{
      {"content-length", Name::ContentLength},
      {"transfer-encoding", Name::TransferEncoding},
      {"location", Name::Location},
      {"content-type", Name::ContentType},
      {"content-encoding", Name::ContentEncoding},
      {"set-cookie", Name::SetCookie},
  }};
  for (const auto& [text, known] : kNames) {
    if (same_name(name, text)) return known;
  }
  return Name::Other;
}

HeadCheck::Step HeadCheck::bad(std::string problem) {
  problem_ = std::move(problem);
  return Step::Bad;
}

HeadCheck::Step HeadCheck::take(std::string_view line) {
  bytes_ += line.size();
  ++lines_;
  if (bytes_ > kHeadBytesMax || lines_ > kHeadLinesMax) {
    return bad("the response header is longer than " + std::to_string(kHeadBytesMax / 1024) +
               " KiB or " + std::to_string(kHeadLinesMax) + " lines");
  }
  if (complete_) return take_trailer(line);
  if (!in_head_) return take_status_line(line);
  // Not trimmed: a line of spaces is a folded one.
  const std::string_view bare = without_line_end(line);
  if (bare.empty()) return end_of_head();
  return take_header(bare);
}

HeadCheck::Step HeadCheck::take_trailer(std::string_view line) {
  const std::string_view bare = without_line_end(line);
  if (bare.empty()) return Step::More;
  if (bare.find('\0') != std::string_view::npos) return bad("a trailer holds a zero byte");
  if (!is_blank(bare.front()) && bare.find(':') == std::string_view::npos)
    return bad("a trailer has no colon");
  return Step::More;
}

// "HTTP/1.1 503 Service Unavailable".
HeadCheck::Step HeadCheck::take_status_line(std::string_view line) {
  in_head_ = true;
  last_ = Name::None;
  chunked_ = false;
  length_.reset();
  length_problem_.clear();
  length_hopeless_ = false;
  coded_ = false;
  coding_problem_.clear();
  head_ = ResponseHead{};

  if (line.find('\0') != std::string_view::npos) return bad("the status line holds a zero byte");
  line = trimmed(line);
  const std::size_t space = line.find(' ');
  std::string_view rest = space == std::string_view::npos ? "" : trimmed(line.substr(space));
  std::uint16_t status = 0;
  const char* end = rest.data() + std::min<std::size_t>(rest.size(), 3);
  const auto [stop, problem] = std::from_chars(rest.data(), end, status);
  const bool fourth_digit = rest.size() > 3 && rest[3] >= '0' && rest[3] <= '9';
  if (problem != std::errc{} || stop != rest.data() + 3 || status < 100 || fourth_digit ||
      !same_name(line.substr(0, 4), "http")) {
    return bad("the answer does not begin with an HTTP status line");
  }
  if (!is_version(line.substr(0, space))) {
    return bad("the answer has a version of HTTP that is none of 1.0, 1.1 and 2: \"" +
               printable(line.substr(0, space), 16) + "\"");
  }
  head_.status = status;
  head_.version = printable(line.substr(0, space), 8);
  head_.reason = printable(trimmed(rest.substr(3)), 64);
  if (status == 101) return bad("101 Switching Protocols, which nobody asked for");
  if (is_interim() && ++interim_ > kInterimMax)
    return bad("more than " + std::to_string(kInterimMax) + " interim responses");
  return Step::More;
}

HeadCheck::Step HeadCheck::take_fold(std::string_view line) {
  if (last_ == Name::None) return bad("the response header begins with a folded line");
  if (last_ == Name::ContentLength || last_ == Name::TransferEncoding)
    return bad("Content-Length or Transfer-Encoding goes on in a folded line");
  if (last_asked_) head_.asked.back().value += " " + std::string(trimmed(line));
  return Step::More;  // What else it adds to is not looked at.
}

HeadCheck::Step HeadCheck::take_header(std::string_view line) {
  if (line.find('\0') != std::string_view::npos)
    return bad("a line of the response header holds a zero byte");
  if (is_blank(line.front())) return take_fold(line);
  if (line.front() == '\r') return bad("a line of the response header begins with a bare CR");
  const std::size_t colon = line.substr(0, line.find('\r')).find(':');
  if (colon == std::string_view::npos) return bad("a line of the response header has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  last_ = known_name(trimmed(name));
  last_asked_ = rules_ != nullptr && rules_->asks_header(trimmed(name));
  if (last_asked_) head_.asked.push_back({std::string(trimmed(name)), std::string(value)});
  if ((last_ == Name::ContentLength || last_ == Name::TransferEncoding) && is_blank(name.back()))
    return bad("a space before the colon of " + printable(trimmed(name), 32));
  switch (last_) {
    case Name::ContentLength:
      take_length(value);
      if (length_hopeless_) return bad(length_problem_);
      break;
    case Name::TransferEncoding:
      take_transfer_coding(value);
      break;
    case Name::Location:
      take_location(value);
      break;
    case Name::ContentType:
      head_.content_type = printable(value, 128);
      break;
    case Name::ContentEncoding:
      if (!head_.content_encoding.empty()) head_.content_encoding += ", ";
      head_.content_encoding = printable(
          head_.content_encoding + std::string(value.substr(0, kListBytesMax)), kListBytesMax);
      break;
    case Name::SetCookie:
      if (head_.status >= 300 && head_.status < 400 && value.size() <= kCookieBytesMax &&
          head_.cookies.size() < kCookieLinesMax) {
        head_.cookies.emplace_back(value);
      }
      break;
    case Name::None:
    case Name::Other:
      break;
  }
  return Step::More;
}

void HeadCheck::take_length(std::string_view value) {
  length_hopeless_ = length_hopeless_ || is_hopeless_length(value);
  bool any = false;
  for_each_element(value, [&](std::string_view element) {
    any = true;
    const auto length = body_length(element);
    if (!length) {
      length_problem_ = "Content-Length is no length: \"" + printable(element, 32) + "\"";
    } else if (length_ && *length_ != *length) {
      length_problem_ = "several Content-Lengths that differ: " + std::to_string(*length_) +
                        " and " + std::to_string(*length);
    } else {
      length_ = length;
    }
  });
  if (!any) length_problem_ = "Content-Length is empty";
  // Its elements may all be lengths where the whole is none: ", 5".
  if (length_hopeless_ && length_problem_.empty())
    length_problem_ = "Content-Length is no length: \"" + printable(value, 32) + "\"";
}

void HeadCheck::take_transfer_coding(std::string_view value) {
  for_each_element(value, [&](std::string_view coding) {
    if (same_name(coding, "chunked")) {
      chunked_ = true;
    } else if (!same_name(coding, "identity")) {
      coding_problem_ =
          "a Transfer-Encoding that nobody asked for: \"" + printable(coding, 32) + "\"";
    }
  });
  coded_ = !chunked_;
}

void HeadCheck::take_location(std::string_view value) {
  value = value.substr(0, kLocationKept);
  if (!head_.location) {
    head_.location = std::string(value);
  } else if (*head_.location != value) {
    head_.locations_differ = true;
  }
}

HeadCheck::Step HeadCheck::end_of_head() {
  in_head_ = false;
  if (!coding_problem_.empty()) return bad(coding_problem_);
  if (!length_problem_.empty() && !chunked_) return bad(length_problem_);
  if (is_interim()) return Step::More;  // The real one follows.
  complete_ = true;
  return Step::Complete;
}

}  // namespace watchwheel::checker
