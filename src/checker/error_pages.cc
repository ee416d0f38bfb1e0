// SPDX-License-Identifier: Apache-2.0
#include "checker/error_pages.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "checker/error_page_table.h"

namespace watchwheel::checker {
namespace {

// ---- characters ----

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

constexpr bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

// `word` stands at `at`, in any case. `word` is in lower case.
bool stands(std::string_view html, std::size_t at, std::string_view word) {
  if (at > html.size() || html.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(html[at + i]) != word[i]) return false;
  }
  return true;
}

// The element `name` opens at `at` ('<').
bool opens(std::string_view html, std::size_t at, std::string_view name) {
  if (!stands(html, at + 1, name)) return false;
  const std::size_t after = at + 1 + name.size();
  return after >= html.size() || !is_alnum(html[after]);
}

// ---- text as a visitor reads it ----

// Text in lower case, white space as single blanks; no more than `most` bytes, and then `whole` is false.
struct Text {
  explicit Text(std::size_t most_bytes) : most(most_bytes) {}
  std::string text;
  std::size_t most;
  bool whole = true;

  [[nodiscard]] bool full() const { return text.size() >= most; }

  void put(char c) {
    if (is_space(c)) {
      if (!text.empty() && text.back() != ' ') text.push_back(' ');
      return;
    }
    // PHP writes "<b>Fatal error</b>:  Uncaught": without its tags there is a blank before the colon.
    if (c == ':' && !text.empty() && text.back() == ' ') text.pop_back();
    if (full()) {
      whole = false;
      return;
    }
    text.push_back(lower(c));
  }
  void put(std::string_view word) {
    for (const char c : word) put(c);
  }
  void trim() {
    while (!text.empty() && text.back() == ' ') text.pop_back();
  }
};

// Typographic signs are written as their plain forms in the rules.
std::string_view plain_form(std::uint32_t code) {
  switch (code) {
    case 0xA0:
    case 0x202F:
      return " ";
    case 0x2018:
    case 0x2019:
      return "'";
    case 0x201C:
    case 0x201D:
      return "\"";
    case 0x2010:
    case 0x2011:
    case 0x2013:
    case 0x2014:
      return "-";
    case 0x203A:
      return "›";
    case 0x200B:
    case 0xAD:
    case 0xFEFF:
      return "";
    default:
      return "\x01";  // Another sign: it stands, and no rule asks for it.
  }
}

struct Entity {
  std::string_view name;
  std::uint32_t code;
};
constexpr std::array<Entity, 18> kEntities{{{"nbsp;", 0xA0},
                                            {"amp;", '&'},
                                            {"lt;", '<'},
                                            {"gt;", '>'},
                                            {"quot;", '"'},
                                            {"apos;", '\''},
                                            {"rsquo;", 0x2019},
                                            {"lsquo;", 0x2018},
                                            {"rsaquo;", 0x203A},
                                            {"ndash;", 0x2013},
                                            {"mdash;", 0x2014},
                                            {"ldquo;", 0x201C},
                                            {"rdquo;", 0x201D},
                                            {"shy;", 0xAD},
                                            {"period;", '.'},
                                            {"excl;", '!'},
                                            {"comma;", ','},
                                            {"colon;", ':'}}};

struct Sign {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  // 0: none.
};

// "&nbsp;", "&#39;", "&#x27;" at `at` ('&').
Sign entity_at(std::string_view html, std::size_t at) {
  if (at + 1 < html.size() && html[at + 1] == '#') {
    const bool hex = at + 2 < html.size() && lower(html[at + 2]) == 'x';
    std::uint32_t code = 0;
    std::size_t i = at + (hex ? 3 : 2);
    const std::size_t begin = i;
    for (; i < html.size() && i < begin + 7; ++i) {
      const char c = lower(html[i]);
      if (c >= '0' && c <= '9') {
        code = code * (hex ? 16 : 10) + static_cast<std::uint32_t>(c - '0');
      } else if (hex && c >= 'a' && c <= 'f') {
        code = code * 16 + static_cast<std::uint32_t>(c - 'a' + 10);
      } else {
        break;
      }
    }
    if (i == begin || i >= html.size() || html[i] != ';') return {};
    return {code, i + 1 - at};
  }
  for (const Entity& entity : kEntities) {
    if (stands(html, at + 1, entity.name)) return {entity.code, entity.name.size() + 1};
  }
  return {};
}

// A sign of two or three bytes of UTF-8 that has a plain form.
Sign typographic_at(std::string_view html, std::size_t at) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return at + i < html.size() ? static_cast<unsigned char>(html[at + i]) : 0U;
  };
  if (byte(0) == 0xC2 && (byte(1) == 0xA0 || byte(1) == 0xAD)) return {byte(1), 2};
  if (byte(0) == 0xE2 && byte(1) == 0x80) return {0x2000U | (byte(2) & 0x3FU), 3};
  if (byte(0) == 0xEF && byte(1) == 0xBB && byte(2) == 0xBF) return {0xFEFF, 3};
  return {};
}

