// SPDX-License-Identifier: Apache-2.0
#include "app/text_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "checker/safe_text.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kTextBytesMax = 64 * 1024;

// Columns of well-formed UTF-8: characters, wide ones not reckoned with.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

// The bytes of the first `count` characters.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size() && count > 0) {
    do {
      ++at;
    } while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U);
    --count;
  }
  return at;
}

std::string_view without_end(std::string_view line) {
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

// At most `width` columns each: broken at a space, or anywhere in a word that is wider than that.
std::vector<std::string_view> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string_view> lines;
  while (columns_of(text) > width) {
    const std::size_t most = bytes_of(text, width);
    const std::size_t space = text.substr(0, most + 1).rfind(' ');
    const bool at_space = space != std::string_view::npos && space > 0;
    lines.push_back(without_end(text.substr(0, at_space ? space : most)));
    text.remove_prefix(at_space ? space + 1 : most);
  }
  lines.push_back(without_end(text));
  return lines;
}

std::string_view escape(Ink ink) {
  switch (ink) {
    case Ink::Plain:
      return "";
    case Ink::Bold:
      return "\x1b[1m";
    case Ink::Good:
      return "\x1b[1;32m";
    case Ink::Bad:
      return "\x1b[1;31m";
    case Ink::Unsure:
      return "\x1b[1;33m";
    case Ink::Bar:
      return "\x1b[36m";
  }
  return "";
}

// From column `from` on, `length` columns long; the last one is filled in eighths where the terminal knows those.
std::string bar_of(double from, double length, std::size_t width, bool utf8) {
  static constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const std::size_t start = std::min(static_cast<std::size_t>(from), width - 1);
  const std::size_t parts = utf8 ? 8 : 1;
  const std::size_t most = (width - start) * parts;
  const auto wanted = static_cast<std::size_t>(std::lround(length * static_cast<double>(parts)));
  const std::size_t units = std::clamp<std::size_t>(wanted, 1, most);
  std::string bar(start, ' ');
  for (std::size_t i = 0; i < units / parts; ++i) bar += utf8 ? "█" : "#";
  if (utf8) bar += kEighths[units % parts];
  return bar;
}

// One block: as high as `value` is beside `top`; of something never invisible.
std::string_view block(double value, double top, bool utf8) {
  static constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<std::string_view, 8> kAscii{"_", "_", ".", ".", "-", "-", "=", "#"};
  if (!(value > 0) || !(top > 0)) return utf8 ? kBlocks[0] : kAscii[0];
  const auto height = static_cast<std::size_t>(std::clamp(value / top, 0.0, 1.0) * 7.999);
  return utf8 ? kBlocks[height] : kAscii[height];
}

}  // namespace

std::size_t TextPage::room(std::size_t at) const {
  constexpr std::size_t kRoomMin = 10;  // Of a page too narrow for its columns: better cut off than one letter a line.
  const std::size_t columns = std::max(style_.columns, kPageColumnsMin);
  return columns > at + kRoomMin ? columns - at : kRoomMin;
}

void TextPage::spark(std::size_t indent, std::string_view label, std::size_t at,
                     std::span<const double> values, double top) {
  const std::string shown = fit(label);
  const std::size_t used = std::max(indent + columns_of(shown) + 1, at);
  out_.append(indent, ' ');
  out_ += shown;
  out_.append(used - indent - columns_of(shown), ' ');
  if (values.size() > room(used)) values = values.last(room(used));
  std::string blocks;
  for (const double value : values) blocks += block(value, top, style_.utf8);
  put(blocks, Ink::Bar);
  out_ += "\n";
}

std::string TextPage::fit(std::string_view text) const {
  return style_.utf8 ? checker::safe_text(text, kTextBytesMax)
                     : checker::printable(text, kTextBytesMax);
}

void TextPage::put(std::string_view text, Ink ink) {
  const bool coloured = style_.colour && ink != Ink::Plain && !text.empty();
  if (coloured) out_ += escape(ink);
  out_ += text;
  if (coloured) out_ += "\x1b[0m";
}

void TextPage::heading(std::string_view text) {
  out_ += "\n";
  put(fit(text), Ink::Bold);
  out_ += "\n";
}

void TextPage::text(std::size_t indent, std::string_view text, Ink ink) {
  const std::string fitting = fit(text);
  for (const std::string_view line : wrapped(fitting, room(indent))) {
    out_.append(line.empty() ? 0 : indent, ' ');
    put(line, ink);
    out_ += "\n";
  }
}

void TextPage::row(std::size_t indent, std::string_view label, std::size_t at,
                   std::string_view value, Ink ink) {
  const std::string shown = fit(label);
  const std::size_t used = indent + columns_of(shown);
  if (used > at - 1) {
    text(indent, label, ink);
    text(at, value);
    return;
  }
  const std::string fitting = fit(value);
  const std::vector<std::string_view> lines = wrapped(fitting, room(at));
  out_.append(indent, ' ');
  put(shown, ink);
  if (!lines.front().empty()) out_.append(at - used, ' ');
  out_.append(lines.front());
  out_ += "\n";
  for (std::size_t i = 1; i < lines.size(); ++i) {
    out_.append(at, ' ');
    out_.append(lines[i]);
    out_ += "\n";
  }
}

void TextPage::bar(std::size_t indent, std::string_view label, std::size_t at,
                   std::string_view value, double from, double to, double of) {
  const std::string shown = fit(label);
  const std::string number = fit(value);
  const std::size_t used = indent + columns_of(shown) + columns_of(number) + 2;
  out_.append(indent, ' ');
  out_ += shown;
  out_.append(at > used ? at - used : 1, ' ');
  out_ += number;
  if (to > from && of > 0) {
    const std::size_t width = room(at);
    const double scale = static_cast<double>(width) / of;
    out_ += "  ";
    put(bar_of(from * scale, (to - from) * scale, width, style_.utf8), Ink::Bar);
  }
  out_ += "\n";
}

}  // namespace watchwheel::app
