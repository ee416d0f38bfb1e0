// SPDX-License-Identifier: Apache-2.0
#include "checker/error_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

using ::testing::HasSubstr;

std::string seen(std::string_view body, std::string_view type = "text/html; charset=UTF-8") {
  return recognise_error_page({.content_type = type, .body = body}).value_or("");
}

struct Example {
  const char* shows;
  const char* body;
};

TEST(ErrorPages, RealOnesAreRecognised) {
  const std::vector<Example> examples{
      {"WordPress database error",
       "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head>\n<meta charset=\"utf-8\"><title>Database "
       "Error</title>\n</head>\n<body>\n"
       "<h1>Error establishing a database connection</h1>\n</body>\n</html>"},
      {"WordPress database error",
       "<!DOCTYPE html><html><head><title>WordPress &rsaquo; "
       "Error</title><style>body{x:y}</style></head><body id=\"error-page\">"
       "<div class=\"wp-die-message\"><h1>Error establishing a database "
       "connection</h1></div></body></html>"},
      {"WordPress database error",
       "<html><head><title>WordPress &rsaquo; Error</title></head><body><h1>Error establishing a "
       "database connection</h1>"
       "<p>This either means that the username and password information in your "
       "<code>wp-config.php</code> file is incorrect or "
       "that contact with the database server at <code>localhost</code> could not be established. "
       "This could mean your host&rsquo;s "
       "database server is down.</p><ul><li>Are you sure you have the correct username and "
       "password?</li></ul></body></html>"},
      {"WordPress critical error",
       "<html><head><title>WordPress &rsaquo; Error</title></head><body><div "
       "class=\"wp-die-message\"><p>There has been a critical "
       "error on this website.</p><p><a href=\"https://wordpress.org/documentation/\">Learn more "
       "about troubleshooting "
       "WordPress.</a></p></div></body></html>"},
      {"WordPress maintenance page",
       "<html><head><title>Maintenance</title></head><body><h1>Briefly unavailable for scheduled "
       "maintenance. Check back in a "
       "minute.</h1></body></html>"},
      {"PHP fatal error",
       "<br />\n<b>Fatal error</b>:  Uncaught Error: Call to undefined function mysql_connect() in "
       "/var/www/index.php:3\nStack "
       "trace:\n#0 {main}\n  thrown in <b>/var/www/index.php</b> on line <b>3</b><br />\n"},
      {"PHP parse error",
       "<br />\n<b>Parse error</b>:  syntax error, unexpected '}' in <b>/var/www/index.php</b> on "
       "line <b>9</b><br />"},
      {"PHP fatal error",
       "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted in /srv/x.php on line "
       "12"},
      {"nginx default page",
       "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n<style>html { "
       "color-scheme: light dark; }</style>\n</head>\n"
       "<body>\n<h1>Welcome to nginx!</h1>\n<p>If you see this page, the nginx web server is "
       "successfully installed and\nworking. "
       "Further configuration is required.</p></body></html>"},
      {"Apache default page", "<html><body><h1>It works!</h1></body></html>"},
      {"suspended hosting account",
       "<html><head><title>Account Suspended</title></head><body><h1>Account Suspended</h1><p>This "
       "Account has been suspended. "
       "Contact your hosting provider for more information.</p></body></html>"},
      {"server's error page: 502",
       "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
       "Gateway</h1></center>\r\n"
       "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>"},
      {"server's error page: 500",
       "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\"><html><head><title>500 Internal Server "
       "Error</title></head><body>"
       "<h1>Internal Server Error</h1><p>The server encountered an internal error or "
       "misconfiguration and was unable to complete "
       "your request.</p><p>Please contact the server administrator.</p></body></html>"},
      {"maintenance page",
       "<html><head><title>Site under maintenance</title></head><body><p>We will be back "
       "soon.</p></body></html>"},
      {"empty directory listing",
       "<html><head><title>Index of /</title></head><body><h1>Index of /</h1><hr><pre><a "
       "href=\"../\">../</a>\n</pre><hr></body></html>"},
      {"empty directory listing",
       "<html><head><title>Index of /</title></head><body><h1>Index of /</h1><ul><li><a "
       "href=\"cgi-bin/\"> cgi-bin/</a></li></ul>"
       "</body></html>"},
      {"Laravel error",
       "<html><head><title>Whoops</title></head><body><div>Whoops, looks like something went "
       "wrong.</div></body></html>"},
      {"ASP.NET runtime error",
       "<html><head><title>Runtime Error</title></head><body><span><H1>Server Error in '/' "
       "Application.<hr></H1><h2><i>Runtime "
       "Error</i></h2></span></body></html>"},
  };
  for (const Example& example : examples)
    EXPECT_THAT(seen(example.body), HasSubstr(example.shows)) << example.body;
}

