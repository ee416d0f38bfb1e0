// SPDX-License-Identifier: Apache-2.0
// Output that scripts read, byte by byte. WATCHWHEEL_UPDATE_GOLDEN=1 writes the files anew; the change is then read as a diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "app/cli.h"
#include "app/commands_incidents.h"
#include "app/result_json.h"
#include "app/result_text.h"
#include "app/site_list.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

const std::string kData = std::string(WATCHWHEEL_SOURCE_DIR) + "/tests/golden/app/data/";

std::string read(const std::string& name) {
  std::ifstream file(kData + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_golden(const std::string& name, const std::string& text) {
  if (std::getenv("WATCHWHEEL_UPDATE_GOLDEN") != nullptr)
    std::ofstream(kData + name, std::ios::binary) << text;
  EXPECT_EQ(read(name), text) << "of " << name;
}

// Standard output, then standard error, with the place of the checkout taken out.
std::string output_of(std::vector<const char*> arguments, int& status) {
  arguments.insert(arguments.begin(), "watchwheel");
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Io io{in, out, err};
  status = run_cli(static_cast<int>(arguments.size()), arguments.data(), io);
  std::string text = out.str() + "--- standard error\n" + err.str();
  for (std::size_t at = 0; (at = text.find(kData)) != std::string::npos;)
    text.erase(at, kData.size());
  return text;
}

// The limits that follow from the machine are another machine's elsewhere.
std::string without_limits(std::string text) {
  const auto drop = [&](std::string_view first, std::string_view last) {
    const std::size_t from = text.find(first);
    if (from == std::string::npos) return;
    const std::size_t to = text.find(last, from);
    text.replace(from, to - from, "(limits)\n");
  };
  drop("limits that follow", "--- standard error");
  drop("  \"limits\": [", "}\n--- standard error");
  return text;
}

core::ProbeResult expired() {
  auto tls = std::make_shared<core::TlsFacts>();
  tls->version = "TLSv1.3";
  tls->cipher = "TLS_AES_256_GCM_SHA384";
  tls->issuer = "CN=Test CA";
  tls->subject = "CN=shop.example";
  tls->sans = {"shop.example", "www.shop.example"};
  tls->key_type = "EC 256";
  tls->not_before = *core::parse_iso8601("2026-08-17T09:00:00Z");
  tls->not_after = *core::parse_iso8601("2026-11-17T09:00:00Z");
  tls->fingerprint[0] = 0xab;
  tls->chain = {"CN=Test CA; issued by CN=Test Root; until 2031-01-01T00:00:00Z"};
  core::ProbeResult result;
  result.cause = core::Cause::TlsCertExpired;
  result.phase = core::Phase::Tls;
  result.detail = "certificate expired 3 days ago (2026-11-17T09:00:00Z)";
  result.address = "203.0.113.7";
  result.addresses_tried = 1;
  result.started_at = *core::parse_iso8601("2026-11-20T12:00:00.123Z");
  result.timings.dns = 1200us;
  result.timings.connect = 10100us;
  result.timings.tls = 24ms;
  result.timings.total = 35500us;
  result.tls = tls;
  core::HopTrace hop;
  hop.url = "https://shop.example/";
  hop.addresses = {"203.0.113.7", "203.0.113.8", "203.0.113.9"};
  hop.tries = {{"203.0.113.7", 0ms, "connected"}};
  hop.timings = result.timings;
  result.trace = std::make_shared<core::ProbeTrace>(core::ProbeTrace{{hop}, {}});
  return result;
}

std::shared_ptr<const core::ProbeTrace> two_hops(const core::Timings& last) {
  core::ProbeTrace trace;
  core::HopTrace& first = trace.hops.emplace_back();
  first.url =
      "https://shop.example/a/"
      "path?with=a&long=query&that=goes&on=and&on=for&longer=than&a=line&of=the&page=is";
  first.status = 301;
  first.http_version = "HTTP/2";
  first.addresses = {"203.0.113.7"};
  first.tries = {{"203.0.113.7", 0ms, "connected"}};
  first.timings = {.dns = 10ms,
                   .connect = 10ms,
                   .tls = 30ms,
                   .first_byte = 18ms,
                   .transfer = 1ms,
                   .total = 70ms};
  first.request = {"GET /a/path HTTP/2", "Host: shop.example", "Authorization: (not shown)"};
  first.response = {"HTTP/2 301", "location: http://www.example/"};
  core::HopTrace& second = trace.hops.emplace_back();
  second.url = "http://www.example/";
  second.status = 200;
  second.http_version = "HTTP/1.1";
  second.dns_cached = true;
  second.addresses = {"2001:db8::1", "2001:db8:1234:5678:9abc:def0:1234:5678", "203.0.113.9"};
  second.tries = {{"2001:db8:1234:5678:9abc:def0:1234:5678", 0ms, "refused"},
                  {"2001:db8::1", 300us, "connected"}};
  second.timings = last;
  second.request = {"GET / HTTP/1.1", "Host: www.example"};
  second.response = {"HTTP/1.1 200 OK", "Content-Type: text/html; charset=utf-8",
                     "Set-Cookie: (not shown)", "X-Name: gr\xc3\xbcn \x1b[2J \xff"};
  trace.findings = {"the text \"Add to basket\" is in the body",
                    "the header Server is there: nginx"};
  return std::make_shared<core::ProbeTrace>(std::move(trace));
}

core::ProbeResult healthy() {
  core::ProbeResult result;
  result.cause = core::Cause::Ok;
  result.phase = core::Phase::Done;
  result.http_status = 200;
  result.address = "2001:db8::1";
  result.addresses_tried = 2;
  result.redirects = 1;
  result.final_url = "http://www.example/";
  result.started_at = *core::parse_iso8601("2026-11-20T12:00:00Z");
  result.timings = {.dns = 1ms,
                    .connect = 252ms,
                    .tls = std::nullopt,
                    .first_byte = 3ms,
                    .transfer = 94500us,
                    .total = 420500us};
  result.body_bytes = 1234;
  result.warnings.add(core::Warning::RedirectDowngrade);
  result.warnings.add(core::Warning::LatencyExceeded);
  result.trace = two_hops(result.timings);
  return result;
}

core::ProbeResult blocked() {
  core::ProbeResult result;
  result.cause = core::Cause::AddressBlocked;
  result.phase = core::Phase::Connect;
  result.detail = "10.0.0.7 is private; allow it for this site if it is meant";
  result.started_at = *core::parse_iso8601("2026-11-20T12:00:00Z");
  result.timings.dns = 800us;
  result.timings.total = 900us;
  core::HopTrace hop;
  hop.url = "http://inside.example/";
  hop.addresses = {"10.0.0.7"};
  hop.tries = {{"10.0.0.7", 0ms, "blocked: private"}};
  hop.timings = result.timings;
  result.trace = std::make_shared<core::ProbeTrace>(core::ProbeTrace{{hop}, {}});
  return result;
}

TEST(GoldenOutput, AGoodConfiguration) {
  int status = -1;
  const std::string file = kData + "good.toml";
  expect_golden("good.txt",
                without_limits(output_of({"validate-config", file.c_str()}, status)));
  EXPECT_EQ(status, kExitOk);
  expect_golden("good.json",
                without_limits(output_of({"validate-config", file.c_str(), "--json"}, status)));
  EXPECT_EQ(status, kExitOk);
}

TEST(GoldenOutput, ABadConfiguration) {
  int status = -1;
  const std::string file = kData + "bad.toml";
  expect_golden("bad.txt", output_of({"validate-config", file.c_str()}, status));
  EXPECT_EQ(status, kExitBad);
  expect_golden("bad.json", output_of({"validate-config", file.c_str(), "--json"}, status));
  EXPECT_EQ(status, kExitBad);
}

TEST(GoldenOutput, AConfigurationThatIsNoToml) {
  int status = -1;
  const std::string file = kData + "broken.toml";
  expect_golden("broken.txt", output_of({"validate-config", file.c_str()}, status));
  EXPECT_EQ(status, kExitBad);
}

TEST(GoldenOutput, ResultsOfChecks) {
  expect_golden("check_expired.json", result_json("https://shop.example/", expired()) + "\n");
  expect_golden("check_healthy.json", result_json("https://shop.example/", healthy()) + "\n");
  expect_golden("check_verbose.json", result_json("https://shop.example/", healthy(), true) + "\n");
}

TEST(GoldenOutput, ChecksForAPerson) {
  const TextStyle plain;
  const TextStyle utf8{.utf8 = true};
  const TextStyle all{.colour = true, .utf8 = true, .verbose = true};
  const TextStyle verbose{.verbose = true};
  expect_golden("check_expired.txt", result_text("https://shop.example/", expired(), plain));
  expect_golden("check_healthy.txt", result_text("https://shop.example/", healthy(), utf8));
  expect_golden("check_coloured.txt", result_text("https://shop.example/", healthy(), all));
  expect_golden("check_verbose.txt", result_text("https://shop.example/", healthy(), verbose));
  expect_golden("check_blocked.txt", result_text("http://inside.example/", blocked(), plain));
}

TEST(GoldenOutput, AnIncident) {
  db::Incident incident;
  incident.id = core::EventId{3};
  incident.site = core::SiteId{9};
  incident.url = "https://shop.example/";
  incident.name = "Shop";
  incident.state = core::SiteState::Down;
  incident.started_at = *core::parse_iso8601("2026-11-20T12:00:00Z");
  incident.confirmed_at = incident.started_at + 20s;
  incident.failures = 3;
  incident.evidence = {core::Cause::HttpStatus, core::Phase::FirstByte, 503, "status 503",
                       "203.0.113.7"};
  const core::Evidence first{core::Cause::ConnectRefused, core::Phase::Connect, 0, "refused",
                             "203.0.113.7"};
  incident.transitions = {{.seq = 1,
                           .reason = core::TransitionReason::Opened,
                           .before = core::SiteState::Up,
                           .after = core::SiteState::SeemsDown,
                           .at = incident.started_at,
                           .failures = 1,
                           .evidence = first},
                          {.seq = 2,
                           .reason = core::TransitionReason::Confirmed,
                           .before = core::SiteState::SeemsDown,
                           .after = core::SiteState::Down,
                           .at = incident.confirmed_at,
                           .failures = 3,
                           .evidence = incident.evidence,
                           .testimony = {.basis = core::Basis::Quorum,
                                         .quorum = 2,
                                         .round = 1,
                                         .decided_at = incident.confirmed_at}}};
  auto& witnesses = incident.transitions[1].testimony.witnesses;
  witnesses = {{.vantage = "local",
                .saw = core::Saw::Down,
                .cause = core::Cause::HttpStatus,
                .http_status = 503,
                .detail = "status 503",
                .at = incident.confirmed_at},
               {.vantage = "fra",
                .region = "eu",
                .saw = core::Saw::Down,
                .cause = core::Cause::HttpTimeout,
                .at = incident.confirmed_at},
               {.vantage = "nyc", .saw = core::Saw::Silent, .at = incident.confirmed_at}};
  incident.testimony = incident.transitions[1].testimony;
  const Held held = sideeffects::HeldBack{.reason = sideeffects::HoldReason::Maintenance,
                                          .by = 3,
                                          .since = incident.confirmed_at,
                                          .until = incident.started_at + 2h,
                                          .look_again_at = incident.confirmed_at + 60s};
  expect_golden("incident.json", incident_json(incident, incident.started_at + 90s, held) + "\n");
  expect_golden("incident.txt", incident_text(incident, incident.started_at + 90s, held));
}

TEST(GoldenOutput, TheHeaderOfAnExport) {
  std::ostringstream out;
  write_csv_header(out);
  expect_golden("export_header.csv", out.str());
}

}  // namespace
}  // namespace watchwheel::app
