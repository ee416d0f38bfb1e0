// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <map>
#include <optional>
#include <set>

#include "net_loop.h"
#include "support/fake_dns.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::IpFamily;
using ::testing::ElementsAre;
using testing::FakeDns;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

std::vector<std::string> texts(const Resolution& resolution) {
  std::vector<std::string> out;
  for (const IpAddress& ip : resolution.addresses) out.push_back(to_string(ip));
  return out;
}

// A resolver with one asker, and one or two name servers.
class ResolverTest : public ::testing::Test, public ResolveHandler {
 protected:
  void start(std::int64_t speed = 1, std::vector<std::string> servers = {},
             Resolver::Limits limits = {}) {
    loop.emplace(speed);
    if (servers.empty()) servers.push_back(dns.endpoint());
    std::vector<Endpoint> endpoints;
    for (const std::string& server : servers) endpoints.push_back(*parse_endpoint(server, 53));
    resolver = std::move(Resolver::make(limits, endpoints, loop->reactor(), stats)).value();
  }

  void TearDown() override { resolver.reset(); }

  void on_resolved(std::uint64_t tag, const Resolution& resolution,
                   core::SteadyTime now) noexcept override {
    EXPECT_FALSE(inside_resolve);
    EXPECT_FALSE(told.contains(tag));
    told[tag] = resolution;
    told_at = now;
  }

  // Asks without waiting: true when the answer was known.
  bool ask(std::string_view host, IpFamily family, std::uint64_t tag, Resolution& known) {
    inside_resolve = true;
    const bool at_once = resolver->resolve(host, family, 0, loop->now(), *this, tag, known);
    inside_resolve = false;
    return at_once;
  }

  // Asks and waits.
  Resolution resolve(std::string_view host, IpFamily family = IpFamily::Any) {
    Resolution known;
    const std::uint64_t tag = ++last_tag;
    asked_at = loop->now();
    if (ask(host, family, tag, known)) return known;
    EXPECT_TRUE(loop->run_until([&] { return told.contains(tag); })) << host;
    return told[tag];
  }

  [[nodiscard]] std::uint64_t count(DnsQueryResult result) const {
    return stats.dns_queries[static_cast<std::size_t>(result)].value();
  }

  FakeDns dns;
  Stats stats;
  std::optional<NetLoop> loop;
  std::unique_ptr<Resolver> resolver;
  std::map<std::uint64_t, Resolution> told;
  core::SteadyTime asked_at, told_at;
  std::uint64_t last_tag = 0;
  bool inside_resolve = false;
};

TEST_F(ResolverTest, GivesBothFamiliesAndThenAnswersFromTheCache) {
  dns.a("shop.example", {"192.0.2.1", "192.0.2.2"});
  dns.aaaa("shop.example", {"2001:db8::1"});
  start();
  const Resolution first = resolve("shop.example");
  EXPECT_EQ(first.cause, Cause::Ok);
  EXPECT_THAT(texts(first), ElementsAre("2001:db8::1", "192.0.2.1", "192.0.2.2"));
  EXPECT_FALSE(first.cached);
  const Resolution again = resolve("shop.example");
  EXPECT_TRUE(again.cached);
  EXPECT_EQ(again.addresses, first.addresses);
  EXPECT_EQ(dns.queries(), 2U);
  EXPECT_EQ(stats.dns_cache_hits.value(), 1U);
  EXPECT_EQ(stats.dns_cache_entries.value(), 2);
  EXPECT_EQ(count(DnsQueryResult::Ok), 2U);
}

