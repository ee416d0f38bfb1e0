// SPDX-License-Identifier: Apache-2.0
// checker/error_page_table.h - what a rule for error pages can ask for, and the table of all rules (error_page_rules.inc).
//
// Constant; any thread.
// Cost     rules_for() looks up the first four bytes of a text: most healthy pages meet no rule at all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace watchwheel::checker {

// Where a clue must stand. Texts are compared in lower case, without tags, scripts and comments, with entities and runs of
// white space resolved. The first clue of a rule is one of those above the line.
enum class Where : std::uint8_t {
  TitleIs,
  TitleBegins,
  TitleEnds,
  HeadingIs,  // The first <h1>, or else the first <h2>.
  HeadingBegins,
  TextIs,  // Everything a visitor reads; the title is not part of it.
  TextBegins,
  PlainIs,  // As TextIs; a text/plain body too.
  PlainBegins,
  CutOffBy,  // The page is not closed, and ends with a PHP message that begins like this.
  // ----
  Unused,
  NoTitle,  // None, or an empty one.
  TextHas,
  TextLacks,
  MarkupHas,  // The page as sent, in lower case.
  MarkupLacks,
  LinksAtMost,  // A number.
  EndsAtLine,  // The text's last words are " on line 12", said once; PHP's trace of calls may follow.
  BareSkeleton,  // The markup is <html> and <body>, with nothing in them or about them but a language and a character set.
  HomePage,  // What a GET of the site's front page was answered with; not that of a health endpoint.
};

// How much of a site may be around it. Who writes about an error has a menu, a search box, a comment form.
enum class Shape : std::uint8_t {
  Bare,    // At most kBareLinks links; none of the elements of kFurniture.
  Sparse,  // At most kSparseLinks links; no menu, no form.
  Any,
};
inline constexpr std::size_t kBareLinks = 3;
inline constexpr std::size_t kSparseLinks = 12;

// Between alternatives, written OR in the table. One of them must stand there; of those that are lacking, none may.
inline constexpr char kOr = '\n';

struct Clue {
  Where where = Where::Unused;
  std::string_view what;
};

// True when `holds` is true of one of the alternatives in `what`.
template <typename Holds>
constexpr bool any_alternative(std::string_view what, Holds holds) {
  while (true) {
    const std::size_t bar = what.find(kOr);
    if (holds(what.substr(0, bar))) return true;
    if (bar == std::string_view::npos) return false;
    what.remove_prefix(bar + 1);
  }
}

// All clues must hold, and the page must not have more text than `text_max` bytes: who explains an error writes more than the
// error itself does. Rules of the same id are forms of one rule, and stand together.
struct ErrorPageRule {
  std::string_view id;     // Stable: people name it in reports, and documents list it.
  std::string_view shows;  // "a WordPress database error".
  std::size_t text_max;
  Shape shape;
  std::array<Clue, 5> clues;
};

// Of several that hold, the first one is meant. They stand together by id.
[[nodiscard]] std::span<const ErrorPageRule> error_page_rules();

// A rule is found by the first four bytes (of TitleEnds: the last four) of its first clue.
enum class Anchor : std::uint8_t { Title, TitleEnd, Heading, Text, CutOff };
inline constexpr std::size_t kAnchors = 5;
struct AnchoredRule {
  std::uint32_t key;
  std::uint16_t rule;  // Its place in error_page_rules().
};
// The rules whose first clue may hold when `text` stands there. `text` may be cut after its first four bytes.
[[nodiscard]] std::span<const AnchoredRule> rules_for(Anchor anchor, std::string_view text);

}  // namespace watchwheel::checker
