// SPDX-License-Identifier: Apache-2.0
// checker/text_search.h - where texts first stand in bytes that arrive in pieces.
//
// Bounded  a search keeps at most (longest text - 1) bytes to see across borders, and eight bytes for each text.
// Cost     one memmem() for each text and byte until it is found: 0.1 to 0.15 ms a MiB, at worst (a text made for it) 10 ms.
//          Without case every piece is first made lower case once for all texts, eight bytes at a time: 0.13 ms a MiB more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::checker {

class TextSearch {
 public:
  // `texts` outlive the search; an empty one is found at 0. `ignore_case`: A to Z and a to z are the same, all other bytes
  // are themselves.
  TextSearch(std::vector<std::string_view> texts, bool ignore_case);
  TextSearch(TextSearch&&) noexcept = default;  // Not copied: it may point into itself.
  TextSearch& operator=(TextSearch&&) noexcept = default;

  // The next piece, of any size.
  void feed(std::string_view piece);

  // The offset of the first one of text `i` in all that was fed; nothing while it was not seen.
  [[nodiscard]] std::optional<std::uint64_t> first(std::size_t i) const;
  [[nodiscard]] bool all_found() const { return missing_ == 0; }

 private:
  void look(std::string_view piece);

  std::vector<std::string_view> texts_;
  std::vector<std::string> folded_;  // What texts_ points into when case is ignored.
  std::vector<std::uint64_t> first_;
  std::size_t missing_ = 0;
  std::size_t longest_ = 0;
  bool ignore_case_ = false;
  std::uint64_t fed_ = 0;
  std::string tail_;  // The last bytes before the next piece, as they are compared.
};

// `text` with A to Z as a to z, into `out`, which has room for as much.
void fold_ascii(std::string_view text, char* out);

}  // namespace watchwheel::checker
