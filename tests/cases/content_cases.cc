// SPDX-License-Identifier: Apache-2.0
// What a healthy transfer brought: texts, expressions, JSON, header lines, sizes, error pages, each wrong and right.
#include <cstdio>
#include <string>
#include <utility>

#include "cases/check_case.h"
#include "support/fault_server.h"
#include "support/gzip.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using namespace std::chrono_literals;

constexpr const char* kHtml = "Content-Type: text/html\r\n";
constexpr const char* kJson = "Content-Type: application/json\r\n";

std::string type(const std::string& value) {
  return "Content-Type: " + value + "\r\n";
}

// Each piece in a chunk and a packet of its own.
Script in_chunks(const std::vector<std::string>& pieces, const std::string& headers = kHtml) {
  Script script{send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + headers + "\r\n")};
  for (const std::string& piece : pieces) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    script.push_back(send(size + piece + "\r\n"));
    script.push_back(pause(5ms));
  }
  script.push_back(send("0\r\n\r\n"));
  return script;
}

Script gzipped(const std::string& body, const std::string& headers = kHtml) {
  return ok(gzip(body), headers + "Content-Encoding: gzip\r\n");
}

std::string utf16(std::string_view ascii, bool big, bool mark) {
  std::string out = mark ? big ? "\xfe\xff" : "\xff\xfe" : "";
  for (const char c : ascii) {
    out += big ? std::string(1, '\0') + c : std::string(1, c) + '\0';
  }
  return out;
}

