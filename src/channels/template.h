// SPDX-License-Identifier: Apache-2.0
// channels/template.h - the operator's own wording of a message: a text with places for what is told.
//
//   {{name}}                       the field, or nothing where it is not known
//   {{#sites}} … {{/sites}}        once for each site; within it the fields of a site are that site's
//   {{#field}} … {{/field}}        only where the field is known
//
// Outside of {{#sites}} the fields of a site are the first site's. Nothing else: no code, no file, no way out. Names are
// checked when it is read, so that a misspelt one is told by validate-config and not by a message that lacks what it should
// say.
//
// A value; any thread. Pure.
// Bounded  templates of kTemplateBytesMax, sections kTemplateDepthMax deep, what is rendered as the caller says.
// Fails    parse(): Invalid, with the place and what would be right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace watchwheel::channels {

inline constexpr std::size_t kTemplateBytesMax = 16 * 1024;
inline constexpr std::size_t kTemplateDepthMax = 4;

// Of the message.
inline constexpr std::array<std::string_view, 12> kMessageFields{
    "id",    "kind",   "severity", "target", "headline", "made_at",
    "count", "outage", "since",    "part",   "note",     "links"};
// Of one site.
inline constexpr std::array<std::string_view, 21> kSiteFields{
    "site",       "name",      "url",          "tags",     "state",   "previous_state", "reason",
    "cause",      "phase",     "http_status",  "detail",   "address", "witnesses",      "failures",
    "started_at", "confirmed_at", "ended_at",  "duration", "at",      "incident",       "number"};

// The fields' texts, each in the order of its list above; "" where it is not known.
struct TemplateValues {
  std::array<std::string, kMessageFields.size()> message;
  std::vector<std::array<std::string, kSiteFields.size()>> sites;
};

class Template {
 public:
  // How a field's text is written where the text around it has a syntax of its own. Null: as it is.
  using Escape = std::string (*)(std::string_view text);

  [[nodiscard]] static core::Result<Template> parse(std::string_view text);

  // At most `bytes_max` bytes and "…", cut at a character.
  [[nodiscard]] std::string render(const TemplateValues& values, std::size_t bytes_max,
                                   Escape escape = nullptr) const;

 private:
  enum class What : std::uint8_t { Text, MessageField, SiteField, Sites, IfMessage, IfSite, End };
  struct Node {
    What what = What::Text;
    std::string text{};     // Text.
    std::size_t field = 0;  // Which.
    std::size_t end = 0;    // Of a section: its End.
  };
  struct Parser;
  struct Printer;

  std::vector<Node> nodes_;
};

}  // namespace watchwheel::channels
