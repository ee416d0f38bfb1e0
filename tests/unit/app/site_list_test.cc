// SPDX-License-Identifier: Apache-2.0
#include "app/site_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "app/site_fields.h"

namespace watchwheel::app {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Listed {
  std::vector<core::SiteRecord> good;
  std::vector<std::string> problems;
  std::size_t rejected = 0;
  bool fatal = false;
};

Listed read_list(ListFormat format, const std::string& text) {
  static const ChecksConfig kDefaults;
  std::istringstream in(text);
  const auto reader = make_site_reader(format, in, "s", kDefaults);
  Listed listed;
  SiteRow row;
  while (reader->next(row)) {
    for (const Problem& problem : row.problems) listed.problems.push_back(app::format(problem));
    listed.fatal = listed.fatal || row.fatal;
    if (row.problems.empty()) {
      listed.good.push_back(row.record);
    } else if (!row.fatal) {
      ++listed.rejected;
    }
  }
  return listed;
}

Listed csv(const std::string& text) {
  return read_list(ListFormat::Csv, text);
}
Listed jsonl(const std::string& text) {
  return read_list(ListFormat::Jsonl, text);
}

std::vector<std::string> urls(const Listed& listed) {
  std::vector<std::string> all;
  for (const core::SiteRecord& record : listed.good) all.push_back(record.url);
  return all;
}

TEST(SiteCsv, TheUrlAloneIsEnoughAndColumnsComeInAnyOrder) {
  EXPECT_THAT(urls(csv("url\nhttp://a.example/\nhttps://b.example/x?y=1\n")),
              ElementsAre("http://a.example/", "https://b.example/x?y=1"));
  const Listed listed =
      csv("name, Interval ,url,tags,active,expect-status,id\nShop,60s,http://a.example/,\"x, "
          "y\",false,\"200,301\",7\n");
  ASSERT_THAT(listed.problems, IsEmpty());
  const core::SiteRecord& site = listed.good.at(0);
  EXPECT_EQ(site.id, core::SiteId{7});
  EXPECT_EQ(site.name, "Shop");
  EXPECT_EQ(site.interval, core::Duration{60s});
  EXPECT_THAT(site.tags, ElementsAre("x", "y"));
  EXPECT_FALSE(site.active);
  EXPECT_THAT(site.options,
              ElementsAre(std::pair<std::string, std::string>("expect_status", "200,301")));
}

TEST(SiteCsv, ReadsByteOrderMarkCrlfBlankLinesAndNoLastLineEnd) {
  EXPECT_THAT(urls(csv("\xef\xbb\xbfurl,name\r\nhttp://a.example/,x\r\n\r\n\nhttp://b.example/"
                       ",\"y\"\r\nhttp://c.example/,z")),
              ElementsAre("http://a.example/", "http://b.example/", "http://c.example/"));
}

TEST(SiteCsv, QuotesHoldCommasQuotesAndLines) {
  const Listed listed =
      csv("url,name,header\nhttp://a.example/,\"a \"\"b\"\", c\",\"A: 1\r\nB: "
          "2\"\nhttp://b.example/,d,\n");
  ASSERT_THAT(listed.problems, IsEmpty());
  EXPECT_EQ(listed.good.at(0).name, "a \"b\", c");
  core::CheckOptions options = *core::merge_options({}, listed.good.at(0).options);
  EXPECT_THAT(options.headers, ElementsAre(core::Header{"A", "1"}, core::Header{"B", "2"}));
  EXPECT_EQ(listed.good.at(1).name, "d");
}

TEST(SiteCsv, EachBadLineHasItsPlaceAndLeavesItsNeighbours) {
  const Listed listed =
      csv("url,interval\n"
          "http://a.example/,60s\n"
          "ftp://b.example/,60s\n"
          "http://c.example/,60\n"
          "http://d.example/,60s,more\n"
          ",60s\n"
          "http://e.example/,2s\n"
          "http://f.example/,25h\n"
          "http://g.example/\xff,60s\n"
          "http://a.example/,60s\n"
          "http://z.example/,60s\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://a.example/", "http://z.example/"));
  EXPECT_EQ(listed.rejected, 8U);
  ASSERT_EQ(listed.problems.size(), 8U) << ::testing::PrintToString(listed.problems);
  EXPECT_THAT(listed.problems[0], HasSubstr("s:3:1: error: url: "));
  EXPECT_THAT(listed.problems[1], HasSubstr("s:4:19: error: interval: \"60\" is not a duration"));
  EXPECT_THAT(listed.problems[2], HasSubstr("s:5: error: 3 fields where the header names 2"));
  EXPECT_THAT(listed.problems[3], HasSubstr("s:6: error: url: is empty"));
  EXPECT_THAT(
      listed.problems[4],
      HasSubstr("s:7: error: interval: a check may take 10s, longer than the interval of 2s"));
  EXPECT_THAT(listed.problems[5],
              HasSubstr("s:8:19: error: interval: '25h' is out of range; write 1s to 24h"));
  EXPECT_THAT(listed.problems[6], HasSubstr("s:9:1: error: url: byte 18 is not UTF-8"));
  EXPECT_THAT(listed.problems[7], HasSubstr("s:10: error: the same site as line 2"));
}