class ContentCases : public CaseArea {
 public:
  ContentCases() {
    texts();
    texts_without_case();
    characters();
    expressions();
    long_texts();
    json();
    headers();
    sizes();
    error_pages();
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override { return cases_; }

 private:
  void add(const std::string& name, Script script, core::SiteOptions options,
           Cause cause = Cause::Ok, std::string detail = "", Phase phase = Phase::Content) {
    const std::string path = "/" + name;
    server_.on(path, std::move(script));
    cases_.push_back({.name = "content/" + name,
                      .url = server_.url(path),
                      .options = on_loopback(std::move(options)),
                      .cause = cause,
                      .phase = cause == Cause::Ok ? Phase::Done : phase,
                      .detail = std::move(detail),
                      .http_status = 200});
  }

  void texts() {
    const std::string page = "<p>Welcome to the shop</p>";
    add("text_there", ok(page), {{"keyword", "Welcome"}});
    add("text_gone", ok(page), {{"keyword", "Goodbye"}}, Cause::KeywordMissing,
        "the text \"Goodbye\" is not in the body of 26 bytes");
    add("text_in_other_case", ok(page), {{"keyword", "WELCOME"}}, Cause::KeywordMissing,
        "\"WELCOME\"");
    add("text_several_there", ok(page), {{"keyword", "Welcome\nto the\nshop"}});
    add("text_one_of_several_gone", ok(page), {{"keyword", "Welcome\nbasket\nshop"}},
        Cause::KeywordMissing, "the text \"basket\"");
    add("text_across_chunks", in_chunks({"<p>Wel", "co", "me</p>"}), {{"keyword", "Welcome"}});
    add("text_across_chunks_broken", in_chunks({"<p>Wel", "c-o", "me</p>"}),
        {{"keyword", "Welcome"}}, Cause::KeywordMissing, "\"Welcome\"");
    add("text_byte_by_byte",
        {send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"), drip("aaaaaab", 2ms)},
        {{"keyword", "aaab"}});
    add("text_in_gzip", gzipped(page), {{"keyword", "Welcome"}});
    add("text_gone_in_gzip", gzipped(page), {{"keyword", "Goodbye"}}, Cause::KeywordMissing,
        "the body of 26 bytes");
    add("text_in_empty_body", ok(""), {{"keyword", "Welcome"}}, Cause::KeywordMissing,
        "the body of 0 bytes");
    add("text_in_markup", ok("<a title=\"Welcome\">"), {{"keyword", "title=\"Welcome\""}});
    add("text_entities_stay", ok("<p>Fish &amp; chips</p>"), {{"keyword", "Fish & chips"}},
        Cause::KeywordMissing);
    add("text_entities_as_written", ok("<p>Fish &amp; chips</p>"),
        {{"keyword", "Fish &amp; chips"}});
    add("text_before_max_body", ok("Welcome" + std::string(5000, ' ')),
        {{"keyword", "Welcome"}, {"max_body", "1KiB"}});
    add("text_beyond_max_body", ok(std::string(5000, ' ') + "Welcome"),
        {{"keyword", "Welcome"}, {"max_body", "1KiB"}}, Cause::KeywordMissing,
        "not in the first 1024 bytes of the body, which goes on");
    add("text_in_binary_body",
        ok(std::string("\x89PNG\r\n\0\x1a\0IHDR\0\xff", 16), type("image/png")),
        {{"keyword", "IHDR"}});
    add("forbidden_not_there", ok(page), {{"forbidden", "hacked\ndefaced"}});
    add("forbidden_there", ok(page), {{"forbidden", "hacked\nshop"}}, Cause::KeywordForbidden,
        "the body holds the forbidden text \"shop\" at byte 18");
    add("forbidden_across_chunks", in_chunks({"you were ha", "cked"}), {{"forbidden", "hacked"}},
        Cause::KeywordForbidden, "\"hacked\" at byte 9");
    add("forbidden_in_binary_body", ok(std::string("a\0b hacked \xff", 12), type("application/x")),
        {{"forbidden", "hacked"}}, Cause::KeywordForbidden, "at byte 4");
    add("forbidden_comes_before_missing", ok("hacked"),
        {{"keyword", "Welcome"}, {"forbidden", "hacked"}}, Cause::KeywordForbidden);
    add("forbidden_in_comment", ok("<p>x</p><!-- hacked -->"), {{"forbidden", "hacked"}},
        Cause::KeywordForbidden);
  }

  void texts_without_case() {
    const core::SiteOptions any_case{{"ignore_case", "true"}};
    const auto with = [&](core::SiteOptions options) {
      options.insert(options.end(), any_case.begin(), any_case.end());
      return options;
    };
    add("nocase_there", ok("WELCOME home"), with({{"keyword", "Welcome HOME"}}));
    add("nocase_gone", ok("WELCOM"), with({{"keyword", "welcome"}}), Cause::KeywordMissing);
    add("nocase_across_chunks", in_chunks({"WEL", "CoM", "e"}), with({{"keyword", "welcome"}}));
    add("nocase_forbidden", ok("You were HACKED"), with({{"forbidden", "hacked"}}),
        Cause::KeywordForbidden, "the forbidden text \"hacked\" at byte 9");
    // '[' and '{' differ as 'A' and 'a' do, and are no letters.
    add("nocase_is_for_letters", ok("{x}"), with({{"keyword", "[x]"}}), Cause::KeywordMissing);
  }

  void characters() {
    const std::string gruesse = "Gr\xc3\xbc\xc3\x9f\x65";  // In UTF-8.
    const std::string latin = "<p>Gr\xfc\xdf\x65</p>";
    const std::string nihon = "\xe6\x97\xa5\xe6\x9c\xac";
    add("characters_utf8", ok("<p>" + gruesse + "</p>", type("text/html; charset=utf-8")),
        {{"keyword", gruesse}});
    add("characters_latin1_by_header", ok(latin, type("text/html; charset=ISO-8859-1")),
        {{"keyword", gruesse}});
    add("characters_latin1_by_meta", ok("<html><meta charset=\"latin1\">" + latin),
        {{"keyword", gruesse}});
    add("characters_latin1_by_equiv",
        ok("<html><meta http-equiv=\"Content-Type\" content=\"text/html; charset=windows-1252\">" +
           latin),
        {{"keyword", gruesse}});
    add("characters_latin1_undeclared", ok(latin), {{"keyword", gruesse}}, Cause::KeywordMissing);
    add("characters_header_wins",
        ok("<meta charset=\"shift_jis\">" + latin, type("text/html; charset=latin1")),
        {{"keyword", gruesse}});
    add("characters_unknown", ok(latin, type("text/html; charset=klingon")), {{"keyword", gruesse}},
        Cause::KeywordMissing);
    add("characters_utf8_called_latin1", ok("<p>" + gruesse, type("text/html; charset=latin1")),
        {{"keyword", gruesse}});  // The bytes are there, whatever the page says of them.
    add("characters_euro_latin9", ok("5 \xa4", type("text/html; charset=iso-8859-15")),
        {{"keyword", "5 \xe2\x82\xac"}});
    add("characters_cyrillic", ok("\xcf\xf0\xe8", type("text/html; charset=windows-1251")),
        {{"keyword", "\xd0\x9f\xd1\x80\xd0\xb8"}});
    add("characters_shift_jis_across_chunks",
        in_chunks({"<p>\x93", "\xfa\x96", "\x7b</p>"}, type("text/html; charset=Shift_JIS")),
        {{"keyword", nihon}});
    add("characters_shift_jis_forbidden",
        ok("\x93\xfa\x96\x7b", type("text/html; charset=Shift_JIS")), {{"forbidden", nihon}},
        Cause::KeywordForbidden, "at byte 0 of its text in UTF-8 (it is in Shift_JIS)");
    add("characters_gbk_in_gzip", gzipped("<meta charset=gbk>\xd6\xd0\xce\xc4"),
        {{"keyword", "\xe4\xb8\xad\xe6\x96\x87"}});
    add("characters_euc_kr",
        ok("<?xml version=\"1.0\" encoding=\"euc-kr\"?><a>\xc7\xd1</a>", type("text/xml")),
        {{"keyword", "\xed\x95\x9c"}});
    add("characters_utf16_mark", ok(utf16("<p>Welcome</p>", false, true)),
        {{"keyword", "Welcome"}});
    add("characters_utf16_big_mark", ok(utf16("<p>Welcome</p>", true, true)),
        {{"keyword", "Welcome"}});
    add("characters_utf16_header",
        ok(utf16("<p>Welcome</p>", false, false), type("text/html; charset=utf-16")),
        {{"keyword", "Welcome"}});
    add("characters_utf16_forbidden", ok(utf16("you were hacked", true, true)),
        {{"forbidden", "hacked"}}, Cause::KeywordForbidden, "(it is in UTF-16BE)");
  }

  void expressions() {
    const std::string page = "<h1>Orders: 42</h1>\n<p>all is well</p>\n";
    add("expression_matches", ok(page), {{"body_match", "Orders: [0-9]+"}});
    add("expression_does_not_match", ok(page), {{"body_match", "Orders: [5-9]"}},
        Cause::KeywordMissing,
        "the expression \"Orders: [5-9]\" does not match the body of 39 bytes");
    add("expression_one_of_several", ok(page), {{"body_match", "Orders\nRefunds"}},
        Cause::KeywordMissing, "\"Refunds\"");
    add("expression_forbidden_not_there", ok(page), {{"body_not_match", "(?i)fatal|warning"}});
    add("expression_forbidden_there", ok(page), {{"body_not_match", "Orders: \\d+"}},
        Cause::KeywordForbidden, "the forbidden expression \"Orders: \\d+\" at byte 4");
    add("expression_anchored_to_the_body", ok(page), {{"body_match", "^<p>"}},
        Cause::KeywordMissing);
    add("expression_anchored_to_lines", ok(page), {{"body_match", "(?m)^<p>.*</p>$"}});
    add("expression_dot_ends_at_the_line", ok(page), {{"body_match", "Orders.*well"}},
        Cause::KeywordMissing);
    add("expression_dot_over_lines", ok(page), {{"body_match", "(?s)Orders.*well"}});
    add("expression_unicode", ok("stra\xc3\x9f\x65 \xc3\x84pfel", type("text/html; charset=utf-8")),
        {{"body_match", "(?i)\\p{L}+ \xc3\xa4pfel$"}});
    add("expression_in_the_characters_of_the_page", ok("x\xe4y", type("text/html; charset=latin1")),
        {{"body_match", "^x.y$"}});
    add("expression_across_chunks", in_chunks({"Ord", "ers: 4", "2"}),
        {{"body_match", "^Orders: 42$"}});
    add("expression_in_gzip", gzipped(page), {{"body_match", "Orders: 42"}});
    add("expression_empty_body", ok(""), {{"body_match", "^$"}});
    const std::string goes_on = std::string(3000, 'x') + "end";
    add("expression_beyond_max_body", ok(goes_on), {{"body_match", "end"}, {"max_body", "1KiB"}},
        Cause::KeywordMissing, "the first 1024 bytes of the body, which goes on");
    // What was read has an end that is not the body's.
    add("expression_of_an_end_beyond_max_body", ok(goes_on),
        {{"body_match", "end$"}, {"max_body", "1KiB"}}, Cause::LocalResources,
        "goes on beyond max_body");
    add("expression_forbidden_at_our_cut", ok(goes_on),
        {{"body_not_match", "x$"}, {"max_body", "1KiB"}}, Cause::LocalResources,
        "goes on beyond max_body");
  }

  // Beyond what the lane judges by itself.
  void long_texts() {
    std::string page;
    while (page.size() < 300'000) page += "<p>Lorem ipsum dolor sit amet, 12345.</p>\n";
    add("expression_in_long_page", ok(page + "Orders: 42"), {{"body_match", "Orders: [0-9]+$"}});
    add("expression_not_in_long_page", ok(page), {{"body_match", "Orders: [0-9]+"}},
        Cause::KeywordMissing, "does not match the body of " + std::to_string(page.size()));
    add("expression_forbidden_in_long_page", ok(page + "Fatal error"),
        {{"body_not_match", "(?i)fatal +error"}}, Cause::KeywordForbidden,
        "at byte " + std::to_string(page.size()));
    add("expressions_that_are_too_much_work", ok(page), {{"body_match", "<p>[a-z]{1,900}x"}},
        Cause::LocalResources, "set a smaller max_body or simpler expressions");
    std::string list = "{\"list\":[0";
    while (list.size() < 300'000) list += ",{\"a\":[1,2,3]}";
    add("json_long", ok(list + "],\"end\":1}", kJson), {{"json_equals", "/end == 1"}});
    add("json_long_other_value", ok(list + "],\"end\":2}", kJson), {{"json_equals", "/end == 1"}},
        Cause::ContentJson, "/end is 2, not 1");
  }

  void json() {
    const std::string body =
        R"({"status":"ok","checks":[{"name":"db","up":true},{"name":"mq","up":false}],"n":1.0,"a/b":null})";
    const auto equals = [](const char* text) { return core::SiteOptions{{"json_equals", text}}; };
    add("json_equal", ok(body, kJson), equals("/status == \"ok\"\n/checks/0/up == true\n/n == 1"));
    add("json_other_value", ok(body, kJson), equals("/checks/1/up == true"), Cause::ContentJson,
        "/checks/1/up is false, not true");
    add("json_no_such_member", ok(body, kJson), equals("/state == \"ok\""), Cause::ContentJson,
        "the JSON has no /state, which should be \"ok\"");
    add("json_other_kind", ok(body, kJson), equals("/n == \"1\""), Cause::ContentJson,
        "/n is 1.0, not \"1\"");
    add("json_escaped_pointer", ok(body, kJson), equals("/a~1b == null"));
    add("json_object_in_any_order", ok(body, kJson),
        equals("/checks/0 == {\"up\": true, \"name\": \"db\"}"));
    add("json_whole_document", ok("[1, 2]", kJson), equals(" == [1,2]"));
    add("json_without_its_type", ok(body), equals("/status == \"ok\""));
    add("json_with_mark", ok("\xef\xbb\xbf" + body, kJson), equals("/status == \"ok\""));
    add("json_in_gzip_and_chunks",
        in_chunks({gzip(body).substr(0, 30), gzip(body).substr(30)},
                  kJson + std::string("Content-Encoding: gzip\r\n")),
        equals("/status == \"ok\""));
    add("json_is_a_page", ok("<html>Not found</html>"), equals("/status == \"ok\""),
        Cause::ContentJson, "the body is no JSON: an error at byte 0");
    add("json_is_cut_by_the_site", ok(body.substr(0, 40), kJson), equals("/status == \"ok\""),
        Cause::ContentJson, "it ends too early");
    add("json_empty", ok("", kJson), equals("/status == \"ok\""), Cause::ContentJson,
        "it is empty");
    add("json_too_deep", ok(std::string(5000, '[') + std::string(5000, ']'), kJson),
        equals("/0 == 1"), Cause::LocalResources, "nested too deeply");
    add("json_number_beyond_us", ok("{\"n\":1,\"far\":1e400}", kJson), equals("/n == 1"),
        Cause::LocalResources, "a number beyond all bounds");
    add("json_half_a_surrogate_pair", ok("{\"n\":1,\"t\":\"\\ud800\"}", kJson), equals("/n == 1"),
        Cause::LocalResources, "half of a surrogate pair");
    // Its rest was not read, so nothing can be said of it.
    add("json_longer_than_max_body", ok("[" + std::string(3000, ' ') + "]", kJson),
        {{"json_equals", " == []"}, {"max_body", "1KiB"}}, Cause::LocalResources,
        "longer than max_body");
    add("json_is_a_page_longer_than_max_body", ok("<html>" + std::string(3000, ' ')),
        {{"json_equals", " == []"}, {"max_body", "1KiB"}}, Cause::ContentJson,
        "the body is no JSON: an error at byte 0");
  }

  void headers() {
    const std::string lines =
        "Content-Type: text/html\r\nX-Cache:  HIT \r\nVary: Cookie\r\nvary: Accept-Encoding\r\n"
        "Set-Cookie: id=geheim\r\n";
    const auto expects = [](const char* text) {
      return core::SiteOptions{{"expect_header", text}};
    };
    add("header_there", ok("x", lines), expects("x-cache\n!Server\nX-Cache: HIT\nVary ~ ^Accept"));
    add("header_not_there", ok("x", lines), expects("X-Cache\nStrict-Transport-Security"),
        Cause::ContentHeader, "header Strict-Transport-Security is not sent");
    add("header_should_not_be", ok("x", lines), expects("!X-Cache"), Cause::ContentHeader,
        "header X-Cache is sent, which it should not be: \"HIT\"");
    add("header_other_value", ok("x", lines), expects("X-Cache: MISS"), Cause::ContentHeader,
        "header X-Cache is \"HIT\"; it should be \"MISS\"");
    add("header_values_have_case", ok("x", lines), expects("X-Cache: hit"), Cause::ContentHeader);
    add("header_no_line_matches", ok("x", lines), expects("Vary ~ ^User"), Cause::ContentHeader,
        "header Vary is \"Cookie\" and \"Accept-Encoding\"; it should match \"^User\"");
    add("header_secrets_are_not_shown", ok("x", lines), expects("Set-Cookie ~ Secure"),
        Cause::ContentHeader, "header Set-Cookie is (not shown)");
    add("header_comes_before_texts", ok("hacked", lines),
        {{"expect_header", "X-Gone"}, {"forbidden", "hacked"}}, Cause::ContentHeader);
    add("header_of_head", {send("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 10\r\n\r\n")},
        {{"expect_header", "X-A: 1"}, {"method", "HEAD"}});
    add("header_of_head_other", {send("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 10\r\n\r\n")},
        {{"expect_header", "X-A: 2"}, {"method", "HEAD"}}, Cause::ContentHeader, "X-A is \"1\"");
    add("header_interim_does_not_count",
        {send("HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
              "0\r\n\r\n")},
        expects("X-A"), Cause::ContentHeader, "header X-A is not sent");
    server_.on("/hop", {send("HTTP/1.1 302 Found\r\nX-A: 1\r\nLocation: /header_there\r\n"
                             "Content-Length: 0\r\n\r\n")});
    cases_.push_back({.name = "content/header_of_the_last_hop_counts",
                      .url = server_.url("/hop"),
                      .options = on_loopback({{"expect_header", "!X-A\nX-Cache"}}),
                      .http_status = 200});
  }

  void sizes() {
    const std::string body(1000, 'x');
    add("size_within", ok(body), {{"size_min", "1000B"}, {"size_max", "1000B"}});
    add("size_too_small", ok(body), {{"size_min", "1001B"}}, Cause::ContentSize,
        "the body has 1000 bytes, fewer than size_min, which is 1001 bytes");
    add("size_too_large", ok(body), {{"size_max", "999B"}}, Cause::ContentSize,
        "the body is longer than size_max, which is 999 bytes");
    add("size_empty", ok(""), {{"size_min", "1B"}}, Cause::ContentSize, "the body has 0 bytes");
    // It ends the check; nobody waits for the end of it.
    add("size_endless", {send("HTTP/1.1 200 OK\r\n\r\n"), endless(std::string(4096, 'x'))},
        {{"size_max", "100KiB"}}, Cause::ContentSize, "longer than size_max");
    add("size_is_of_the_decoded_body", gzipped(body), {{"size_max", "999B"}}, Cause::ContentSize);
    add("size_decoded_within", gzipped(body), {{"size_min", "1000B"}, {"size_max", "1000B"}});
    add("size_max_is_max_body", ok(body), {{"max_body", "500B"}, {"size_max", "500B"}},
        Cause::ContentSize, "longer than size_max");
    add("size_hides_no_text", ok(body + "end"), {{"keyword", "end"}, {"size_max", "500B"}},
        Cause::ContentSize);
  }

  void error_pages() {
    const std::string database =
        "<html><head><title>Database Error</title></head><body>"
        "<h1>Error establishing a database connection</h1></body></html>";
    add("error_page_database", ok(database), {}, Cause::ContentErrorPage,
        "the page is a WordPress database error");
    add("error_page_in_chunks", in_chunks({database.substr(0, 60), database.substr(60)}), {},
        Cause::ContentErrorPage, "WordPress");
    add("error_page_in_gzip", gzipped(database), {}, Cause::ContentErrorPage);
    add("error_page_switched_off", ok(database), {{"detect_error_pages", "false"}});
    add("error_page_after_texts", ok(database), {{"keyword", "Welcome"}}, Cause::KeywordMissing);
    std::string article =
        "<html><head><title>How to fix a database error</title></head><body>"
        "<h1>How to fix it</h1><p>Your page says <b>Error establishing a database "
        "connection</b>?</p>";
    for (int i = 0; i < 40; ++i)
      article += "<p>First look whether your database server is running.</p>";
    add("error_page_article_about_it", ok(article + "</body></html>"), {});
  }

  FaultServer server_;
  std::vector<CheckCase> cases_;
};

}  // namespace

std::unique_ptr<CaseArea> content_cases() {
  return std::make_unique<ContentCases>();
}

}  // namespace watchwheel::testing
