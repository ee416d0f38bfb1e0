// SPDX-License-Identifier: Apache-2.0
// Addresses that may not be asked, in every spelling, by name, and behind redirects. A server stands at each of those of this
// machine: whatever gets through is seen as something else than blocked. Public addresses do not occur.
#include <array>
#include <string>
#include <vector>

#include "cases/check_case.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using namespace std::chrono_literals;

struct Spelling {
  const char* name;
  const char* host;
  const char* detail;
};

// Of 127.0.0.1 and others of this machine.
constexpr std::array kSpellings{
    Spelling{"plain", "127.0.0.1", "127.0.0.1 is loopback"},
    Spelling{"another-of-the-block", "127.255.255.254", "loopback"},
    Spelling{"two-parts", "127.1", "127.0.0.1 is loopback"},
    Spelling{"three-parts", "127.0.1", "127.0.0.1 is loopback"},
    Spelling{"decimal", "2130706433", "127.0.0.1 is loopback"},
    Spelling{"hexadecimal", "0x7f000001", "127.0.0.1 is loopback"},
    Spelling{"hexadecimal-parts", "0x7F.0X0.0.0x1", "127.0.0.1 is loopback"},
    Spelling{"octal", "017700000001", "127.0.0.1 is loopback"},
    Spelling{"octal-parts", "0177.0.0.01", "127.0.0.1 is loopback"},
    Spelling{"mixed", "0177.0x0.1", "127.0.0.1 is loopback"},
    Spelling{"leading-zeros", "0x000000007f.1", "127.0.0.1 is loopback"},
    Spelling{"trailing-dot", "127.0.0.1.", "127.0.0.1 is loopback"},
    Spelling{"wide-digits", "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1", "127.0.0.1 is loopback"},
    Spelling{"circled-digits", "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1",
             "127.0.0.1 is loopback"},
    Spelling{"ideographic-dots",
             "127\xe3\x80\x82"
             "0\xe3\x80\x82"
             "0\xe3\x80\x82"
             "1",
             "127.0.0.1 is loopback"},
    Spelling{"percent-encoded", "%31%32%37.%30.0.1", "127.0.0.1 is loopback"},
    Spelling{"zero", "0", "0.0.0.0 is unspecified"},
    Spelling{"zeros", "0.0.0.0", "unspecified"},
    Spelling{"ipv6-loopback", "[::1]", "::1 is loopback"},
    Spelling{"ipv6-loopback-at-length", "[0000:0:0:0:0:0:0:0001]", "::1 is loopback"},
    Spelling{"ipv6-unspecified", "[::]", "unspecified"},
    Spelling{"mapped", "[::ffff:127.0.0.1]", "is loopback"},
    Spelling{"mapped-hexadecimal", "[::FFFF:7F00:1]", "is loopback"},
    Spelling{"mapped-at-length", "[0:0:0:0:0:ffff:7f00:0001]", "is loopback"},
    Spelling{"mapped-private", "[::ffff:10.1.2.3]", "is private"},
    Spelling{"compatible", "[::127.0.0.1]", "IPv4-compatible"},
    Spelling{"nat64", "[64:ff9b::7f00:1]", "is loopback"},
    Spelling{"nat64-dotted", "[64:ff9b::10.0.0.1]", "is private"},
    Spelling{"nat64-local", "[64:ff9b:1::7f00:1]", "local translation"},
    Spelling{"6to4", "[2002:7f00:1::]", "is loopback"},
    Spelling{"6to4-metadata", "[2002:a9fe:a9fe::1]", "is link-local"},
    Spelling{"teredo", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "Teredo"},
    Spelling{"isatap", "[fe80::5efe:127.0.0.1]", "link-local"},
};