// One character of text at `at`, which is no '<'. Returns how many bytes it took.
std::size_t put_sign(std::string_view html, std::size_t at, Text* first, Text* second) {
  const char c = html[at];
  if (c != '&' && (static_cast<unsigned char>(c) & 0x80U) == 0) {
    if (first != nullptr) first->put(c);
    if (second != nullptr) second->put(c);
    return 1;
  }
  Sign sign;
  if (c == '&') {
    sign = entity_at(html, at);
  } else if ((static_cast<unsigned char>(c) & 0x80U) != 0) {
    sign = typographic_at(html, at);
    if (sign.bytes > 0 && plain_form(sign.code) == "\x01") sign.bytes = 0;
  }
  for (Text* into : {first, second}) {
    if (into == nullptr) continue;
    if (sign.bytes == 0) {
      into->put(c);
    } else if (sign.code < 0x80) {
      into->put(static_cast<char>(sign.code));
    } else {
      into->put(plain_form(sign.code));
    }
  }
  return sign.bytes == 0 ? 1 : sign.bytes;
}

// ---- markup ----

std::size_t past(std::string_view html, char c, std::size_t from) {
  const std::size_t at = html.find(c, from);
  return at == std::string_view::npos ? html.size() : at + 1;
}

// The position of "</name", or the end.
std::size_t element_end(std::string_view html, std::string_view name, std::size_t from) {
  for (std::size_t at = html.find("</", from); at != std::string_view::npos;
       at = html.find("</", at + 1)) {
    if (stands(html, at + 2, name)) return at;
  }
  return html.size();
}

// Past the comment that begins at `at`, as browsers end it: by "-->", which may share its "--" with the beginning, or "--!>".
std::size_t skip_comment(std::string_view html, std::size_t at) {
  for (std::size_t end = html.find("--", at + 2); end != std::string_view::npos;
       end = html.find("--", end + 1)) {
    if (html.substr(end + 2, 1) == ">") return end + 3;
    if (end >= at + 4 && html.substr(end + 2, 2) == "!>") return end + 4;
  }
  return html.size();
}

// What a page has at the places that rules ask for. How much is read of its text: `text.most`.
struct Reading {
  explicit Reading(std::size_t text_most) : text(text_most) {}
  bool has_title = false;
  Text title{SIZE_MAX};
  Text heading{SIZE_MAX};
  Text text;
  Text cut_off{SIZE_MAX};
};

// Reads title, heading and text in one pass, which ends when it has them.
class Reader {
 public:
  Reader(std::string_view html, Reading& into) : html_(html), into_(into) {}

  void read() {
    into_.text.text.reserve(std::min(into_.text.most, html_.size()) + 1);
    while (at_ < html_.size() && !complete()) {
      if (heading_ == nullptr && into_.text.full() && !into_.text.whole) skim();
      if (at_ >= html_.size()) break;
      if (html_[at_] == '<') {
        markup();
      } else {
        at_ += put_sign(html_, at_, &into_.text, heading_);
      }
    }
    if (at_ < html_.size()) into_.text.whole = false;
    if (!has_h1_) into_.heading = std::move(h2_);
    for (Text* text : {&into_.title, &into_.heading, &into_.text}) text->trim();
  }

 private:
  [[nodiscard]] bool complete() const {
    return into_.text.full() && !into_.text.whole && into_.has_title && has_h1_ &&
           heading_ == nullptr;
  }

