// SPDX-License-Identifier: Apache-2.0
// Debian's Alertmanager as the receiver: it takes our alerts, groups what belongs together, tells it on, and resolves it.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "../../unit/channels/messages.h"
#include "sending.h"
#include "support/child_process.h"
#include "support/eventually.h"
#include "support/fault_server.h"
#include "support/real_server.h"

namespace watchwheel::channels {
namespace {

using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::Message;
using sideeffects::SendOutcome;
using testing::FaultServer;
using testing::RealServer;
using testing::Sending;
using testing::TempDir;
using Json = nlohmann::json;

// Tells groups by target to `hook` soon after they change.
class Alertmanager {
 public:
  explicit Alertmanager(const std::string& hook)
      : server_({.name = "alertmanager",
                 .ports = 1,
                 .prepare =
                     [hook](const TempDir& dir, const RealServer::Ports& ports) {
                       dir.write("am.yml",
                                 "route:\n"
                                 "  receiver: hook\n"
                                 "  group_by: [target]\n"
                                 "  group_wait: 1s\n"
                                 "  group_interval: 1s\n"
                                 "  repeat_interval: 1h\n"
                                 "receivers:\n"
                                 "- name: hook\n"
                                 "  webhook_configs:\n"
                                 "  - url: " +
                                     hook + "\n    send_resolved: true\n");
                       return std::vector<std::string>{
                           testing::server_program("prometheus-alertmanager"),
                           "--config.file=" + dir.file("am.yml"),
                           "--storage.path=" + dir.file("data"),
                           "--web.listen-address=127.0.0.1:" + std::to_string(ports.at(0)),
                           "--cluster.listen-address="};
                     },
                 .answers =
                     [](const RealServer::Ports& ports) {
                       return testing::run_program(
                                  {"curl", "-sf", "--noproxy", "*",
                                   "http://127.0.0.1:" + std::to_string(ports.at(0)) + "/-/ready"})
                                  .status == 0;
                     }}) {}

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_.port());
  }
  // What it holds for active now.
  [[nodiscard]] Json active() const {
    const auto answer = testing::run_program(
        {"curl", "-s", "--noproxy", "*", url() + "/api/v2/alerts?active=true"});
    return Json::parse(answer.out, nullptr, false);
  }

 private:
  RealServer server_;
};

ChannelTarget target_of(const std::string& url) {
  ChannelTarget target = testing::target_at(url);
  target.type = ChannelType::Alertmanager;
  return target;
}

// Started now: an Alertmanager forgets what ended long ago.
Message begun(Message message, core::WallTime now) {
  message.made_at = now;
  for (sideeffects::MessageSite& site : message.sites)
    site.started_at = now - std::chrono::seconds{30};
  return message;
}

Message ended(const Message& begin, core::WallTime now) {
  Message message = begin;
  message.kind = sideeffects::MessageKind::Up;
  message.made_at = now;
  for (sideeffects::MessageSite& site : message.sites) {
    site.after = core::SiteState::Up;
    site.ended_at = now;
  }
  return message;
}

// The sites that each notification named as `status`, all of one group.
std::vector<std::set<std::string>> told_as(const FaultServer& hook, const std::string& status) {
  std::vector<std::set<std::string>> out;
  for (const std::string& request : hook.requests()) {
    const Json told = Json::parse(request.substr(request.find("\r\n\r\n") + 4), nullptr, false);
    if (!told.is_object() || told["groupLabels"]["target"] != "ops") continue;
    std::set<std::string>& sites = out.emplace_back();
    for (const Json& alert : told["alerts"]) {
      if (alert["status"] == status) sites.insert(alert["labels"]["site"].get<std::string>());
    }
  }
  return out;
}

bool one_told(const FaultServer& hook, const std::string& status,
              const std::set<std::string>& sites) {
  const auto told = told_as(hook, status);
  return std::find(told.begin(), told.end(), sites) != told.end();
}