// One of each block that is no public unicast.
constexpr std::array kBlocks{
    Spelling{"this-network", "0.1.2.3", "this-network"},
    Spelling{"private-10", "10.0.0.1", "private"},
    Spelling{"private-172", "172.31.255.255", "private"},
    Spelling{"private-192", "192.168.1.1", "private"},
    Spelling{"cgnat", "100.64.0.1", "CGNAT"},
    Spelling{"metadata", "169.254.169.254", "link-local"},
    Spelling{"protocol-assignment", "192.0.0.8", "protocol assignment"},
    Spelling{"documentation-1", "192.0.2.1", "documentation"},
    Spelling{"documentation-2", "198.51.100.1", "documentation"},
    Spelling{"documentation-3", "203.0.113.1", "documentation"},
    Spelling{"6to4-relay", "192.88.99.1", "6to4 relay"},
    Spelling{"benchmarking", "198.19.255.255", "benchmarking"},
    Spelling{"multicast", "224.0.0.1", "multicast"},
    Spelling{"reserved", "240.0.0.1", "reserved"},
    Spelling{"broadcast", "255.255.255.255", "broadcast"},
    Spelling{"unique-local", "[fd00::1]", "private"},
    Spelling{"link-local-ipv6", "[fe80::1]", "link-local"},
    Spelling{"site-local", "[fec0::1]", "site-local"},
    Spelling{"multicast-ipv6", "[ff02::1]", "multicast"},
    Spelling{"documentation-ipv6", "[2001:db8::1]", "documentation"},
    Spelling{"documentation-3fff", "[3fff::1]", "documentation"},
    Spelling{"discard", "[100::1]", "discard"},
    Spelling{"orchid", "[2001:10::1]", "protocol assignment"},
    Spelling{"orchid-2", "[2001:20::1]", "protocol assignment"},
    Spelling{"benchmarking-ipv6", "[2001:2::1]", "benchmarking"},
    Spelling{"segment-routing", "[5f00::1]", "segment routing"},
    Spelling{"not-handed-out", "[4000::1]", "reserved"},
};

// Of 127.0.0.2, which is not allowed where 127.0.0.1 is.
constexpr std::array kHops{
    Spelling{"plain", "http://127.0.0.2/", "127.0.0.2 is loopback"},
    Spelling{"two-parts", "http://127.2/", "127.0.0.2 is loopback"},
    Spelling{"decimal", "http://2130706434/", "127.0.0.2 is loopback"},
    Spelling{"hexadecimal", "http://0x7f000002/", "127.0.0.2 is loopback"},
    Spelling{"octal", "http://0177.0.0.02/", "127.0.0.2 is loopback"},
    Spelling{"trailing-dot", "http://127.0.0.2./", "127.0.0.2 is loopback"},
    Spelling{"wide-digit", "http://127.0.0.\xef\xbc\x92/", "127.0.0.2 is loopback"},
    Spelling{"percent-encoded", "http://127.0.0.%32/", "127.0.0.2 is loopback"},
    Spelling{"mapped", "http://[::ffff:7f00:2]/", "is loopback"},
    Spelling{"nat64", "http://[64:ff9b::7f00:2]/", "is loopback"},
    Spelling{"ipv6", "http://[::1]/", "::1 is loopback"},
    Spelling{"without-scheme", "//127.0.0.2/", "127.0.0.2 is loopback"},
    Spelling{"https", "https://127.0.0.2/", "127.0.0.2 is loopback"},
    Spelling{"other-slashes", "http:\\\\127.0.0.2\\", ""},
    Spelling{"behind-a-login", "http://good.example@127.0.0.2/", "127.0.0.2 is loopback"},
    Spelling{"metadata", "http://169.254.169.254/latest/meta-data/", "link-local"},
    Spelling{"name", "http://inside.example/", "10.0.0.1 is private"},
};