TEST(SiteCsv, AFieldWithTwoMistakesOfOneLineIsReportedForBoth) {
  const Listed listed = csv("url,interval,tls_min\nnonsense,0x,9\n");
  EXPECT_EQ(listed.problems.size(), 3U);
  EXPECT_EQ(listed.rejected, 1U);
}

TEST(SiteCsv, AQuoteThatIsNeverClosedCostsItsOwnLineOnly) {
  const Listed listed =
      csv("url,name\nhttp://a.example/,\"open\nhttp://b.example/,b\nhttp://c.example/,c\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://b.example/", "http://c.example/"));
  EXPECT_THAT(listed.problems, ElementsAre(HasSubstr("s:2:19: error: this quote is never closed")));
}

TEST(SiteCsv, AQuoteClosedByTheNextLinesQuoteCostsItsOwnLineOnly) {
  const Listed listed =
      csv("url,name\nhttp://a.example/,\"open\nhttp://b.example/,\"b\"\nhttp://c.example/,c\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://b.example/", "http://c.example/"));
  EXPECT_EQ(listed.rejected, 1U);
  EXPECT_THAT(csv("url,name\nhttp://a.example/,say \"x\"\nhttp://b.example/,b\n").problems,
              ElementsAre(HasSubstr("s:2:23: error: a quote in the middle of a field")));
}

// Goal: what has no end is cut at a limit, and the rows around it are read. Method: a field and a line longer than a row may be.
TEST(SiteCsv, EndlessFieldsAreRejectedWithinBounds) {
  const std::string endless(3 * kRowBytesMax, 'x');
  const Listed plain = csv("url\nhttp://a.example/\n" + endless + "\nhttp://b.example/\n");
  EXPECT_THAT(urls(plain), ElementsAre("http://a.example/", "http://b.example/"));
  EXPECT_THAT(plain.problems, ElementsAre(HasSubstr("s:3: error: longer than 512 KiB")));
  const Listed quoted = csv("url\nhttp://a.example/\n\"" + endless + "\nhttp://b.example/\n");
  EXPECT_THAT(urls(quoted), ElementsAre("http://a.example/", "http://b.example/"));
  EXPECT_THAT(urls(csv("url\nhttp://a.example/\n" + endless)), ElementsAre("http://a.example/"));
}

TEST(SiteCsv, AHeaderThatMakesNoSenseEndsTheReadingAndSaysWhy) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "s:1: error: the file is empty"},
      {"\n\n", "the file is empty"},
      {"http://a.example/\nhttp://b.example/\n", "s:1: error: there is no header"},
      {"name,interval\nx,60s\n", "s:1: error: the header has no column named url"},
      {"url,intervall\n", "s:1:5: error: unknown column 'intervall'; did you mean 'interval'?"},
      {"url,colour\n", "use one of id, url, interval, active, name, tags, parents, method"},
      {"url,name,url\n", "s:1:10: error: the column 'url' is there twice"},
      {"url;name\n", "not separated by commas"},
      {std::string("\xff\xfeu\0r\0l\0", 8), "save it as UTF-8"},
      {std::string("u\0r\0l\0", 6), "save it as UTF-8"},
      {"\"url\nhttp://a.example/\n", "never closed"},
  };
  for (const auto& [text, wanted] : cases) {
    const Listed listed = csv(text);
    EXPECT_TRUE(listed.fatal) << text;
    EXPECT_THAT(listed.good, IsEmpty()) << text;
    EXPECT_THAT(listed.problems, Contains(HasSubstr(wanted))) << text;
  }
}

TEST(SiteCsv, DuplicatesAreBySameIdOrByUrlWhereOneHasNoId) {
  const std::string a = "http://a.example/";
  EXPECT_EQ(csv("id,url\n1," + a + "\n2," + a + "\n").rejected,
            0U);  // Two sites may watch one URL.
  EXPECT_EQ(csv("id,url\n1," + a + "\n1,http://b.example/\n").rejected, 1U);
  EXPECT_EQ(csv("id,url\n1," + a + "\n," + a + "\n").rejected, 1U);
  EXPECT_EQ(csv("id,url\n," + a + "\n1," + a + "\n").rejected, 1U);
}

