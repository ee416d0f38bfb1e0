// SPDX-License-Identifier: Apache-2.0
// HAProxy: a load balancer that refuses, delays and swallows on purpose, and one whose backends do.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "cases/server_parts.h"
#include "support/fault_server.h"
#include "support/haproxy.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using namespace std::chrono_literals;

enum Port {
  kPlain,
  kRejecting,
  kSwallowing,
  kTarpit,
  kLongTarpit,
  kProxyProtocol,
  kWaiting,
  kTls,
  kOldTls,
  kStrictNames,
  kClientCert,
  kPassing,
  kTlsToNowhere,
  kPorts
};

// silent-drop needs CAP_NET_ADMIN to take a connection down without a reset; without it, there is one.
bool may_leave_without_a_word() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  const bool may = setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) == 0;
  close(fd);
  return may;
}

class HaproxyCases : public CaseArea {
 public:
  HaproxyCases()
      : authority_("Kite Root"),
        dead_(closed_port()),
        haproxy_(kPorts,
                 [this](const TempDir& dir, const RealServer::Ports& p) { return conf(dir, p); }) {
    backend_.otherwise(ok("<h1>Kites</h1>"));
    backend_.on("/cut", {send("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n<p>Kit"), reset()});
    backend_.on("/garbage", {send("\x01\x02\x03\x04 no status line\r\n\r\n")});
    backend_.on("/hangs-up", {reset()});
    slow_.otherwise({hold()});
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override {
    std::vector<CheckCase> all;
    add_http(all);
    add_delays(all);
    add_tls(all);
    return all;
  }

 private:
  std::string conf(const TempDir& dir, const RealServer::Ports& p) const {
    write_server_pem(authority_.issue({.common_name = "kites", .ips = {"127.0.0.1"}}),
                     dir.file("kites.pem"));
    dir.write("sorry.html",
              "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to "
              "handle this request.\n</body></html>\n");
    const auto bind = [&](Port port, const std::string& more = "") {
      return " bind 127.0.0.1:" + std::to_string(p[port]) + " " + more + "\n";
    };
    const auto with_tls = [&](Port port, const std::string& more = "") {
      return bind(port, "ssl crt " + dir.file("kites.pem") + " " + more);
    };
    const auto server = [](int port) {
      return " server s 127.0.0.1:" + std::to_string(port) + "\n";
    };
    return "frontend plain\n" + bind(kPlain) + R"(
 http-request deny if { path /denied }
 http-request deny deny_status 429 if { path /too-often }
 http-request reject if { path /rejected }
 http-request silent-drop if { path /swallowed }
 http-request return status 200 content-type text/html file )" +
           dir.file("sorry.html") + R"( if { path /sorry-with-200 }
 http-request return status 200 content-type text/plain string alive if { path /alive }
 http-request redirect scheme https code 301 if { path /to-https }
 http-request redirect location https://127.0.0.1:)" +
           std::to_string(p[kTls]) + R"(/ if { path /to-tls }
 http-request redirect location ftp://127.0.0.1/ if { path /to-ftp }
 use_backend nobody if { path /nobody }
 use_backend dead if { path /dead }
 use_backend slow if { path /slow }
 default_backend kites
frontend rejecting
)" + bind(kRejecting) +
           // At once it would be a race between its reset and our request.
           " tcp-request inspect-delay 3s\n tcp-request content reject if { req.len gt 0 }\n"
           "frontend swallowing\n" +
           bind(kSwallowing) +
           " tcp-request content silent-drop\n default_backend kites\n"
           "frontend tarpit\n" +
           bind(kTarpit) +
           " timeout tarpit 1s\n http-request tarpit\n"
           "frontend long_tarpit\n" +
           bind(kLongTarpit) +
           " timeout tarpit 20s\n http-request tarpit\n"
           "frontend proxy_protocol\n" +
           bind(kProxyProtocol, "accept-proxy") +
           " default_backend kites\n"
           "frontend waiting\n mode tcp\n" +
           bind(kWaiting) +
           " tcp-request inspect-delay 1s\n tcp-request content accept if WAIT_END\n"
           " default_backend kites_tcp\n"
           "frontend tls\n" +
           with_tls(kTls, "alpn h2,http/1.1 ssl-min-ver TLSv1.3") +
           " default_backend kites\n"
           "frontend old_tls\n" +
           with_tls(kOldTls,
                    "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.1 ciphers DEFAULT:@SECLEVEL=0") +
           " default_backend kites\n"
           "frontend strict_names\n" +
           with_tls(kStrictNames, "strict-sni") +
           " default_backend kites\n"
           "frontend client_cert\n" +
           with_tls(kClientCert, "verify required ca-file " + authority_.ca_file()) +
           " default_backend kites\n"
           "frontend passing\n mode tcp\n" +
           bind(kPassing) +
           " default_backend dead_tcp\n"
           "frontend tls_to_nowhere\n mode tcp\n" +
           with_tls(kTlsToNowhere) +
           " default_backend dead_tcp\n"
           "backend kites\n" +
           server(backend_.port()) + "backend kites_tcp\n mode tcp\n" + server(backend_.port()) +
           "backend nobody\nbackend dead\n" + server(dead_) + "backend slow\n timeout server 1s\n" +
           server(slow_.port()) + "backend dead_tcp\n mode tcp\n" + server(dead_);
  }

  [[nodiscard]] std::string plain(const std::string& path, Port port = kPlain) const {
    return "http://127.0.0.1:" + std::to_string(haproxy_.port(port)) + path;
  }
  [[nodiscard]] std::string tls(Port port) const {
    return "https://127.0.0.1:" + std::to_string(haproxy_.port(port)) + "/";
  }
  [[nodiscard]] core::SiteOptions trusting(core::SiteOptions more = {}) const {
    more.emplace_back("ca_file", authority_.ca_file());
    return more;
  }

  void add_http(std::vector<CheckCase>& all) const {
    const auto first_byte = [&](const char* name, const std::string& url, Cause cause,
                                core::SiteOptions options = {}) {
      all.push_back(failing(name, url, cause, Phase::FirstByte, std::move(options)));
    };
    all.push_back(healthy("haproxy_page", plain("/"), {{"keyword", "Kites"}}));
    all.push_back(healthy("haproxy_alive", plain("/alive"), {{"keyword", "alive"}}));
    all.push_back(healthy("haproxy_to_https", plain("/to-tls"), trusting()));
    all.push_back(answers_status("haproxy_nobody", plain("/nobody"), 503));
    all.push_back(answers_status("haproxy_denied", plain("/denied"), 403));
    all.push_back(answers_status("haproxy_429", plain("/too-often"), 429));
    all.push_back(answers_status("haproxy_backend_garbage", plain("/garbage"), 502));
    all.push_back(answers_status("haproxy_backend_hangs_up", plain("/hangs-up"), 502));
    all.push_back(failing("haproxy_sorry_with_200", plain("/sorry-with-200"),
                          Cause::ContentErrorPage, Phase::Content));
    all.push_back(
        failing("haproxy_backend_cuts_off", plain("/cut"), Cause::BodyTruncated, Phase::Body));
    first_byte("haproxy_rejected", plain("/rejected"), Cause::HttpClosed);
    first_byte("haproxy_rejects_all", plain("/", kRejecting), Cause::HttpClosed);
    first_byte("haproxy_proxy_protocol", plain("/", kProxyProtocol), Cause::HttpClosed);
    first_byte("haproxy_to_ftp", plain("/to-ftp"), Cause::RedirectRefused);
    // The same port with another scheme: it speaks no TLS there.
    all.push_back(failing("haproxy_scheme_only", plain("/to-https"), Cause::TlsProtocol, Phase::Tls,
                          trusting()));
  }

  void add_delays(std::vector<CheckCase>& all) const {
    const auto times_out = [&](const char* name, const std::string& url) {
      CheckCase one = failing(name, url, Cause::HttpTimeout, Phase::FirstByte);
      one.at_least = 3000ms;
      one.within = 3100ms;
      all.push_back(one);
    };
    const auto swallowed = [&](const char* name, const std::string& url) {
      if (may_leave_without_a_word()) return times_out(name, url);
      all.push_back(failing(name, url, Cause::HttpClosed, Phase::FirstByte));
    };
    swallowed("haproxy_swallowed", plain("/swallowed"));
    swallowed("haproxy_swallows_all", plain("/", kSwallowing));
    times_out("haproxy_long_tarpit", plain("/", kLongTarpit));
    CheckCase tarpit = answers_status("haproxy_tarpit", plain("/", kTarpit), 500);
    tarpit.at_least = 900ms;
    all.push_back(tarpit);
    CheckCase slow = answers_status("haproxy_504", plain("/slow"), 504);
    slow.at_least = 900ms;
    all.push_back(slow);
    // Three more tries, a second apart, before it gives its backend up.
    CheckCase dead = answers_status("haproxy_backend_dead", plain("/dead"), 503,
                                    {{"timeout", "8s"}, {"connect_timeout", "2s"}});
    dead.within = 5000ms;
    all.push_back(dead);
    CheckCase waiting = healthy("haproxy_waits_first", plain("/", kWaiting));
    waiting.at_least = 900ms;
    all.push_back(waiting);
    waiting =
        healthy("haproxy_waits_too_long", plain("/", kWaiting), {{"latency_warning", "500ms"}});
    waiting.at_least = 900ms;
    waiting.warnings = {core::Warning::LatencyExceeded};
    all.push_back(waiting);
  }

  void add_tls(std::vector<CheckCase>& all) const {
    all.push_back(healthy("haproxy_tls13", tls(kTls), trusting({{"tls_min", "1.3"}})));
    all.push_back(healthy("haproxy_http2", tls(kTls), trusting({{"http_version", "2"}})));
    all.push_back(healthy("haproxy_client_certificate", tls(kClientCert),
                          trusting({{"client_cert_file", client_file()}})));
    const auto bad = [&](const char* name, Port port, Cause cause) {
      all.push_back(failing(name, tls(port), cause, Phase::Tls, trusting()));
    };
    bad("haproxy_old_tls", kOldTls, Cause::TlsProtocol);
    bad("haproxy_strict_names", kStrictNames, Cause::TlsHandshake);
    bad("haproxy_no_client_certificate", kClientCert, Cause::TlsHandshake);
    // It takes the connection before it knows that there is nobody behind it.
    CheckCase passed_on =
        failing("haproxy_passes_to_nobody", tls(kPassing), Cause::TlsHandshake, Phase::Tls,
                trusting({{"timeout", "8s"}, {"connect_timeout", "2s"}}));
    passed_on.within = 5000ms;
    all.push_back(passed_on);
    passed_on = failing("haproxy_tls_before_nobody", tls(kTlsToNowhere), Cause::HttpClosed,
                        Phase::FirstByte, trusting({{"timeout", "8s"}, {"connect_timeout", "2s"}}));
    passed_on.within = 5000ms;
    all.push_back(passed_on);
  }

  [[nodiscard]] std::string client_file() const {
    write_server_pem(authority_.issue({.common_name = "a client"}), files_.file("client.pem"));
    return files_.file("client.pem");
  }

  TempDir files_;
  Authority authority_;
  FaultServer backend_;
  FaultServer slow_;
  int dead_;
  Haproxy haproxy_;
};

}  // namespace

std::unique_ptr<CaseArea> haproxy_cases() {
  return std::make_unique<HaproxyCases>();
}

}  // namespace watchwheel::testing
