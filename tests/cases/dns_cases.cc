// SPDX-License-Identifier: Apache-2.0
// What can be between a name and its addresses. Every name belongs to one case; nothing is asked beyond loopback.
#include <string>
#include <vector>

#include "cases/check_case.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using Kind = FakeDns::Kind;
using Type = FakeDns::Type;
using namespace std::chrono_literals;

constexpr const char* kNobody = "127.0.0.1:1";  // A resolver's port on which nobody listens.

class DnsCases : public CaseArea {
 public:
  DnsCases() {
    four_.otherwise(ok("<h1>Hello</h1>"));
    six_.otherwise(ok("<h1>Hello</h1>"));
    four_.on("/to-a-gone-name", redirect(302, "http://hop-gone.example/"));
    second_.otherwise({.addresses = {"127.0.0.1"}});
    broken_.otherwise({.kind = Kind::Servfail});
    refusing_.otherwise({.kind = Kind::Refused});
    refusing_.script(".", Type::Ns, {{.kind = Kind::Refused}});
    refusing_.script("refused-behind-an-alias.example", Type::A, {{.cname = "target.example"}});
    dead_.silence(true);
    v6_dns_.a("asked-over-ipv6.example", {"127.0.0.1"});
    no_tcp_.script("no-tcp.example", Type::A, {{.kind = Kind::Truncated}});
    no_edns_.script("old.example", Type::A, {{.kind = Kind::NoEdns, .addresses = {"127.0.0.1"}}});
    no_edns_bare_.script("older.example", Type::A,
                         {{.kind = Kind::NoEdnsBare, .addresses = {"127.0.0.1"}}});
    which_addresses();
    what_servers_say();
    what_does_not_add_up();
    aliases();
    forged_answers();
    truncation();
    several_resolvers();
    names();
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override { return all_; }

 private:
  // ---- the words of the table

  [[nodiscard]] std::string url(const std::string& host) { return four_.url("/", host); }

  static core::SiteOptions by(const std::string& resolvers, core::SiteOptions more = {}) {
    more.emplace_back("resolver", resolvers);
    return on_loopback(std::move(more));
  }

  // A case of the name NAME.example, asked of our name server.
  CheckCase& add(const std::string& name, Cause cause = Cause::Ok, std::string detail = "") {
    return add_by(name, dns_.endpoint(), cause, std::move(detail));
  }
  CheckCase& add_by(const std::string& name, const std::string& resolvers, Cause cause = Cause::Ok,
                    std::string detail = "") {
    all_.push_back({.name = "dns/" + name,
                    .url = url(name + ".example"),
                    .options = by(resolvers),
                    .cause = cause,
                    .phase = cause == Cause::Ok ? Phase::Done : Phase::Dns,
                    .detail = std::move(detail)});
    return all_.back();
  }
  void a(const std::string& name, FakeDns::Answer answer) {
    dns_.script(name + ".example", Type::A, {std::move(answer)});
  }
  void aaaa(const std::string& name, FakeDns::Answer answer) {
    dns_.script(name + ".example", Type::Aaaa, {std::move(answer)});
  }
  static FakeDns::Answer here() { return {.addresses = {"127.0.0.1"}}; }

  // For names that stay silent: the check's own time is shorter than the resolver's.
  static void in_a_second(CheckCase& one) {
    one.options.emplace_back("timeout", "1200ms");
    one.within = 1600ms;
    one.at_least = 1200ms;
  }

  // ---- the table

  void which_addresses() {
    a("ipv4", here());
    add("ipv4");
    aaaa("ipv6", {.addresses = {"::1"}});
    add("ipv6").url = six_.url("/", "ipv6.example");
    a("both", here());
    aaaa("both", {.addresses = {"::1"}});  // Nobody listens there: the other one is good.
    add("both");
    add("both-asked-for-ipv4");
    a("both-asked-for-ipv4", here());
    aaaa("both-asked-for-ipv4", {.addresses = {"::1"}});
    all_.back().options.emplace_back("ip", "4");
    a("ipv4-asked-for-ipv6", here());
    add("ipv4-asked-for-ipv6", Cause::DnsNoAddress, "AAAA").options.emplace_back("ip", "6");
    aaaa("ipv6-asked-for-ipv4", {.addresses = {"::1"}});
    add("ipv6-asked-for-ipv4", Cause::DnsNoAddress, "(A)").options.emplace_back("ip", "4");
    std::vector<std::string> many(40, "127.0.0.1");
    a("forty-addresses", {.addresses = many});
    add("forty-addresses");
    a("ttl-of-zero", {.addresses = {"127.0.0.1"}, .ttl_s = 0});
    add("ttl-of-zero");
    a("ttl-beyond-all", {.addresses = {"127.0.0.1"}, .ttl_s = 0xffff'ffff});
    add("ttl-beyond-all");
    a("slow", {.addresses = {"127.0.0.1"}, .delay = 300ms});
    add("slow");
    a("slower-than-a-try", {.addresses = {"127.0.0.1"}, .delay = 700ms});
    add("slower-than-a-try");
    // One family in trouble does not make a site unreachable that has the other.
    for (const auto& [name, kind] : {std::pair{"servfail", Kind::Servfail},
                                     {"refused", Kind::Refused},
                                     {"nxdomain", Kind::Nxdomain},
                                     {"malformed", Kind::Malformed},
                                     {"silent", Kind::Silence}}) {
      const std::string name_v6 = std::string("ipv4-beside-ipv6-") + name;
      a(name_v6, here());
      aaaa(name_v6, {.kind = kind});
      add(name_v6).within = 1000ms;
    }
    aaaa("ipv6-beside-ipv4-servfail", {.addresses = {"::1"}});
    a("ipv6-beside-ipv4-servfail", {.kind = Kind::Servfail});
    add("ipv6-beside-ipv4-servfail").url = six_.url("/", "ipv6-beside-ipv4-servfail.example");
  }

  void what_servers_say() {
    add("nxdomain", Cause::DnsNxdomain, "NXDOMAIN");
    add("deep.down.below.nxdomain", Cause::DnsNxdomain, "NXDOMAIN");
    all_.push_back({.name = "dns/nxdomain-after-a-redirect",
                    .url = four_.url("/to-a-gone-name"),
                    .options = by(dns_.endpoint()),
                    .cause = Cause::DnsNxdomain,
                    .phase = Phase::Dns});
    struct Said {
      const char* name;
      Kind kind;
      Cause cause;
      const char* detail;
    };
    for (const Said& said :
         {Said{"nodata", Kind::Nodata, Cause::DnsNoAddress, "no such address"},
          Said{"servfail", Kind::Servfail, Cause::DnsServfail, "SERVFAIL"},
          Said{"formerr", Kind::Formerr, Cause::DnsServfail, "FORMERR"},
          Said{"notimp", Kind::Notimp, Cause::DnsServfail, "NOTIMP"},
          Said{"refused", Kind::Refused, Cause::DnsRefused, "REFUSED"},
          Said{"referral", Kind::Referral, Cause::DnsRefused, "other servers"}}) {
      dns_.fail(std::string(said.name) + ".example", said.kind);
      add(said.name, said.cause, said.detail);
    }
    a("servfail-beside-nodata", {.kind = Kind::Servfail});
    add("servfail-beside-nodata", Cause::DnsServfail);
    a("refused-beside-servfail", {.kind = Kind::Refused});
    aaaa("refused-beside-servfail", {.kind = Kind::Servfail});
    add("refused-beside-servfail", Cause::DnsServfail);
    // Broken servers say NXDOMAIN for AAAA of a name that they know.
    aaaa("nxdomain-beside-nodata", {.kind = Kind::Nxdomain});
    a("nxdomain-beside-nodata", {.kind = Kind::Nodata});
    add("nxdomain-beside-nodata", Cause::DnsNoAddress);
    dns_.fail("silent.example", Kind::Silence);
    // "its name servers do not answer", or, of one that asked again while the question was still under way, "no answer about …".
    in_a_second(add("silent", Cause::DnsTimeout, "answer"));
    dns_.fail("silent-to-the-end.example", Kind::Silence);
    CheckCase& to_the_end = add("silent-to-the-end", Cause::DnsTimeout, "within 3 s");
    to_the_end.options.emplace_back("timeout", "5s");
    to_the_end.within = 3500ms;
    to_the_end.at_least = 3000ms;
  }

  void what_does_not_add_up() {
    for (const auto& [name, kind] : {std::pair{"garbage", Kind::Malformed},
                                     {"pointer-to-itself", Kind::PointerLoop},
                                     {"count-that-lies", Kind::LyingCount},
                                     {"addresses-of-another-name", Kind::OtherName}}) {
      a(name, {.kind = kind, .addresses = {"127.0.0.1"}});
      add(name, Cause::DnsMalformed);
    }
  }

  void aliases() {
    a("alias", {.addresses = {"127.0.0.1"}, .cname = "cdn.example"});
    add("alias");
    a("alias-alone", {.cname = "alias-middle.example"});
    a("alias-middle", {.cname = "alias-end.example"});
    a("alias-end", here());
    add("alias-alone");
    a("alias-to-nothing", {.cname = "never-there.example"});
    aaaa("alias-to-nothing", {.cname = "never-there.example"});
    add("alias-to-nothing", Cause::DnsNxdomain, "never-there.example");
    a("alias-without-addresses", {.cname = "bare.example", .soa = true});
    add("alias-without-addresses", Cause::DnsNoAddress);
    a("alias-circle", {.kind = Kind::CnameCircle, .cname = "other.example"});
    add("alias-circle", Cause::DnsMalformed, "circle");
    a("alias-circle-of-answers", {.cname = "alias-circle-back.example"});
    a("alias-circle-back", {.cname = "alias-circle-of-answers.example"});
    add("alias-circle-of-answers", Cause::DnsMalformed, "circle");
    a("alias-twenty-times", {.kind = Kind::LongChain, .addresses = {"127.0.0.1"}});
    add("alias-twenty-times", Cause::DnsMalformed);
  }

  void forged_answers() {
    a("right-after-forged",
      {.addresses = {"127.0.0.1"},
       .forged = {Kind::WrongId, Kind::WrongQuestion, Kind::WrongPort, Kind::ShortHeader}});
    add("right-after-forged");
    for (const auto& [name, kind] : {std::pair{"wrong-id", Kind::WrongId},
                                     {"wrong-question", Kind::WrongQuestion},
                                     {"wrong-port", Kind::WrongPort},
                                     {"short-header", Kind::ShortHeader}}) {
      a(name, {.kind = kind, .addresses = {"127.0.0.1"}});
      in_a_second(add(name, Cause::DnsTimeout));
      all_.back().options.emplace_back("ip", "4");
    }
  }

  void truncation() {
    std::vector<std::string> many(100, "127.0.0.1");
    a("truncated", {.kind = Kind::Truncated, .addresses = many});
    add("truncated");
    std::vector<std::string> long_list(60, "127.0.0.1");
    a("long-over-udp", {.addresses = long_list});  // 1.1 KiB.
    add("long-over-udp");
    add_by("no-tcp", no_tcp_.endpoint(), Cause::ResolverUnreachable, "over TCP")
        .options.emplace_back("ip", "4");
    for (const auto& [name, kind] : {std::pair{"tcp-closes", Kind::TruncatedTcpCloses},
                                     {"tcp-silent", Kind::TruncatedTcpSilent},
                                     {"tcp-garbage", Kind::TruncatedTcpGarbage}}) {
      a(name, {.kind = kind, .addresses = {"127.0.0.1"}});
      CheckCase& one = add(name, Cause::ResolverUnreachable);
      one.options.emplace_back("ip", "4");
      if (kind != Kind::TruncatedTcpCloses) in_a_second(one);
    }
    add_by("old", no_edns_.endpoint());
    add_by("older", no_edns_bare_.endpoint());
  }

  void several_resolvers() {
    const std::string& good = second_.endpoint();
    add_by("one-resolver-dead", dead_.endpoint() + "\n" + good);
    add_by("one-resolver-closed", std::string(kNobody) + "\n" + good);
    add_by("one-resolver-broken", broken_.endpoint() + "\n" + good);
    add_by("one-resolver-refusing", refusing_.endpoint() + "\n" + good);
    add_by("one-refuses-one-is-broken", refusing_.endpoint() + "\n" + broken_.endpoint(),
           Cause::DnsServfail);
    // A resolver that refuses us says nothing of names: of the alias' target it does, for it has answered the alias.
    add_by("resolver-refuses-us", refusing_.endpoint(), Cause::ResolverUnreachable,
           "no other name");
    add_by("refused-behind-an-alias", refusing_.endpoint(), Cause::DnsRefused, "target.example")
        .options.emplace_back("ip", "4");
    add_by("one-refuses-us-one-is-closed", refusing_.endpoint() + "\n" + kNobody,
           Cause::ResolverUnreachable);
    no_tcp_.script("no-tcp-beside-a-refusal.example", Type::A, {{.kind = Kind::Truncated}});
    no_tcp_.script("no-tcp-beside-servfail.example", Type::A, {{.kind = Kind::Truncated}});
    for (const auto& [name, other] :
         {std::pair{"no-tcp-beside-a-refusal", &refusing_}, {"no-tcp-beside-servfail", &broken_}}) {
      add_by(name, no_tcp_.endpoint() + "\n" + other->endpoint(), Cause::ResolverUnreachable, "TCP")
          .options.emplace_back("ip", "4");
    }
    CheckCase& dead = add_by("resolver-dead", dead_.endpoint(), Cause::ResolverUnreachable);
    in_a_second(dead);
    add_by("resolver-closed", kNobody, Cause::ResolverUnreachable, "refused");
    CheckCase& all_dead =
        add_by("all-resolvers-dead", dead_.endpoint() + "\n" + kNobody, Cause::ResolverUnreachable);
    in_a_second(all_dead);
    add_by("asked-over-ipv6", v6_dns_.endpoint());
  }

  void add_url(const std::string& name, std::string url, Cause cause = Cause::Ok) {
    all_.push_back({.name = "dns/" + name,
                    .url = std::move(url),
                    .options = by(dns_.endpoint()),
                    .cause = cause,
                    .phase = cause == Cause::Ok ? Phase::Done : Phase::Dns});
  }

  void names() {
    const auto known = [&](const std::string& name, const std::string& asked) {
      dns_.a(asked, {"127.0.0.1"});
      add_url(name, url(name == "trailing-dot" ? asked + "." : asked));
    };
    known("underscores", "_a_.under_score.example");
    known("trailing-dot", "trailing-dot.example");
    known("single-label", "intranet");
    known("label-of-63", std::string(63, 'a') + ".example");
    known("digits-and-hyphens", "1-2.3--4.example");
    std::string longest;
    for (int i = 0; i < 4; ++i) longest += std::string(60, 'b') + ".";
    known("name-of-251", longest + "example");
    dns_.a("upper.example", {"127.0.0.1"});
    add_url("upper-case", url("UPPER.Example"));
    dns_.a("xn--bcher-kva.example", {"127.0.0.1"});
    add_url("international", url("b\xc3\xbc"
                                 "cher.example"));
    add_url("international-as-ascii", url("xn--bcher-kva.example"));
    add_url("localhost", url("localhost"));
    add_url("below-localhost", url("shop.localhost"));
    add_url("onion", url("abcdefgh.onion"), Cause::DnsNxdomain);
    add_url("label-of-64", url(std::string(64, 'a') + ".example"), Cause::TargetInvalid);
    add_url("name-of-260", url(longest + "a-longer-example"), Cause::TargetInvalid);
    add_url("empty-label", url("a..example"), Cause::TargetInvalid);
    add_url("dots-alone", url(".."), Cause::TargetInvalid);
    add_url("invalid-utf8",
            url("b\xfc"
                "cher.example"),
            Cause::TargetInvalid);
    add_url("asterisk", url("*.example"), Cause::TargetInvalid);
  }

  FakeDns dns_;  // Scripted where the case stands.
  FakeDns second_, broken_, refusing_, dead_, no_edns_, no_edns_bare_;
  FakeDns v6_dns_{FakeDns::Options{.address = "::1"}};
  FakeDns no_tcp_{FakeDns::Options{.tcp = false}};
  FaultServer four_;
  FaultServer six_{"::1"};
  std::vector<CheckCase> all_;
};

}  // namespace

std::unique_ptr<CaseArea> dns_cases() {
  return std::make_unique<DnsCases>();
}

}  // namespace watchwheel::testing