class GuardCases : public CaseArea {
 public:
  GuardCases() {
    four_.otherwise(ok("<h1>Hello</h1>"));
    six_.otherwise(ok("<h1>Hello</h1>"));
    dns_.a("inside.example", {"10.0.0.1"});
    spellings();
    places_in_the_url();
    refused_urls();
    names();
    redirects();
    allowed();
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override { return all_; }

 private:
  [[nodiscard]] std::string at(const std::string& host, const FaultServer& server) const {
    return "http://" + host + ":" + std::to_string(server.port()) + "/";
  }

  CheckCase& add(const std::string& name, std::string url, core::SiteOptions options = {}) {
    options.emplace_back("resolver", dns_.endpoint());
    all_.push_back({.name = "guard/" + name,
                    .url = std::move(url),
                    .options = std::move(options),
                    .within = 1000ms});
    return all_.back();
  }
  CheckCase& blocked(const std::string& name, std::string url, std::string detail = "",
                     core::SiteOptions options = {}) {
    CheckCase& one = add(name, std::move(url), std::move(options));
    one.cause = Cause::AddressBlocked;
    one.phase = Phase::Connect;
    one.detail = std::move(detail);
    return one;
  }

  void spellings() {
    for (const Spelling& s : kSpellings) blocked(s.name, at(s.host, four_), s.detail);
    for (const Spelling& s : kBlocks) blocked(s.name, at(s.host, four_), s.detail);
  }

  void places_in_the_url() {
    const std::string port = ":" + std::to_string(four_.port());
    blocked("behind-a-login", "http://good.example@127.0.0.1" + port + "/", "127.0.0.1");
    blocked("behind-a-password", "http://good.example:80@127.0.0.1" + port + "/", "127.0.0.1");
    blocked("before-a-query", "http://127.0.0.1" + port + "?@good.example/", "127.0.0.1");
    blocked("before-a-fragment", "http://127.0.0.1" + port + "#@good.example/", "127.0.0.1");
    blocked("https", "https://127.0.0.1" + port + "/", "127.0.0.1");
    blocked("upper-case-scheme", "HTTP://127.0.0.1" + port + "/", "127.0.0.1");
    CheckCase& host = blocked("whatever-the-host-header", at("127.0.0.1", four_), "127.0.0.1");
    host.options.emplace_back("header", "Host: good.example");
  }

  void refused_urls() {
    for (const auto& [name, url] : {std::pair{"zone", "http://[fe80::1%25lo]/"},
                                    {"zone-bare", "http://[fe80::1%lo]/"},
                                    {"zone-of-loopback", "http://[::1%25lo]/"},
                                    {"backslash", "http://good.example\\@127.0.0.1/"},
                                    {"tab", "http://127.0.0.\t1/"},
                                    {"line-break", "http://127.0.0.1\r\n.example/"},
                                    {"space", "http://127.0.0.1 .example/"},
                                    {"part-too-great", "http://127.0.0.256/"},
                                    {"five-parts", "http://127.0.0.0.1/"},
                                    {"too-great", "http://0x17f000001/"},
                                    {"no-octal", "http://127.0.0.08/"},
                                    {"no-number", "http://127.0.0.0x/"},
                                    {"ipv4-in-brackets", "http://[127.0.0.1]/"},
                                    {"future-address", "http://[v1.127.0.0.1]/"},
                                    {"no-host", "http:///127.0.0.1/"},
                                    {"no-slashes", "http:127.0.0.1/"},
                                    {"file", "file:///etc/passwd"},
                                    {"gopher", "gopher://127.0.0.1/"}}) {
      // "0x" is nothing and so zero, as inet_aton has it.
      if (std::string_view(name) == "no-number") {
        blocked("hexadecimal-of-nothing", url, "127.0.0.0 is loopback");
        continue;
      }
      CheckCase& one = add(name, url);
      one.cause = Cause::TargetInvalid;
      one.phase = Phase::Dns;
    }
  }

  void names() {
    const auto name = [&](const std::string& label, std::vector<std::string> v4,
                          std::vector<std::string> v6) {
      if (!v4.empty()) dns_.a(label + ".example", std::move(v4));
      if (!v6.empty()) dns_.aaaa(label + ".example", std::move(v6));
      return at(label + ".example", four_);
    };
    blocked("name-of-loopback", name("name-of-loopback", {"127.0.0.1"}, {}), "loopback");
    blocked("name-of-loopback-ipv6", name("name-of-loopback-ipv6", {}, {"::1"}), "loopback");
    blocked("name-of-mapped", name("name-of-mapped", {}, {"::ffff:127.0.0.1"}), "loopback");
    blocked("name-of-nat64", name("name-of-nat64", {}, {"64:ff9b::7f00:1"}), "loopback");
    blocked("name-of-private", name("name-of-private", {"10.0.0.1"}, {}), "private");
    blocked("name-of-metadata", name("name-of-metadata", {"169.254.169.254"}, {}), "link-local");
    blocked("name-of-several", name("name-of-several", {"10.0.0.1", "192.168.1.1"}, {"fd00::1"}));
    dns_.script("alias-of-private.example", FakeDns::Type::A,
                {{.addresses = {"10.0.0.1"}, .cname = "inside.example"}});
    blocked("alias-of-private", at("alias-of-private.example", four_), "private");
    blocked("localhost", at("localhost", four_), "loopback");
    blocked("below-localhost", at("good.example.localhost", four_), "loopback");
    blocked("localhost-with-a-dot", at("LOCALHOST.", four_), "loopback");
    // Of a mixed answer only what is allowed is tried.
    const core::SiteOptions one{{"allow", "127.0.0.1/32"}};
    add("mixed-answer", name("mixed-answer", {"10.0.0.1", "127.0.0.1", "127.0.0.2"}, {"::1"}), one);
    blocked("mixed-answer-of-the-rest", name("mixed-answer-of-the-rest", {"127.0.0.2"}, {"::1"}),
            "loopback", one);
  }

  void redirects() {
    std::size_t number = 0;
    for (const Spelling& hop : kHops) {
      const std::string path = "/hop/" + std::to_string(++number);
      four_.on(path, redirect(302, hop.host));
      CheckCase& one = blocked(std::string("redirect-") + hop.name, four_.url(path), hop.detail,
                               {{"allow", "127.0.0.1/32"}});
      if (*hop.detail != '\0') continue;
      one.cause = Cause::RedirectInvalid;
      one.phase = Phase::FirstByte;
    }
    four_.on("/chain/1", redirect(302, "/chain/2"));
    four_.on("/chain/2", redirect(302, "http://127.0.0.2/"));
    blocked("redirect-at-the-second-hop", four_.url("/chain/1"), "127.0.0.2",
            {{"allow", "127.0.0.1/32"}});
  }

  void allowed() {
    const std::string four = at("127.0.0.1", four_);
    const std::string mapped = at("[::ffff:127.0.0.1]", four_);
    add("allowed-one", four, {{"allow", "127.0.0.1/32"}});
    add("allowed-block", four, {{"allow", "127.0.0.0/8"}});
    add("allowed-block-and-mapped", mapped, {{"allow", "127.0.0.0/8"}});
    add("allowed-ipv6", at("[::1]", six_), {{"allow", "::1/128"}});
    add("allowed-other-spelling", at("0x7f.1", four_), {{"allow", "127.0.0.1/32"}});
    add("allowed-localhost", at("localhost", four_), {{"allow", "127.0.0.1/32"}});
    add("allow-private", four, {{"allow_private", "true"}});
    add("allow-private-ipv6", at("[::1]", six_), {{"allow_private", "true"}});
    blocked("allowed-is-another", four, "loopback", {{"allow", "127.0.0.2/32"}});
    blocked("allowed-is-the-other-family", at("[::1]", six_), "loopback", {{"allow", "0.0.0.0/0"}});
    blocked("allowed-private-block", four, "loopback", {{"allow", "10.0.0.0/8\n192.168.0.0/16"}});
    for (const char* host : {"0.0.0.0", "255.255.255.255", "224.0.0.1", "[::]", "[ff02::1]",
                             "[::ffff:0.0.0.0]", "[64:ff9b::e000:1]"}) {
      blocked(std::string("never-") + host, at(host, four_), "", {{"allow_private", "true"}});
      blocked(std::string("never-allowed-") + host, at(host, four_), "",
              {{"allow", "0.0.0.0/0\n::/0"}});
    }
  }

  FakeDns dns_;
  FaultServer four_;
  FaultServer six_{"::1"};
  std::vector<CheckCase> all_;
};

}  // namespace

std::unique_ptr<CaseArea> guard_cases() {
  return std::make_unique<GuardCases>();
}

}  // namespace watchwheel::testing