// Healthy pages that hold the very same phrases. One of these called down costs more than all of the above missed.
TEST(ErrorPages, LookAlikesAreHealthy) {
  const std::string filler(1500, 'x');
  const std::vector<std::string> pages{
      // Articles and tutorials, with the phrase as their title or heading.
      "<html><head><title>How to fix \"Error establishing a database "
      "connection\"</title></head><body><h1>Error establishing a "
      "database connection</h1><p>In this tutorial we show what to do.</p></body></html>",
      "<html><head><title>Error establishing a database connection - Help "
      "center</title></head><body><h1>Error establishing a "
      "database connection</h1><p>Look into wp-config.php.</p></body></html>",
      "<html><head><title>Blog</title></head><body><nav>Home About</nav><h2>There has been a "
      "critical error on this website: what "
      "now?</h2><p>Ask your host.</p></body></html>",
      "<html><head><title>Fatal error: the novel</title></head><body>Fatal error: a story that "
      "ends on line 12.</body></html>",
      "<html><body><h1>PHP errors</h1><pre>Fatal error: Uncaught Error in index.php on line "
      "3</pre></body></html>",
      "<html><head><title>Welcome to nginx!</title></head><body><h1>Our nginx course</h1><p>nginx "
      "is successfully installed when "
      "you see this.</p></body></html>",
      "<html><head><title>502 Bad Gateway - what it means</title></head><body><h1>502 Bad "
      "Gateway</h1><p>Short.</p></body></html>",
      "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><p>" +
          filler + "</p></body></html>",
      "<html><head><title>Account suspended</title></head><body><h1>Account suspended</h1><p>" +
          filler + "</p></body></html>",
      "<html><head><title>Forum: my account has been suspended</title></head><body>This is about "
      "an account suspended.</body></html>",
      // A listing is what a mirror is for.
      "<html><head><title>Index of /</title></head><body><h1>Index of /</h1><pre><a "
      "href=\"debian/\">debian/</a> <a "
      "href=\"ubuntu/\">ubuntu/</a></pre></body></html>",
      "<html><head><title>Index of /pub</title></head><body><h1>Index of /pub</h1><pre><a "
      "href=\"../\">../</a></pre></body></html>",
      // Phrases in places that nobody reads.
      "<html><head><title>Shop</title><script>var t='Fatal error: x on line "
      "3';</script></head><body>Buy</body></html>",
      "<html><head><title>Shop</title></head><body><!-- Error establishing a database connection "
      "--><p>Buy</p></body></html>",
      "<html><head><title>Maintenance contracts</title></head><body><h1>Maintenance</h1><p>We "
      "maintain your house.</p></body></html>",
      // Small and ordinary.
      "ok",
      "",
      "<html></html>",
      "It works! We moved to our new server.",
      "{\"status\":\"ok\"}",
      "<title></title>",
      "<",
      "<!--",
      "&",
      "<script>",
      "<h1",
      "<title>Database Error",
  };
  for (const std::string& page : pages) EXPECT_EQ(seen(page), "") << page;
}

// Goal: what stands beyond the beginning of a text counts as much. Method: pages whose beginning fits a rule, decided by what
// follows.
TEST(ErrorPages, ABeginningThatFitsIsReadToItsEnd) {
  const std::string more(600, 'x');
  EXPECT_THAT(seen("<b>Fatal error</b>: " + more + " on line 3"), HasSubstr("PHP fatal error"));
  EXPECT_EQ(seen("<b>Fatal error</b>: " + more + " at line 3"), "");
  EXPECT_EQ(seen("<b>Fatal error</b>: " + std::string(4000, 'x') + " on line 3"), "");
  EXPECT_THAT(seen("<h1>It works!</h1>" + std::string(500, ' ')), HasSubstr("Apache default page"));
  EXPECT_EQ(seen("<h1>It works!</h1>" + std::string(500, ' ') + "."), "");
  EXPECT_THAT(seen("<style>" + more + "</style>" + "<p>It works!"),
              HasSubstr("Apache default page"));
}

// Goal: blanks before colons do not hide a clue, wherever reading stops for the first time. Method: shift them through it.
TEST(ErrorPages, BlanksBeforeColonsAreClosedUpEverywhere) {
  for (std::size_t blanks = 0; blanks < 200; ++blanks) {
    const std::string gap(blanks, ' ');
    EXPECT_THAT(seen(gap + "PHP Fatal error" + gap + ": no memory in x" + gap + ": on line 12"),
                HasSubstr("PHP fatal error"))
        << blanks;
  }
}

TEST(ErrorPages, CaseDoesNotMatter) {
  EXPECT_THAT(seen("<HTML><TITLE>Under MAINTENANCE</TiTle><STYLE>a{}</StyLe><P>Back&NBSP;soon"),
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

}  // namespace
}  // namespace watchwheel::checker
