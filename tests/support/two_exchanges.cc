// SPDX-License-Identifier: Apache-2.0
#include "support/two_exchanges.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <set>

namespace watchwheel::testing {
namespace {

using std::chrono::milliseconds;

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + " | ";
  return out;
}

std::string text_of(const core::TlsFacts& tls) {
  std::string fingerprint;
  for (const std::uint8_t byte : tls.fingerprint) fingerprint += std::to_string(byte) + ".";
  return tls.version + " " + tls.cipher + " " + tls.issuer + " " + tls.subject + " " +
         joined(tls.sans) + tls.key_type + " " +
         std::to_string(tls.not_before.time_since_epoch().count()) + " " +
         std::to_string(tls.not_after.time_since_epoch().count()) + " " + fingerprint + " " +
         joined(tls.chain);
}

std::string text_of(const core::Warnings& warnings) {
  std::string out;
  for (const core::Warning w : {core::Warning::TlsExpiring, core::Warning::TlsDeprecated,
                                core::Warning::LatencyExceeded, core::Warning::RedirectDowngrade})
    if (warnings.has(w)) out += std::string(to_string(w)) + " ";
  return out;
}

// Which of them are there. libcurl tells of whole lines only, so that without a header it does not know when the first byte came.
std::string text_of(const core::Timings& timings, bool has_head) {
  std::string out;
  if (timings.dns) out += "dns ";
  if (timings.connect) out += "connect ";
  if (timings.tls) out += "tls ";
  if (has_head && timings.first_byte) out += "first_byte ";
  if (has_head && timings.transfer) out += "transfer ";
  return out;
}

// Each number as one '#': "4.6s ago" a moment later is "5s ago".
std::string without_numbers(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool in_number = !out.empty() && out.back() == '#';
    const bool is_point = text[i] == '.' && in_number && i + 1 < text.size() && is_digit(text[i + 1]);
    if (!is_digit(text[i]) && !is_point)
      out += text[i];
    else if (!in_number)
      out += '#';
  }
  return out;
}

// Where the two need not agree in the words:
// - Before the exchange begins a detail may tell a time that was measured, and how long ago a certificate's date was.
// - What is wrong with a line or a chunk is told by whoever sees it first: libcurl has words of its own for some of it.
// - Below TLS libcurl does not tell a reset from a close.
std::string detail_of(const core::ProbeResult& result) {
  using core::Cause;
  if (result.cause == Cause::HttpMalformed || result.cause == Cause::BodyMalformed) return "";
  std::string out = result.detail;
  if (result.phase == core::Phase::Dns || result.phase == core::Phase::Connect ||
      result.cause == Cause::TlsCertExpired || result.cause == Cause::TlsCertNotYetValid)
    out = without_numbers(out);
  constexpr std::string_view kReset = "was reset by";
  if (const std::size_t at = out.find(kReset); result.tls && at != std::string::npos)
    out.replace(at, kReset.size(), "was closed by");
  return out;
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 600;
  std::string out;
  for (const char c : text.substr(0, kShown)) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      constexpr std::string_view kHex = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      out += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 0xfU]};
    }
  }
  if (text.size() > kShown) out += "… (" + std::to_string(text.size()) + " bytes)";
  return out;
}

// A line that is too long is told at 64 KiB; libcurl's limit is 100, so that it may come to the connection's end or the deadline
// instead. So it may with a line that begins with a zero byte: libcurl 7.88 takes that for the end of what it has read and drops the
// rest of the piece, so that its verdict hangs on where the pieces part. Inside of a line it refuses a zero byte as we do.
bool is_told_sooner(const core::ProbeResult& curl, const core::ProbeResult& chosen) {
  return chosen.cause == core::Cause::HttpMalformed &&
         (chosen.detail == "a line of the response header is too long" ||
          chosen.detail == "a line of the response header holds a zero byte") &&
         (curl.cause == core::Cause::HttpClosed || curl.cause == core::Cause::HttpTimeout) &&
         curl.phase == chosen.phase;
}