// Goal: who must know whether names can be resolved now is not answered from what was known.
TEST_F(ResolverTest, KeepsNothingWhenToldTo) {
  dns.a("shop.example", {"192.0.2.1"});
  start(1, {}, {.keep_max = {}});
  EXPECT_THAT(texts(resolve("shop.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
  EXPECT_FALSE(resolve("shop.example", IpFamily::V4).cached);
  EXPECT_EQ(dns.queries(), 2U);
}

TEST_F(ResolverTest, AsksOnlyTheFamilyThatIsWanted) {
  dns.a("shop.example", {"192.0.2.1"});
  dns.aaaa("shop.example", {"2001:db8::1"});
  start();
  EXPECT_THAT(texts(resolve("shop.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
  EXPECT_EQ(dns.queries("shop.example", FakeDns::Type::Aaaa), 0U);
  EXPECT_THAT(texts(resolve("shop.example", IpFamily::V6)), ElementsAre("2001:db8::1"));
  EXPECT_TRUE(resolve("shop.example").cached);
  EXPECT_EQ(dns.queries(), 2U);
}

TEST_F(ResolverTest, TellsTheFailuresApart) {
  struct Case {
    FakeDns::Kind kind;
    Cause cause;
    DnsQueryResult counted;
    std::string said;
  };
  const std::vector<Case> cases{
      {FakeDns::Kind::Nxdomain, Cause::DnsNxdomain, DnsQueryResult::Nxdomain, "NXDOMAIN"},
      {FakeDns::Kind::Nodata, Cause::DnsNoAddress, DnsQueryResult::Nodata, "no such address"},
      {FakeDns::Kind::Servfail, Cause::DnsServfail, DnsQueryResult::Servfail, "SERVFAIL"},
      {FakeDns::Kind::Refused, Cause::DnsRefused, DnsQueryResult::Refused, "REFUSED"},
      {FakeDns::Kind::Malformed, Cause::DnsMalformed, DnsQueryResult::Malformed, "does not add up"},
  };
  start();
  for (const Case& c : cases) {
    dns.fail("bad.example", c.kind);
    const Resolution resolution = resolve("bad.example");
    EXPECT_EQ(resolution.cause, c.cause) << core::to_string(resolution.cause);
    EXPECT_TRUE(resolution.addresses.empty());
    EXPECT_THAT(resolution.detail, HasSubstr(c.said));
    EXPECT_THAT(resolution.detail, HasSubstr(dns.endpoint()));
    EXPECT_EQ(count(c.counted), 2U);
    loop->skip(6s);  // Negative answers are kept for 5 s.
  }
}

TEST_F(ResolverTest, KeepsANegativeAnswerForFiveSecondsAndABadMomentForOne) {
  start();
  resolve("gone.example");
  loop->skip(4s);
  EXPECT_TRUE(resolve("gone.example").cached);
  loop->skip(2s);
  EXPECT_FALSE(resolve("gone.example").cached);

  dns.fail("bad.example", FakeDns::Kind::Servfail);
  resolve("bad.example");
  EXPECT_TRUE(resolve("bad.example").cached);
  loop->skip(1100ms);
  dns.a("bad.example", {"192.0.2.9"});
  EXPECT_EQ(resolve("bad.example").cause, Cause::Ok);
}

// Goal: silence about one name, from a server that answers others, is the name's failure. Method: time runs tenfold.
TEST_F(ResolverTest, SilenceOfALivingServerIsATimeoutOfTheName) {
  dns.fail("silent.example", FakeDns::Kind::Silence);
  start(10);
  const Resolution resolution = resolve("silent.example");
  EXPECT_EQ(resolution.cause, Cause::DnsTimeout) << resolution.detail;
  EXPECT_GE(told_at - asked_at, 3s);
  EXPECT_LT(told_at - asked_at, 4s);
  EXPECT_EQ(dns.queries("silent.example", FakeDns::Type::A), 3U);  // At 0, 0.5 and 1.5 s.
  EXPECT_GE(dns.queries(".", FakeDns::Type::Ns), 1U);
  EXPECT_LE(dns.queries(".", FakeDns::Type::Ns), 3U);
}

TEST_F(ResolverTest, AnswersWithAnotherIdAreNotTaken) {
  dns.script("odd.example", FakeDns::Type::A,
             {{.kind = FakeDns::Kind::WrongId, .addresses = {"192.0.2.66"}}});
  start(10);
  EXPECT_EQ(resolve("odd.example", IpFamily::V4).cause, Cause::DnsTimeout);
}

// Goal: only the answer to our own question counts, and the right one is still taken after any number of others. Method: others
// come first, with an address that must not be taken.
TEST_F(ResolverTest, ForgedAnswersAreLeftAsideAndTheRightOneIsTaken) {
  using Kind = FakeDns::Kind;
  dns.script(
      "shop.example", FakeDns::Type::A,
      {{.addresses = {"192.0.2.1"},
        .forged = {Kind::WrongId, Kind::WrongQuestion, Kind::WrongPort, Kind::ShortHeader}}});
  start();
  EXPECT_THAT(texts(resolve("shop.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
  for (const Kind kind : {Kind::WrongQuestion, Kind::WrongPort, Kind::ShortHeader}) {
    resolver.reset();
    dns.script("odd.example", FakeDns::Type::A, {{.kind = kind, .addresses = {"192.0.2.66"}}});
    start(10);
    EXPECT_EQ(resolve("odd.example", IpFamily::V4).cause, Cause::DnsTimeout);
  }
}

// Goal: an answer cannot be guessed. Method: ids and ports of many queries. A counter, or ids from a small range, would repeat
// or rise.
TEST_F(ResolverTest, IdsAndPortsCannotBeForetold) {
  dns.otherwise({.addresses = {"192.0.2.1"}});
  start();
  Resolution known;
  constexpr std::uint64_t kNames = 3500;
  for (std::uint64_t i = 0; i < kNames; ++i)
    (void)ask("n" + std::to_string(i) + ".example", IpFamily::V4, i, known);
  ASSERT_TRUE(loop->run_until([&] { return told.size() == kNames; }));
  std::set<std::uint16_t> ids;
  std::map<std::uint16_t, std::size_t> ports;
  std::size_t rising = 0;
  const auto seen = dns.seen();
  for (std::size_t i = 0; i < seen.size(); ++i) {
    ids.insert(seen[i].id);
    ++ports[seen[i].from_port];
    if (i > 0 && seen[i].id > seen[i - 1].id) ++rising;
  }
  // Of 3500 out of 65536 by chance about 3400 differ, and half of them rise.
  EXPECT_GT(ids.size(), 3300U);
  EXPECT_GT(rising, kNames * 2 / 5);
  EXPECT_LT(rising, kNames * 3 / 5);
  EXPECT_GE(ports.size(), 4U);
  for (const auto& [port, count] : ports) EXPECT_LE(count, 1000U);
}

TEST_F(ResolverTest, AnAnswerThatEndsAtAnAliasIsFollowed) {
  dns.script("www.example", FakeDns::Type::A,
             {{.addresses = {}, .cname = "b.example", .cname_ttl_s = 20}});
  dns.script("b.example", FakeDns::Type::A,
             {{.addresses = {}, .ttl_s = 300, .cname = "c.example", .cname_ttl_s = 300}});
  dns.a("c.example", {"192.0.2.3"}, 300);
  start();
  EXPECT_THAT(texts(resolve("www.example", IpFamily::V4)), ElementsAre("192.0.2.3"));
  EXPECT_EQ(dns.queries("c.example", FakeDns::Type::A), 1U);
  loop->skip(17s);  // As long as the shortest of the three.
  EXPECT_TRUE(resolve("www.example", IpFamily::V4).cached);
  loop->skip(4s);
  EXPECT_FALSE(resolve("www.example", IpFamily::V4).cached);
}

TEST_F(ResolverTest, WhereTheZoneSaysThatThereIsNoMoreNobodyIsAsked) {
  dns.script("www.example", FakeDns::Type::A,
             {{.addresses = {}, .cname = "b.example", .soa = true}});
  start();
  EXPECT_EQ(resolve("www.example", IpFamily::V4).cause, Cause::DnsNoAddress);
  EXPECT_EQ(dns.queries("b.example", FakeDns::Type::A), 0U);
}

TEST_F(ResolverTest, WhatIsWrongWithTheAliasIsTold) {
  const auto alias = [&](std::string_view from, std::string_view to) {
    dns.script(from, FakeDns::Type::A, {{.addresses = {}, .cname = std::string(to)}});
  };
  alias("www.example", "b.example");
  start();
  const Resolution gone = resolve("www.example", IpFamily::V4);
  EXPECT_EQ(gone.cause, Cause::DnsNxdomain);
  EXPECT_THAT(gone.detail, HasSubstr("b.example"));
  alias("one.example", "two.example");
  alias("two.example", "one.example");
  const Resolution circle = resolve("one.example", IpFamily::V4);
  EXPECT_EQ(circle.cause, Cause::DnsMalformed) << circle.detail;
  EXPECT_THAT(circle.detail, HasSubstr("circle"));
  EXPECT_LE(dns.queries(), 1U + 1U + 18U);
}

TEST_F(ResolverTest, OddAnswersHaveTheirCauses) {
  using Kind = FakeDns::Kind;
  struct Case {
    Kind kind;
    Cause cause;
    const char* said;
  };
  start();
  for (const Case& c : {Case{Kind::Formerr, Cause::DnsServfail, "FORMERR"},
                        Case{Kind::Notimp, Cause::DnsServfail, "NOTIMP"},
                        Case{Kind::PointerLoop, Cause::DnsMalformed, "does not add up"},
                        Case{Kind::LyingCount, Cause::DnsMalformed, "does not add up"},
                        Case{Kind::OtherName, Cause::DnsMalformed, "another name"},
                        Case{Kind::CnameCircle, Cause::DnsMalformed, "circle"},
                        Case{Kind::LongChain, Cause::DnsMalformed, "circle"},
                        Case{Kind::Referral, Cause::DnsRefused, "other servers"}}) {
    dns.script("odd.example", FakeDns::Type::A,
               {{.kind = c.kind,
                 .addresses = {"192.0.2.1"},
                 .cname = c.kind == Kind::CnameCircle ? "b.example" : ""}});
    const Resolution resolution = resolve("odd.example", IpFamily::V4);
    EXPECT_EQ(resolution.cause, c.cause) << resolution.detail;
    EXPECT_THAT(resolution.detail, HasSubstr(c.said));
    loop->skip(6s);
  }
}

TEST_F(ResolverTest, AServerWithoutEdnsIsAskedWithoutIt) {
  using Kind = FakeDns::Kind;
  for (const Kind kind : {Kind::NoEdns, Kind::NoEdnsBare, Kind::NoEdnsNotimp}) {
    const FakeDns::Answer answer{.kind = kind, .addresses = {"192.0.2.1"}};
    FakeDns old;
    old.script("a.example", FakeDns::Type::A, {answer});
    old.script("b.example", FakeDns::Type::A, {answer});
    start(1, {old.endpoint()});
    EXPECT_THAT(texts(resolve("a.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
    EXPECT_THAT(texts(resolve("b.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
    EXPECT_EQ(old.seen().front().edns_bytes, 1232);
    EXPECT_EQ(old.seen().back().edns_bytes, 0);
    EXPECT_LT(told_at - asked_at, 450ms);
    resolver.reset();
  }
}

// Goal: a middlebox that drops EDNS does not make the resolver dead. Time runs tenfold.
TEST_F(ResolverTest, AServerThatIsSilentToEdnsIsAskedWithoutIt) {
  for (const char* name : {"a.example", "b.example"}) {
    dns.script(name, FakeDns::Type::A,
               {{.kind = FakeDns::Kind::NoEdnsSilent, .addresses = {"192.0.2.1"}}});
  }
  start(10);
  EXPECT_EQ(resolve("a.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_LT(told_at - asked_at, 3s);
  EXPECT_EQ(resolve("b.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_LT(told_at - asked_at, 450ms);
}

// Goal: that a server does not know EDNS for one name costs no other name its answer: c-ares cuts it to 512 bytes then, which
// would read as malformed. Method: both under way at once, the long answer later.
TEST_F(ResolverTest, AFormerrAboutOneNameDoesNotCutTheAnswerAboutAnother) {
  std::vector<std::string> many;
  for (int i = 1; i <= 20; ++i) many.push_back("2001:db8::" + std::to_string(i));
  dns.fail("odd.example", FakeDns::Kind::Formerr);
  dns.script("many.example", FakeDns::Type::Aaaa, {{.addresses = many, .delay = 50ms}});
  start();
  Resolution known;
  ASSERT_FALSE(ask("many.example", IpFamily::V6, 1000, known));
  EXPECT_EQ(resolve("odd.example", IpFamily::V6).cause, Cause::DnsServfail);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1000); }));
  EXPECT_EQ(told[1000].addresses.size(), 16U) << told[1000].detail;
}

// Twenty addresses of IPv6 are 600 bytes: more than without EDNS fit, and no reason for TCP.
TEST_F(ResolverTest, AnAnswerOfMoreThan512BytesComesOverUdp) {
  std::vector<std::string> many;
  for (int i = 1; i <= 20; ++i) many.push_back("2001:db8::" + std::to_string(i));
  dns.aaaa("many.example", many);
  start();
  EXPECT_EQ(resolve("many.example", IpFamily::V6).addresses.size(), 16U);
  EXPECT_EQ(dns.tcp_queries(), 0U);
}

// Goal: who truncates and then does not answer over TCP says nothing of the name. Time runs tenfold.
TEST_F(ResolverTest, TruncatedAndThenNothingOverTcpIsOurTrouble) {
  using Kind = FakeDns::Kind;
  for (const Kind kind :
       {Kind::TruncatedTcpCloses, Kind::TruncatedTcpSilent, Kind::TruncatedTcpGarbage}) {
    dns.script("long.example", FakeDns::Type::A, {{.kind = kind}});
    start(10);
    const Resolution resolution = resolve("long.example", IpFamily::V4);
    EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable) << resolution.detail;
    EXPECT_THAT(resolution.detail, HasSubstr("over TCP"));
    EXPECT_GE(dns.tcp_queries(), 1U);
    resolver.reset();
  }
}

// Goal: a connection that the server closes costs the others nothing. Method: one name's is closed while another's answer is
// late.
TEST_F(ResolverTest, AClosedTcpConnectionTakesNoOtherAnswerWithIt) {
  dns.script("closed.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::TruncatedTcpCloses}});
  dns.script("late.example", FakeDns::Type::A,
             {{.kind = FakeDns::Kind::Truncated, .addresses = {"192.0.2.1"}, .delay = 60ms}});
  start();
  Resolution known;
  ASSERT_FALSE(ask("late.example", IpFamily::V4, 1000, known));
  loop->run_for(70ms);  // It waits for its answer over TCP by now.
  EXPECT_EQ(resolve("closed.example", IpFamily::V4).cause, Cause::ResolverUnreachable);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1000); }));
  EXPECT_EQ(told[1000].cause, Cause::Ok) << told[1000].detail;
}

TEST_F(ResolverTest, MoreQuestionsOverTcpThanMayBeAreOurTrouble) {
  dns.otherwise({.kind = FakeDns::Kind::TruncatedTcpSilent});
  start();
  Resolution known;
  for (std::uint64_t i = 0; i < 100; ++i)
    (void)ask("n" + std::to_string(i) + ".example", IpFamily::V4, i, known);
  ASSERT_TRUE(loop->run_until([&] { return told.size() >= 36; }));
  EXPECT_EQ(told.begin()->second.cause, Cause::LocalResources) << told.begin()->second.detail;
}

TEST_F(ResolverTest, TruncatedAndTcpRefusedIsOurTroubleAndTheNextServerIsAskedAtOnce) {
  FakeDns no_tcp(FakeDns::Options{.tcp = false});
  no_tcp.script("long.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::Truncated}});
  start(1, {no_tcp.endpoint()});
  const Resolution alone = resolve("long.example", IpFamily::V4);
  EXPECT_EQ(alone.cause, Cause::ResolverUnreachable) << alone.detail;
  EXPECT_THAT(alone.detail, HasSubstr("over TCP: Connection refused"));
  EXPECT_LT(told_at - asked_at, 2s);
  resolver.reset();
  dns.a("long.example", {"192.0.2.1"});
  start(1, {no_tcp.endpoint(), dns.endpoint()});
  EXPECT_EQ(resolve("long.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_LT(told_at - asked_at, 450ms);
}

TEST_F(ResolverTest, AnAskerOutOfTimeBehindTruncationBlamesTheResolver) {
  dns.script("long.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::TruncatedTcpSilent}});
  start();
  Resolution known;
  ASSERT_FALSE(ask("long.example", IpFamily::V4, 1, known));
  ASSERT_TRUE(loop->run_until([&] { return dns.tcp_queries() > 0; }));
  loop->run_for(20ms);
  EXPECT_EQ(resolver->cancel("long.example", IpFamily::V4, 0, 1), Cause::ResolverUnreachable);
}

// Goal: we are not heard over TCP, and what another server fails with makes that no less ours.
TEST_F(ResolverTest, TruncatedAndTcpRefusedStaysOursWhateverTheNextServerFailsWith) {
  using Kind = FakeDns::Kind;
  for (const Kind kind : {Kind::Servfail, Kind::Refused, Kind::Malformed, Kind::Silence}) {
    FakeDns no_tcp(FakeDns::Options{.tcp = false});
    no_tcp.script("long.example", FakeDns::Type::A, {{.kind = Kind::Truncated}});
    dns.fail("long.example", kind);
    start(10, {no_tcp.endpoint(), dns.endpoint()});
    const Resolution resolution = resolve("long.example", IpFamily::V4);
    EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable) << resolution.detail;
    EXPECT_THAT(resolution.detail, HasSubstr("over TCP"));
    resolver.reset();
  }
}

TEST_F(ResolverTest, TruncatedAndSilentOverTcpStaysOursWhateverTheNextServerFailsWith) {
  FakeDns second;
  second.fail("long.example", FakeDns::Kind::Servfail);
  dns.script("long.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::TruncatedTcpSilent}});
  start(10, {dns.endpoint(), second.endpoint()});
  EXPECT_EQ(resolve("long.example", IpFamily::V4).cause, Cause::ResolverUnreachable);
}

// Goal: what is known of one family counts when time is up before the other one. Method: one is our trouble at once, the other
// silent, from a server that lives.
TEST_F(ResolverTest, AnAskerOutOfTimeHearsOfTheTroubleWithTheOtherFamily) {
  FakeDns no_tcp(FakeDns::Options{.tcp = false});
  no_tcp.script("long.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::Truncated}});
  no_tcp.script("long.example", FakeDns::Type::Aaaa, {{.kind = FakeDns::Kind::Silence}});
  start(4, {no_tcp.endpoint()});
  Resolution known;
  ASSERT_FALSE(ask("long.example", IpFamily::Any, 1, known));
  loop->run_for(1s);
  ASSERT_FALSE(told.contains(1));
  EXPECT_EQ(resolver->cancel("long.example", IpFamily::Any, 0, 1), Cause::ResolverUnreachable);
}

TEST_F(ResolverTest, AnAskerOutOfTimeInTheGraceIsNotToldThatTheNameIsSilent) {
  dns.a("shop.example", {"192.0.2.1"});
  dns.script("shop.example", FakeDns::Type::Aaaa, {{.kind = FakeDns::Kind::Silence}});
  start();
  Resolution known;
  ASSERT_FALSE(ask("shop.example", IpFamily::Any, 1, known));
  ASSERT_TRUE(loop->run_until([&] { return count(DnsQueryResult::Ok) == 1; }));
  if (told.contains(1)) GTEST_SKIP() << "the machine was too slow to look within 50 ms";
  EXPECT_EQ(resolver->cancel("shop.example", IpFamily::Any, 0, 1), Cause::LocalOverload);
}

// Goal: a resolver whose access list leaves us out says nothing about names. Method: it refuses ". NS" as well.
TEST_F(ResolverTest, AResolverThatRefusesUsIsOurTrouble) {
  using Kind = FakeDns::Kind;
  start();
  dns.a("shop.example", {"192.0.2.1"});
  EXPECT_EQ(resolve("shop.example", IpFamily::V4).cause, Cause::Ok);  // Before the list changed.
  for (const Kind kind : {Kind::Refused, Kind::Referral}) {
    dns.script(".", FakeDns::Type::Ns, {{.kind = kind}});
    dns.fail("bad.example", kind);
    const Resolution resolution = resolve("bad.example");
    EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable) << resolution.detail;
    EXPECT_THAT(resolution.detail, HasSubstr("no other name for us"));
    EXPECT_FALSE(resolution.cached);
    EXPECT_LT(told_at - asked_at, 450ms);
    loop->skip(2s);  // A bad moment is kept for one.
  }
  // And it ends when it resolves for us again.
  dns.script(".", FakeDns::Type::Ns, {{.kind = Kind::Nodata}});
  dns.fail("bad.example", Kind::Refused);
  const Resolution again = resolve("bad.example", IpFamily::V4);
  EXPECT_EQ(again.cause, Cause::DnsRefused) << again.detail;
}

// Goal: with the good resolver of two dead, the other one's refusals are not the names' failures. Time runs tenfold.
TEST_F(ResolverTest, ARefusingResolverBesideADeadOneIsOurTrouble) {
  FakeDns refusing;
  refusing.otherwise({.kind = FakeDns::Kind::Refused});
  refusing.script(".", FakeDns::Type::Ns, {{.kind = FakeDns::Kind::Refused}});
  dns.silence(true);
  start(10, {refusing.endpoint(), dns.endpoint()});
  const Resolution resolution = resolve("shop.example");
  EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable) << resolution.detail;
}

// A server that keeps silent to ". NS" costs half a second and shows nothing.
TEST_F(ResolverTest, ARefusalWithoutAVerdictIsOurTroubleAfterHalfASecond) {
  dns.fail("bad.example", FakeDns::Kind::Refused);
  dns.script(".", FakeDns::Type::Ns, {{.kind = FakeDns::Kind::Silence}});
  start();
  const Resolution resolution = resolve("bad.example", IpFamily::V4);
  EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable) << resolution.detail;
  EXPECT_GE(told_at - asked_at, 500ms);
  EXPECT_LT(told_at - asked_at, 2s);
}

// A server that answered for the alias does not refuse us when it refuses its target.
TEST_F(ResolverTest, ARefusalBehindAnAliasThatItAnsweredIsTheNames) {
  dns.script(".", FakeDns::Type::Ns, {{.kind = FakeDns::Kind::Refused}});
  dns.script("www.example", FakeDns::Type::A, {{.addresses = {}, .cname = "b.example"}});
  dns.fail("b.example", FakeDns::Kind::Refused);
  start();
  const Resolution resolution = resolve("www.example", IpFamily::V4);
  EXPECT_EQ(resolution.cause, Cause::DnsRefused) << resolution.detail;
  EXPECT_THAT(resolution.detail, HasSubstr("b.example"));
}

// Goal: one slow answer does not cost a server EDNS for ever. Method: its first answer comes after a sign of life without EDNS.
TEST_F(ResolverTest, ASlowFirstAnswerGivesEdnsBack) {
  dns.script("slow.example", FakeDns::Type::A, {{.addresses = {"192.0.2.1"}, .delay = 800ms}});
  dns.a("next.example", {"192.0.2.2"});
  start();
  EXPECT_EQ(resolve("slow.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_EQ(resolve("next.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_EQ(dns.seen().back().edns_bytes, 1232);
}

TEST_F(ResolverTest, TheNameServerMayBeAnIpv6Address) {
  FakeDns six(FakeDns::Options{.address = "::1"});
  six.a("shop.example", {"192.0.2.1"});
  start(1, {six.endpoint()});
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
}

// A failure before it must not shorten the life of what the next server knows.
TEST_F(ResolverTest, AfterAFailureOfTheFirstServerTheTtlOfTheSecondCounts) {
  FakeDns second;
  second.a("shop.example", {"192.0.2.2"}, 60);
  dns.fail("shop.example", FakeDns::Kind::Servfail);
  start(1, {dns.endpoint(), second.endpoint()});
  EXPECT_EQ(resolve("shop.example", IpFamily::V4).cause, Cause::Ok);
  loop->skip(50s);
  EXPECT_TRUE(resolve("shop.example", IpFamily::V4).cached);
}

TEST_F(ResolverTest, SilenceOfADeadServerIsOurTrouble) {
  dns.silence(true);
  start(10);
  const Resolution resolution = resolve("shop.example");
  EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable) << resolution.detail;
  EXPECT_EQ(core::outcome_of(resolution.cause), core::Outcome::NotMeasured);
  EXPECT_GE(dns.queries(".", FakeDns::Type::Ns), 1U);
}

// Goal: what a server said before it died does not make its silence the name's fault. Method: it answers one name right after
// the silent one was asked, and dies then.
TEST_F(ResolverTest, AServerThatDiesMeanwhileIsOurTrouble) {
  dns.fail("silent.example", FakeDns::Kind::Silence);
  dns.a("shop.example", {"192.0.2.1"});
  start(4);
  Resolution known;
  ASSERT_FALSE(ask("silent.example", IpFamily::V4, 1000, known));
  EXPECT_EQ(resolve("shop.example", IpFamily::V4).cause, Cause::Ok);
  dns.silence(true);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1000); }));
  EXPECT_EQ(told[1000].cause, Cause::ResolverUnreachable) << told[1000].detail;
}

TEST_F(ResolverTest, AClosedPortIsOurTroubleAndKnownAtOnce) {
  std::string nobody;
  {
    const FakeDns gone;
    nobody = gone.endpoint();
  }
  start(1, {nobody});
  const Resolution resolution = resolve("shop.example");
  EXPECT_EQ(resolution.cause, Cause::ResolverUnreachable);
  EXPECT_THAT(resolution.detail, HasSubstr("refused"));
  EXPECT_LT(told_at - asked_at, 2s);
  EXPECT_EQ(count(DnsQueryResult::Unreachable), 2U);
}

TEST_F(ResolverTest, WithoutDescriptorsItIsOurTrouble) {
  start();
  resolve("warm.example");  // The sanitizers open a descriptor at the first call of each kind.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Resolution known;
  const bool at_once = ask("shop.example", IpFamily::Any, 1000, known);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(at_once);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1000); }));
  EXPECT_EQ(told[1000].cause, Cause::LocalResources) << told[1000].detail;
  // And it is not remembered.
  dns.a("shop.example", {"192.0.2.1"});
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
}

TEST_F(ResolverTest, TakesATruncatedAnswerOverTcp) {
  std::vector<std::string> many;
  for (int i = 1; i <= 60; ++i) many.push_back("192.0.2." + std::to_string(i));
  dns.script("many.example", FakeDns::Type::A,
             {{.kind = FakeDns::Kind::Truncated, .addresses = many}});
  start();
  const Resolution resolution = resolve("many.example");
  EXPECT_EQ(resolution.cause, Cause::Ok) << resolution.detail;
  EXPECT_EQ(resolution.addresses.size(), 16U);
  EXPECT_EQ(dns.tcp_queries(), 1U);
}

TEST_F(ResolverTest, AnAliasLivesAsLongAsItsShortestPart) {
  dns.script(
      "www.example", FakeDns::Type::A,
      {{.addresses = {"192.0.2.1"}, .ttl_s = 600, .cname = "cdn.example", .cname_ttl_s = 20}});
  start();
  EXPECT_THAT(texts(resolve("www.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
  loop->skip(17s);
  EXPECT_TRUE(resolve("www.example", IpFamily::V4).cached);
  loop->skip(4s);
  EXPECT_FALSE(resolve("www.example", IpFamily::V4).cached);
}

TEST_F(ResolverTest, HoldsTtlsBetweenFiveSecondsAndAnHour) {
  dns.a("short.example", {"192.0.2.1"}, 0);
  dns.a("long.example", {"192.0.2.2"}, 86'400);
  start();
  resolve("short.example", IpFamily::V4);
  resolve("long.example", IpFamily::V4);
  loop->skip(4400ms);
  EXPECT_TRUE(resolve("short.example", IpFamily::V4).cached);
  loop->skip(700ms);
  EXPECT_FALSE(resolve("short.example", IpFamily::V4).cached);
  loop->skip(53min);
  EXPECT_TRUE(resolve("long.example", IpFamily::V4).cached);
  loop->skip(8min);
  EXPECT_FALSE(resolve("long.example", IpFamily::V4).cached);
}

TEST_F(ResolverTest, ManyAskersShareOneQuery) {
  dns.script("shop.example", FakeDns::Type::A, {{.addresses = {"192.0.2.1"}, .delay = 20ms}});
  start();
  Resolution known;
  for (std::uint64_t tag = 1; tag <= 50; ++tag) {
    EXPECT_FALSE(ask("shop.example", tag % 2 == 0 ? IpFamily::Any : IpFamily::V4, tag, known));
  }
  ASSERT_TRUE(loop->run_until([&] { return told.size() == 50; }));
  for (const auto& [tag, resolution] : told)
    EXPECT_THAT(texts(resolution), ElementsAre("192.0.2.1"));
  EXPECT_EQ(dns.queries("shop.example", FakeDns::Type::A), 1U);
  EXPECT_EQ(dns.queries("shop.example", FakeDns::Type::Aaaa), 1U);
}

TEST_F(ResolverTest, OneFamilyIsEnough) {
  for (const auto kind :
       {FakeDns::Kind::Servfail, FakeDns::Kind::Nxdomain, FakeDns::Kind::Malformed}) {
    dns.a("shop.example", {"192.0.2.1"}, 5);
    dns.script("shop.example", FakeDns::Type::Aaaa, {{.kind = kind}});
    start();
    const Resolution resolution = resolve("shop.example");
    EXPECT_EQ(resolution.cause, Cause::Ok) << resolution.detail;
    EXPECT_THAT(texts(resolution), ElementsAre("192.0.2.1"));
    resolver.reset();
  }
}

TEST_F(ResolverTest, WaitsShortlyForTheSecondFamilyAndKeepsTheLateAnswer) {
  dns.a("shop.example", {"192.0.2.1"});
  dns.script("shop.example", FakeDns::Type::Aaaa, {{.addresses = {"2001:db8::1"}, .delay = 300ms}});
  start();
  EXPECT_THAT(texts(resolve("shop.example")), ElementsAre("192.0.2.1"));
  EXPECT_GE(told_at - asked_at, 50ms);
  EXPECT_LT(told_at - asked_at, 290ms);
  ASSERT_TRUE(loop->run_until([&] { return count(DnsQueryResult::Ok) == 2; }));
  const Resolution later = resolve("shop.example");
  EXPECT_TRUE(later.cached);
  EXPECT_THAT(texts(later), ElementsAre("2001:db8::1", "192.0.2.1"));
}

TEST_F(ResolverTest, AsksTheNextServerWhenOneFails) {
  for (const auto kind :
       {FakeDns::Kind::Servfail, FakeDns::Kind::Refused, FakeDns::Kind::Malformed}) {
    FakeDns second;
    second.a("shop.example", {"192.0.2.2"});
    dns.fail("shop.example", kind);
    start(1, {dns.endpoint(), second.endpoint()});
    const Resolution resolution = resolve("shop.example", IpFamily::V4);
    EXPECT_THAT(texts(resolution), ElementsAre("192.0.2.2")) << resolution.detail;
    EXPECT_LT(told_at - asked_at, 450ms);  // Without waiting for a try to end.
    resolver.reset();
  }
}

TEST_F(ResolverTest, WhatTwoServersSayOfAFailure) {
  FakeDns second;
  second.fail("bad.example", FakeDns::Kind::Servfail);
  dns.fail("bad.example", FakeDns::Kind::Refused);
  start(10, {dns.endpoint(), second.endpoint()});
  EXPECT_EQ(resolve("bad.example", IpFamily::V4).cause, Cause::DnsServfail);
  dns.silence(true);
  loop->skip(2s);
  EXPECT_EQ(resolve("bad.example", IpFamily::V4).cause,
            Cause::DnsServfail);  // One is dead, the other one spoke.
}

// Goal: a dead first server delays one lookup, not all. Method: the second name is answered without a try being waited for.
TEST_F(ResolverTest, AServerThatIsDeadIsAskedLast) {
  FakeDns second;
  second.a("one.example", {"192.0.2.1"});
  second.a("two.example", {"192.0.2.2"});
  dns.silence(true);
  start(1, {dns.endpoint(), second.endpoint()});
  EXPECT_EQ(resolve("one.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_GE(told_at - asked_at, 500ms);
  EXPECT_EQ(resolve("two.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_LT(told_at - asked_at, 450ms);
  EXPECT_EQ(dns.queries("two.example", FakeDns::Type::A), 0U);
  // It is back as soon as it says anything.
  dns.silence(false);
  dns.a("three.example", {"192.0.2.3"});
  loop->skip(11s);
  EXPECT_EQ(resolve("three.example", IpFamily::V4).cause, Cause::Ok);
  EXPECT_EQ(dns.queries("three.example", FakeDns::Type::A), 1U);
}

TEST_F(ResolverTest, ACancelledAskerHearsNothingAndTheCacheStillLearns) {
  dns.script("shop.example", FakeDns::Type::A, {{.addresses = {"192.0.2.1"}, .delay = 20ms}});
  start();
  Resolution known;
  EXPECT_FALSE(ask("shop.example", IpFamily::V4, 7, known));
  EXPECT_EQ(resolver->cancel("shop.example", IpFamily::V4, 0, 8), Cause::Cancelled);
  EXPECT_EQ(resolver->cancel("shop.example", IpFamily::V4, 0, 7), Cause::ResolverUnreachable);
  EXPECT_EQ(resolver->cancel("shop.example", IpFamily::V4, 0, 7), Cause::Cancelled);
  ASSERT_TRUE(loop->run_until([&] { return count(DnsQueryResult::Ok) == 1; }));
  loop->run_for(20ms);
  EXPECT_TRUE(told.empty());
  EXPECT_TRUE(resolve("shop.example", IpFamily::V4).cached);
}

TEST_F(ResolverTest, AnAskerOutOfTimeLearnsWhoseFaultItIs) {
  dns.fail("silent.example", FakeDns::Kind::Silence);
  start(4);
  Resolution known;
  ASSERT_FALSE(ask("silent.example", IpFamily::Any, 1, known));
  loop->run_for(1s);  // The server has been asked ". NS" at half a second.
  EXPECT_EQ(resolver->cancel("silent.example", IpFamily::Any, 0, 1), Cause::DnsTimeout);

  dns.silence(true);
  ASSERT_FALSE(ask("other.example", IpFamily::Any, 2, known));
  loop->run_for(1s);
  EXPECT_EQ(resolver->cancel("other.example", IpFamily::Any, 0, 2), Cause::ResolverUnreachable);
}

TEST_F(ResolverTest, RefreshesAheadWhatIsUsedAndOnlyThat) {
  dns.a("used.example", {"192.0.2.1"}, 100);
  dns.a("idle.example", {"192.0.2.2"}, 100);
  start();
  resolve("used.example", IpFamily::V4);
  resolve("idle.example", IpFamily::V4);
  loop->skip(80s);
  EXPECT_TRUE(resolve("used.example", IpFamily::V4).cached);
  loop->run_for(20ms);
  EXPECT_EQ(dns.queries("used.example", FakeDns::Type::A), 1U);  // Not yet in its last tenth.
  dns.a("used.example", {"192.0.2.100"}, 100);
  loop->skip(12s);
  EXPECT_THAT(texts(resolve("used.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
  ASSERT_TRUE(loop->run_until([&] { return count(DnsQueryResult::Ok) == 3; }));
  loop->skip(20s);
  const Resolution renewed = resolve("used.example", IpFamily::V4);
  EXPECT_TRUE(renewed.cached);
  EXPECT_THAT(texts(renewed), ElementsAre("192.0.2.100"));
  EXPECT_EQ(dns.queries("idle.example", FakeDns::Type::A), 1U);
}

// Most names have no IPv6 addresses. Method: look at them over two lives of their IPv4 ones and count the questions.
TEST_F(ResolverTest, ThatAFamilyHasNoAddressesIsNotAskedWithEveryCheck) {
  dns.a("shop.example", {"192.0.2.1"}, 100);
  start();
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_EQ(count(DnsQueryResult::Nodata), 1U);
  for (int i = 0; i < 8; ++i) {
    loop->skip(10s);
    EXPECT_TRUE(resolve("shop.example").cached);
  }
  EXPECT_EQ(dns.queries(), 2U);
  loop->skip(12s);
  EXPECT_TRUE(resolve("shop.example").cached);  // In the last tenth: both are asked ahead.
  ASSERT_TRUE(loop->run_until(
      [&] { return count(DnsQueryResult::Ok) == 2 && count(DnsQueryResult::Nodata) == 2; }));
  loop->skip(50s);
  EXPECT_TRUE(resolve("shop.example").cached);
  EXPECT_EQ(dns.queries(), 4U);
}

// ---- names whose zone says how long they have no IPv6 addresses

class ResolverAbsenceTest : public ResolverTest {
 protected:
  void SetUp() override {
    dns.a("shop.example", {"192.0.2.1"}, 5);
    absent("shop.example", 600);
  }
  void absent(const char* name, std::uint32_t ttl_s) {
    dns.script(name, FakeDns::Type::Aaaa,
               {{.kind = FakeDns::Kind::Nodata, .soa = true, .negative_ttl_s = ttl_s}});
  }
  [[nodiscard]] std::uint64_t asked(FakeDns::Type type) const {
    return dns.queries("shop.example", type);
  }
};

TEST_F(ResolverAbsenceTest, TheOtherFamilyIsNotAskedForUntilThatIsOver) {
  start();
  EXPECT_THAT(texts(resolve("shop.example")), ElementsAre("192.0.2.1"));
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 1; }));
  for (int i = 0; i < 9; ++i) {
    loop->skip(60s);
    EXPECT_THAT(texts(resolve("shop.example")), ElementsAre("192.0.2.1"));
  }
  EXPECT_EQ(asked(FakeDns::Type::A), 10U);
  EXPECT_EQ(asked(FakeDns::Type::Aaaa), 1U);
  dns.aaaa("shop.example", {"2001:db8::1"});
  loop->skip(61s);
  EXPECT_THAT(texts(resolve("shop.example")), ElementsAre("2001:db8::1", "192.0.2.1"));
}

TEST_F(ResolverAbsenceTest, ItHoldsForAnHourAtMostAndOnlyForThatFamily) {
  absent("shop.example", 1'000'000);
  start();
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 1; }));
  loop->skip(10s);
  EXPECT_EQ(resolve("shop.example", IpFamily::V6).cause, Cause::DnsNoAddress);  // Asked for it alone.
  EXPECT_EQ(asked(FakeDns::Type::Aaaa), 2U);
  dns.aaaa("shop.example", {"2001:db8::1"});
  loop->skip(1h + 1s);
  EXPECT_THAT(texts(resolve("shop.example")), ElementsAre("2001:db8::1", "192.0.2.1"));
}

TEST_F(ResolverAbsenceTest, WithoutIpv4AddressesBothAreAskedForAtOnceAndTheVerdictIsOfBoth) {
  start();
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 1; }));
  dns.script("shop.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::Servfail}});
  dns.aaaa("shop.example", {"2001:db8::1"});
  loop->skip(60s);
  EXPECT_THAT(texts(resolve("shop.example")), ElementsAre("2001:db8::1"));
  dns.a("gone.example", {"192.0.2.1"}, 5);
  absent("gone.example", 600);
  EXPECT_EQ(resolve("gone.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until(
      [&] { return dns.queries("gone.example", FakeDns::Type::Aaaa) == 1; }));
  dns.fail("gone.example", FakeDns::Kind::Nxdomain);
  loop->skip(60s);
  EXPECT_EQ(resolve("gone.example").cause, Cause::DnsNxdomain);
  EXPECT_EQ(dns.queries("gone.example", FakeDns::Type::Aaaa), 2U);
}

TEST_F(ResolverAbsenceTest, WhileIpv4AddressesAreLateTheOthersAreAskedFor) {
  start();
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 1; }));
  dns.script("shop.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::Silence}});
  dns.aaaa("shop.example", {"2001:db8::1"});
  loop->skip(60s);
  Resolution known;
  ASSERT_FALSE(ask("shop.example", IpFamily::Any, 1000, known));
  loop->skip(250ms);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1000); }));
  EXPECT_THAT(texts(told[1000]), ElementsAre("2001:db8::1"));
}

TEST_F(ResolverAbsenceTest, AnAskerWhoGoesMeanwhileHearsNothing) {
  start();
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 1; }));
  dns.script("shop.example", FakeDns::Type::A, {{.kind = FakeDns::Kind::Silence}});
  loop->skip(60s);
  Resolution known;
  ASSERT_FALSE(ask("shop.example", IpFamily::Any, 1000, known));
  EXPECT_NE(resolver->cancel("shop.example", IpFamily::Any, 0, 1000), Cause::Cancelled);
  loop->skip(250ms);
  EXPECT_EQ(asked(FakeDns::Type::Aaaa), 1U);
  EXPECT_FALSE(told.contains(1000));
}