TEST(SiteCsv, ContradictionsOfOneSiteAreItsOwn) {
  const Listed listed =
      csv("url,method,keyword,timeout,interval\nhttp://a.example/,HEAD,x,,\nhttp://b.example/"
          ",,,5s,5s\nhttp://c.example/,,,20s,10s\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://b.example/"));
  EXPECT_EQ(listed.rejected, 2U);
}

// What only shows unfit when it is read is refused where it enters, at its line.
TEST(SiteCsv, AnExpressionThatCannotBeReadCostsItsOwnLineOnly) {
  const Listed listed =
      csv("url,body_match,json_equals,expect_header\nhttp://a.example/,(,,\n"
          "http://b.example/,[a-z]+,/a == 1,Via ~ ^1\nhttp://c.example/,,/a == ok,\n"
          "http://d.example/,,,Via ~ [\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://b.example/"));
  EXPECT_THAT(listed.problems, ElementsAre(HasSubstr("s:2: error: body_match: "),
                                           HasSubstr("s:4: error: json_equals: "),
                                           HasSubstr("s:5: error: expect_header: ")));
}

TEST(SiteJsonl, TakesNumbersSwitchesAndLists) {
  const Listed listed = jsonl(
      "{\"url\":\"http://a.example/"
      "\",\"id\":3,\"active\":false,\"tags\":[\"x\",\"y\"],\"header\":[\"A: 1\",\"B: "
      "2\"],\"max_redirects\":2,\"tls_verify\":false,\"name\":null}\n\n{\"url\":\"http://b.example/"
      "\"}");
  ASSERT_THAT(listed.problems, IsEmpty());
  const core::SiteRecord& site = listed.good.at(0);
  EXPECT_EQ(site.id, core::SiteId{3});
  EXPECT_FALSE(site.active);
  EXPECT_THAT(site.tags, ElementsAre("x", "y"));
  EXPECT_EQ(get_site_field(site, "header"), "A: 1\nB: 2");
  EXPECT_EQ(get_site_field(site, "max_redirects"), "2");
  EXPECT_EQ(get_site_field(site, "tls_verify"), "false");
  EXPECT_EQ(listed.good.size(), 2U);
}

TEST(SiteJsonl, EachBadLineHasItsPlaceAndLeavesItsNeighbours) {
  const Listed listed = jsonl(
      "{\"url\":\"http://a.example/\"}\n"
      "{\"url\":\n"
      "[1]\n"
      "{\"url\":\"http://b.example/\",\"urll\":1}\n"
      "{\"url\":\"http://c.example/\",\"url\":\"http://d.example/\"}\n"
      "{\"url\":\"http://e.example/\",\"interval\":60}\n"
      "{\"url\":\"http://f.example/\",\"tags\":{}}\n"
      "{\"url\":\"http://g.example/\",\"header\":[1]}\n"
      "{\"url\":\"http://h.example/\xff\"}\n"
      "{\"url\":\"http://a.example/\"}\n"
      "url,interval\n" +
      std::string(2 * kRowBytesMax, '[') + "\n{\"url\":\"http://z.example/\"}\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://a.example/", "http://z.example/"));
  EXPECT_EQ(listed.rejected, 11U);
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:2:8: error: not a JSON object on one line")));
  EXPECT_THAT(listed.problems,
              Contains(HasSubstr("s:4: error: unknown key 'urll'; did you mean 'url'?")));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:5: error: the key 'url' is there twice")));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:6: error: interval: ")));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:9:26: error: not UTF-8")));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:10: error: the same site as line 1")));
  EXPECT_THAT(
      listed.problems,
      Contains(HasSubstr("s:11:1: error: not a JSON object on one line; is the file a CSV?")));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:12: error: longer than 512 KiB")));
}

TEST(SiteJsonl, ANumberBeyondAllNumbersCostsItsOwnLineOnly) {
  const Listed listed = jsonl(
      "9e2372220\n{\"url\":\"http://a.example/\",\"max_redirects\":1e999}\n"
      "{\"url\":\"http://z.example/\"}\n");
  EXPECT_THAT(urls(listed), ElementsAre("http://z.example/"));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:1: error: a number in it is larger")));
  EXPECT_THAT(listed.problems, Contains(HasSubstr("s:2: error: a number in it is larger")));
}

