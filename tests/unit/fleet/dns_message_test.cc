// SPDX-License-Identifier: Apache-2.0
#include "fleet/dns_message.h"

#include <gtest/gtest.h>

#include <vector>

namespace watchwheel::fleet {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes query_for(std::initializer_list<std::string_view> labels, std::uint8_t type, bool edns) {
  Bytes query{0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(edns ? 1 : 0)};
  for (const std::string_view label : labels) {
    query.push_back(static_cast<std::uint8_t>(label.size()));
    query.insert(query.end(), label.begin(), label.end());
  }
  query.insert(query.end(), {0, 0, type, 0, 1});
  if (edns) query.insert(query.end(), {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0});
  return query;
}

Bytes answered(const Bytes& message, const DnsSaying& saying) {
  DnsQuery query;
  EXPECT_TRUE(read_dns_query(message, query));
  std::array<std::uint8_t, kDnsMessageMax> out{};
  const std::size_t size = write_dns_answer(message, query, saying, "fleet.test", out);
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

TEST(FleetDnsMessage, ReadsAQueryInLowerCase) {
  DnsQuery query;
  ASSERT_TRUE(read_dns_query(query_for({"S12", "Fleet", "test"}, 28, true), query));
  EXPECT_EQ(query.name(), "s12.fleet.test");
  EXPECT_EQ(query.type, kDnsTypeAaaa);
  EXPECT_TRUE(query.has_edns);
}

TEST(FleetDnsMessage, EveryCutOfAQueryIsRefusedOrWhole) {
  const Bytes whole = query_for({"s12", "fleet", "test"}, 1, false);
  DnsQuery query;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_FALSE(read_dns_query(std::span(whole).first(i), query)) << i;
  }
  Bytes response = whole;
  response[2] |= 0x80;
  EXPECT_FALSE(read_dns_query(response, query));
  Bytes compressed = whole;
  compressed[12] = 0xc0;
  EXPECT_FALSE(read_dns_query(compressed, query));
  EXPECT_FALSE(read_dns_query(Bytes(600, 63), query));
}

TEST(FleetDnsMessage, AddressIsTheLastFourBytes) {
  DnsSaying saying;
  saying.has_address = true;
  saying.address = 0x7f400102U;
  saying.ttl_s = 5;
  const Bytes out = answered(query_for({"s1", "fleet", "test"}, 1, false), saying);
  EXPECT_EQ(out[0], 0x12);
  EXPECT_EQ(out[2], 0x85);
  EXPECT_EQ(out[7], 1);  // One answer.
  EXPECT_EQ(Bytes(out.end() - 10, out.end()), (Bytes{0, 0, 0, 5, 0, 4, 127, 64, 1, 2}));
}

TEST(FleetDnsMessage, NoAddressOfThatKindCarriesTheSoa) {
  DnsSaying saying;
  saying.has_address = true;
  saying.ttl_s = 5;
  saying.negative_ttl_s = 600;
  const Bytes out = answered(query_for({"s1", "fleet", "test"}, 28, true), saying);
  EXPECT_EQ(out[3] & 0x0f, 0);
  EXPECT_EQ(out[7], 0);
  EXPECT_EQ(out[9], 1);   // The SOA, the last of whose data is its MINIMUM, before an OPT of 11 bytes.
  EXPECT_EQ(Bytes(out.end() - 15, out.end() - 11), (Bytes{0, 0, 2, 88}));
  EXPECT_EQ(out[11], 1);  // The OPT.
}

TEST(FleetDnsMessage, SayingsShowInTheirPlaces) {
  const Bytes query = query_for({"s1", "fleet", "test"}, 1, false);
  DnsSaying saying;
  saying.code = DnsCode::NxDomain;
  EXPECT_EQ(answered(query, saying)[3] & 0x0f, 3);
  saying.code = DnsCode::ServFail;
  EXPECT_EQ(answered(query, saying)[9], 0) << "no SOA with an error";
  saying = {};
  saying.is_silent = true;
  EXPECT_TRUE(answered(query, saying).empty());
  saying = {};
  saying.is_malformed = true;
  const Bytes cut = answered(query, saying);
  EXPECT_EQ(cut[7], 1);
  EXPECT_EQ(cut[cut.size() - 2], 4) << "promises four bytes and has one";
}

}  // namespace
}  // namespace watchwheel::fleet
