// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/operator_requests.h"

#include <gtest/gtest.h>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

class Desk final : public OperatorDesk {
 public:
  core::Result<RequestId> ask(const OperatorRequest& request) override {
    return request.by.request;
  }
  core::Result<RequestOutcome> outcome(RequestId /*request*/) override { return RequestOutcome{}; }
  core::Result<std::vector<OperatorRequest>> waiting() override {
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    return list;
  }
  core::Result<void> refuse(RequestId request, const std::string& /*why*/) override {
    refused.push_back(request);
    return {};
  }
  std::vector<OperatorRequest> list;
  std::vector<RequestId> refused;
  bool away = false;
};

OperatorRequest request(std::uint64_t id, Act act, std::uint64_t site) {
  OperatorRequest one;
  one.by = {.request = RequestId{id}, .act = act, .who = "ann", .why = {}, .source = "command"};
  one.site = core::SiteId{site};
  one.event_started_at = core::from_unix_ms(1'000);
  return one;
}

// Goal: what a person closed is theirs, whenever the lane answers. Method: the desk goes away between the question and the answer.
TEST(OperatorRequests, ACloseIsKnownWhileTheDeskIsAwayAndNothingIsDoneTwice) {
  RequestStats stats;
  Desk desk;
  desk.list = {request(1, Act::Close, 7), request(2, Act::Ack, 8), request(3, Act::Close, 9)};
  desk.list[2].over = true;
  OperatorRequests requests(stats);
  requests.attach(desk);
  const auto mine = [](core::SiteId) { return true; };
  const core::WallTime began = core::from_unix_ms(1'000);
  core::SteadyTime now{};
  EXPECT_EQ(requests.read(now, mine).size(), 2U);
  EXPECT_EQ(desk.refused, std::vector{RequestId{3}});

  desk.away = true;
  now += 1s;
  EXPECT_TRUE(requests.read(now, mine).empty()) << "or it would be acknowledged twice";
  EXPECT_EQ(stats.errors.value(), 1U);
  EXPECT_FALSE(requests.due(now + 1s));
  const OperatorRequest* const closing = requests.closing(core::SiteId{7}, began);
  ASSERT_NE(closing, nullptr);
  EXPECT_EQ(closing->by.who, "ann");
  EXPECT_EQ(requests.closing(core::SiteId{8}, began), nullptr) << "that was no close";

  desk.away = false;
  desk.list.clear();
  EXPECT_TRUE(requests.read(now + 5s, mine).empty());
  EXPECT_EQ(requests.closing(core::SiteId{7}, began), nullptr) << "it was done";
}

}  // namespace
}  // namespace watchwheel::sideeffects
