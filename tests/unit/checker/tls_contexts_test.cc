// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_contexts.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <filesystem>
#include <set>

#include "support/certs.h"
#include "support/temp_dir.h"

namespace watchwheel::checker {
namespace {

class TlsContextsTest : public ::testing::Test {
 protected:
  std::shared_ptr<ProbePlan> plan_of(const core::CheckOptions& options) {
    return *make_plan(options, {.user_agent = "x", .allow = {}, .trust = trust}, clock.wall());
  }
  ssl_ctx_st* context(const std::shared_ptr<ProbePlan>& plan, bool at_origin = true) {
    const auto found = contexts.context_for(*plan, at_origin, clock.steady(), clock.wall());
    EXPECT_TRUE(found);
    return found ? found->context : nullptr;
  }
  core::CheckOptions trusting(const testing::Authority& authority) {
    core::CheckOptions options;
    options.ca_file = authority.ca_file();
    return options;
  }

  core::SystemClock clock;
  std::shared_ptr<TrustStores> trust = std::make_shared<TrustStores>();
  testing::Authority root{"Root"};
  testing::TempDir dir;
  TlsContexts contexts;
};

TEST_F(TlsContextsTest, ChecksThatAskAlikeShareOne) {
  const auto one = plan_of(trusting(root));
  core::CheckOptions other = trusting(root);
  other.keyword = {"hello"};
  const auto two = plan_of(other);
  EXPECT_EQ(context(one), context(two));
  EXPECT_EQ(context(one, false), context(two));
  EXPECT_EQ(contexts.size(), 1U);
}

TEST_F(TlsContextsTest, WhatMakesADifferenceMakesAContext) {
  const testing::Authority another{"Another"};
  const testing::Certificate ours = root.issue({.common_name = "monitor"});
  testing::write_pem(ours, dir.file("ours.pem"));
  testing::write_key(ours, dir.file("ours.key"));
  const core::CheckOptions plain = trusting(root);
  core::CheckOptions old = plain;
  old.tls_min = "1.0";
  core::CheckOptions blind = plain;
  blind.tls_verify = false;
  core::CheckOptions known = plain;
  known.client_cert_file = dir.file("ours.pem");
  known.client_key_file = dir.file("ours.key");
  std::set<ssl_ctx_st*> seen;
  std::vector<std::shared_ptr<ProbePlan>> plans;
  for (const core::CheckOptions& options : {plain, old, blind, known, trusting(another)}) {
    plans.push_back(plan_of(options));
    EXPECT_TRUE(seen.insert(context(plans.back())).second);
  }
  // Our certificate is shown at the origin of the check only.
  EXPECT_NE(SSL_CTX_get0_certificate(context(plans[3])), nullptr);
  EXPECT_EQ(context(plans[3], false), context(plans[0]));
  EXPECT_EQ(SSL_CTX_get0_certificate(context(plans[0])), nullptr);
}

// Goal: a fleet whose checks all name one client certificate has one context. Each plan reads the files for itself.
TEST_F(TlsContextsTest, PlansThatShowTheSameCertificateShareOne) {
  core::CheckOptions options = trusting(root);
  options.client_cert_file = dir.file("ours.pem");
  options.client_key_file = dir.file("ours.key");
  const auto write = [&] {
    const testing::Certificate ours = root.issue({.common_name = "monitor"});
    testing::write_pem(ours, dir.file("ours.pem"));
    testing::write_key(ours, dir.file("ours.key"));
  };
  write();
  auto one = plan_of(options);
  auto two = plan_of(options);
  ASSERT_NE(one->client, two->client);
  ssl_ctx_st* const shared = context(one);
  EXPECT_EQ(context(two), shared);
  one.reset();  // The other one uses it still.
  EXPECT_EQ(context(two), shared);
  EXPECT_EQ(contexts.size(), 1U);
  write();
  const auto renewed = plan_of(options);
  EXPECT_NE(context(renewed), shared);
  EXPECT_EQ(context(two), shared);
}

// Goal: who is no longer trusted is not trusted by a context that was made before.
TEST_F(TlsContextsTest, ATrustStoreThatWasReadAnewIsInANewContext) {
  const testing::Authority another{"Another"};
  core::CheckOptions options;
  options.ca_file = dir.file("ca.pem");
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours{1};
  std::filesystem::copy_file(root.ca_file(), options.ca_file);
  std::filesystem::last_write_time(options.ca_file, old);
  const auto plan = plan_of(options);
  const auto ask = [&](core::Duration later) {
    return contexts.context_for(*plan, true, clock.steady() + later, clock.wall() + later);
  };
  const auto before = ask({});
  ASSERT_TRUE(before);
  std::filesystem::copy_file(another.ca_file(), options.ca_file,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::last_write_time(options.ca_file, old + std::chrono::minutes{10});
  const auto after = ask(FileStamp::kLookEvery * 2);
  ASSERT_TRUE(after);
  EXPECT_NE(after->common.trust_generation, before->common.trust_generation);
  EXPECT_EQ(contexts.size(), 1U);
  X509_STORE_CTX* walk = X509_STORE_CTX_new();
  const auto trusts = [&](const testing::Authority& authority) {
    const auto certificate = authority.certificate();
    X509_STORE_CTX_init(walk, SSL_CTX_get_cert_store(after->context), certificate.get(), nullptr);
    const bool good = X509_verify_cert(walk) == 1;
    X509_STORE_CTX_cleanup(walk);
    return good;
  };
  EXPECT_TRUE(trusts(another));
  EXPECT_FALSE(trusts(root));
  X509_STORE_CTX_free(walk);
}

TEST_F(TlsContextsTest, ThereAreOnlySoMany) {
  std::vector<std::shared_ptr<ProbePlan>> plans;
  std::vector<std::unique_ptr<testing::Authority>> roots;
  for (std::size_t i = 0; i < kTlsContextsMax + 3; ++i) {
    roots.push_back(std::make_unique<testing::Authority>("Root " + std::to_string(i)));
    plans.push_back(plan_of(trusting(*roots.back())));
    (void)context(plans.back());
  }
  EXPECT_EQ(contexts.size(), kTlsContextsMax);
}

TEST_F(TlsContextsTest, ThoseOfPlansThatAreGoneGoWithTheNext) {
  const testing::Authority another{"Another"};
  (void)context(plan_of(trusting(root)));
  (void)context(plan_of(trusting(another)));
  EXPECT_EQ(contexts.size(), 1U);
}

}  // namespace
}  // namespace watchwheel::checker
