// SPDX-License-Identifier: Apache-2.0
// checker/text_search.h - where texts first stand in bytes that arrive in pieces.
//
// Bounded  a search keeps what it has not looked at yet, less than kLookBytes or the longest text, whichever is more; at most
//          (longest text - 1) bytes before it to see across borders; and eight bytes for each text.
// Cost     small pieces are gathered and looked at together, so each text meets a byte at most three times, whatever the pieces
//          are: looking at every piece with the bytes before it would cost the longest text for each byte that comes alone.
//          One memmem() for each text and look until it is found: 0.1 to 0.15 ms a MiB, at worst (a text made for it) 10 ms.
//          Without case every piece is first made lower case once for all texts, eight bytes at a time: 0.13 ms a MiB more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::checker {

// Pieces are looked at when this much has come.
inline constexpr std::size_t kLookBytes = 4 * 1024;

class TextSearch {
 public:
  // `texts` outlive the search; an empty one is found at 0. `ignore_case`: A to Z and a to z are the same, all other bytes
  // are themselves.
  TextSearch(std::vector<std::string_view> texts, bool ignore_case);
  TextSearch(TextSearch&&) noexcept = default;  // Not copied: it may point into itself.
  TextSearch& operator=(TextSearch&&) noexcept = default;

  // The next piece, of any size.
  void feed(std::string_view piece);
  // Looks at what is gathered. To be called before anybody asks; more may be fed afterwards.
  void finish();

  // The offset of the first one of text `i` in all that was looked at; nothing while it was not seen.
  [[nodiscard]] std::optional<std::uint64_t> first(std::size_t i) const;
  [[nodiscard]] bool all_found() const { return missing_ == 0; }
  // What all looks together had before them, each byte counted once for each text: what the search cost, on any machine.
  [[nodiscard]] std::uint64_t bytes_compared() const { return compared_; }

 private:
  void gather(std::string_view piece);
  void look_at_gathered();
  void look(std::string_view bytes, std::uint64_t from);

  std::vector<std::string_view> texts_;
  std::vector<std::string> folded_;  // What texts_ points into when case is ignored.
  std::vector<std::uint64_t> first_;
  std::size_t missing_ = 0;
  std::size_t longest_ = 0;
  bool ignore_case_ = false;
  std::uint64_t fed_ = 0;
  std::uint64_t compared_ = 0;
  // The last bytes that were fed, as they are compared: first those that were looked at, then those that were not.
  std::string held_;
  std::size_t looked_at_ = 0;  // Of held_.
};

// `text` with A to Z as a to z, into `out`, which has room for as much.
void fold_ascii(std::string_view text, char* out);

}  // namespace watchwheel::checker