TEST_F(ResolverAbsenceTest, ItIsForgottenWhereNothingMayBeKeptAndWhenMemoryIsGivenBack) {
  start(1, {}, {.keep_max = {}});
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 1; }));
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  EXPECT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 2; }));
  resolver.reset();
  start();
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  ASSERT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 3; }));
  resolver->give_back_memory();
  loop->skip(60s);
  EXPECT_EQ(resolve("shop.example").cause, Cause::Ok);
  EXPECT_TRUE(loop->run_until([&] { return asked(FakeDns::Type::Aaaa) == 4; }));
}

TEST_F(ResolverTest, AFailedRefreshDoesNotDisplaceGoodAddresses) {
  dns.a("used.example", {"192.0.2.1"}, 100);
  start();
  resolve("used.example", IpFamily::V4);
  dns.fail("used.example", FakeDns::Kind::Servfail);
  loop->skip(92s);
  EXPECT_TRUE(resolve("used.example", IpFamily::V4).cached);
  ASSERT_TRUE(loop->run_until([&] { return count(DnsQueryResult::Servfail) == 1; }));
  EXPECT_EQ(resolve("used.example", IpFamily::V4).cause, Cause::Ok);
}

TEST_F(ResolverTest, ManyNamesAtOnceWaitForRoomAndAllGetAnswers) {
  dns.otherwise({.addresses = {"192.0.2.1"}});
  start();
  Resolution known;
  constexpr std::uint64_t kNames = 3000;
  for (std::uint64_t i = 0; i < kNames; ++i) {
    ASSERT_FALSE(ask("n" + std::to_string(i) + ".example", IpFamily::V4, i, known));
  }
  ASSERT_TRUE(loop->run_until([&] { return told.size() == kNames; }));
  for (const auto& [tag, resolution] : told)
    ASSERT_EQ(resolution.cause, Cause::Ok) << resolution.detail;
  EXPECT_EQ(dns.queries(), kNames);
}

