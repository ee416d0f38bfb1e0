// SPDX-License-Identifier: Apache-2.0
#include "app/commands_check.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

#include "app/result_json.h"
#include "app/result_text.h"
#include "app/terminal.h"
#include "app/version.h"
#include "checker/checker.h"
#include "checker/tls_decode.h"
#include "core/clock.h"

namespace watchwheel::app {
namespace {

// How far beyond its own timeout a check may take until we say that we are at fault.
constexpr core::Duration kGrace = 5s;

class OneResult final : public checker::ResultHandler {
 public:
  void on_result(checker::ProbeToken, core::ProbeResult&& result) noexcept override {
    result_ = std::move(result);
  }
  [[nodiscard]] const std::optional<core::ProbeResult>& result() const { return result_; }

 private:
  std::optional<core::ProbeResult> result_;
};

int wait_ms(const checker::Checker& checker, core::SteadyTime now) {
  core::Duration wait = 1s;
  if (const auto deadline = checker.next_deadline())
    wait = std::clamp(*deadline - now, core::Duration::zero(), wait);
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}

// Turns the checker until the result is there. Unavailable when it does not come in time, which would be a fault of ours.
core::Result<void> turn_until_done(checker::Checker& checker, const OneResult& handler,
                                   const core::Clock& clock, core::SteadyTime give_up) {
  while (!handler.result()) {
    const core::SteadyTime now = clock.steady();
    if (now >= give_up)
      return core::Error{core::ErrorKind::Unavailable,
                         "the check gave no result within its timeout"};
    pollfd ready{checker.descriptor(), POLLIN, 0};
    if (::poll(&ready, 1, wait_ms(checker, now)) < 0 && errno != EINTR) {
      return core::Error{core::ErrorKind::Unavailable, "cannot wait for the network"};
    }
    checker.turn(clock.steady());
  }
  return {};
}

core::Result<core::ProbeResult> probe(const std::string& url, const core::CheckOptions& options) {
  const core::SystemClock clock;
  OneResult handler;
  checker::Settings settings;
  settings.limits.in_flight_max = 1;
  settings.limits.dns_cache_entries_max = 100;
  settings.user_agent = default_user_agent();
  settings.trace = true;
  auto checker = checker::Checker::make(settings, clock, handler);
  if (!checker) return checker.error();
  const auto plan = (*checker)->prepare(options);
  if (!plan) return plan.error();
  const core::SteadyTime now = clock.steady();
  if ((*checker)->start(1, url, *plan, now) != checker::Start::Started) {
    return core::Error{core::ErrorKind::Unavailable, "the checker has no room for a check"};
  }
  if (auto done = turn_until_done(**checker, handler, clock, now + options.timeout + kGrace); !done)
    return done.error();
  return *handler.result();
}

}  // namespace

int check_once(const CheckArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto options = core::merge_options(config->checks.options, args.options);
  if (!options) return fail(io, kExitUsage, options.error().message);
  std::signal(SIGPIPE, SIG_IGN);  // A site that hangs up is a result, not our end.
  const checker::FastDecoding decoding(config->engine.fast_certificates);  // As the daemon does.
  const auto result = probe(args.url, *options);
  if (!result)
    return fail(io, result.error().kind == core::ErrorKind::Invalid ? kExitUsage : kExitTrouble,
                result.error().message);
  if (args.json) {
    io.out << result_json(args.url, *result, args.verbose) << "\n";
  } else {
    TextStyle style = style_for(io.out);
    style.verbose = args.verbose;
    io.out << result_text(args.url, *result, style);
  }
  switch (result->outcome()) {
    case core::Outcome::Up:
      return kExitOk;
    case core::Outcome::Down:
      return kExitBad;
    case core::Outcome::NotMeasured:
      return kExitTrouble;
  }
  return kExitTrouble;
}

}  // namespace watchwheel::app
