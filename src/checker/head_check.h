// SPDX-License-Identifier: Apache-2.0
// checker/head_check.h - reads a response header line by line, and says when it cannot be believed.
//
// A value with state, for one exchange; pure, any thread.
// Bounded  kHeadBytesMax and kHeadLinesMax over all responses and trailers, kInterimMax interim responses; what is kept is
//          a few short texts, and cookies only of redirects: at most kCookieLinesMax lines of kCookieBytesMax.
// Fails    take() says Bad, problem() why. After that nothing more may be taken.
//
// One set of rules for both exchanges. libcurl reads the same lines and refuses some of them by itself (a version other than
// HTTP/1.0, 1.1, 2; a status that is not three digits from 100; a line without a colon; a zero byte; a Content-Length that is no
// number or too large, beside chunked too): they are refused here as well. (A zero byte that begins a line it takes for the end of what
// it has read: the rest of that piece is lost, before any rule sees it.) The rest is what it lets pass. What browsers take
// without a word is left alone: a false alarm costs more than a miss. Decided so:
//
// refused   Content-Length that is no number, too large for one, or several that differ (RFC 9112, 6.3: an error that
//           cannot be recovered from) - unless the body is chunked, where lengths count for nothing (but one that does not begin
//           as a number, or is too large for one, is refused even there).
//           Transfer-Encoding other than chunked and identity, or one of these with parameters (RFC 9112, 7.1): nobody asked
//           for it, so nobody can undo it.
//           Space before the colon of these two, or either of them folded: readers disagree where the body ends.
//           101 Switching Protocols: nobody asked for that. More than kInterimMax interim responses. Header without end.
//           A header that begins with a folded line. A line that begins with CR and is not empty: some readers end the header there.
//           A CR before the colon.
//           A trailer without a colon, or with a zero byte.
// accepted  Content-Length beside chunked: Transfer-Encoding wins (RFC 9112, 6.3). It may be an attack on a proxy, but the page
//           is served. The same Content-Length several times. Chunked in HTTP/1.0.
//           Folded lines; lines that end in a bare LF; CR or other control characters in a value; bytes beyond ASCII; a name
//           that is empty or holds spaces; "http/1.1" in small letters; no reason; any status from 100 to 999.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/content_rules.h"
#include "core/check_options.h"

namespace watchwheel::checker {

inline constexpr std::size_t kHeadBytesMax = 64 * 1024;
inline constexpr std::size_t kHeadLinesMax = 200;
inline constexpr std::size_t kInterimMax = 20;
inline constexpr std::size_t kCookieLinesMax = 50;
inline constexpr std::size_t kCookieBytesMax = 4096;

// The header of the final response.
struct ResponseHead {
  std::uint16_t status = 0;
  std::string version;  // "HTTP/1.1", "HTTP/2"; at most 8 bytes.
  std::string reason;   // Printable, at most 64 bytes.
  std::optional<std::string> location;
  bool locations_differ = false;  // There are several, and they do not lead to one place.
  std::string content_type;       // Printable, at most 128 bytes.
  std::string content_encoding;   // All of them as one list, at most 128 bytes.
  // Values of Set-Cookie in their order, each at most kCookieBytesMax (longer ones are left out). Only of 3xx: nobody else asks again.
  std::vector<std::string> cookies;
  std::vector<core::Header>
      asked;  // The lines whose names the check asks for, trimmed, in their order.
};

class HeadCheck {
 public:
  enum class Step : std::uint8_t {
    More,
    Complete,  // The final response's header is complete; what comes now are trailers.
    Bad,
  };

  // Keeps in `asked` what these rules ask for; they outlive it.
  void keep_for(const ContentRules& rules) { rules_ = &rules; }

  // The next line, with its line end. The first of a response is its status line, an empty one ends its header.
  [[nodiscard]] Step take(std::string_view line);

  // What was read of the header so far; whole after Complete.
  [[nodiscard]] const ResponseHead& head() const { return head_; }
  [[nodiscard]] ResponseHead& head() { return head_; }
  [[nodiscard]] bool complete() const { return complete_; }
  // Between a status line and the empty line that ends its header.
  [[nodiscard]] bool in_head() const { return in_head_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

  // Where the body of the final response ends. Transfer-Encoding wins over any length.
  [[nodiscard]] bool chunked() const { return chunked_; }
  // Nor does it count beside a Transfer-Encoding that is not chunked: then the connection's end is the body's (RFC 9112, 6.3).
  [[nodiscard]] std::optional<std::uint64_t> length() const {
    return coded_ ? std::nullopt : length_;
  }

 private:
  enum class Name : std::uint8_t {
    None,  // No header line came yet.
    ContentLength,
    TransferEncoding,
    Location,
    ContentType,
    ContentEncoding,
    SetCookie,
    Other
  };
  [[nodiscard]] static Name known_name(std::string_view name);
  [[nodiscard]] bool is_interim() const { return head_.status >= 100 && head_.status < 200; }

  [[nodiscard]] Step bad(std::string problem);
  [[nodiscard]] Step take_status_line(std::string_view line);
  [[nodiscard]] Step take_header(std::string_view line);
  [[nodiscard]] Step take_fold(std::string_view line);
  [[nodiscard]] Step take_trailer(std::string_view line);
  [[nodiscard]] Step end_of_head();
  void take_length(std::string_view value);
  void take_transfer_coding(std::string_view value);
  void take_location(std::string_view value);

  const ContentRules* rules_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t lines_ = 0;
  std::size_t interim_ = 0;
  bool in_head_ = false;  // Between a status line and its empty line.
  bool complete_ = false;
  // Of the response under way.
  Name last_ = Name::None;
  bool last_asked_ = false;
  bool chunked_ = false;
  std::optional<std::uint64_t> length_;
  bool coded_ = false;  // A Transfer-Encoding came, and is not chunked.
  std::string length_problem_;    // Counts only when the body is not chunked,
  bool length_hopeless_ = false;  // or when it is this bad.
  std::string coding_problem_;
  ResponseHead head_;
  std::string problem_;
};

}  // namespace watchwheel::checker
