// SPDX-License-Identifier: Apache-2.0
#include "checker/error_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>

#include "checker/error_page_table.h"

namespace watchwheel::checker {
namespace {

using ::testing::HasSubstr;

std::string seen(std::string_view body, std::string_view type = "text/html; charset=UTF-8") {
  return recognise_error_page({.content_type = type, .body = body}).value_or("");
}

// The pages themselves are in tests/golden/checker/pages; here is how they are read.

TEST(ErrorPages, TheDetailSaysWhatAndByWhichRule) {
  EXPECT_EQ(seen("<title>Database Error</title><h1>Error establishing a database connection</h1>"),
            "the page is a WordPress database error (rule wordpress-db)");
}

TEST(ErrorPages, SmallAndBrokenPagesAreHealthy) {
  const std::vector<std::string> pages{
      "ok",
      "",
      "<html></html>",
      "{\"status\":\"ok\"}",
      "<title></title>",
      "<",
      "<!--",
      "&",
      "&#",
      "&#x",
      "&#99999999;",
      "&#0;",
      "<script>",
      "<h1",
      "<h1>",
      "</",
      "</h1>",
      "\xe2",
      "\xe2\x80",
      "\xc2",
      "\xef\xbb",
      "<title",
      "<br /></b><br />",
      ":",
      "<title>Database Error",
  };
  for (const std::string& page : pages) EXPECT_EQ(seen(page), "") << page;
}

// Goal: texts count where a visitor sees them only.
TEST(ErrorPages, WhatNobodyReadsDoesNotCount) {
  const std::string shop = "<title>Shop</title>";
  const std::string error = "<h1>Error establishing a database connection</h1>";
  EXPECT_NE(seen(error), "");
  for (const char* element : {"script", "style", "template"}) {
    const std::string open = "<" + std::string(element) + ">";
    EXPECT_EQ(seen(open + error + "</" + element + ">Buy"), "") << element;
  }
  EXPECT_EQ(seen("<!-- " + error + " -->Buy"), "");
  EXPECT_EQ(seen("<!-- <title>Account Suspended</title> -->" + shop +
                 "<p>This account has been suspended.</p>"),
            "");
  // The first title is the page's; drawings have titles too.
  EXPECT_EQ(
      seen(shop + "<svg><title>Account Suspended</title></svg>This account has been suspended."),
      "");
}

// Goal: the same words, however they are written. Method: one page in many spellings.
TEST(ErrorPages, SpellingsOfAPageAreOne) {
  for (const char* page : {
           "<h1>Error establishing a database connection</h1>",
           "<H1 CLASS=x>ERROR ESTABLISHING A DATABASE CONNECTION</H1>",
           "<h1>\n\tError  establishing\r\na <b>database</b> connection </h1>",
           "<h1>Error establishing a data<!-- -->base connection</h1>",
           "<h1>Error&nbsp;establishing&#32;a&#xA0;database&#x20;connection</h1>",
           "<h1>&#69;rror establishing a \xC2\xA0 database connection</h1>",
           "\xEF\xBB\xBF<h1>Error establishing a database connection</h1>",
           "<h2>Error establishing a database connection</h2>",
           "<!DOCTYPE html><body><h1>Error establishing a database connection",
       }) {
    EXPECT_THAT(seen(page), HasSubstr("(rule wordpress-db)")) << page;
  }
  for (const char* quote : {"'", "&#039;", "&rsquo;", "&#x2019;", "\xE2\x80\x99"}) {
    const std::string went = "We" + std::string(quote) + "re sorry, but something went wrong";
    EXPECT_THAT(seen("<title>" + went + " (500)</title><h1>" + went + ".</h1>"),
                HasSubstr("rails-error"))
        << quote;
  }
}

// Goal: a heading is the first <h1>, else the first <h2>.
TEST(ErrorPages, TheFirstHeadingCounts) {
  const std::string error = "Error establishing a database connection";
  EXPECT_THAT(seen("<h2>" + error + "</h2><h2>.</h2>"), HasSubstr("wordpress-db"));
  EXPECT_EQ(seen("<h2>" + error + "</h2><h1>News</h1>"), "");
  EXPECT_EQ(seen("<h1>News</h1><h1>" + error + "</h1>"), "");
}

TEST(ErrorPages, AMenuOrManyLinksAreASitesOwn) {
  const std::string page =
      "<title>Account Suspended</title><h1>Account Suspended</h1>"
      "<p>This account has been suspended. Contact your hosting provider for more information.</p>";
  EXPECT_THAT(seen(page + "<a href=1>1</a><a href=2>2</a><a href=3>3</a>"),
              HasSubstr("account-suspended"));
  EXPECT_EQ(seen(page + "<a href=1>1</a><a href=2>2</a><a href=3>3</a><a href=4>4</a>"), "");
  for (const char* element :
       {"nav", "NAV class=x", "form", "article", "aside", "blockquote", "script src=x", "canvas",
        "video", "audio", "iframe", "object", "embed"})
    EXPECT_EQ(seen(page + "<" + std::string(element) + "></nav>"), "") << element;
  EXPECT_NE(seen("<navigator></navigator>" + page), "");
}

TEST(ErrorPages, AnEmptyDocumentIsOneOnTheFrontPageOnly) {
  const auto empty = [](std::string_view body, std::string_view type, bool home_page) {
    return recognise_error_page({.content_type = type, .body = body, .home_page = home_page})
        .has_value();
  };
  for (const char* body :
       {"<html><body></body></html>",
        "<!DOCTYPE html>\n<HTML LANG=en><head><title></title></head><BODY>",
        "\xEF\xBB\xBF<html xmlns=\"http://www.w3.org/1999/xhtml\"><body/></html>",
        "<html><head><meta charset=\"utf-8\" /></head><body > </body></html>"}) {
    EXPECT_TRUE(empty(body, "text/html; charset=utf-8", true)) << body;
    EXPECT_FALSE(empty(body, "text/html", false)) << body;
    EXPECT_FALSE(empty(body, "", true)) << body;
    EXPECT_FALSE(empty(body, "text/plain", true)) << body;
    EXPECT_FALSE(empty(body, "application/json", true)) << body;
  }
  for (const char* body : {"", "\n", " \r\n", "<!-- alive -->", "<html></html>", "<body></body>",
                           "<!doctype html>", "<title></title>", "."}) {
    EXPECT_FALSE(empty(body, "text/html", true)) << body;
  }
  const auto in_head = [](const std::string& head) {
    return "<html>" + head + "<body></body></html>";
  };
  for (const char* head :
       {"<script src=x></script>", "<meta http-equiv=refresh>", "<meta name=go-import content=x>",
        "<meta charset=utf-8 name=x>", "<title>x</title>", "<style></style>", "<!-- x -->", "."}) {
    EXPECT_FALSE(empty(in_head(head), "text/html", true)) << head;
  }
  for (const char* attribute : {"class=x", "id=x", "style=x", "background=x", "onload=x", "lang=x"})
    EXPECT_FALSE(
        empty("<html><body " + std::string(attribute) + "></body></html>", "text/html", true));
  for (const char* attribute : {"class=x", "lang=en class=x", "manifest=x"})
    EXPECT_FALSE(
        empty("<html " + std::string(attribute) + "><body></body></html>", "text/html", true));
  for (const char* body :
       {"<img src=x>", "<div id=root></div>", "<audio src=x></audio>", "<x-y></x-y>"})
    EXPECT_FALSE(empty("<html><body>" + std::string(body) + "</body></html>", "text/html", true));
}

// Goal: comments end where browsers end them.
TEST(ErrorPages, CommentsEndAsInBrowsers) {
  const std::string error = "<h1>Error establishing a database connection</h1>";
  for (const char* comment :
       {"<!-->", "<!--->", "<!---->", "<!-- x -->", "<!-- x --!>", "<!-- > -- - --->"})
    EXPECT_THAT(seen(comment + error), HasSubstr("wordpress-db")) << comment;
  for (const char* comment : {"<!--", "<!-- x", "<!--!>", "<!-- x -- >", "<!-- x ->"})
    EXPECT_EQ(seen(comment + error), "") << comment;
}

// Goal: PHP's last words are an error only where the page ends with them.
TEST(ErrorPages, APageCutOffByPhp) {
  const std::string page = "<title>Shop</title><nav></nav><h1>Tea</h1><p>Fresh</p>";
  const std::string fatal =
      "<br />\n<b>Fatal error</b>:  Uncaught Error in <b>/srv/x.php</b> on line <b>3</b><br />\n";
  EXPECT_THAT(seen(page + fatal), HasSubstr("(rule php-fatal)"));
  EXPECT_EQ(seen(page + fatal + "<p>More</p>"), "");
  EXPECT_EQ(seen(page + fatal + "</body></html>"), "");
  EXPECT_EQ(seen(page + "</body>" + fatal), "");
  EXPECT_EQ(seen(page + fatal +
                 "<br />\n<b>Notice</b>:  x in <b>/srv/x.php</b> on line <b>3</b><br />\n"),
            "");
}

TEST(ErrorPages, TextBodiesAreLookedAtByTheRulesForPlainText) {
  EXPECT_THAT(seen("no healthy upstream\n", "text/plain; charset=utf-8"), HasSubstr("envoy-error"));
  EXPECT_THAT(seen("NO HEALTHY UPSTREAM", "TEXT/PLAIN"), HasSubstr("envoy-error"));
  EXPECT_EQ(seen("no healthy upstream", "application/json"), "");
  EXPECT_EQ(seen("there is no healthy upstream", "text/plain"), "");
  // Tags are text there.
  EXPECT_EQ(seen("<p>no healthy upstream</p>", "text/plain"), "");
  // A log or a manual.
  EXPECT_EQ(seen("Fatal error: x in /srv/x.php on line 3", "text/plain"), "");
  EXPECT_EQ(seen("no healthy upstream" + std::string(2000, ' '), "text/plain"), "");
}

// Goal: what stands beyond the beginning of a text counts as much. Method: pages whose beginning fits a rule, decided by what
// follows.
TEST(ErrorPages, ABeginningThatFitsIsReadToItsEnd) {
  const std::string more(600, 'x');
  const std::string where = " in /srv/x.php on line 3";
  EXPECT_THAT(seen("<b>Fatal error</b>: " + more + where), HasSubstr("PHP fatal error"));
  EXPECT_EQ(seen("<b>Fatal error</b>: " + more + " in /srv/x.php at line 3"), "");
  EXPECT_EQ(seen("<b>Fatal error</b>: " + more + where + " again"), "");
  EXPECT_EQ(seen("<b>Fatal error</b>: " + more + where + where), "");
  EXPECT_EQ(seen("<b>Fatal error</b>: " + std::string(4000, 'x') + where), "");
  EXPECT_THAT(seen("<h1>It works!</h1>" + std::string(500, ' ')), HasSubstr("Apache default page"));
  EXPECT_EQ(seen("<h1>It works!</h1>" + std::string(500, ' ') + "."), "");
  EXPECT_THAT(seen("<style>" + more + "</style>" + "<h1>It works!"),
              HasSubstr("Apache default page"));
}

// Goal: blanks before colons do not hide a clue, wherever reading stops for the first time. Method: shift them through it.
TEST(ErrorPages, BlanksBeforeColonsAreClosedUpEverywhere) {
  for (std::size_t blanks = 0; blanks < 200; ++blanks) {
    const std::string gap(blanks, ' ');
    EXPECT_THAT(
        seen(gap + "PHP Fatal error" + gap + ": no memory" + gap + ": in /x.php on line 12"),
        HasSubstr("PHP fatal error"))
        << blanks;
  }
}

TEST(ErrorPages, CaseDoesNotMatter) {
  EXPECT_THAT(
      seen("<HTML><TITLE>Under MAINTENANCE</TiTle><STYLE>a{}</StyLe><P>We will be Back&NBSP;soon"),
      HasSubstr("maintenance page"));
}

TEST(ErrorPages, OnlyPagesForPeopleAreLookedAt) {
  const std::string page = "<html><body><h1>It works!</h1></body></html>";
  EXPECT_NE(seen(page, ""), "");
  EXPECT_NE(seen(page, "TEXT/HTML"), "");
  EXPECT_NE(seen(page, "application/xhtml+xml ; charset=x"), "");
  EXPECT_EQ(seen(page, "text/plain"), "");
  EXPECT_EQ(seen(page, "application/json"), "");
}

// ---- the table ----

// Goal: what the engine takes for granted of the table. Method: read it.
TEST(ErrorPageTable, IsWellFormed) {
  std::set<std::string_view> ids;
  std::string_view last;
  for (const ErrorPageRule& rule : error_page_rules()) {
    ids.insert(rule.id);
    last = rule.id;
    EXPECT_FALSE(rule.id.empty());
    EXPECT_EQ(rule.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"),
              std::string_view::npos)
        << rule.id;
    EXPECT_TRUE(rule.shows.starts_with("a ") || rule.shows.starts_with("an ") ||
                rule.shows.starts_with("the "))
        << rule.shows;
    // A rule with one clue only needs one that says it all.
    const bool alone = rule.clues[1].where == Where::Unused;
    EXPECT_TRUE(!alone || rule.clues[0].what.size() >= 16U) << rule.id;
    if (rule.id == "empty-document") continue;  // Its clues ask for no words.
    for (const Clue& clue : rule.clues) {
      EXPECT_EQ(clue.what.empty(), clue.where == Where::Unused || clue.where == Where::NoTitle ||
                                       clue.where == Where::EndsAtLine)
          << rule.id;
    }
  }
  EXPECT_GE(ids.size(), 130U);
  EXPECT_EQ(last, "empty-document");
}

// Goal: every rule is found by the texts its first clue asks for, and by no text that begins otherwise.
TEST(ErrorPageTable, FindsEveryRuleByItsFirstClue) {
  const std::span<const ErrorPageRule> rules = error_page_rules();
  const auto anchor = [](Where where) {
    switch (where) {
      case Where::TitleIs:
      case Where::TitleBegins:
        return Anchor::Title;
      case Where::TitleEnds:
        return Anchor::TitleEnd;
      case Where::HeadingIs:
      case Where::HeadingBegins:
        return Anchor::Heading;
      case Where::CutOffBy:
        return Anchor::CutOff;
      default:
        return Anchor::Text;
    }
  };
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Clue& first = rules[i].clues[0];
    any_alternative(first.what, [&](std::string_view what) {
      const auto found = rules_for(anchor(first.where), what);
      EXPECT_TRUE(std::any_of(found.begin(), found.end(),
                              [&](const AnchoredRule& one) { return one.rule == i; }))
          << rules[i].id << ": " << what;
      return false;
    });
  }
  for (const Anchor where : {Anchor::Title, Anchor::TitleEnd, Anchor::Heading, Anchor::CutOff}) {
    EXPECT_TRUE(rules_for(where, "").empty());
    EXPECT_TRUE(rules_for(where, "zzzz").empty());
  }
  EXPECT_EQ(rules_for(Anchor::Text, "").size(), 1U);  // Of an empty document.
}

}  // namespace
}  // namespace watchwheel::checker
