// SPDX-License-Identifier: Apache-2.0
#include "app/commands_operator.h"

#include "app/commands_maintenance.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

using sideeffects::Act;
using namespace std::chrono_literals;

constexpr core::Duration kLookEach = 100ms;
constexpr core::Duration kWaitMost = 10min;

std::string_view done_word(Act act) {
  switch (act) {
    case Act::Ack:
      return "acknowledged";
    case Act::Comment:
      return "commented on";
    case Act::Close:
      return "closed";
  }
  return "";
}

core::Result<sideeffects::RequestOutcome> wait_for(sideeffects::OperatorDesk& desk,
                                                   sideeffects::RequestId request,
                                                   core::Duration most) {
  const core::SystemClock clock;
  const core::SteadyTime until = clock.steady() + most;
  for (;;) {
    auto outcome = desk.outcome(request);
    if (!outcome || !outcome->waits || clock.steady() >= until) return outcome;
    clock.sleep_for(kLookEach);
  }
}

}  // namespace

int act_on_incident(const OperatorArgs& args, Io& io) {
  const auto wait = core::parse_duration(args.wait);
  if (!wait) return fail(io, kExitUsage, "--wait: " + wait.error().message);
  if (args.why.size() > sideeffects::kWhyBytesMax)
    return fail(io, kExitUsage, "more than 1000 bytes of text; say it shorter");
  if (args.act != Act::Ack && args.why.find_first_not_of(" \t\n") == std::string::npos)
    return fail(io, kExitUsage,
                args.act == Act::Close ? "--why: say why it is over" : "TEXT: it says nothing");
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  const auto desk = (*store)->make_operator_desk();
  if (!desk) return fail(io, desk.error());
  const auto request = (*desk)->ask({.by = {.request = {},
                                            .act = args.act,
                                            .who = args.by.empty() ? person_here() : args.by,
                                            .why = args.why,
                                            .source = "command"},
                                     .event = core::EventId{args.event}});
  if (!request) return fail(io, request.error());
  const auto outcome = wait_for(**desk, *request, std::min<core::Duration>(*wait, kWaitMost));
  if (!outcome) return fail(io, outcome.error());
  const std::string name = "incident " + std::to_string(args.event);
  if (outcome->waits)
    return fail(io, kExitTrouble,
                "no daemon has done it yet to " + name +
                    "; the request waits in the store until one that has the site runs");
  if (!outcome->refused.empty())
    return fail(io, kExitBad, name + ": not done, " + outcome->refused);
  io.out << done_word(args.act) << " " << name << "\n";
  return kExitOk;
}

}  // namespace watchwheel::app