  // No more text is wanted: to the next markup that may matter.
  void skim() {
    for (; at_ < html_.size(); ++at_) {
      at_ = std::min(html_.find('<', at_), html_.size());
      switch (at_ + 1 < html_.size() ? lower(html_[at_ + 1]) : '\0') {
        case '!':
        case 't':
        case 's':
        case 'h':
          return;
        default:
          break;
      }
    }
    at_ = html_.size();
  }

  void blank() {
    into_.text.put(' ');
    if (heading_ != nullptr) heading_->put(' ');
  }

  void markup() {
    const char c = at_ + 1 < html_.size() ? lower(html_[at_ + 1]) : '\0';
    if (c == '!' && html_.substr(at_, 4) == "<!--") {
      at_ = skip_comment(html_, at_);  // Nothing to a visitor, not even a blank.
      return;
    }
    blank();
    switch (c) {
      case 't':
        if (opens(html_, at_, "title")) return title();
        if (opens(html_, at_, "template")) return unseen("template");
        break;
      case 's':
        if (opens(html_, at_, "script")) return unseen("script");
        if (opens(html_, at_, "style")) return unseen("style");
        break;
      case 'h':
        if (opens(html_, at_, "h1")) return heading(into_.heading, has_h1_);
        if (opens(html_, at_, "h2")) return heading(h2_, has_h2_);
        break;
      case '/':
        if (heading_ != nullptr && lower(html_[std::min(at_ + 2, html_.size() - 1)]) == 'h') {
          heading_ = nullptr;
        }
        break;
      default:
        break;
    }
    at_ = past(html_, '>', at_);
  }

  void unseen(std::string_view name) { at_ = past(html_, '>', element_end(html_, name, at_)); }

  // The first one counts; drawings have titles too.
  void title() {
    const std::size_t begin = past(html_, '>', at_);
    const std::size_t end = std::max(begin, element_end(html_, "title", begin));
    if (!into_.has_title) {
      into_.has_title = true;
      for (at_ = begin; at_ < end;) {
        at_ += put_sign(html_, at_, &into_.title, nullptr);
      }
    }
    at_ = past(html_, '>', end);
  }

  void heading(Text& into, bool& has) {
    if (!has) {
      has = true;
      heading_ = &into;
    }
    at_ = past(html_, '>', at_);
  }

  std::string_view html_;
  Reading& into_;
  std::size_t at_ = 0;
  Text* heading_ = nullptr;  // Inside of it.
  Text h2_{SIZE_MAX};
  bool has_h1_ = false;
  bool has_h2_ = false;
};

std::string_view without_space_at_end(std::string_view body) {
  while (!body.empty() && is_space(body.back())) body.remove_suffix(1);
  return body;
}

// PHP, when it breaks off, leaves "<br />\n<b>Fatal error</b>:  ... on line <b>3</b><br />\n" as the last of an unclosed page.
void read_cut_off(std::string_view html, Text& into) {
  html = without_space_at_end(html);
  if (!html.ends_with("</b><br />")) return;
  const std::size_t begin = html.rfind("<br />\n<b>");
  if (begin == std::string_view::npos) return;
  Reading tail(SIZE_MAX);
  Reader(html.substr(begin), tail).read();
  while (tail.text.text.starts_with(' ')) tail.text.text.erase(0, 1);
  into.text = std::move(tail.text.text);
}

// ---- the page's shape ----

// Elements that a site has around what it says, and an error page has not; or that fill a page after it is served.
constexpr std::array<std::string_view, 14> kFurniture{
    "nav",    "article", "aside", "form",   "select", "blockquote", "script",
    "canvas", "video",   "audio", "iframe", "object", "embed",      "frameset"};

bool has_shape(Shape shape, std::string_view html) {
  if (shape == Shape::Any) return true;
  std::size_t links = 0;
  const std::size_t links_max = shape == Shape::Bare ? kBareLinks : kSparseLinks;
  for (std::size_t at = html.find('<'); at != std::string_view::npos; at = html.find('<', at + 1)) {
    if (opens(html, at, "a") && ++links > links_max) return false;
    if (opens(html, at, "nav") || opens(html, at, "form")) return false;
    if (shape == Shape::Bare &&
        std::any_of(kFurniture.begin(), kFurniture.end(),
                    [&](std::string_view name) { return opens(html, at, name); })) {
      return false;
    }
  }
  return true;
}

// ---- clues ----

