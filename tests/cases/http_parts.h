// SPDX-License-Identifier: Apache-2.0
// cases/http_parts.h - the parts of the HTTP cases, and how they are written: a name, what the server does, what is right.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cases/check_case.h"
#include "support/fault_server.h"

namespace watchwheel::testing {

// Each case has a path of its own on the part's server: "http/gzip" asks for "/gzip".
class HttpPart : public CaseArea {
 public:
  [[nodiscard]] std::vector<CheckCase> cases() const override {
    return {cases_.begin(), cases_.end()};
  }

 protected:
  CheckCase& ask(std::string_view name, std::string url, core::SiteOptions options = {}) {
    return cases_.emplace_back(CheckCase{.name = "http/" + std::string(name),
                                         .url = std::move(url),
                                         .options = on_loopback(std::move(options))});
  }
  CheckCase& healthy(std::string_view name, Script script, core::SiteOptions options = {}) {
    const std::string path = "/" + std::string(name);
    server_.on(path, std::move(script));
    return ask(name, server_.url(path), std::move(options));
  }
  CheckCase& failing(std::string_view name, Script script, core::Cause cause, core::Phase phase,
                     std::string_view detail = "", core::SiteOptions options = {}) {
    return fails(healthy(name, std::move(script), std::move(options)), cause, phase, detail);
  }
  static CheckCase& fails(CheckCase& one, core::Cause cause, core::Phase phase,
                          std::string_view detail = "") {
    one.cause = cause;
    one.phase = phase;
    one.detail = detail;
    return one;
  }
  // Ends by its own deadline, neither sooner nor much later.
  static CheckCase& at_deadline(CheckCase& one) {
    constexpr std::chrono::milliseconds kDeadline{600};
    one.options.emplace_back("timeout", "600ms");
    one.options.emplace_back("connect_timeout", "500ms");
    one.at_least = kDeadline;
    one.within = kDeadline + std::chrono::milliseconds{250};
    return one;
  }

  FaultServer server_;

 private:
  std::deque<CheckCase> cases_;  // References to its elements stay good.
};

[[nodiscard]] std::unique_ptr<CaseArea>
http_request_cases();  // Methods, bodies, logins, statuses, deadlines.
[[nodiscard]] std::unique_ptr<CaseArea>
http_head_cases();  // Status lines, headers, lengths, interim responses.
[[nodiscard]] std::unique_ptr<CaseArea>
http_body_cases();  // Lengths kept or not, chunks, compression.
[[nodiscard]] std::unique_ptr<CaseArea>
http_redirect_cases();                                      // Redirects, and cookies along them.
[[nodiscard]] std::unique_ptr<CaseArea> http_two_cases();   // HTTP/2.
[[nodiscard]] std::unique_ptr<CaseArea> http_wire_cases();  // Ends and pieces, plain and TLS.

}  // namespace watchwheel::testing
