// SPDX-License-Identifier: Apache-2.0
// app/text_page.h - lines for a person at a terminal: headings, rows with a label, wrapped text, bars.
//
// Pure; any thread.
// Bounded  no line is wider than the style's columns; what does not fit goes on below.
//
// Texts may come from anywhere: what a terminal would obey is replaced, and without UTF-8 all that is not ASCII.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace watchwheel::app {

inline constexpr std::size_t kPageColumns = 100;
inline constexpr std::size_t kPageColumnsMin = 40;  // Narrower terminals cut our lines off.

struct TextStyle {
  bool colour = false;
  bool utf8 = false;
  bool verbose = false;  // Header lines too.
  std::size_t columns = kPageColumns;  // At least kPageColumnsMin.
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

  // `label`, and from column `at` one block a value, the newest at the right, as high as the value is beside `top`. The newest are
  // kept where there are more than columns.
  void spark(std::size_t indent, std::string_view label, std::size_t at, std::span<const double> values, double top);

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void put(std::string_view text, Ink ink);
  [[nodiscard]] std::size_t room(std::size_t at) const;  // Columns from `at` on.
  [[nodiscard]] std::string fit(std::string_view text) const;

  TextStyle style_;
  std::string out_;
};

}  // namespace watchwheel::app
