// SPDX-License-Identifier: Apache-2.0
// Names from Unbound, as a resolver that forwards, blocks and validates, and from Knot DNS, asked directly; behind them nginx.
#include <string>

#include "cases/server_parts.h"
#include "support/dns_servers.h"
#include "support/nginx.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using namespace std::chrono_literals;

// More than a UDP answer holds, and one of them lives.
constexpr int kManyAddresses = 120;

std::string records() {
  std::string text = R"(www A 127.0.0.1
six AAAA ::1
both A 127.0.0.1
both AAAA ::1
first CNAME second
second CNAME third
third CNAME www
loop CNAME pool
pool CNAME loop
*.wild A 127.0.0.1
text TXT "no address here"
old DNAME wild
out CNAME www.elsewhere.test.
inside A 10.1.2.3
sub NS ns.sub
ns.sub A 127.0.0.1
)";
  for (int i = 1; i <= kManyAddresses; ++i) text += "many A 127.0.9." + std::to_string(i) + "\n";
  for (int i = 1; i <= 9; ++i)
    text += "step" + std::to_string(i) + " CNAME step" + std::to_string(i + 1) + "\n";
  return text + "step10 A 127.0.0.1\n";
}

std::string unbound_server_lines(const Knot& knot) {
  return R"(local-zone: "local.test." static
local-data: "www.local.test. A 127.0.0.1"
local-data: "six.local.test. AAAA ::1"
local-data: "text.local.test. TXT 'no address here'"
local-data: "inside.local.test. A 10.1.2.3"
local-data: "mixed.local.test. A 127.0.0.1"
local-data: "mixed.local.test. A 10.1.2.3"
local-zone: "refused.test." refuse
local-zone: "silent.test." deny
local-zone: "gone.test." always_nxdomain
local-zone: "empty.test." always_nodata
local-zone: "blocked.test." redirect
local-data: "blocked.test. A 0.0.0.0"
local-zone: "all.test." redirect
local-data: "all.test. A 127.0.0.1"
local-zone: "zone.test." transparent
local-zone: "signed.test." transparent
local-zone: "bogus.test." transparent
local-zone: "stripped.test." transparent
trust-anchor: ")" +
         knot.ds("signed.test") +
         R"("
trust-anchor: "bogus.test. DS 4711 13 2 00000000000000000000000000000000000000000000000000000000000000ff"
trust-anchor: "stripped.test. DS 4711 13 2 00000000000000000000000000000000000000000000000000000000000000ff"
)";
}

std::string stubs(const Knot& knot) {
  std::string text;
  for (const char* zone : {"zone.test", "signed.test", "bogus.test", "stripped.test"})
    text += "stub-zone:\nname: \"" + std::string(zone) + "\"\nstub-addr: 127.0.0.1@" +
            std::to_string(knot.port()) + "\n";
  return text;
}

class NameServerCases : public CaseArea {
 public:
  NameServerCases()
      : nginx_(1,
               [](const TempDir&, const RealServer::Ports& p) {
                 const std::string port = std::to_string(p[0]);
                 std::string text = "server {\nlisten 127.0.0.1:" + port +
                                    ";\nlisten [::1]:" + port +
                                    ";\nreturn 200 \"<h1>Clocks</h1>\";\n";
                 for (int i = 1; i <= kManyAddresses; ++i)
                   text += "listen 127.0.9." + std::to_string(i) + ":" + port + ";\n";
                 return text + "}\n";
               }),
        knot_({{"zone.test", records()},
               {"signed.test", records(), true},
               {"bogus.test", records(), true},
               {"stripped.test", records()}}),
        unbound_(unbound_server_lines(knot_), stubs(knot_)) {}

  [[nodiscard]] std::vector<CheckCase> cases() const override {
    std::vector<CheckCase> all;
    add_unbound(all);
    add_validated(all);
    add_knot(all);
    return all;
  }

 private:
  [[nodiscard]] std::string url(const std::string& name) const {
    return "http://" + name + ":" + std::to_string(nginx_.port()) + "/";
  }
  [[nodiscard]] static core::SiteOptions by(const std::string& endpoint,
                                            core::SiteOptions more = {}) {
    more.emplace_back("resolver", endpoint);
    return more;
  }

