// SPDX-License-Identifier: Apache-2.0
// app/text_page.h - lines for a person at a terminal: headings, rows with a label, wrapped text, bars.
//
// Pure; any thread.
// Bounded  no line is wider than kPageColumns; what does not fit goes on below.
//
// Texts may come from anywhere: what a terminal would obey is replaced, and without UTF-8 all that is not ASCII.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace watchwheel::app {

inline constexpr std::size_t kPageColumns = 100;

struct TextStyle {
  bool colour = false;
  bool utf8 = false;
  bool verbose = false;  // Header lines too.
};

enum class Ink : std::uint8_t { Plain, Bold, Good, Bad, Unsure, Bar };

class TextPage {
 public:
  explicit TextPage(const TextStyle& style) : style_(style) {}

  // An empty line, then the heading.
  void heading(std::string_view text);
  // Beginning at column `indent`, and going on there.
  void text(std::size_t indent, std::string_view text, Ink ink = Ink::Plain);
  // `label` in `ink` at column `indent`, and `value` from column `at` on, and below it where it is long. A label that is too
  // wide stands on a line of its own.
  void row(std::size_t indent, std::string_view label, std::size_t at, std::string_view value,
           Ink ink = Ink::Plain);
  // `value` right-aligned to end before column `at`, then from there a bar from `from` to `to`, both of `of`, in the rest of the
  // line. A bar of something is never invisible.
  void bar(std::size_t indent, std::string_view label, std::size_t at, std::string_view value,
           double from, double to, double of);

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void put(std::string_view text, Ink ink);
  [[nodiscard]] std::string fit(std::string_view text) const;

  TextStyle style_;
  std::string out_;
};

}  // namespace watchwheel::app
