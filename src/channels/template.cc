// SPDX-License-Identifier: Apache-2.0
#include "channels/template.h"

#include <algorithm>
#include <optional>

namespace watchwheel::channels {
namespace {

constexpr std::string_view kSitesWord = "sites";

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names,
                                    std::string_view name) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names.begin());
}

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string known_names() {
  std::string names;
  for (const std::string_view name : kMessageFields) names += std::string(name) + ", ";
  for (const std::string_view name : kSiteFields) names += std::string(name) + ", ";
  return names + "and the section sites";
}

// What a person may have meant, without what would break the line it stands in.
std::string shown(std::string_view word) {
  std::string out;
  for (const char c : word.substr(0, 40)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

}  // namespace

struct Template::Parser {
  std::string_view text;
  std::size_t at = 0;
  std::vector<Node> nodes{};
  struct Open {
    std::size_t node;
    std::string word;
  };
  std::vector<Open> open{};
  std::string problem{};

  [[nodiscard]] bool in_sites() const {
    return std::any_of(open.begin(), open.end(),
                       [](const Open& section) { return section.word == kSitesWord; });
  }

  void fail(const std::string& what) {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    if (problem.empty()) problem = "line " + std::to_string(line) + " of the template: " + what;
  }

  void run() {
    if (text.size() > kTemplateBytesMax) return fail("it is longer than 16 KiB");
    while (at < text.size() && problem.empty()) {
      const std::size_t begin = std::min(text.find("{{", at), text.size());
      if (begin > at)
        nodes.push_back({.what = What::Text, .text = std::string(text.substr(at, begin - at))});
      at = begin;
      if (at < text.size()) place();
    }
    if (problem.empty() && !open.empty())
      fail("the section {{#" + shown(open.back().word) + "}} is not closed: {{/" +
           shown(open.back().word) + "}} is missing");
  }

  void place() {
    const std::size_t end = text.find("}}", at);
    if (end == std::string_view::npos) return fail("a \"{{\" without its \"}}\"");
    std::string_view inside = trimmed(text.substr(at + 2, end - at - 2));
    const char first = inside.empty() ? '\0' : inside.front();
    if (first == '#' || first == '/') inside = trimmed(inside.substr(1));
    if (first == '#') {
      begin_section(inside);
    } else if (first == '/') {
      end_section(inside);
    } else {
      field(inside, What::MessageField, What::SiteField);
    }
    at = end + 2;
  }

  void field(std::string_view name, What of_message, What of_site) {
    if (const auto index = index_of(kMessageFields, name)) {
      nodes.push_back({.what = of_message, .field = *index});
    } else if (const auto site_index = index_of(kSiteFields, name)) {
      nodes.push_back({.what = of_site, .field = *site_index});
    } else {
      fail("\"" + shown(name) + "\" is no field; there are " + known_names());
    }
  }

  void begin_section(std::string_view name) {
    if (open.size() >= kTemplateDepthMax)
      return fail("sections more than " + std::to_string(kTemplateDepthMax) + " deep");
    if (name == kSitesWord) {
      if (in_sites()) return fail("{{#sites}} within {{#sites}}");
      nodes.push_back({.what = What::Sites});
    } else {
      field(name, What::IfMessage, What::IfSite);
    }
    if (problem.empty()) open.push_back({nodes.size() - 1, std::string(name)});
  }

  void end_section(std::string_view name) {
    if (open.empty()) return fail("{{/" + shown(name) + "}} closes no section");
    if (open.back().word != name)
      return fail("{{/" + shown(name) + "}} where {{/" + shown(open.back().word) + "}} is due");
    nodes[open.back().node].end = nodes.size();
    nodes.push_back({.what = What::End});
    open.pop_back();
  }
};

core::Result<Template> Template::parse(std::string_view text) {
  Parser parser{.text = text};
  parser.run();
  if (!parser.problem.empty()) return core::Error{core::ErrorKind::Invalid, parser.problem};
  Template parsed;
  parsed.nodes_ = std::move(parser.nodes);
  return parsed;
}

struct Template::Printer {
  const std::vector<Node>& nodes;
  const TemplateValues& values;
  std::size_t bytes_max;
  Escape escape;
  std::string out{};

  [[nodiscard]] bool full() const { return out.size() > bytes_max; }
  [[nodiscard]] std::string_view site_text(std::size_t site, std::size_t field) const {
    return site < values.sites.size() ? std::string_view(values.sites[site][field])
                                      : std::string_view();
  }
  void put(std::string_view text) { out += escape == nullptr ? std::string(text) : escape(text); }

  // Depth is bounded by the parser.
  void print(std::size_t from, std::size_t to, std::size_t site) {
    for (std::size_t i = from; i < to && !full(); ++i) {
      const Node& node = nodes[i];
      switch (node.what) {
        case What::Text:
          out += node.text;
          break;
        case What::MessageField:
          put(values.message[node.field]);
          break;
        case What::SiteField:
          put(site_text(site, node.field));
          break;
        case What::Sites:
          for (std::size_t each = 0; each < values.sites.size() && !full(); ++each)
            print(i + 1, node.end, each);
          i = node.end;
          break;
        case What::IfMessage:
          if (!values.message[node.field].empty()) print(i + 1, node.end, site);
          i = node.end;
          break;
        case What::IfSite:
          if (!site_text(site, node.field).empty()) print(i + 1, node.end, site);
          i = node.end;
          break;
        case What::End:
          break;
      }
    }
  }
};

std::string Template::render(const TemplateValues& values, std::size_t bytes_max,
                             Escape escape) const {
  Printer printer{.nodes = nodes_, .values = values, .bytes_max = bytes_max, .escape = escape};
  printer.print(0, nodes_.size(), 0);
  if (printer.full()) {
    std::size_t cut = bytes_max;
    while (cut > 0 && (static_cast<unsigned char>(printer.out[cut]) & 0xc0U) == 0x80U) --cut;
    printer.out.resize(cut);
    printer.out += "…";
  }
  return printer.out;
}

}  // namespace watchwheel::channels
