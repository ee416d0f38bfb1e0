// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace watchwheel::checker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Bytes = std::vector<std::uint8_t>;

// Writes messages as a name server would, and as none should.
struct Message {
  Bytes bytes;

  explicit Message(unsigned answers, unsigned flags = 0x8180, unsigned questions = 1,
                   unsigned authorities = 0) {
    for (const unsigned value : {0x1234U, flags, questions, answers, authorities, 0U}) u16(value);
  }
  Message& u8(unsigned value) {
    bytes.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  Message& u16(unsigned value) { return u8(value >> 8U & 0xffU).u8(value & 0xffU); }
  Message& u32(std::uint32_t value) { return u16(value >> 16U).u16(value & 0xffffU); }
  Message& name(std::string_view text) {
    while (!text.empty()) {
      const auto dot = text.find('.');
      const auto label = text.substr(0, dot);
      u8(static_cast<unsigned>(label.size()));
      bytes.insert(bytes.end(), label.begin(), label.end());
      text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
    }
    return u8(0);
  }
  Message& question(std::string_view host, unsigned type = 1) {
    return name(host).u16(type).u16(1);
  }
  // `owner` empty: a pointer to the question.
  Message& a(std::string_view owner, std::string_view ip, std::uint32_t ttl = 60) {
    const IpAddress address = *parse_ip(ip);
    const unsigned size = address.v6 ? 16 : 4;
    if (owner.empty())
      u16(0xc00c);
    else
      name(owner);
    u16(address.v6 ? 28 : 1).u16(1).u32(ttl).u16(size);
    bytes.insert(bytes.end(), address.bytes.begin(), address.bytes.begin() + size);
    return *this;
  }
  Message& cname(std::string_view owner, std::string_view to, std::uint32_t ttl = 60) {
    name(owner).u16(5).u16(1).u32(ttl).u16(static_cast<unsigned>(to.size() + 2));
    return name(to);
  }
  // An SOA (6) or NS (2) of whatever content.
  Message& authority(unsigned type) {
    return name("example").u16(type).u16(1).u32(60).u16(2).u16(0);
  }
};

DnsAnswer parse(const Message& message, bool v6 = false) {
  return parse_answer(message.bytes, "shop.example", v6);
}

std::vector<std::string> texts(const DnsAnswer& answer) {
  std::vector<std::string> out;
  for (const IpAddress& ip : answer.addresses) out.push_back(to_string(ip));
  return out;
}

TEST(DnsAnswer, GivesAddressesAndTheirLeastTtl) {
  const auto answer = parse(Message(3)
                                .question("shop.example")
                                .a("", "192.0.2.1", 300)
                                .a("", "192.0.2.2", 100)
                                .a("", "192.0.2.3", 200));
  EXPECT_EQ(answer.result, DnsQueryResult::Ok);
  EXPECT_THAT(texts(answer), ElementsAre("192.0.2.1", "192.0.2.2", "192.0.2.3"));
  EXPECT_EQ(answer.ttl_s, 100U);
}

TEST(DnsAnswer, TakesTheFamilyAskedForOnly) {
  const auto with = [](unsigned type) {
    return Message(2).question("shop.example", type).a("", "192.0.2.1").a("", "2001:db8::1");
  };
  EXPECT_THAT(texts(parse(with(1))), ElementsAre("192.0.2.1"));
  EXPECT_THAT(texts(parse(with(28), true)), ElementsAre("2001:db8::1"));
}

// RFC 2308: the lesser of the SOA's TTL and its last number.
TEST(DnsAnswer, TellsHowLongAZoneSaysThatThereIsNoAddress) {
  const auto with = [](std::uint32_t ttl, std::uint32_t minimum) {
    Message message(0, 0x8180, 1, 1);
    message.question("shop.example", 28).name("example").u16(6).u16(1).u32(ttl).u16(22);
    return message.u8(0).u8(0).u32(1).u32(2).u32(3).u32(4).u32(minimum);
  };
  EXPECT_EQ(parse(with(900, 3600), true).absent_s, 900U);
  EXPECT_EQ(parse(with(3600, 300), true).absent_s, 300U);
  EXPECT_EQ(parse(with(0x8000'0000, 300), true).absent_s, 0U);
  EXPECT_EQ(parse(with(300, 0xffff'ffff), true).absent_s, 0U);
  EXPECT_EQ(parse(with(900, 3600), true).result, DnsQueryResult::Nodata);
  // Behind an alias, no longer than the alias lives.
  Message aliased(1, 0x8180, 1, 1);
  aliased.question("shop.example", 28).cname("shop.example", "a.example", 40);
  aliased.name("example").u16(6).u16(1).u32(900).u16(22).u8(0).u8(0);
  aliased.u32(1).u32(2).u32(3).u32(4).u32(900);
  EXPECT_EQ(parse(aliased, true).absent_s, 40U);
  // An SOA too short for its numbers, or none, says nothing of it.
  EXPECT_EQ(parse(Message(0, 0x8180, 1, 1).question("shop.example", 28).authority(6), true).absent_s, 0U);
  EXPECT_EQ(parse(Message(0).question("shop.example", 28), true).absent_s, 0U);
}

TEST(DnsAnswer, NamesCompareWithoutCase) {
  EXPECT_EQ(parse(Message(1).question("SHOP.example").a("sHoP.eXaMpLe", "192.0.2.1")).result,
            DnsQueryResult::Ok);
}

TEST(DnsAnswer, FollowsAliasesInAnyOrderWithTheLeastTtlOfTheChain) {
  const auto answer = parse(Message(3)
                                .question("shop.example")
                                .a("b.example", "192.0.2.1", 500)
                                .cname("a.example", "B.example", 30)
                                .cname("shop.example", "a.example", 400));
  EXPECT_EQ(answer.result, DnsQueryResult::Ok) << answer.said;
  EXPECT_EQ(answer.ttl_s, 30U);
}

// Goal: "no address" only from who knows. Method: with and without the SOA that says whose zone it is, and with a referral.
TEST(DnsAnswer, AnAliasWithoutAddressesIsNoAddressWhenTheZoneSaysSo) {
  const auto end = parse(Message(1, 0x8180, 1, 1)
                             .question("shop.example")
                             .cname("shop.example", "a.example")
                             .authority(6));
  EXPECT_EQ(end.result, DnsQueryResult::Nodata);
  EXPECT_EQ(end.alias_of, "");
  EXPECT_EQ(parse(Message(0).question("shop.example")).result, DnsQueryResult::Nodata);
  EXPECT_EQ(parse(Message(0, 0x8180, 1, 1).question("shop.example").authority(6)).result,
            DnsQueryResult::Nodata);
}

TEST(DnsAnswer, AnAliasOfWhichNothingIsSaidIsToBeAskedFor) {
  for (const unsigned authorities : {0U, 1U, 7U}) {  // None, name servers, and more than there are.
    const auto open = parse(Message(2, 0x8180, 1, authorities)
                                .question("shop.example")
                                .cname("shop.example", "a.example", 40)
                                .cname("a.example", "B.example", 300)
                                .authority(2));
    EXPECT_EQ(open.result, DnsQueryResult::Nodata);
    EXPECT_EQ(open.alias_of, "b.example");
    EXPECT_EQ(open.aliases, 2U);
    EXPECT_EQ(open.ttl_s, 40U);
  }
}

TEST(DnsAnswer, AReferralIsARefusal) {
  const auto answer = parse(Message(0, 0x8000, 1, 1).question("shop.example").authority(2));
  EXPECT_EQ(answer.result, DnsQueryResult::Refused);
  EXPECT_THAT(answer.said, HasSubstr("other servers"));
}

// Goal: who refuses, fails or refers shows no service, and who says that there is something or nothing does.
TEST(DnsAnswer, ServiceIsShownByContent) {
  const auto root = [](unsigned answers, unsigned flags, unsigned authorities) {
    Message message(answers, flags, 1, authorities);
    message.name("").u16(2).u16(1);
    return message;
  };
  EXPECT_TRUE(shows_service(root(1, 0x8180, 0).authority(2).bytes));
  EXPECT_TRUE(shows_service(root(0, 0x8180, 0).bytes));
  EXPECT_TRUE(shows_service(root(0, 0x8180, 1).authority(6).bytes));
  EXPECT_TRUE(shows_service(root(0, 0x8183, 0).bytes));
  EXPECT_FALSE(shows_service(root(0, 0x8180, 1).authority(2).bytes)) << "a referral";
  EXPECT_FALSE(shows_service(root(0, 0x8180, 1).bytes)) << "cut off";
  for (const unsigned rcode : {1U, 2U, 4U, 5U, 9U})
    EXPECT_FALSE(shows_service(root(0, 0x8180 | rcode, 0).bytes)) << rcode;
  EXPECT_FALSE(shows_service(root(1, 0x0100, 0).authority(2).bytes)) << "a question";
  EXPECT_FALSE(shows_service({}));
}

TEST(DnsAnswer, AnAnswerToAnotherQuestionIsNone) {
  EXPECT_TRUE(parse(Message(1).question("other.example").a("", "192.0.2.1")).other_question);
  EXPECT_TRUE(parse(Message(1).question("shop.example", 28).a("", "192.0.2.1")).other_question);
  EXPECT_TRUE(parse(Message(0, 0x8183).question("other.example")).other_question);
  EXPECT_FALSE(parse(Message(1).question("Shop.Example").a("", "192.0.2.1")).other_question);
}

TEST(DnsAnswer, SixteenAliasesAreFollowedAndNoMore) {
  for (const unsigned aliases : {16U, 17U}) {
    Message message(aliases + 1);
    message.question("shop.example");
    std::string owner = "shop.example";
    for (unsigned i = 0; i < aliases; ++i) {
      const std::string next = "a" + std::to_string(i) + ".example";
      message.cname(owner, next);
      owner = next;
    }
    message.a(owner, "192.0.2.1");
    EXPECT_EQ(parse(message).result,
              aliases == 16 ? DnsQueryResult::Ok : DnsQueryResult::Malformed);
  }
}

TEST(DnsAnswer, ANameLongerThanNamesMayBeIsMalformed) {
  for (const unsigned labels : {4U, 5U}) {  // Of 50 bytes: 205 bytes, and 256 with the root's.
    Message message(1);
    message.question("shop.example");
    for (unsigned i = 0; i < labels; ++i) {
      message.u8(50);
      for (int k = 0; k < 50; ++k) message.u8('a');
    }
    message.u8(0).u16(16).u16(1).u32(60).u16(0);
    EXPECT_EQ(parse(message).result,
              labels == 4 ? DnsQueryResult::Nodata : DnsQueryResult::Malformed);
  }
}

TEST(DnsAnswer, OthersRecordsAreNotTaken) {
  EXPECT_EQ(parse(Message(1).question("shop.example").a("evil.example", "192.0.2.66")).result,
            DnsQueryResult::Malformed);
  const auto mixed =
      parse(Message(2).question("shop.example").a("evil.example", "192.0.2.66").a("", "192.0.2.1"));
  EXPECT_THAT(texts(mixed), ElementsAre("192.0.2.1"));
}

TEST(DnsAnswer, RcodesAreTold) {
  struct Case {
    unsigned rcode;
    DnsQueryResult result;
    const char* said;
  };
  for (const Case& c :
       {Case{1, DnsQueryResult::Servfail, "FORMERR"}, Case{2, DnsQueryResult::Servfail, "SERVFAIL"},
        Case{3, DnsQueryResult::Nxdomain, "NXDOMAIN"}, Case{4, DnsQueryResult::Servfail, "NOTIMP"},
        Case{5, DnsQueryResult::Refused, "REFUSED"}, Case{9, DnsQueryResult::Servfail, "NOTAUTH"},
        Case{15, DnsQueryResult::Servfail, "RCODE 15"}}) {
    const auto answer = parse(Message(0, 0x8180 | c.rcode).question("shop.example"));
    EXPECT_EQ(answer.result, c.result) << c.said;
    EXPECT_EQ(answer.said, c.said);
  }
}

TEST(DnsAnswer, ATtlWithItsHighestBitSetIsZero) {
  EXPECT_EQ(parse(Message(1).question("shop.example").a("", "192.0.2.1", 0x8000'0000)).ttl_s, 0U);
}

TEST(DnsAnswer, KeepsSixteenAddresses) {
  Message message(40);
  message.question("shop.example");
  for (int i = 0; i < 40; ++i) message.a("", "192.0.2." + std::to_string(i));
  EXPECT_EQ(parse(message).addresses.size(), kAddressesMax);
}

TEST(DnsAnswer, WhatDoesNotAddUpIsMalformed) {
  const auto circle = Message(2)
                          .question("shop.example")
                          .cname("shop.example", "a.example")
                          .cname("a.example", "shop.example");
  const auto to_itself =
      Message(1).question("shop.example").u16(0xc000 | 30).u16(1).u16(1).u32(60).u16(4).u32(1);
  const auto forward =
      Message(1).question("shop.example").u16(0xc0ff).u16(1).u16(1).u32(60).u16(4).u32(1);
  const auto short_a = Message(1)
                           .question("shop.example")
                           .u16(0xc00c)
                           .u16(1)
                           .u16(1)
                           .u32(60)
                           .u16(3)
                           .u8(1)
                           .u8(2)
                           .u8(3);
  const auto long_a = Message(1)
                          .question("shop.example")
                          .u16(0xc00c)
                          .u16(1)
                          .u16(1)
                          .u32(60)
                          .u16(16)
                          .u32(1)
                          .u32(1)
                          .u32(1)
                          .u32(1);
  const auto reserved =
      Message(1).question("shop.example").u8(0x80).u8(0).u16(1).u16(1).u32(60).u16(4).u32(1);
  const auto loose_cname = Message(1)
                               .question("shop.example")
                               .u16(0xc00c)
                               .u16(5)
                               .u16(1)
                               .u32(60)
                               .u16(9)
                               .name("a.b")
                               .u32(0);
  const auto missing = Message(2).question("shop.example").a("", "192.0.2.1");
  const auto query = Message(0, 0x0100).question("shop.example");
  const auto update = Message(0, 0xa800).question("shop.example");
  const auto no_question = Message(0, 0x8180, 3).question("shop.example");
  for (const Message& message : {circle, to_itself, forward, short_a, long_a, reserved, loose_cname,
                                 missing, query, update, no_question}) {
    const auto answer = parse(message);
    EXPECT_EQ(answer.result, DnsQueryResult::Malformed) << ::testing::PrintToString(message.bytes);
    EXPECT_TRUE(answer.addresses.empty());
    EXPECT_FALSE(answer.said.empty());
  }
}

TEST(DnsAnswer, DotsInsideALabelMakeNoOtherName) {
  Message message(1);
  message.question("shop.example").u8(12);
  for (const char c : std::string_view("shop.example")) message.u8(static_cast<unsigned char>(c));
  message.u8(0).u16(1).u16(1).u32(60).u16(4).u32(0xc0000201);
  EXPECT_EQ(parse(message).result, DnsQueryResult::Malformed);
}

// Goal: no bytes make it read or run beyond its end. Method: every truncation of a full answer, and random damage to it; the
// sanitizers watch.
TEST(DnsAnswer, BearsDamage) {
  const Message whole = Message(4)
                            .question("shop.example")
                            .cname("shop.example", "a.example")
                            .a("a.example", "192.0.2.1")
                            .a("a.example", "2001:db8::1")
                            .a("a.example", "192.0.2.2");
  ASSERT_EQ(parse(whole).result, DnsQueryResult::Ok);
  for (std::size_t size = 0; size < whole.bytes.size(); ++size) {
    EXPECT_EQ(parse_answer(std::span(whole.bytes).first(size), "shop.example", false).result,
              DnsQueryResult::Malformed)
        << size;
  }
  const unsigned seed = 20'261'121;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    // A copy of the exact size, so that reading past the end is seen.
    Bytes damaged(whole.bytes);
    for (unsigned i = 0; i <= random() % 4; ++i)
      damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    const auto answer = parse_answer(damaged, "shop.example", round % 2 == 0);
    EXPECT_EQ(answer.result == DnsQueryResult::Ok, !answer.addresses.empty());
    (void)shows_service(damaged);
  }
}

}  // namespace
}  // namespace watchwheel::checker
