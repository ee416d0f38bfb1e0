// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace watchwheel::checker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> texts(const std::vector<Endpoint>& servers) {
  std::vector<std::string> out;
  for (const Endpoint& server : servers) out.push_back(to_string(server));
  return out;
}

TEST(ResolvConf, GivesTheNameserversInOrder) {
  EXPECT_THAT(texts(parse_resolv_conf("# made by hand\n"
                                      "search example.net\n"
                                      "nameserver 192.0.2.53\n"
                                      "  nameserver\t2001:db8::53   # ours\r\n"
                                      "options ndots:2\n"
                                      "nameserver 192.0.2.54")),
              ElementsAre("192.0.2.53:53", "[2001:db8::53]:53", "192.0.2.54:53"));
}

TEST(ResolvConf, LeavesOutWhatIsNotOurs) {
  EXPECT_THAT(parse_resolv_conf(""), IsEmpty());
  EXPECT_THAT(
      parse_resolv_conf("nameserver\nnameserver fe80::1%eth0\nnameserver dns.example\n"
                        ";nameserver 192.0.2.1\n#nameserver 192.0.2.1\nnameservers 192.0.2.1\n"
                        "nameserver192.0.2.1\nsearch nameserver 192.0.2.1\n\n\n"),
      IsEmpty());
  EXPECT_THAT(parse_resolv_conf(std::string(100'000, ' ') + "\n\0\xff nameserver"), IsEmpty());
}

TEST(ResolvConf, TakesThree) {
  EXPECT_EQ(parse_resolv_conf("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver "
                              "192.0.2.3\nnameserver 192.0.2.4\n")
                .size(),
            3U);
}

TEST(MachineServers, AreThoseOfTheFirstFileThatNamesSome) {
  std::string name = std::filesystem::temp_directory_path() / "watchwheel-servers-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const std::filesystem::path dir = name;
  std::ofstream(dir / "empty") << "search example.net\n";
  std::ofstream(dir / "one") << "nameserver 192.0.2.53\n";
  std::ofstream(dir / "two") << "nameserver 192.0.2.54\n";
  const auto servers = [&dir](std::vector<std::string> names) {
    for (auto& file : names) file = dir / file;
    return texts(machine_servers(names));
  };
  EXPECT_THAT(servers({"one", "two"}), ElementsAre("192.0.2.53:53"));
  EXPECT_THAT(servers({"missing", "empty", "two"}), ElementsAre("192.0.2.54:53"));
  EXPECT_THAT(servers({"missing", "empty"}), ElementsAre("127.0.0.1:53"));
  EXPECT_THAT(servers({}), ElementsAre("127.0.0.1:53"));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace watchwheel::checker
