// SPDX-License-Identifier: Apache-2.0
#include "app/commands_notify.h"

#include <algorithm>
#include <csignal>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/version.h"
#include "channels/sender.h"
#include "core/clock.h"
#include "sideeffects/routing.h"

namespace watchwheel::app {
namespace {

using sideeffects::SendOutcome;
using sideeffects::SendResult;

// How far beyond its own timeout an attempt may take until we say that we are at fault.
constexpr core::Duration kGrace = 5s;

core::Result<SendResult> send_test(const NotifyConfig& target, const std::string& id) {
  const core::SystemClock clock;
  auto sender =
      channels::Sender::make({.attempts_max = 1, .user_agent = default_user_agent()}, clock);
  if (!sender) return sender.error();
  (*sender)->start();
  auto message = sideeffects::test_message(target.name(), clock.wall());
  message.id = id;
  std::promise<SendResult> promise;
  std::future<SendResult> result = promise.get_future();
  (*sender)->send({.message_id = id,
                   .number = 1,
                   .target = std::make_shared<const sideeffects::ChannelTarget>(target.channel),
                   .message = std::make_shared<const sideeffects::Message>(std::move(message))},
                  [&promise](SendResult given) { promise.set_value(std::move(given)); });
  if (result.wait_for(target.channel.timeout + kGrace) != std::future_status::ready) {
    (*sender)->stop(clock.steady());  // It answers then.
    return core::Error{core::ErrorKind::Unavailable,
                       "the attempt gave no result within its timeout"};
  }
  (*sender)->stop(clock.steady());
  return result.get();
}

void print(const TestTargetArgs& args, const NotifyConfig& target, const std::string& id,
           const SendResult& result, std::ostream& out) {
  if (args.json) {
    const nlohmann::ordered_json json{
        {"target", target.name()},
        {"type", to_string(target.channel.type)},
        {"id", id},
        {"result", to_string(result.outcome)},
        {"status",
         result.status == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(result.status)},
        {"detail", result.detail}};
    out << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    return;
  }
  out << (result.outcome == SendOutcome::Delivered ? "delivered" : "NOT DELIVERED") << " to "
      << target.name() << " (" << to_string(target.channel.type) << "): " << result.detail << "\n";
}

}  // namespace

int test_target(const TestTargetArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto target =
      std::find_if(config->notify.begin(), config->notify.end(),
                   [&](const NotifyConfig& one) { return one.name() == args.target; });
  if (target == config->notify.end()) {
    std::string known;
    for (const NotifyConfig& one : config->notify)
      known += (known.empty() ? "" : ", ") + one.name();
    return fail(io, kExitUsage,
                "no [[notify]] is named '" + printable(args.target) + "'; " +
                    (known.empty() ? "there is none at all" : "there are: " + known));
  }
  std::signal(SIGPIPE, SIG_IGN);
  const core::SystemClock clock;
  const std::string id = sideeffects::test_message(target->name(), clock.wall()).id;
  const auto result = send_test(*target, id);
  if (!result) return fail(io, kExitTrouble, result.error().message);
  print(args, *target, id, *result, io.out);
  switch (result->outcome) {
    case SendOutcome::Delivered:
      return kExitOk;
    case SendOutcome::Retry:
    case SendOutcome::Permanent:
    case SendOutcome::Gone:
      return kExitBad;
    case SendOutcome::NotSent:
      return kExitTrouble;
  }
  return kExitTrouble;
}

}  // namespace watchwheel::app
