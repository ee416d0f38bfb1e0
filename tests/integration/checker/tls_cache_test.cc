// SPDX-License-Identifier: Apache-2.0
// With a chain known from the check before, whatever changes is noticed at the next one. All with and without cheap decoding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "checker/tls_decode.h"
#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class TlsCache : public ::testing::TestWithParam<bool> {
 protected:
  TlsCache() {
    dns.a("shop.example", {"127.0.0.1"});
    dns.a("www.shop.example", {"127.0.0.1"});
    server.otherwise(ok("hello"));
    options.ca_file = root.ca_file();
  }
  core::ProbeResult check(std::string_view host = "shop.example") {
    return driver.check(server.url("/", host), options);
  }
  void present(const Certificate& certificate) { server.set_tls({.certificate = certificate}); }
  std::uint64_t hits() { return driver.checker().stats().tls_chain_hits.value(); }
  std::uint64_t misses() { return driver.checker().stats().tls_chain_misses.value(); }
  // Two checks: the second one is known.
  void warm() {
    ASSERT_EQ(check().cause, Cause::Ok);
    const std::uint64_t before = hits();
    const core::ProbeResult result = check();
    ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
    ASSERT_EQ(hits(), before + 1);
  }

  checker::FastDecoding decoding{
      GetParam()};  // First: keys from before it sign no certificates under it.
  Authority root{"Test Root"};
  std::unique_ptr<Authority> middle = root.intermediate({.common_name = "Middle"});
  Certificate good = middle->issue({.dns_names = {"shop.example"}});
  Certificate keyless = without_its_key(good);
  FakeDns dns;
  FaultServer server{TlsOptions{.certificate = good}};
  CheckerDriver driver{loopback_settings({dns.endpoint()})};
  core::CheckOptions options;
};
INSTANTIATE_TEST_SUITE_P(Decoding, TlsCache, ::testing::Bool(),
                         [](const auto& fast) { return fast.param ? "Fast" : "Plain"; });

TEST_P(TlsCache, UnchangedChainIsVerifiedOnceAndEachHandshakeIsWhole) {
  for (int i = 0; i < 5; ++i) ASSERT_EQ(check().cause, Cause::Ok);
  EXPECT_EQ(misses(), 1U);
  EXPECT_EQ(hits(), 4U);
  EXPECT_EQ(server.resumed(), 0U);
  EXPECT_EQ(driver.checker().stats().tls_chain_entries.value(), 1.0);
}

TEST_P(TlsCache, FactsOfAKnownChainAreToldAsOfANewOne) {
  const auto first = check().tls;
  const auto second = check().tls;
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(first->subject, "CN=shop.example");
  EXPECT_EQ(first->key_type, "EC 256");
  EXPECT_THAT(first->chain, ElementsAre(HasSubstr("CN=Middle; issued by CN=Test Root; until 20")));
}

TEST_P(TlsCache, ForgedSignatureIsNoticed) {
  warm();
  Certificate altered = good;
  altered.chain.front() = forged(good.chain.front());
  present(altered);
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);  // Failures are never known.
  altered = good;
  altered.chain[1] = forged(good.chain[1]);
  present(altered);
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);
  present(good);
  EXPECT_EQ(check().cause, Cause::Ok);
}

TEST_P(TlsCache, CertificateThatOnlyLooksTheSameIsNoticed) {
  warm();
  // The same names, made by authorities of the same names.
  const Authority impostor("Test Root");
  const auto false_middle = impostor.intermediate({.common_name = "Middle"});
  present(false_middle->issue({.dns_names = {"shop.example"}}));
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);
  // The true intermediate beside a leaf that it never signed.
  Certificate mixed = false_middle->issue({.dns_names = {"shop.example"}});
  mixed.chain = {mixed.chain.front(), good.chain[1]};
  present(mixed);
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);
  // The same key, another content.
  Certificate self = self_signed({.dns_names = {"shop.example"}});
  present(self);
  EXPECT_EQ(check().cause, Cause::TlsCertSelfSigned);
}

// Only who has the key can finish a handshake, whatever is known of the chain.
TEST_P(TlsCache, ServerWithoutTheKeyIsNoticed) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    server.set_tls({.certificate = good, .version_min = version, .version_max = version});
    warm();
    server.set_tls({.certificate = keyless, .version_min = version, .version_max = version});
    const std::uint64_t before = hits();
    const core::ProbeResult result = check();
    EXPECT_EQ(result.cause, Cause::TlsHandshake) << result.detail;
    EXPECT_THAT(result.detail, HasSubstr("bad signature"));
    EXPECT_EQ(hits(), before + 1);  // Its chain was known, and that did not help it.
  }
}