TEST_F(ResolverTest, BeyondItsQueueItSaysOverload) {
  dns.silence(true);
  start(10, {}, {.cache_entries_max = 100, .waiting_max = 10});
  Resolution known;
  std::uint64_t refused = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    if (!ask("n" + std::to_string(i) + ".example", IpFamily::V4, i, known)) continue;
    EXPECT_EQ(known.cause, Cause::LocalOverload);
    ++refused;
  }
  EXPECT_EQ(refused, 1000U - 4 * 200 - 10);
  EXPECT_TRUE(loop->run_until([&] { return told.size() + refused == 1000; }));
  for (const auto& [tag, resolution] : told) {
    EXPECT_EQ(core::outcome_of(resolution.cause), core::Outcome::NotMeasured);
  }
}

TEST_F(ResolverTest, LocalhostIsLoopbackWithoutAQuestion) {
  start();
  EXPECT_THAT(texts(resolve("localhost")), ElementsAre("::1", "127.0.0.1"));
  EXPECT_THAT(texts(resolve("app.localhost", IpFamily::V4)), ElementsAre("127.0.0.1"));
  EXPECT_EQ(resolve("notlocalhost").cause, Cause::DnsNxdomain);
  EXPECT_EQ(dns.queries(), 2U);
}

TEST_F(ResolverTest, OnionNamesAreNotAsked) {
  start();
  const Resolution resolution = resolve("hidden.onion");
  EXPECT_EQ(resolution.cause, Cause::DnsNxdomain);
  EXPECT_THAT(resolution.detail, HasSubstr("RFC 7686"));
  EXPECT_EQ(dns.queries(), 0U);
}