bool contains(std::string_view text, std::string_view word) {
  return !text.empty() && ::memmem(text.data(), text.size(), word.data(), word.size()) != nullptr;
}

std::size_t count_links(std::string_view html) {
  std::size_t links = 0;
  for (std::size_t at = html.find('<'); at != std::string_view::npos; at = html.find('<', at + 1)) {
    if (opens(html, at, "a")) ++links;
  }
  return links;
}

// "... on line 12", and nothing more but perhaps "stack trace: ...".
bool ends_at_line(std::string_view text) {
  constexpr std::string_view kLine = " on line ";
  std::size_t at = text.find(kLine);
  if (at == std::string_view::npos || text.rfind(kLine) != at) return false;
  text.remove_prefix(at + kLine.size());
  at = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at > 0 && (at == text.size() || text.substr(at).starts_with(" stack trace:"));
}

// The tag at `at` ('<') has no attribute, or one only: what `allowed` names.
bool bare_tag(std::string_view html, std::size_t at, std::string_view name,
              std::string_view allowed) {
  const std::size_t begin = at + 1 + name.size();
  std::string_view rest = html.substr(begin, html.find('>', begin) - begin);
  while (!rest.empty() && (is_space(rest.front()) || rest.front() == '/')) rest.remove_prefix(1);
  return rest.empty() ||
         (!allowed.empty() && stands(rest, 0, allowed) && rest.rfind('=') == allowed.size() - 1);
}

// Only these tags, <html> and <body> among them, and white space between them.
bool is_bare_skeleton(std::string_view html) {
  if (html.starts_with("\xEF\xBB\xBF")) html.remove_prefix(3);
  bool has_html = false;
  bool has_body = false;
  for (std::size_t at = 0; at < html.size();) {
    if (is_space(html[at])) {
      ++at;
      continue;
    }
    if (html[at] != '<') return false;
    const std::size_t slash = html.substr(at + 1, 1) == "/" ? 1 : 0;
    const auto is = [&](std::string_view name, std::string_view allowed) {
      return opens(html, at + slash, name) &&
             bare_tag(html, at + slash, name, slash == 0 ? allowed : "");
    };
    const bool html_tag = is("html", "lang=") || is("html", "xmlns=");
    const bool body_tag = is("body", "");
    if (!html_tag && !body_tag && !is("head", "") && !is("title", "") && !is("meta", "charset=") &&
        !opens(html, at, "!doctype")) {
      return false;
    }
    has_html = has_html || html_tag;
    has_body = has_body || body_tag;
    at = past(html, '>', at);
  }
  return has_html && has_body;
}

std::size_t number(std::string_view digits) {
  std::size_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::size_t>(c - '0');
  return value;
}

// What is looked at: first the beginning, and what may hold of it; then all of it, and what does.
struct Judged {
  const Page& page;
  const Reading& reading;
  const std::string* markup;  // In lower case; null at first.
  bool plain;                 // text/plain.
};

// False: it does not hold. True: it does, or it may, as far as the page was read.
bool may_hold(const Clue& clue, const Judged& judged) {
  const Reading& page = judged.reading;
  const std::string& text = page.text.text;
  const bool sure = judged.markup != nullptr;
  const auto one = [&clue](auto holds) { return any_alternative(clue.what, holds); };
  const auto is = [&](const std::string& place) {
    return one([&](std::string_view what) { return place == what; });
  };
  const auto begins = [&](const std::string& place) {
    return one([&](std::string_view what) { return place.starts_with(what); });
  };
  const auto goes_on = [&] {
    return !page.text.whole && one([&](std::string_view what) { return what.starts_with(text); });
  };
  switch (clue.where) {
    case Where::Unused:
      return true;
    case Where::TitleIs:
      return is(page.title.text);
    case Where::TitleBegins:
      return begins(page.title.text);
    case Where::TitleEnds:
      return one([&](std::string_view what) { return page.title.text.ends_with(what); });
    case Where::NoTitle:
      return page.title.text.empty();
    case Where::HeadingIs:
      return is(page.heading.text);
    case Where::HeadingBegins:
      return begins(page.heading.text);
    case Where::TextIs:
    case Where::PlainIs:
      return page.text.whole ? is(text) : goes_on();
    case Where::TextBegins:
    case Where::PlainBegins:
      return begins(text) || goes_on();
    case Where::CutOffBy:
      return begins(page.cut_off.text);
    case Where::TextHas:
      return !page.text.whole || one([&](std::string_view what) { return contains(text, what); });
    case Where::TextLacks:
      return !sure || !one([&](std::string_view what) { return contains(text, what); });
    case Where::MarkupHas:
      return !sure || one([&](std::string_view what) { return contains(*judged.markup, what); });
    case Where::MarkupLacks:
      return !sure || !one([&](std::string_view what) { return contains(*judged.markup, what); });
    case Where::LinksAtMost:
      return !sure || count_links(judged.page.body) <= number(clue.what);
    case Where::EndsAtLine:
      return !sure || ends_at_line(text);
    case Where::BareSkeleton:
      return is_bare_skeleton(judged.page.body);
    case Where::HomePage:
      return judged.page.home_page && !judged.page.content_type.empty();
  }
  return false;
}

