// SPDX-License-Identifier: Apache-2.0
#include "core/site.h"

#include <gtest/gtest.h>

#include "core/site_facts.h"

namespace watchwheel::core {
namespace {

TEST(SiteState, HasThePublicNames) {
  const std::vector<std::string> names{"up",      "seems_down",  "down",
                                       "unknown", "maintenance", "paused"};
  ASSERT_EQ(names.size(), kSiteStateCount);
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<SiteState>(i)), names[i]);
    EXPECT_EQ(parse_site_state(names[i]), static_cast<SiteState>(i));
  }
  EXPECT_FALSE(parse_site_state("Up"));
  EXPECT_FALSE(parse_site_state(""));
}

TEST(TransitionReason, HasThePublicNames) {
  const std::vector<std::string> names{"opened",       "confirmed",        "false_alarm",
                                       "recovered",    "severity_changed", "maintenance",
                                       "site_removed", "operator"};
  ASSERT_EQ(names.size(), kTransitionReasonCount);
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<TransitionReason>(i)), names[i]);
    EXPECT_EQ(parse_transition_reason(names[i]), static_cast<TransitionReason>(i));
  }
  EXPECT_FALSE(parse_transition_reason("closed"));
}

TEST(SiteStateDeathTest, AnEnumeratorOutsideTheListIsOurMistake) {
  EXPECT_DEATH((void)to_string(static_cast<SiteState>(kSiteStateCount)), "outside its list");
  EXPECT_DEATH((void)to_string(static_cast<TransitionReason>(kTransitionReasonCount)),
               "outside its list");
}

TEST(Outage, HasEndedOnceItsEndIsKnown) {
  Outage outage;
  EXPECT_FALSE(outage.ended());
  outage.ended_at = from_unix_ms(1);
  EXPECT_TRUE(outage.ended());
}

}  // namespace
}  // namespace watchwheel::core
