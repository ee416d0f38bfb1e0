// SPDX-License-Identifier: Apache-2.0
// What can be between an address and a connection, and which address is tried next. Nothing is asked beyond loopback.
#include <memory>
#include <string>
#include <vector>

#include "cases/check_case.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/odd_host.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

class ConnectCases : public CaseArea {
 public:
  ConnectCases() {
    server_.otherwise(ok("<h1>Hello</h1>"));
    half_open_.on_connect({hold()});
    server_.on("/to-a-closed-port",
               redirect(302, "http://127.0.0.1:" + std::to_string(closed_) + "/"));
    server_.on("/to-a-silent-port",
               redirect(302, "http://127.0.0.1:" + std::to_string(deaf_.port()) + "/"));
    server_.on("/reset-in-the-middle", {send("HTTP/1.1 200 OK\r\nContent-"), reset()});
    for (int i = 0; i < 8; ++i)
      silent_.push_back(std::make_unique<SilentPort>(silent_address(i), server_.port()));
    silent_.push_back(std::make_unique<SilentPort>("::1", server_.port()));
    refused();
    silent();
    unreachable_and_reset();
    after_the_connection();
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override { return all_; }

 private:
  static std::string silent_address(int i) { return "127.0.8." + std::to_string(i + 1); }
  static std::string on_port(const std::string& host, std::uint16_t port) {
    return "http://" + host + ":" + std::to_string(port) + "/";
  }

  CheckCase& add(const std::string& name, std::string url, Cause cause = Cause::Ok,
                 std::string detail = "") {
    all_.push_back({.name = "connect/" + name,
                    .url = std::move(url),
                    .options = on_loopback({{"resolver", dns_.endpoint()}}),
                    .cause = cause,
                    .phase = cause == Cause::Ok ? Phase::Done : Phase::Connect,
                    .detail = std::move(detail)});
    return all_.back();
  }
  // A name with these addresses, on the port of the good server.
  CheckCase& add_name(const std::string& name, std::vector<std::string> v4,
                      std::vector<std::string> v6, Cause cause = Cause::Ok,
                      std::string detail = "") {
    if (!v4.empty()) dns_.a(name + ".example", std::move(v4));
    if (!v6.empty()) dns_.aaaa(name + ".example", std::move(v6));
    return add(name, on_port(name + ".example", server_.port()), cause, std::move(detail));
  }
  // Not before its time for connecting is over, and not long after it.
  static CheckCase& for_all_of(CheckCase& one, milliseconds time) {
    one.options.emplace_back("connect_timeout", std::to_string(time.count()) + "ms");
    one.at_least = time;
    one.within = time + 500ms;
    return one;
  }
  static void at_once(CheckCase& one) { one.within = 500ms; }

  void refused() {
    at_once(add("refused", on_port("127.0.0.1", closed_), Cause::ConnectRefused, "127.0.0.1"));
    at_once(add("refused-ipv6", on_port("[::1]", closed_), Cause::ConnectRefused, "[::1]"));
    std::string secure = on_port("127.0.0.1", closed_);
    at_once(add("refused-https", secure.insert(4, "s"), Cause::ConnectRefused));
    at_once(
        add("refused-after-a-redirect", server_.url("/to-a-closed-port"), Cause::ConnectRefused));
    at_once(add_name("refused-by-all", {"127.0.0.2", "127.0.0.3", "127.0.0.4"}, {},
                     Cause::ConnectRefused, "3 addresses"));
    std::vector<std::string> many;
    for (int i = 1; i <= 20; ++i) many.push_back("127.0.9." + std::to_string(i));
    at_once(add_name("refused-by-twenty", many, {}, Cause::ConnectRefused, "16 addresses"));
    at_once(add_name("refused-then-good", {"127.0.0.2", "127.0.0.1"}, {}));
    at_once(add_name("refused-by-three-then-good",
                     {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"}, {}));
    dns_.a("refused-ipv6-then-ipv4.example", {"127.0.0.1"});
    dns_.aaaa("refused-ipv6-then-ipv4.example", {"::1"});
    at_once(add("refused-ipv6-then-ipv4",
                on_port("refused-ipv6-then-ipv4.example", half_open_.port()), Cause::HttpTimeout));
    CheckCase& half_open = all_.back();  // IPv4 is connected to, and then says nothing.
    half_open.phase = Phase::FirstByte;
    half_open.options.emplace_back("timeout", "700ms");
    half_open.at_least = 700ms;
    half_open.within = 1200ms;
  }

  void silent() {
    const std::string silent = on_port("127.0.0.1", deaf_.port());
    for_all_of(add("silent", silent, Cause::ConnectTimeout, "no answer within 600 ms"), 600ms);
    for_all_of(add("silent-ipv6", on_port("[::1]", server_.port()), Cause::ConnectTimeout), 600ms);
    for_all_of(
        add("silent-after-a-redirect", server_.url("/to-a-silent-port"), Cause::ConnectTimeout),
        600ms);
    CheckCase& whole = add("silent-for-the-whole-check", silent, Cause::ConnectTimeout);
    whole.options.emplace_back("timeout", "600ms");
    whole.at_least = 600ms;
    whole.within = 1100ms;
    // The next address is tried beside it 250 ms later.
    CheckCase& next = add_name("silent-then-good", {silent_address(0), "127.0.0.1"}, {});
    next.at_least = 250ms;
    next.within = 900ms;
    CheckCase& v6 = add_name("silent-ipv6-then-ipv4", {"127.0.0.1"}, {"::1"});
    v6.at_least = 250ms;
    v6.within = 900ms;
    CheckCase& five = add_name("five-silent-then-good",
                               {silent_address(0), silent_address(1), silent_address(2),
                                silent_address(3), silent_address(4), "127.0.0.1"},
                               {});
    five.at_least = 1000ms;
    std::vector<std::string> all;
    for (int i = 0; i < 8; ++i) all.push_back(silent_address(i));
    for_all_of(add_name("eight-silent", all, {}, Cause::ConnectTimeout), 700ms);
    for_all_of(
        add_name("both-families-silent", {silent_address(0)}, {"::1"}, Cause::ConnectTimeout),
        700ms);
    // A refusal says more than silence, whichever comes first.
    for_all_of(
        add_name("silent-and-refused", {silent_address(0), "127.0.0.2"}, {}, Cause::ConnectRefused),
        600ms);
    for_all_of(
        add_name("refused-and-silent", {"127.0.0.2", silent_address(0)}, {}, Cause::ConnectRefused),
        600ms);
  }

  void unreachable_and_reset() {
    at_once(add("unreachable", on_port(kOdd, odd_.unreachable()), Cause::ConnectUnreachable,
                "No route to host"));
    at_once(
        add("prohibited-on-the-way", on_port(kOdd, odd_.prohibited()), Cause::ConnectUnreachable));
    dns_.a("unreachable-by-name.example", {kOdd});
    at_once(add("unreachable-by-name", on_port("unreachable-by-name.example", odd_.unreachable()),
                Cause::ConnectUnreachable));
    at_once(add("reset-at-once", on_port(kOdd, odd_.resetting()), Cause::ConnectReset, "reset"));
    std::string secure = on_port(kOdd, odd_.resetting());
    at_once(add("reset-at-once-https", secure.insert(4, "s"), Cause::ConnectReset));
    // Addresses that mean something on one link only: our kernel connects to none without knowing the link.
    for (const char* address : {"fe80::1", "fe80::7f00:1"}) {
      CheckCase& one = add(std::string("without-a-link-") + (address[6] == '1' ? "1" : "2"),
                           on_port(std::string("[") + address + "]", 80), Cause::LocalNetwork,
                           "our own network");
      one.options = {{"allow", "fe80::/10"}};
      at_once(one);
    }
  }

  void after_the_connection() {
    CheckCase& half_open = add("half-open", half_open_.url("/"), Cause::HttpTimeout);
    half_open.phase = Phase::FirstByte;
    half_open.options.emplace_back("timeout", "700ms");
    half_open.at_least = 700ms;
    half_open.within = 1200ms;
    CheckCase& reset =
        add("reset-in-the-middle", server_.url("/reset-in-the-middle"), Cause::HttpClosed, "reset");
    reset.phase = Phase::FirstByte;
    add("good", server_.url("/"));
  }

  static constexpr const char* kOdd = "127.0.7.7";
  FakeDns dns_;
  FaultServer server_;
  FaultServer half_open_;
  DeafPort deaf_;
  OddHost odd_{kOdd};
  std::vector<std::unique_ptr<SilentPort>> silent_;
  std::uint16_t closed_ = closed_port();
  std::vector<CheckCase> all_;
};

}  // namespace

std::unique_ptr<CaseArea> connect_cases() {
  return std::make_unique<ConnectCases>();
}

}  // namespace watchwheel::testing