TEST_P(TlsCache, SwappedCertificateIsNoticedAndItsFactsToldAtOnce) {
  warm();
  const auto before = check().tls;
  present(root.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048}));
  const core::ProbeResult other = check();
  ASSERT_EQ(other.cause, Cause::Ok) << other.detail;
  EXPECT_NE(other.tls->fingerprint, before->fingerprint);
  EXPECT_EQ(other.tls->key_type, "RSA 2048");
  EXPECT_EQ(other.tls->issuer, "CN=Test Root");
  present(root.issue({.dns_names = {"other.example"}}));
  EXPECT_EQ(check().cause, Cause::TlsCertHostname);
  present(good);
  EXPECT_EQ(check().tls->fingerprint, before->fingerprint);
}

TEST_P(TlsCache, ShortenedChainIsAnotherChain) {
  warm();
  Certificate bare = good;
  bare.chain.resize(1);
  present(bare);
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);
}

// The chain is known and good; the name is looked at each time.
TEST_P(TlsCache, NameIsCheckedEachTime) {
  warm();
  EXPECT_EQ(check("www.shop.example").cause, Cause::TlsCertHostname);
  EXPECT_EQ(driver.check(server.url("/"), options).cause, Cause::TlsCertHostname);
  EXPECT_EQ(check().cause, Cause::Ok);
}

TEST_P(TlsCache, LeafThatEndsIsNoticedAtTheSecond) {
  present(middle->issue({.dns_names = {"shop.example"}, .valid_for = 1h}));
  warm();
  driver.move_on(1h - 10s);
  EXPECT_EQ(check().cause, Cause::Ok);
  driver.move_on(10s);
  const core::ProbeResult result = check();
  EXPECT_EQ(result.cause, Cause::TlsCertExpired) << result.detail;
}

TEST_P(TlsCache, IntermediateThatEndsIsNoticed) {
  const auto brief = root.intermediate({.common_name = "Brief Middle", .valid_for = 1h});
  present(brief->issue({.dns_names = {"shop.example"}}));
  warm();
  driver.move_on(61min);
  const core::ProbeResult result = check();
  EXPECT_EQ(result.cause, Cause::TlsCertExpired);
  EXPECT_THAT(result.detail, HasSubstr("CN=Brief Middle"));
}

// OpenSSL would ask the machine's clock; ours rules.
TEST_P(TlsCache, ClockThatIsSetBackAndForthIsFollowed) {
  present(middle->issue({.dns_names = {"shop.example"}, .valid_from = -1h}));
  warm();
  driver.step_wall(-2h);
  EXPECT_EQ(check().cause, Cause::TlsCertNotYetValid);
  driver.step_wall(2h + 24h * 400);
  EXPECT_EQ(check().cause, Cause::TlsCertExpired);
  driver.step_wall(-24h * 400);
  EXPECT_EQ(check().cause, Cause::Ok);
}

TEST_P(TlsCache, KnownChainIsVerifiedAgainAfterADay) {
  warm();
  const std::uint64_t before = misses();
  driver.move_on(24h + 1s);
  EXPECT_EQ(check().cause, Cause::Ok);
  EXPECT_EQ(misses(), before + 1);
  EXPECT_EQ(check().cause, Cause::Ok);
  EXPECT_EQ(misses(), before + 1);
}

TEST_P(TlsCache, AuthorityThatIsTrustedNoMoreIsNoticed) {
  TempDir dir;
  options.ca_file = dir.file("ca.pem");
  const Authority other("Other Root");
  write_pem({.key = nullptr, .chain = {root.certificate(), other.certificate()}}, options.ca_file);
  warm();
  write_pem({.key = nullptr, .chain = {other.certificate()}}, options.ca_file);
  driver.move_on(70s);
  EXPECT_EQ(check().cause, Cause::TlsCertUntrusted);
  EXPECT_EQ(driver.checker().stats().trust_reloads.value(), 1U);
  write_pem({.key = nullptr, .chain = {root.certificate()}}, options.ca_file);
  driver.move_on(70s);
  EXPECT_EQ(check().cause, Cause::Ok);
}

