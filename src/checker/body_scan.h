// SPDX-License-Identifier: Apache-2.0
// checker/body_scan.h - looks for texts in a body that arrives in pieces, and keeps the head of a
// small page.
//
// BodyRules is a value, made once for a plan; BodyScan is the state of one body.
// Bounded  a scan keeps at most (longest text - 1) bytes to see across borders, and at most
//          kPageBytesMax of the head, which is given back as soon as the body is longer: an error
//          page is small.
// Cost     one memmem() for each text and byte; a text that was found is not looked for again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::checker {

// A body longer than this is no error page (error_pages.h).
inline constexpr std::size_t kPageBytesMax = 16 * 1024;

struct BodyRules {
  std::vector<std::string> keyword;    // At most 32, none of them empty.
  std::vector<std::string> forbidden;  // At most 32, none of them empty.
  bool keep_page = false;              // Keep the head for the error page rules.

  [[nodiscard]] bool searching() const { return !keyword.empty() || !forbidden.empty(); }
  [[nodiscard]] std::size_t longest() const;
};

class BodyScan {
 public:
  // `rules` outlives the scan.
  explicit BodyScan(const BodyRules& rules);

  // The next piece, of any size, empty ones included.
  void feed(std::string_view piece);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // The first keyword, in the order of the rules, that was not seen.
  [[nodiscard]] std::optional<std::string_view> keyword_missing() const;
  // The first forbidden text, in the order of the rules, that was seen.
  [[nodiscard]] std::optional<std::string_view> forbidden_found() const;
  // The whole body so far, when it was to be kept and is not longer than kPageBytesMax.
  [[nodiscard]] std::optional<std::string_view> page() const;

 private:
  [[nodiscard]] bool seen(std::string_view text, std::string_view border,
                          std::string_view piece) const;

  const BodyRules* rules_;
  std::uint64_t bytes_ = 0;
  std::uint64_t found_ = 0;  // Bit n: keyword n; bit 32 + n: forbidden text n.
  std::string tail_;         // The last bytes before the next piece.
  std::string page_;
};

}  // namespace watchwheel::checker
