// SPDX-License-Identifier: Apache-2.0
#include "checker/error_pages.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <span>

namespace watchwheel::checker {
namespace {

// Where a clue must stand. All texts are compared in lower case, with tags, scripts and runs of white space taken out.
enum class Where : std::uint8_t {
  Unused,
  TitleIs,
  TitleBegins,
  NoTitle,
  HeadingIs,  // The first <h1>, or else the first <h2>.
  HeadingBegins,
  TextIs,  // Everything a visitor reads; the title is not part of it.
  TextBegins,
  TextHas,
};

struct Clue {
  Where where = Where::Unused;
  std::string_view what;
};

// All clues must hold, and the page must not have more text than `text_max` bytes: who explains an error writes more than the
// error itself does.
struct Rule {
  std::string_view shows;
  std::size_t text_max;
  std::array<Clue, 3> clues;
};

using enum Where;
constexpr std::array kRules{
    // Databases.
    Rule{"a WordPress database error",
         300,
         {{{HeadingIs, "error establishing a database connection"}, {TitleIs, "database error"}}}},
    Rule{"a WordPress database error",
         300,
         {{{HeadingIs, "error establishing a database connection"},
           {TitleIs, "error establishing a database connection"}}}},
    Rule{"a WordPress database error",
         300,
         {{{TextBegins, "error establishing a database connection"}, {NoTitle, ""}}}},
    Rule{
        "a WordPress database error",
        300,
        {{{TextBegins, "error establishing a database connection"}, {TitleBegins, "wordpress ›"}}}},
    Rule{"a WordPress database error",
         2500,
         {{{HeadingIs, "error establishing a database connection"},
           {TextHas, "in your wp-config.php file"},
           {TextHas, "are you sure you have the correct"}}}},
    Rule{"a WordPress database error",
         2500,
         {{{TextBegins, "wordpress database error:"}, {NoTitle, ""}}}},
    Rule{"a database connection error",
         200,
         {{{TextBegins, "could not connect to the database"}, {NoTitle, ""}}}},
    Rule{"a database connection error",
         300,
         {{{TextBegins, "database connection error"}, {NoTitle, ""}}}},
    Rule{"a MediaWiki database error",
         800,
         {{{HeadingBegins, "sorry! this site is experiencing technical difficulties"}}}},
    Rule{"a Joomla database error", 600, {{{TextBegins, "error displaying the error page:"}}}},
    // Programs that broke off.
    Rule{"a WordPress critical error",
         400,
         {{{TextBegins, "there has been a critical error on this website"},
           {TitleBegins, "wordpress"}}}},
    Rule{"a WordPress critical error",
         400,
         {{{TextBegins, "there has been a critical error on this website"}, {NoTitle, ""}}}},
    Rule{"a PHP fatal error",
         4000,
         {{{TextBegins, "fatal error:"}, {NoTitle, ""}, {TextHas, " on line "}}}},
    Rule{"a PHP fatal error",
         4000,
         {{{TextBegins, "php fatal error:"}, {NoTitle, ""}, {TextHas, " on line "}}}},
    Rule{"a PHP parse error",
         2000,
         {{{TextBegins, "parse error:"}, {NoTitle, ""}, {TextHas, " on line "}}}},
    Rule{"a Drupal error",
         300,
         {{{TextBegins, "the website encountered an unexpected error."}, {NoTitle, ""}}}},
    Rule{"a Laravel error", 300, {{{TextBegins, "whoops, looks like something went wrong."}}}},
    Rule{"a Rails error",
         400,
         {{{HeadingIs, "we're sorry, but something went wrong."},
           {TitleBegins, "we're sorry, but something went wrong"}}}},
    Rule{"a Magento error report",
         700,
         {{{HeadingIs, "there has been an error processing your request"},
           {TextHas, "error log record number"}}}},
    Rule{"an ASP.NET runtime error",
         3000,
         {{{HeadingIs, "server error in '/' application."}, {TextHas, "runtime error"}}}},
    Rule{"a Django error",
         16384,
         {{{TitleBegins, "operationalerror at /"},
           {TextHas, "django version:"},
           {TextHas, "exception location:"}}}},
    // A server's own error page that came with a good status.
    Rule{"a server's error page: 500",
         700,
         {{{TitleIs, "500 internal server error"}, {HeadingIs, "internal server error"}}}},
    Rule{"a server's error page: 500",
         100,
         {{{TitleIs, "500 internal server error"}, {HeadingIs, "500 internal server error"}}}},
    Rule{"a server's error page: 502",
         100,
         {{{TitleIs, "502 bad gateway"}, {HeadingIs, "502 bad gateway"}}}},
    Rule{"a server's error page: 503",
         120,
         {{{TitleIs, "503 service temporarily unavailable"},
           {HeadingIs, "503 service temporarily unavailable"}}}},
    Rule{"a server's error page: 503",
         400,
         {{{TitleIs, "503 service unavailable"}, {HeadingIs, "service unavailable"}}}},
    Rule{"a server's error page: 504",
         100,
         {{{TitleIs, "504 gateway time-out"}, {HeadingIs, "504 gateway time-out"}}}},
    // Closed for now.
    Rule{"the WordPress maintenance page",
         200,
         {{{TextBegins, "briefly unavailable for scheduled maintenance"}}}},
    Rule{"a maintenance page", 500, {{{TitleIs, "site under maintenance"}}}},
    Rule{"a maintenance page", 500, {{{TitleIs, "under maintenance"}}}},
    Rule{"a maintenance page", 500, {{{TitleIs, "maintenance mode"}}}},
    Rule{"a maintenance page", 300, {{{HeadingIs, "site under maintenance"}, {NoTitle, ""}}}},
    // Closed by the host.
    Rule{"a suspended hosting account", 800, {{{TitleIs, "account suspended"}}}},
    Rule{"a suspended hosting account",
         800,
         {{{HeadingIs, "account suspended"}, {TextHas, "hosting provider"}}}},
    Rule{"a suspended hosting account", 500, {{{TextBegins, "this account has been suspended"}}}},
    Rule{"a suspended site", 500, {{{TitleIs, "website suspended"}}}},
    // Nobody has moved in.
    Rule{"the nginx default page",
         900,
         {{{TitleIs, "welcome to nginx!"},
           {HeadingIs, "welcome to nginx!"},
           {TextHas, "successfully installed"}}}},
    Rule{"the Apache default page",
         5000,
         {{{TitleBegins, "apache2 debian default page"}, {TextHas, "it works!"}}}},
    Rule{"the Apache default page",
         5000,
         {{{TitleBegins, "apache2 ubuntu default page"}, {TextHas, "it works!"}}}},
    Rule{"the Apache default page", 20, {{{TextIs, "it works!"}}}},
    Rule{"the Apache test page", 4000, {{{TitleBegins, "test page for the apache http server"}}}},
    Rule{"the web server's test page", 4000, {{{TitleBegins, "http server test page powered by"}}}},
    Rule{"the IIS default page", 100, {{{TitleIs, "iis windows server"}}}},
    Rule{"the Plesk default page", 2000, {{{TitleIs, "web server's default page"}}}},
    Rule{"the Plesk default page", 2000, {{{TitleIs, "domain default page"}}}},
    Rule{"the cPanel default page", 2500, {{{TitleIs, "default web site page"}}}},
    // A listing may be what a site is for; one without anything in it is not.
    Rule{"an empty directory listing",
         120,
         {{{TitleIs, "index of /"},
           {HeadingIs, "index of /"},
           {TextIs, "index of / name last modified size description"}}}},
    Rule{"an empty directory listing",
         20,
         {{{TitleIs, "index of /"}, {HeadingIs, "index of /"}, {TextIs, "index of / ../"}}}},
    Rule{"an empty directory listing",
         400,
         {{{TitleIs, "index of /"}, {HeadingIs, "index of /"}, {TextHas, "cgi-bin/"}}}},
};

// The longest beginning of a text that a rule asks for, and one byte more, which tells "is" from "begins".
constexpr std::size_t kBeginning = [] {
  std::size_t most = 0;
  for (const Rule& rule : kRules) {
    for (const Clue& clue : rule.clues) {
      if (clue.where == TextIs || clue.where == TextBegins) most = std::max(most, clue.what.size());
    }
  }
  return most + 1;
}();

// ---- the page as a visitor reads it ----
//
// Nearly every page is healthy, and its title, its heading and the first words already show that no rule fits. So only those
// are read at first, and the whole text of a page only while a rule may still hold: reading it all was more than half of the
// user time of a plain check of a 2 KiB page.

struct Reading {
  bool has_title = false;
  std::string title;
  std::string heading;
  std::string text;  // Or how it begins.
  bool text_whole = false;
};

struct Entity {
  std::string_view name;
  std::string_view text;
};
constexpr std::array<Entity, 9> kEntities{{{"&nbsp;", " "},
                                           {"&amp;", "&"},
                                           {"&lt;", "<"},
                                           {"&gt;", ">"},
                                           {"&quot;", "\""},
                                           {"&#39;", "'"},
                                           {"&#039;", "'"},
                                           {"&rsquo;", "'"},
                                           {"&rsaquo;", "›"}}};

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

// Appends one character of text: in lower case, white space as single blanks.
void put(std::string& into, char c) {
  if (is_space(c)) {
    if (!into.empty() && into.back() != ' ') into.push_back(' ');
    return;
  }
  into.push_back(lower(c));
}

// The end of the element `name` whose content begins at `from`: the position of "</name", or the end.
std::size_t element_end(std::string_view html, std::string_view name, std::size_t from) {
  for (std::size_t at = html.find("</", from); at != std::string_view::npos;
       at = html.find("</", at + 1)) {
    if (stands(html, at + 2, name)) return at;
  }
  return html.size();
}

bool opens(std::string_view html, std::size_t at, std::string_view name) {
  if (!stands(html, at + 1, name)) return false;
  const std::size_t after = at + 1 + name.size();
  return after >= html.size() || !is_alnum(html[after]);
}

// Past the markup that begins at `at` ('<'); its unseen content too.
std::size_t skip_markup(std::string_view html, std::size_t at) {
  if (html.substr(at, 4) == "<!--") {
    const std::size_t end = html.find("-->", at + 4);
    return end == std::string_view::npos ? html.size() : end + 3;
  }
  for (const std::string_view unseen : {"script", "style", "title", "template"}) {
    if (!opens(html, at, unseen)) continue;
    at = element_end(html, unseen, at);
    break;
  }
  const std::size_t end = html.find('>', at);
  return end == std::string_view::npos ? html.size() : end + 1;
}

struct Text {
  std::string text;
  bool whole = true;
};

// What a visitor reads of `html`, in lower case; no more than its first `most` bytes, and then without a blank at the end.
Text visible_text(std::string_view html, std::size_t most = SIZE_MAX) {
  Text read;
  std::size_t at = 0;
  while (at < html.size()) {
    if (read.text.size() >= most) {
      read.whole = false;
      break;
    }
    if (html[at] == '<') {
      at = skip_markup(html, at);
      put(read.text, ' ');
      continue;
    }
    const auto entity =
        html[at] == '&' ? std::find_if(kEntities.begin(), kEntities.end(),
                                       [&](const Entity& e) { return stands(html, at, e.name); })
                        : kEntities.end();
    if (entity != kEntities.end()) {
      for (const char c : entity->text) put(read.text, c);
      at += entity->name.size();
    } else {
      put(read.text, html[at]);
      ++at;
    }
  }
  while (!read.text.empty() && read.text.back() == ' ') read.text.pop_back();
  return read;
}

// What stands in the first element `name`; nothing when there is none.
std::optional<std::string> first_element(std::string_view html, std::string_view name) {
  for (std::size_t at = html.find('<'); at != std::string_view::npos; at = html.find('<', at + 1)) {
    if (!opens(html, at, name)) continue;
    const std::size_t begin = html.find('>', at);
    if (begin == std::string_view::npos) return std::nullopt;
    return visible_text(html.substr(begin + 1, element_end(html, name, begin) - begin - 1)).text;
  }
  return std::nullopt;
}

// PHP writes "<b>Fatal error</b>:  Uncaught": without its tags there is a blank before the colon.
void close_up_colons(std::string& text) {
  std::size_t end = 0;
  for (const char c : text) {
    if (c == ':' && end > 0 && text[end - 1] == ' ') --end;
    text[end++] = c;
  }
  text.resize(end);
}

void read_text(std::string_view html, std::size_t most, Reading& into) {
  Text read = visible_text(html, most);
  close_up_colons(read.text);
  into.text = std::move(read.text);
  into.text_whole = read.whole;
}

// Title, heading and the beginning of the text.
Reading read_beginning(std::string_view html) {
  Reading reading;
  if (auto title = first_element(html, "title")) {
    reading.has_title = true;
    reading.title = std::move(*title);
  }
  auto heading = first_element(html, "h1");
  if (!heading) heading = first_element(html, "h2");
  if (heading) reading.heading = std::move(*heading);
  read_text(html, kBeginning, reading);
  return reading;
}

// False: it does not hold. True: it does, or it may, as far as the text was read.
bool may_hold(const Clue& clue, const Reading& page) {
  switch (clue.where) {
    case Unused:
      return true;
    case TitleIs:
      return page.title == clue.what;
    case TitleBegins:
      return page.title.starts_with(clue.what);
    case NoTitle:
      return !page.has_title || page.title.empty();
    case HeadingIs:
      return page.heading == clue.what;
    case HeadingBegins:
      return page.heading.starts_with(clue.what);
    case TextIs:
      return page.text_whole ? page.text == clue.what : clue.what.starts_with(page.text);
    case TextBegins:
      return page.text.starts_with(clue.what) ||
             (!page.text_whole && clue.what.starts_with(page.text));
    case TextHas:
      return !page.text_whole || page.text.find(clue.what) != std::string::npos;
  }
  return false;
}

// The first rule that holds, or may.
const Rule* first_rule(const Reading& page) {
  for (const Rule& rule : kRules) {
    if (page.text.size() > rule.text_max) continue;
    if (std::all_of(rule.clues.begin(), rule.clues.end(),
                    [&](const Clue& clue) { return may_hold(clue, page); })) {
      return &rule;
    }
  }
  return nullptr;
}

bool is_html(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type.empty() || type == "text/html" || type == "application/xhtml+xml";
}

}  // namespace

std::optional<std::string> recognise_error_page(const Page& page) {
  if (page.body.empty() || !is_html(page.content_type)) return std::nullopt;
  Reading reading = read_beginning(page.body);
  const Rule* rule = first_rule(reading);
  if (rule != nullptr && !reading.text_whole) {
    read_text(page.body, SIZE_MAX, reading);
    rule = first_rule(reading);
  }
  if (rule == nullptr) return std::nullopt;
  return "the page is " + std::string(rule->shows);
}

}  // namespace watchwheel::checker
