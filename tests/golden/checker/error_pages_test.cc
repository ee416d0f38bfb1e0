// SPDX-License-Identifier: Apache-2.0
// What the rules say of the pages in pages/. All count as a site's front page, where every rule may hold.
#include "checker/error_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checker/body_scan.h"
#include "checker/error_page_table.h"
#include "corpus.h"

namespace watchwheel::checker {
namespace {

// The id of the rule that recognises it; "" when none does.
std::string rule_of(const std::string& type, const std::string& body) {
  const auto page = recognise_error_page({.content_type = type, .body = body, .home_page = true});
  if (!page) return "";
  const std::size_t at = page->rfind("(rule ");
  return at == std::string::npos ? "?" : page->substr(at + 6, page->size() - at - 7);
}

std::set<std::string> rule_ids() {
  std::set<std::string> ids;
  for (const ErrorPageRule& rule : error_page_rules()) ids.emplace(rule.id);
  return ids;
}

// ---- mutations: the same page to a visitor ----

std::string upper(std::string body) {
  std::transform(body.begin(), body.end(), body.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return body;
}

std::string lowered(std::string body) {
  std::transform(body.begin(), body.end(), body.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return body;
}

// Applies `change` to each character outside of tags, entities and the elements `raw`, where it would be something else.
template <typename Change>
std::string outside_tags(const std::string& body, const std::vector<std::string>& raw,
                         Change change) {
  const std::string low = lowered(body);
  // Past the `sign` that follows `from`, or the end.
  const auto past = [&low](const std::string& sign, std::size_t from) {
    const std::size_t at = low.find(sign, from);
    return at == std::string::npos ? low.size() : at + sign.size();
  };
  std::string out;
  for (std::size_t i = 0; i < body.size();) {
    std::size_t end = i;
    if (low.compare(i, 4, "<!--") == 0) {
      end = std::min(past("-->", i), past("--!>", i));
    } else if (low[i] == '<') {
      end = past(">", i);
      for (const std::string& element : raw) {
        if (low.compare(i + 1, element.size(), element) == 0)
          end = past(">", past("</" + element, i));
      }
    } else if (low[i] == '&' && past(";", i) < i + 10) {
      end = past(";", i);
    }
    out += end == i ? change(body[i]) : body.substr(i, end - i);
    i = std::max(end, i + 1);
  }
  return out;
}

std::string with_entities(const std::string& body) {
  return outside_tags(body, {"script", "style"}, [](char c) -> std::string {
    if (c == 'e') return "&#101;";
    if (c == 'a') return "&#x61;";
    if (c == '\'') return "&rsquo;";
    return {c};
  });
}

std::string with_comments(const std::string& body) {
  return outside_tags(body, {"script", "style", "title"}, [](char c) -> std::string {
    if (c == ' ') return " <!-- a comment > with a sign -->";
    return {c};
  });
}

std::string with_nested_tags(const std::string& body) {
  return outside_tags(body, {"script", "style", "title"}, [](char c) -> std::string {
    if (c == ' ') return " <span><b><i></i></b></span> ";
    return {c};
  });
}

// A rule of the page asks for markup that `changed` has no more: nobody promised that it holds.
bool lost_its_markup(const CorpusFile& file, const std::string& changed) {
  if (file.name.find("--cut-off") != std::string::npos)
    return true;                                     // PHP's own bytes count there.
  if (file.rule() == "empty-document") return true;  // Nothing may be added to it.
  const std::string before = lowered(file.body);
  const std::string after = lowered(changed);
  for (const ErrorPageRule& rule : error_page_rules()) {
    if (rule.id != file.rule()) continue;
    for (const Clue& clue : rule.clues) {
      if (clue.where != Where::MarkupHas) continue;
      const auto in = [&](const std::string& markup) {
        return any_alternative(clue.what, [&](std::string_view what) {
          return markup.find(what) != std::string::npos;
        });
      };
      if (in(before) && !in(after)) return true;
    }
  }
  return false;
}

// ---- the corpus ----

TEST(ErrorPageCorpus, EveryErrorPageIsRecognisedByItsRule) {
  for (const CorpusFile& file : error_pages())
    EXPECT_EQ(rule_of(file.type, file.body), file.rule()) << file.name;
}

TEST(ErrorPageCorpus, EveryHealthyPageIsHealthy) {
  for (const CorpusFile& file : healthy_pages())
    EXPECT_EQ(rule_of(file.type, file.body), "") << file.name;
}

TEST(ErrorPageCorpus, EveryRuleHasAPage) {
  std::map<std::string, int> pages;
  for (const CorpusFile& file : error_pages()) ++pages[file.rule()];
  for (const std::string& id : rule_ids()) EXPECT_GE(pages[id], 1) << "of the rule " << id;
  for (const char* id : {"wordpress-db",    "wordpress-critical", "wordpress-maintenance",
                         "wordpress-setup", "php-fatal",          "php-memory",
                         "php-parse",       "mysql-connect",      "sqlstate",
                         "db-connection",   "drupal-error",       "joomla-db",
                         "laravel-error",   "rails-error",        "django-debug",
                         "aspnet-error",    "spring-whitelabel",  "tomcat-error",
                         "nextjs-error",    "nginx-default",      "apache-default",
                         "apache-test",     "iis-default",        "account-suspended",
                         "domain-expired",  "maintenance-mode",   "server-500",
                         "server-502",      "server-503",         "server-504",
                         "iis-error",       "haproxy-error",      "varnish-error",
                         "envoy-error",     "plain-error",        "cloudflare-origin",
                         "directory-empty", "directory-program",  "ransom-note",
                         "defacement",      "empty-document"}) {
    EXPECT_GE(pages[id], 3) << "of the rule " << id;
  }
}

TEST(ErrorPageCorpus, TheHealthyPagesAreHard) {
  EXPECT_GE(healthy_pages().size(), 120U);
  EXPECT_GE(error_pages().size(), 250U);
  // A rule that only looked for its phrase would call this many of them down.
  std::size_t named = 0;
  for (const CorpusFile& file : healthy_pages()) {
    const std::string body = lowered(file.body);
    for (const ErrorPageRule& rule : error_page_rules()) {
      const bool found = any_alternative(rule.clues[0].what, [&](std::string_view what) {
        return what.size() > 7 && body.find(what) != std::string::npos;
      });
      if (found) {
        ++named;
        break;
      }
    }
  }
  EXPECT_GE(named, 120U);
}

TEST(ErrorPageCorpus, HealthyPagesStayHealthyHoweverTheyAreWritten) {
  for (const CorpusFile& file : healthy_pages()) {
    EXPECT_EQ(rule_of(file.type, upper(file.body)), "") << file.name << " in capitals";
    EXPECT_EQ(rule_of(file.type, with_entities(file.body)), "") << file.name << " with entities";
    EXPECT_EQ(rule_of(file.type, with_comments(file.body)), "") << file.name << " with comments";
    EXPECT_EQ(rule_of(file.type, with_nested_tags(file.body)), "") << file.name << " with tags";
  }
}

// What a server writes is in one form, but a proxy may rewrite it.
TEST(ErrorPageCorpus, ErrorPagesAreRecognisedInCapitals) {
  for (const CorpusFile& file : error_pages()) {
    if (file.name.find("--cut-off") != std::string::npos) continue;  // PHP's own bytes count there.
    EXPECT_EQ(rule_of(file.type, upper(file.body)), file.rule()) << file.name;
  }
}

// Goal: a rule sees what a visitor sees. Method: error pages in other markup, but for those that lose a clue of their markup.
TEST(ErrorPageCorpus, ErrorPagesAreRecognisedHoweverTheyAreWritten) {
  std::size_t changed_pages = 0;
  for (const CorpusFile& file : error_pages()) {
    if (file.type != "text/html; charset=utf-8") continue;
    for (const auto& change : {with_entities, with_comments, with_nested_tags}) {
      const std::string changed = change(file.body);
      if (lost_its_markup(file, changed)) continue;
      EXPECT_EQ(rule_of(file.type, changed), file.rule()) << file.name << ":\n" << changed;
      ++changed_pages;
    }
  }
  EXPECT_GE(changed_pages, 800U);
}

// A page that broke off anywhere is healthy or, now that it is shorter, an error page; it is never a crash.
TEST(ErrorPageCorpus, PagesCutAnywhereAreRead) {
  for (const CorpusFile& file : error_pages()) {
    for (std::size_t cut = 0; cut < file.body.size(); cut += 1 + file.body.size() / 64) {
      const std::string rule = rule_of(file.type, file.body.substr(0, cut));
      EXPECT_TRUE(rule.empty() || rule_ids().contains(rule)) << rule;
    }
  }
}

// Goal: who quotes an error page is healthy. Method: each error page inside an article with a menu, as text and as markup.
TEST(ErrorPageCorpus, AnErrorPageQuotedInAnArticleIsHealthy) {
  const std::string words = [] {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "Then we looked at it again. ";
    return text;
  }();
  const std::string before =
      "<!DOCTYPE html><html><head><title>What we learned on Monday</title></head><body><nav>"
      "<a href=/>Home</a> <a href=/a>Articles</a> <a href=/b>About us</a> <a href=/c>Contact</a> "
      "<a href=/d>Search</a></nav><article><h1>What we learned on Monday</h1><p>" +
      words + "</p>";
  const std::string after = "<p>" + words + "</p></article></body></html>";
  for (const CorpusFile& file : error_pages()) {
    std::string escaped;
    for (const char c : file.body) {
      if (c == '<') {
        escaped += "&lt;";
      } else if (c == '&') {
        escaped += "&amp;";
      } else {
        escaped += c;
      }
    }
    EXPECT_EQ(rule_of("text/html", before + "<pre>" + escaped + "</pre>" + after), "") << file.name;
    EXPECT_EQ(rule_of("text/html", before + "<blockquote>" + file.body + "</blockquote>" + after),
              "")
        << file.name;
    EXPECT_EQ(rule_of("text/html", before + file.body + after), "") << file.name;
  }
}

// Goal: a page that a site wraps in its own menu and footer is the site's page.
TEST(ErrorPageCorpus, TheSamePhraseInASiteWithAMenuIsHealthy) {
  const std::string menu =
      "<nav><a href=/>Home</a> <a href=/a>News</a> <a href=/b>Shop</a> <a href=/c>Help</a></nav>";
  for (const CorpusFile& file : error_pages()) {
    const std::size_t body = file.body.find("<body");
    if (body == std::string::npos) continue;
    const std::size_t begin = file.body.find('>', body) + 1;
    const std::string wrapped = file.body.substr(0, begin) + menu + file.body.substr(begin);
    const std::string rule = rule_of(file.type, wrapped);
    if (rule.empty()) continue;
    // These are unmistakable with a menu too.
    const auto form = std::find_if(
        error_page_rules().begin(), error_page_rules().end(),
        [&](const ErrorPageRule& one) { return one.id == rule && one.shape == Shape::Any; });
    EXPECT_NE(form, error_page_rules().end()) << file.name << " by " << rule;
  }
}

// The page reaches the rules as a whole, whatever pieces it came in.
TEST(ErrorPageCorpus, PiecesDoNotMatter) {
  BodyRules rules;
  rules.keep_page = true;
  for (const std::size_t piece : {1U, 7U, 100U, 1460U}) {
    for (const std::vector<CorpusFile>* files : {&error_pages(), &healthy_pages()}) {
      for (const CorpusFile& file : *files) {
        BodyScan scan(rules);
        for (std::size_t at = 0; at < file.body.size(); at += piece)
          scan.feed(std::string_view(file.body).substr(at, piece));
        ASSERT_TRUE(scan.page()) << file.name;
        EXPECT_EQ(rule_of(file.type, std::string(*scan.page())), rule_of(file.type, file.body))
            << file.name;
      }
    }
  }
}

TEST(ErrorPageReference, NamesEveryRuleAndNoOther) {
  std::ifstream in(std::string(WATCHWHEEL_SOURCE_DIR) + "/docs/reference/error-pages.md");
  std::set<std::string> named;
  for (std::string line; std::getline(in, line);) {
    // "| `wordpress-db` | a WordPress database error | ..."
    if (!line.starts_with("| `")) continue;
    const std::size_t end = line.find('`', 3);
    ASSERT_NE(end, std::string::npos) << line;
    EXPECT_TRUE(named.insert(line.substr(3, end - 3)).second) << line;
  }
  EXPECT_EQ(named, rule_ids());
}

}  // namespace
}  // namespace watchwheel::checker
