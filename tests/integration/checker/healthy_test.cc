// SPDX-License-Identifier: Apache-2.0
// What is healthy is called up, with its times and facts: over real sockets, plain and TLS.
#include <gtest/gtest.h>

#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Outcome;
using core::Phase;

TEST(CheckerHealthy, PlainPageIsUp) {
  FaultServer server;
  server.on("/", ok("hello"));
  CheckerDriver driver;
  const core::ProbeResult result = driver.check(server.url("/"));
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.phase, Phase::Done);
  EXPECT_EQ(result.http_status, 200);
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_EQ(result.addresses_tried, 1);
  EXPECT_EQ(result.body_bytes, 5U);
  EXPECT_EQ(result.detail, "");
  EXPECT_EQ(result.final_url, "");
}

}  // namespace
}  // namespace watchwheel::testing