bool may_hold(const ErrorPageRule& rule, const Judged& judged) {
  const Where first = rule.clues[0].where;
  if (judged.plain && first != Where::PlainIs && first != Where::PlainBegins) return false;
  return judged.reading.text.text.size() <= rule.text_max &&
         std::all_of(rule.clues.begin(), rule.clues.end(),
                     [&](const Clue& clue) { return may_hold(clue, judged); }) &&
         (judged.markup == nullptr || has_shape(rule.shape, judged.page.body));
}

// The first rule of the table that holds, or may.
const ErrorPageRule* first_rule(const Judged& judged) {
  const Reading& reading = judged.reading;
  const std::array<std::string_view, kAnchors> places{reading.title.text, reading.title.text,
                                                      reading.heading.text, reading.text.text,
                                                      reading.cut_off.text};
  std::size_t first = error_page_rules().size();
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (const AnchoredRule& candidate : rules_for(static_cast<Anchor>(i), places[i])) {
      if (candidate.rule < first && may_hold(error_page_rules()[candidate.rule], judged))
        first = candidate.rule;
    }
  }
  return first < error_page_rules().size() ? &error_page_rules()[first] : nullptr;
}

// ---- what is looked at ----

enum class Kind : std::uint8_t { Html, Plain, Other };

Kind kind_of(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && is_space(type.back())) type.remove_suffix(1);
  if (type.empty()) return Kind::Html;
  const auto is = [&](std::string_view name) {
    return type.size() == name.size() && stands(type, 0, name);
  };
  if (is("text/html") || is("application/xhtml+xml")) return Kind::Html;
  return is("text/plain") ? Kind::Plain : Kind::Other;
}

// Rules ask for no longer beginnings of texts than this at first; "is" and "begins" are told apart when all of it is read.
constexpr std::size_t kBeginning = 48;
// A longer text/plain body fits no rule.
constexpr std::size_t kPlainMax = 1024;

Reading read(std::string_view body, Kind kind, std::size_t text_most) {
  Reading reading(text_most);
  if (kind == Kind::Html) {
    Reader(body, reading).read();
    read_cut_off(body, reading.cut_off);
  } else {
    for (std::size_t at = 0; at < body.size();) {
      at += put_sign(body, at, &reading.text, nullptr);
    }
    reading.text.trim();
  }
  return reading;
}

std::string lowered(std::string_view body) {
  std::string out(body);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

}  // namespace

std::optional<std::string> recognise_error_page(const Page& page) {
  const Kind kind = kind_of(page.content_type);
  if (kind == Kind::Other || page.body.empty()) return std::nullopt;
  if (kind == Kind::Plain && page.body.size() > kPlainMax) return std::nullopt;
  const bool plain = kind == Kind::Plain;

  // Nearly every page is healthy, and its title, its heading and the first words already show that no rule fits. The whole
  // text, the markup and the shape are read only while a rule may still hold.
  const Reading beginning = read(page.body, kind, kBeginning);
  if (first_rule({page, beginning, nullptr, plain}) == nullptr) return std::nullopt;

  const std::string markup = lowered(page.body);
  const Reading whole = read(page.body, kind, SIZE_MAX);
  const ErrorPageRule* rule = first_rule({page, whole, &markup, plain});
  if (rule == nullptr) return std::nullopt;
  return "the page is " + std::string(rule->shows) + " (rule " + std::string(rule->id) + ")";
}

}  // namespace watchwheel::checker