bool all_told(const FaultServer& hook, const std::string& status,
              const std::set<std::string>& sites) {
  std::set<std::string> all;
  for (const std::set<std::string>& some : told_as(hook, status))
    all.insert(some.begin(), some.end());
  return all == sites;
}

TEST(Alertmanager, ReceivesGroupsAndResolves) {
  FaultServer hook;
  hook.otherwise(testing::ok("thanks"));
  const Alertmanager manager(hook.url("/hook"));
  const core::SystemClock clock;
  Sending sending;
  const Message outage = begun(testing::digest(), clock.wall());
  const auto first = sending.send(target_of(manager.url() + "/"), outage);
  ASSERT_EQ(first.outcome, SendOutcome::Delivered) << first.detail;
  // A repetition of the same message is the same alerts.
  ASSERT_EQ(sending.send(target_of(manager.url() + "/api/v2/alerts"), outage).outcome,
            SendOutcome::Delivered);
  ASSERT_TRUE(testing::eventually([&] { return manager.active().size() == 2; }))
      << manager.active();
  EXPECT_TRUE(testing::eventually([&] {
    return one_told(hook, "firing", {"42", "43"});
  })) << "both sites in one notification";
  const Json active = manager.active();
  for (const Json& alert : active) {
    EXPECT_EQ(alert["labels"]["severity"], "critical");
    EXPECT_EQ(alert["annotations"]["cause"], "connect_timeout");
  }

  // One of the two is up again: the other stays.
  Message one = ended(outage, clock.wall());
  one.sites.resize(1);
  ASSERT_EQ(sending.send(target_of(manager.url()), one).outcome, SendOutcome::Delivered);
  EXPECT_TRUE(testing::eventually([&] {
    const Json left = manager.active();
    return left.size() == 1 && left[0]["labels"]["site"] == "43";
  })) << manager.active();

  Message rest = ended(outage, clock.wall());
  rest.sites.erase(rest.sites.begin());
  ASSERT_EQ(sending.send(target_of(manager.url()), rest).outcome, SendOutcome::Delivered);
  EXPECT_TRUE(testing::eventually([&] { return manager.active().empty(); })) << manager.active();
  EXPECT_TRUE(testing::eventually([&] { return all_told(hook, "resolved", {"42", "43"}); }));
}

// What only seemed down goes on as the same alert once it is confirmed, and one end ends it.
TEST(Alertmanager, AConfirmedOutageIsTheAlertThatOnlySeemedDown) {
  FaultServer hook;
  hook.otherwise(testing::ok("thanks"));
  const Alertmanager manager(hook.url("/hook"));
  const core::SystemClock clock;
  Sending sending;
  Message message = begun(testing::down(), clock.wall());
  message.kind = sideeffects::MessageKind::SeemsDown;
  message.severity = sideeffects::Severity::Warning;
  const auto kinds = [&manager] {
    std::string all;
    for (const Json& alert : manager.active())
      all += alert["annotations"]["kind"].get<std::string>() + " ";
    return all;
  };
  ASSERT_EQ(sending.send(target_of(manager.url()), message).outcome, SendOutcome::Delivered);
  EXPECT_TRUE(testing::eventually([&] { return kinds() == "seems_down "; })) << kinds();
  message.kind = sideeffects::MessageKind::Down;
  message.severity = sideeffects::Severity::Critical;
  ASSERT_EQ(sending.send(target_of(manager.url()), message).outcome, SendOutcome::Delivered);
  EXPECT_TRUE(testing::eventually([&] { return kinds() == "down "; })) << kinds();
  ASSERT_EQ(sending.send(target_of(manager.url()), ended(message, clock.wall())).outcome,
            SendOutcome::Delivered);
  EXPECT_TRUE(testing::eventually([&] { return kinds().empty(); })) << kinds();
}

}  // namespace
}  // namespace watchwheel::channels