// Goal: what is written is read back as the same record, in both formats. Method: a record that uses every column, with every
// character that the formats treat specially.
TEST(SiteList, WhatIsWrittenIsReadBack) {
  core::SiteRecord site;
  const std::vector<std::pair<std::string, std::string>> fields{
      {"id", "12"},
      {"url", "https://a.example/x?y=1,2"},
      {"interval", "90s"},
      {"active", "false"},
      {"name", "A \"quoted\", comma; grün"},
      {"tags", "one,two words"},
      {"method", "POST"},
      {"header", "A: \"x\", y\nB: z"},
      {"body", " line one\r\nline \"two\",\n"},
      {"expect_status", "200-299,404"},
      {"keyword", " with spaces "},
      {"forbidden", "one\n\ntwo, \"three\""},  // No list can hold the blank line.
      {"ignore_case", "true"},
      {"body_match", " a{1,2}\n\"b\" "},
      {"body_not_match", "c,d"},
      {"json_equals", "/a == \"x, y\"\n/b/0 == null"},
      {"expect_header", "!X-Y\nServer: a, b\nVia ~ ^1\\.[01]"},
      {"size_min", "10B"},
      {"size_max", "32KiB"},
      {"http_version", "2"},
      {"exchange", "curl"},
      {"auth_user", "grün"},
      {"auth_password_file", "a-credential"},
      {"client_cert_file", "/etc/c.pem"},
      {"client_key_file", "/etc/k.pem"},
      {"redirects", "same-host"},
      {"max_redirects", "3"},
      {"timeout", "20s"},
      {"connect_timeout", "3s"},
      {"max_body", "64KiB"},
      {"tls_verify", "false"},
      {"tls_min", "1.3"},
      {"ca_file", "/etc/ca.pem"},
      {"resolver", "192.0.2.1\n[2001:db8::1]:53"},
      {"ip", "6"},
      {"allow", "10.0.0.0/8\n192.168.0.0/16"},
      {"allow_private", "true"},
      {"detect_error_pages", "false"},
      {"latency_warning", "2s"},
      {"user_agent", "me/1.0"},
      {"priority", "low"},
      {"parents", "7 https://a.example/?x=1,2"},
  };
  for (const auto& [column, text] : fields) {
    const auto set = set_site_field(site, column, text);
    ASSERT_TRUE(set) << column << ": " << set.error().message;
    EXPECT_EQ(get_site_field(site, column), text);
  }
  ASSERT_EQ(fields.size() + 1, site_columns().size());  // bearer_token_file excludes auth_user.

  std::ostringstream out;
  write_csv_header(out);
  write_csv_row(out, site);
  const Listed from_csv = csv(out.str());
  EXPECT_THAT(from_csv.problems, IsEmpty());
  EXPECT_THAT(from_csv.good, ElementsAre(site)) << out.str();

  const Listed from_jsonl = jsonl(site_jsonl(site) + "\n");
  EXPECT_THAT(from_jsonl.problems, IsEmpty());
  EXPECT_THAT(from_jsonl.good, ElementsAre(site)) << site_jsonl(site);
}

TEST(SiteFields, AnEmptyTextTakesAValueAway) {
  core::SiteRecord site;
  ASSERT_TRUE(set_site_field(site, "url", "http://a.example/"));
  const core::SiteRecord plain = site;
  for (const auto& [column, text] :
       std::vector<std::pair<std::string, std::string>>{{"interval", "1m"},
                                                        {"name", "x"},
                                                        {"tags", "a"},
                                                        {"active", "false"},
                                                        {"keyword", "k"}}) {
    ASSERT_TRUE(set_site_field(site, column, text));
    ASSERT_TRUE(set_site_field(site, column, ""));
    EXPECT_EQ(site, plain) << column;
  }
}

TEST(SiteFields, RefusesWhatDoesNotFit) {
  core::SiteRecord site;
  for (const auto& [column, text] : std::vector<std::pair<std::string, std::string>>{
           {"id", "0"},
           {"id", "-1"},
           {"id", "9223372036854775808"},
           {"active", "yes"},
           {"name", std::string(257, 'x')},
           {"name", "a\nb"},
           {"tags", std::string(65, 'x')},
           {"url", "http://a.example/" + std::string(2048, 'x')},
           {"ca_file", "relative.pem"},
           {"client_cert_file", "./relative.pem"},
           {"client_key_file", "keys/relative.pem"},
           {"auth_password_file", "dir/relative"},
           {"bearer_token_file", "./relative"},
           {"json_equals", "status"},
           {"expect_header", "a b"},
           {"http_version", "3"},
           {"name", "\xff"},
           {"keyword", std::string("a\0b", 3)},
           {"colour", "red"}}) {
    EXPECT_FALSE(set_site_field(site, column, text)) << column;
  }
  std::string many;
  for (int i = 0; i < 33; ++i) many += "t" + std::to_string(i) + ",";
  EXPECT_FALSE(set_site_field(site, "tags", many));
  EXPECT_EQ(site, core::SiteRecord{});
}

}  // namespace
}  // namespace watchwheel::app