TEST_F(ResolverTest, SetsOfServersAreInternedAndHaveTheirOwnAnswers) {
  FakeDns other;
  other.a("shop.example", {"192.0.2.77"});
  dns.a("shop.example", {"192.0.2.1"});
  start();
  const Endpoint endpoint = *parse_endpoint(other.endpoint(), 53);
  const auto set = resolver->server_set(std::vector{endpoint});
  ASSERT_TRUE(set);
  EXPECT_EQ(*set, 1U);
  EXPECT_EQ(*resolver->server_set(std::vector{endpoint}), 1U);
  EXPECT_EQ(*resolver->server_set({}), 0U);
  EXPECT_THAT(texts(resolve("shop.example", IpFamily::V4)), ElementsAre("192.0.2.1"));
  Resolution known;
  ASSERT_FALSE(
      resolver->resolve("shop.example", IpFamily::V4, *set, loop->now(), *this, 500, known));
  ASSERT_TRUE(loop->run_until([&] { return told.contains(500); }));
  EXPECT_THAT(texts(told[500]), ElementsAre("192.0.2.77"));
  for (std::uint16_t port = 2; port < 64; ++port) {
    ASSERT_TRUE(resolver->server_set(std::vector{Endpoint{endpoint.ip, port}}));
  }
  EXPECT_FALSE(resolver->server_set(std::vector{Endpoint{endpoint.ip, 64}}));
}

TEST_F(ResolverTest, GoesAwayInTheMiddleOfQueries) {
  dns.silence(true);
  start();
  Resolution known;
  for (std::uint64_t i = 0; i < 100; ++i)
    ask("n" + std::to_string(i) + ".example", IpFamily::Any, i, known);
  resolver.reset();
  loop->run_for(50ms);
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace watchwheel::checker