TEST_P(TlsCache, StoreThatCannotBeReadAnyMoreStaysInForce) {
  TempDir dir;
  options.ca_file = dir.file("ca.pem");
  write_pem({.key = nullptr, .chain = {root.certificate()}}, options.ca_file);
  warm();
  write_file(options.ca_file, "nothing");
  driver.move_on(70s);
  EXPECT_EQ(check().cause, Cause::Ok);
  EXPECT_EQ(driver.checker().stats().trust_reload_failures.value(), 1U);
}

TEST_P(TlsCache, WhatOneSiteTrustsAnotherDoesNot) {
  warm();
  const Authority other("Other Root");
  core::CheckOptions elsewhere;
  elsewhere.ca_file = other.ca_file();
  EXPECT_EQ(driver.check(server.url("/", "shop.example"), elsewhere).cause,
            Cause::TlsCertUntrusted);
  EXPECT_EQ(driver.check(server.url("/", "shop.example")).cause, Cause::TlsCertUntrusted);
}

// Strength is part of what is asked of a chain: a chain that passed under other rules is not known under these.
TEST_P(TlsCache, UnverifiedCheckTeachesNothing) {
  present(self_signed({.dns_names = {"shop.example"}}));
  core::CheckOptions unverified;
  unverified.tls_verify = false;
  EXPECT_EQ(driver.check(server.url("/", "shop.example"), unverified).cause, Cause::Ok);
  EXPECT_EQ(check().cause, Cause::TlsCertSelfSigned);
}

TEST_P(TlsCache, ClientCertificatesWorkBesideKnownChains) {
  const Authority clients("Clients' Root");
  TempDir dir;
  for (const KeyKind kind : {KeyKind::Ec256, KeyKind::Rsa2048}) {
    const Certificate ours = clients.issue({.common_name = "monitor", .key = kind});
    options.client_cert_file = dir.file(std::to_string(static_cast<int>(kind)) + ".pem");
    options.client_key_file = options.client_cert_file + ".key";
    write_pem(ours, options.client_cert_file);
    write_key(ours, options.client_key_file);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      server.set_tls({.certificate = good,
                      .version_min = version,
                      .version_max = version,
                      .wants_client_certificate = true,
                      .client_authority = clients.certificate()});
      warm();
    }
  }
}

// The methods that cheap decoding stands on serve the key exchange as well.
TEST_P(TlsCache, EveryKeyExchangeWorks) {
  for (const char* group : {"P-256", "P-384", "P-521", "X25519", "X448"}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      server.set_tls(
          {.certificate = good, .version_min = version, .version_max = version, .groups = group});
      const core::ProbeResult result = check();
      EXPECT_EQ(result.cause, Cause::Ok) << group << " " << version << " " << result.detail;
    }
  }
}

TEST_P(TlsCache, EveryKindOfKeyIsUpAndToldTheSame) {
  std::vector<std::string> told;
  for (const KeyKind kind : {KeyKind::Ec256, KeyKind::Ec384, KeyKind::Ec521, KeyKind::Rsa2048,
                             KeyKind::RsaPss2048, KeyKind::Ed25519}) {
    present(root.issue({.dns_names = {"shop.example"}, .key = kind}));
    warm();
    told.push_back(check().tls->key_type);
  }
  EXPECT_THAT(told,
              ElementsAre("EC 256", "EC 384", "EC 521", "RSA 2048", "RSA-PSS 2048", "ED25519 256"));
}

// Each lane has checker, cache and store of its own; OpenSSL's own state is shared.
TEST_P(TlsCache, LanesOfTheirOwnDoNotDisturbEachOther) {
  std::vector<std::thread> lanes;
  std::array<int, 2> up{};
  for (std::size_t lane = 0; lane < up.size(); ++lane) {
    lanes.emplace_back([this, &count = up[lane]] {
      CheckerDriver own(loopback_settings({dns.endpoint()}));
      for (int i = 0; i < 10; ++i)
        count += own.check(server.url("/", "shop.example"), options).cause == Cause::Ok ? 1 : 0;
      count += own.checker().stats().tls_chain_hits.value() == 9 ? 100 : 0;
    });
  }
  for (std::thread& lane : lanes) lane.join();
  EXPECT_THAT(up, ElementsAre(110, 110));
}

}  // namespace
}  // namespace watchwheel::testing