std::string signature(const core::ProbeResult& result) {
  std::string out;
  for (const auto& [name, value] : facts_of(result)) out += name + "=" + value + "\n";
  return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> facts_of(const core::ProbeResult& result) {
  std::vector<std::pair<std::string, std::string>> facts{
      {"outcome", std::string(to_string(result.outcome()))},
      {"cause", std::string(to_string(result.cause))},
      {"phase", std::string(to_string(result.phase))},
      {"status", std::to_string(result.http_status)},
      // A body that is too large is not read on: how far it was read hangs on the pieces.
      {"body bytes",
       result.cause == core::Cause::ContentSize ? "enough" : std::to_string(result.body_bytes)},
      {"redirects", std::to_string(result.redirects)},
      {"warnings", text_of(result.warnings)},
      {"detail", detail_of(result)},
      {"address", result.address},
      {"addresses tried", std::to_string(result.addresses_tried)},
      {"final URL", result.final_url},
      {"TLS", result.tls ? text_of(*result.tls) : "none"},
      {"timings", text_of(result.timings, result.http_status != 0)},
  };
  if (!result.trace) return facts;
  for (const core::HopTrace& hop : result.trace->hops) {
    facts.emplace_back("hop", hop.url + " " + std::to_string(hop.status) + " " +
                                  (hop.status == 0 ? "" : hop.http_version) + " " +
                                  text_of(hop.timings, hop.status != 0));
    facts.emplace_back("hop's request", joined(hop.request));
    // The line that was refused is there where we refused it, not where libcurl did.
    const bool refused =
        result.cause == core::Cause::HttpMalformed || result.cause == core::Cause::BodyMalformed;
    facts.emplace_back("hop's response", refused ? "" : joined(hop.response));
  }
  facts.emplace_back("findings", joined(result.trace->findings));
  return facts;
}

std::string difference(const core::ProbeResult& curl, const core::ProbeResult& chosen) {
  if (is_told_sooner(curl, chosen)) return "";
  const auto ours = facts_of(curl);
  const auto theirs = facts_of(chosen);
  std::string out;
  for (std::size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
    const std::string name = i < ours.size() ? ours[i].first : theirs[i].first;
    const std::string left = i < ours.size() ? ours[i].second : "(nothing)";
    const std::string right = i < theirs.size() ? theirs[i].second : "(nothing)";
    if (left == right) continue;
    if (!out.empty()) out += "; ";
    out += name + ": \"" + shown(left) + "\", and \"" + shown(right) + "\" by the other";
  }
  if (!out.empty()) out += "; in words: \"" + curl.detail + "\", \"" + chosen.detail + "\"";
  return out;
}

struct TwoExchanges::Side {
  explicit Side(const checker::Settings& settings) : driver(settings) {
    driver.hook = [this](checker::ProbeToken token, const core::ProbeResult& result) {
      results->at(token) = result;
    };
  }
  CheckerDriver driver;
  std::vector<core::ProbeResult>* results = nullptr;
};

void TwoExchanges::SideDeleter::operator()(Side* side) const {
  delete side;
}

TwoExchanges::TwoExchanges(checker::Settings settings) {
  curl_.reset(new Side(settings));
  chosen_.reset(new Side(settings));
}

void TwoExchanges::turn() {
  auto wait = milliseconds{100};
  std::array<pollfd, 2> ready{};
  for (std::size_t i = 0; i < 2; ++i) {
    CheckerDriver& driver = (i == 0 ? curl_ : chosen_)->driver;
    ready.at(i) = {.fd = driver.checker().descriptor(), .events = POLLIN, .revents = 0};
    if (const auto next = driver.checker().next_deadline())
      wait = std::min(wait, std::chrono::ceil<milliseconds>(*next - driver.now()));
  }
  ::poll(ready.data(), ready.size(), static_cast<int>(std::max<long>(0, wait.count())));
  for (const auto& side : {curl_.get(), chosen_.get()})
    side->driver.checker().turn(side->driver.now());
}

std::vector<BothAnswers> TwoExchanges::ask(const std::vector<Question>& questions,
                                           std::size_t at_once) {
  std::vector<core::ProbeResult> by_curl(questions.size()), by_chosen(questions.size());
  curl_->results = &by_curl;
  chosen_->results = &by_chosen;
  const std::size_t curl_before = curl_->driver.results();
  const std::size_t chosen_before = chosen_->driver.results();
  const auto done = [&] {
    return std::min(curl_->driver.results() - curl_before,
                    chosen_->driver.results() - chosen_before);
  };
  core::SteadyTime end = curl_->driver.now() + kPatience;
  for (std::size_t next = 0; next < questions.size(); ++next) {
    while (next - done() >= at_once && curl_->driver.now() < end) turn();
    const Question& one = questions[next];
    core::CheckOptions with_curl = one.options;
    with_curl.exchange = "curl";
    EXPECT_EQ(curl_->driver.start(next, one.url, with_curl), checker::Start::Started) << one.url;
    EXPECT_EQ(chosen_->driver.start(next, one.url, one.options), checker::Start::Started)
        << one.url;
    end = curl_->driver.now() + kPatience;
  }
  while (done() < questions.size() && curl_->driver.now() < end) turn();
  EXPECT_EQ(done(), questions.size()) << "results are missing";
  std::vector<BothAnswers> answers;
  for (std::size_t i = 0; i < questions.size(); ++i)
    answers.push_back({std::move(by_curl[i]), std::move(by_chosen[i])});
  return answers;
}

std::string TwoExchanges::lasting_difference(const Question& question, const BothAnswers& first,
                                             int times, bool& unsteady) {
  std::set<std::string> by_curl{signature(first.curl)};
  std::vector<core::ProbeResult> by_chosen;
  for (int i = 0; i < times; ++i) {
    BothAnswers again = ask({question}, 1).front();
    by_curl.insert(signature(again.curl));
    by_chosen.push_back(std::move(again.chosen));
  }
  unsteady = by_curl.size() > 1;
  for (const core::ProbeResult& one : by_chosen)
    if (!by_curl.contains(signature(one)))
      if (const std::string how = difference(first.curl, one); !how.empty()) return how;
  return "";
}

}  // namespace watchwheel::testing