  void add_unbound(std::vector<CheckCase>& all) const {
    const std::string resolver = unbound_.endpoint();
    const auto good = [&](const char* name, const char* host, core::SiteOptions more = {}) {
      all.push_back(healthy(name, url(host), by(resolver, std::move(more))));
    };
    const auto bad = [&](const char* name, const char* host, Cause cause,
                         core::SiteOptions more = {}) {
      all.push_back(failing(name, url(host), cause, Phase::Dns, by(resolver, std::move(more))));
    };
    good("unbound_local_data", "www.local.test");
    good("unbound_case_does_not_matter", "WWW.Local.Test");
    good("unbound_last_dot", "www.local.test.");
    good("unbound_ipv6", "six.local.test");
    good("unbound_redirect_zone", "a.b.all.test");
    good("unbound_forwards", "www.zone.test");
    good("unbound_forwards_cnames", "first.zone.test");
    good("unbound_forwards_dname", "grandfather.old.zone.test");
    good("unbound_two_resolvers", "www.local.test", {{"resolver", "127.0.0.1:1\n" + resolver}});
    bad("unbound_no_such_name", "nobody.local.test", Cause::DnsNxdomain);
    bad("unbound_nxdomain", "www.gone.test", Cause::DnsNxdomain);
    bad("unbound_nodata", "www.empty.test", Cause::DnsNoAddress);
    bad("unbound_only_text", "text.local.test", Cause::DnsNoAddress);
    bad("unbound_no_ipv6", "www.local.test", Cause::DnsNoAddress, {{"ip", "6"}});
    bad("unbound_refuses", "www.refused.test", Cause::DnsRefused);
    bad("unbound_cname_loop", "loop.zone.test", Cause::DnsServfail);
    CheckCase silent =
        failing("unbound_silent", url("www.silent.test"), Cause::DnsTimeout, Phase::Dns,
                by(resolver, {{"timeout", "6s"}, {"connect_timeout", "5s"}}));
    silent.within = 4000ms;
    all.push_back(silent);
    // What ad blockers answer.
    all.push_back(failing("unbound_null_address", url("www.blocked.test"), Cause::AddressBlocked,
                          Phase::Connect, by(resolver)));
    all.push_back(failing("unbound_private_address", url("inside.local.test"),
                          Cause::AddressBlocked, Phase::Connect, by(resolver)));
  }

  void add_validated(std::vector<CheckCase>& all) const {
    const std::string resolver = unbound_.endpoint();
    all.push_back(healthy("dnssec_good", url("www.signed.test"), by(resolver)));
    all.push_back(healthy("dnssec_good_wildcard", url("any.wild.signed.test"), by(resolver)));
    all.push_back(failing("dnssec_proves_absence", url("nobody.signed.test"), Cause::DnsNxdomain,
                          Phase::Dns, by(resolver)));
    all.push_back(failing("dnssec_wrong_key", url("www.bogus.test"), Cause::DnsServfail, Phase::Dns,
                          by(resolver)));
    CheckCase stripped = failing("dnssec_signatures_missing", url("www.stripped.test"),
                                 Cause::DnsServfail, Phase::Dns, by(resolver));
    stripped.within = 3000ms;
    all.push_back(stripped);
  }

  void add_knot(std::vector<CheckCase>& all) const {
    const std::string resolver = knot_.endpoint();
    const auto good = [&](const char* name, const char* host, core::SiteOptions more = {}) {
      all.push_back(healthy(name, url(host), by(resolver, std::move(more))));
    };
    const auto bad = [&](const char* name, const char* host, Cause cause,
                         core::SiteOptions more = {}) {
      all.push_back(failing(name, url(host), cause, Phase::Dns, by(resolver, std::move(more))));
    };
    good("knot_name", "www.zone.test");
    good("knot_ipv6", "six.zone.test", {{"ip", "6"}});
    good("knot_both_families", "both.zone.test");
    good("knot_cnames", "first.zone.test");
    good("knot_ten_cnames", "step1.zone.test");
    good("knot_wildcard", "any.wild.zone.test");
    good("knot_dname", "grandfather.old.zone.test");
    good("knot_truncated", "many.zone.test", {{"ip", "4"}});
    good("knot_signed", "www.signed.test");
    bad("knot_nxdomain", "nobody.zone.test", Cause::DnsNxdomain);
    bad("knot_nodata", "text.zone.test", Cause::DnsNoAddress);
    bad("knot_no_ipv4", "six.zone.test", Cause::DnsNoAddress, {{"ip", "4"}});
    // A name server that resolves nothing else for us says nothing of a name that is not its own.
    bad("knot_not_its_zone", "www.other.test", Cause::ResolverUnreachable);
    bad("knot_cname_loop", "loop.zone.test", Cause::DnsMalformed);
    // But this name is its own.
    bad("knot_cname_elsewhere", "out.zone.test", Cause::DnsRefused);
    bad("knot_delegates", "www.sub.zone.test", Cause::ResolverUnreachable);
    all.push_back(failing("knot_private_address", url("inside.zone.test"), Cause::AddressBlocked,
                          Phase::Connect, by(resolver)));
  }

  Nginx nginx_;
  Knot knot_;
  Unbound unbound_;
};

}  // namespace

std::unique_ptr<CaseArea> name_server_cases() {
  return std::make_unique<NameServerCases>();
}

}  // namespace watchwheel::testing
