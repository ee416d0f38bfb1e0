// SPDX-License-Identifier: Apache-2.0
// cases/check_case.h - the table of what can be between a URL and a healthy page, and what has to be said of it.
//
// Each case is one URL with a site's own options and the answer that is right. The same table is run through the checker
// (tests/integration/checker) and through the daemon (tests/integration/engine), so a case must answer the same however often
// it is asked.
//
// Nothing is allowed beyond what a case's own options allow: the address guard stands as it does for a user.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/check_options.h"
#include "core/probe.h"

namespace watchwheel::testing {

struct CheckCase {
  std::string name;  // "tls/expired": the area and what is wrong. Unique.
  std::string url;
  core::SiteOptions options{};  // As texts, on top of case_defaults().
  core::Cause cause = core::Cause::Ok;
  core::Phase phase = core::Phase::Done;
  std::string detail{};                    // What the detail must hold; "": anything.
  std::chrono::milliseconds within{2000};  // From start to result; slow builds get several times.
  std::chrono::milliseconds at_least{0};   // Sooner would be as wrong.
  std::uint16_t http_status = 0;           // 0: any.
  std::vector<core::Warning> warnings{};   // Exactly these.
  std::string not_through_daemon{};        // Why it cannot be asked there; "": it can.
  std::string varies{};  // Why what the server sends is another thing each time; "": it is the same.
};

// What the options of every case stand on: a timeout of 3 s, else the product's defaults.
[[nodiscard]] core::CheckOptions case_defaults();

// Lets the guard pass 127.0.0.0/8 and ::1, for cases that are not about the guard.
[[nodiscard]] core::SiteOptions on_loopback(core::SiteOptions options = {});

// The servers of one area, and its cases. They answer until it is destroyed.
class CaseArea {
 public:
  virtual ~CaseArea() = default;
  [[nodiscard]] virtual std::vector<CheckCase> cases() const = 0;
};

// One maker for each file of this folder. A server that this machine lacks is an error, not a skip.
[[nodiscard]] std::unique_ptr<CaseArea> dns_cases();      // Names, over the fake name server.
[[nodiscard]] std::unique_ptr<CaseArea> connect_cases();  // Connections, and what is tried next.
[[nodiscard]] std::unique_ptr<CaseArea> guard_cases();    // Addresses that may not be asked.
[[nodiscard]] std::unique_ptr<CaseArea> tls_cases();      // Handshakes and certificates.
[[nodiscard]] std::unique_ptr<CaseArea>
http_cases();  // Requests, responses, framing, redirects, cookies, deadlines.
[[nodiscard]] std::unique_ptr<CaseArea>
content_cases();  // Texts, expressions, JSON, headers, sizes, error pages.
[[nodiscard]] std::unique_ptr<CaseArea>
server_cases();  // nginx, Apache, HAProxy, Unbound, Knot as they come.

// What a result says that the case does not, as one line ("got http_timeout at first_byte, …"); "" when it is right. How long it
// took is for the caller to judge.
[[nodiscard]] std::string mismatch(const CheckCase& expected, const core::ProbeResult& got);
// "down http_status at first_byte, status 500": what a case expects, for messages.
[[nodiscard]] std::string describe(const CheckCase& expected);

// Whether this cause, which is not the case's, only says that we had no time: too late to look, or to judge what came. A machine
// that does too much at once brings it about; whoever is asked again with less beside it says what is right.
[[nodiscard]] bool is_our_haste(const CheckCase& expected, core::Cause got);

// Causes that nothing outside can bring about, each with the reason and where it is tested instead.
struct UncausedFromOutside {
  core::Cause cause;
  const char* why;
};
[[nodiscard]] const std::vector<UncausedFromOutside>& causes_without_cases();

// Whether the public interface lets a result with this cause end in this phase.
[[nodiscard]] bool phase_fits(core::Cause cause, core::Phase phase);

struct NamedArea {
  const char* name;
  std::unique_ptr<CaseArea> (*make)();
};
// All of them, in this order.
[[nodiscard]] const std::vector<NamedArea>& case_areas();

}  // namespace watchwheel::testing
