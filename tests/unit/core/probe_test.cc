// SPDX-License-Identifier: Apache-2.0
#include "core/probe.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace watchwheel::core {
namespace {

struct Group {
  Outcome outcome;
  std::vector<std::string> causes;
};

// The closed list of the public interface, in its order, group by group.
const std::vector<Group>& public_causes() {
  static const std::vector<Group> groups{
      {Outcome::Up, {"ok"}},
      {Outcome::Down,
       {"dns_nxdomain", "dns_no_address", "dns_servfail", "dns_refused", "dns_timeout",
        "dns_malformed"}},
      {Outcome::Down,
       {"connect_refused", "connect_reset", "connect_timeout", "connect_unreachable"}},
      {Outcome::Down,
       {"tls_handshake", "tls_protocol", "tls_timeout", "tls_cert_expired",
        "tls_cert_not_yet_valid", "tls_cert_hostname", "tls_cert_self_signed",
        "tls_cert_untrusted"}},
      {Outcome::Down,
       {"http_timeout", "http_closed", "http_malformed", "http_status", "redirect_too_many",
        "redirect_refused", "redirect_invalid"}},
      {Outcome::Down, {"body_timeout", "body_truncated", "body_malformed"}},
      {Outcome::Down, {"keyword_missing", "keyword_forbidden", "content_error_page",
        "content_json", "content_header", "content_size"}},
      {Outcome::NotMeasured,
       {"address_blocked", "target_invalid", "local_overload", "local_resources", "local_network",
        "resolver_unreachable", "cancelled"}}};
  return groups;
}

TEST(Cause, HasThePublicNamesAndTheirOutcomes) {
  std::size_t index = 0;
  for (const Group& group : public_causes()) {
    for (const std::string& name : group.causes) {
      ASSERT_LT(index, kCauseCount);
      const auto cause = static_cast<Cause>(index++);
      EXPECT_EQ(to_string(cause), name);
      EXPECT_EQ(parse_cause(name), cause);
      EXPECT_EQ(outcome_of(cause), group.outcome) << name;
    }
  }
  EXPECT_EQ(index, kCauseCount);
}

TEST(Cause, UnknownNamesAreNotTaken) {
  EXPECT_FALSE(parse_cause(""));
  EXPECT_FALSE(parse_cause("OK"));
  EXPECT_FALSE(parse_cause("tls_cert"));
  EXPECT_FALSE(parse_outcome("unknown"));
  EXPECT_FALSE(parse_phase("tcp"));
}

TEST(CauseDeathTest, AnEnumeratorOutsideTheListIsOurMistake) {
  EXPECT_DEATH((void)to_string(static_cast<Cause>(kCauseCount)), "outside its list");
}

TEST(Outcome, HasThePublicNames) {
  const std::vector<std::string> names{"up", "down", "not_measured"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<Outcome>(i)), names[i]);
    EXPECT_EQ(parse_outcome(names[i]), static_cast<Outcome>(i));
  }
}

TEST(Phase, HasThePublicNames) {
  const std::vector<std::string> names{"dns",        "connect", "tls",     "request",
                                       "first_byte", "body",    "content", "done"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<Phase>(i)), names[i]);
    EXPECT_EQ(parse_phase(names[i]), static_cast<Phase>(i));
  }
}

TEST(Warnings, AreASetWithPublicNames) {
  const std::vector<std::string> names{"tls_expiring", "tls_deprecated", "latency_exceeded",
                                       "redirect_downgrade"};
  Warnings warnings;
  EXPECT_TRUE(warnings.empty());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto warning = static_cast<Warning>(i);
    EXPECT_EQ(to_string(warning), names[i]);
    EXPECT_FALSE(warnings.has(warning));
    warnings.add(warning);
    EXPECT_TRUE(warnings.has(warning));
  }
  EXPECT_FALSE(warnings.empty());
}

TEST(ProbeResult, OneThatNobodyFilledInSaysNothingAboutTheSite) {
  EXPECT_EQ(ProbeResult{}.outcome(), Outcome::NotMeasured);
}

}  // namespace
}  // namespace watchwheel::core
