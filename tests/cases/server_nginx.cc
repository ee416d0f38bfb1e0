// SPDX-License-Identifier: Apache-2.0
// nginx: a site's pages and refusals, its TLS, and what is behind it when it is a proxy.
#include <string>

#include "cases/server_parts.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/nginx.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using namespace std::chrono_literals;

enum Port {
  kPlain,
  kTls,
  kClientCert,
  kOldTls,
  kNewTls,
  kRefusesNames,
  kProxyProtocol,
  kEmptied,
  kPorts
};

constexpr std::string_view kPage =
    "<!DOCTYPE html><html><head><title>Lanterns</title></head><body><h1>Lanterns</h1>"
    "<p>Paper lanterns, made by hand.</p></body></html>";

// Written as nginx's configuration is: locations of the plain server.
std::string locations(const TempDir& dir, int tls_port, int dead_port, int slow_port,
                      int cutting_port) {
  const auto proxied = [](const std::string& path, int port, const std::string& more = "") {
    return "location = " + path + " { proxy_pass http://127.0.0.1:" + std::to_string(port) + "/; " +
           more + " }\n";
  };
  return "root " + dir.path() +
         "/www;\nindex index.html;\ngzip on;\ngzip_proxied any;\n"
         R"(
location = /forbidden { return 403; }
location = /broken { return 500; }
location = /closed { return 444; }
location = /empty { return 204; }
location = /old { return 301 /older; }
location = /older { return 308 /lanterns.html; }
location = /loop { return 302 /loop; }
location = /cookie {
  if ($http_cookie !~ "seen=1") { add_header Set-Cookie "seen=1; Path=/"; return 302 /cookie; }
  return 200 "<p>Welcome back.</p>";
}
location = /secret { auth_basic "staff"; auth_basic_user_file )" +
         dir.file("users") + R"(; try_files /lanterns.html =404; }
location = /reading-only { limit_except GET { deny all; } try_files /lanterns.html =404; }
location = /small { client_max_body_size 16; try_files /lanterns.html =404; }
location = /slow { limit_rate 100; try_files /long.html =404; }
location = /maintenance { error_page 503 /maintenance.html; return 503; }
location = /maintenance-with-200 { try_files /maintenance.html =404; }
location = /lost { error_page 404 =200 @lost; return 404; }
location @lost { return 200 "<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center><hr><center>nginx</center></body></html>"; }
location = /new-server { alias /usr/share/nginx/html/index.html; }
location /files/ { autoindex on; }
location = /status { stub_status; }
location = /health { default_type application/json; return 200 '{"status":"ok","parts":{"store":false}}'; }
location = /protocol { return 200 $server_protocol; }
location = /agent { if ($http_user_agent !~ "^Watchwheel/") { return 403; } return 200 "known"; }
location = /secure { return 301 https://shop.nginx.test:)" +
         std::to_string(tls_port) + "/; }\n" + proxied("/dead", dead_port) +
         proxied("/slow-answer", slow_port, "proxy_read_timeout 1s;") +
         proxied("/hanging", slow_port, "proxy_read_timeout 20s;") +
         proxied("/cut", cutting_port, "proxy_buffering off;");
}

class NginxCases : public CaseArea {
 public:
  NginxCases()
      : authority_("Lantern Root"),
        stranger_("Somebody Else"),
        between_(authority_.intermediate({.common_name = "Lantern Sub"})),
        dead_(closed_port()),
        nginx_(kPorts,
               [this](const TempDir& dir, const RealServer::Ports& p) { return conf(dir, p); }) {
    for (const char* name : {"shop", "expired", "soon", "chainless", "unknown"})
      dns_.a(std::string(name) + ".nginx.test", {"127.0.0.1"});
    slow_.otherwise({hold()});
    cutting_.otherwise(
        {send("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n<p>The first few"), reset()});
    write_server_pem(authority_.issue({.common_name = "a client"}), files_.file("client.pem"));
    write_server_pem(stranger_.issue({.common_name = "a client"}), files_.file("stranger.pem"));
    files_.write("password", "paper");
    files_.write("wrong-password", "plastic");
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override {
    std::vector<CheckCase> all;
    add_pages(all);
    add_refusals(all);
    add_content(all);
    add_proxied(all);
    add_tls(all);
    add_client_certificates(all);
    return all;
  }

 private:
  std::string conf(const TempDir& dir, const RealServer::Ports& p) const {
    std::filesystem::create_directory(dir.file("www"));
    std::filesystem::create_directory(dir.file("www/files"));
    std::filesystem::create_directory(dir.file("emptied"));
    dir.write("www/index.html", kPage);
    dir.write("www/lanterns.html", kPage);
    dir.write("www/files/price-list.txt", "one lantern, one coin\n");
    std::string text;
    for (int i = 0; i < 400; ++i) text += "<p>Lantern number " + std::to_string(i) + "</p>\n";
    dir.write("www/long.html", text + "<p>the very last lantern</p>\n");
    dir.write("www/maintenance.html",
              "<html><head><title>Site under maintenance</title></head><body><h1>Site under "
              "maintenance</h1><p>We will be back soon.</p></body></html>");
    dir.write("users", "staff:{PLAIN}paper\n");

    const auto vhost = [&](const std::string& name, const Certificate& certificate,
                           const std::string& more = "") {
      const std::string pem = dir.file(name + ".pem");
      write_server_pem(certificate, pem);
      return "server {\nlisten 127.0.0.1:" + std::to_string(p[kTls]) + " ssl http2;\nserver_name " +
             name + ".nginx.test;\nssl_certificate " + pem + ";\nssl_certificate_key " + pem +
             ";\nroot " + dir.path() + "/www;\n" + more + "}\n";
    };
    const auto tls_port = [&](int port, const std::string& more) {
      return "server {\nlisten 127.0.0.1:" + std::to_string(port) + " ssl;\nroot " + dir.path() +
             "/www;\nssl_certificate " + dir.file("address.pem") + ";\nssl_certificate_key " +
             dir.file("address.pem") + ";\n" + more + "}\n";
    };
    const auto for_name = [](const char* name) {
      return CertSpec{.common_name = name, .dns_names = {name}};
    };
    CertSpec expired = for_name("expired.nginx.test");
    expired.valid_for = -1h;
    CertSpec soon = for_name("soon.nginx.test");
    soon.valid_for = 24h * 20;
    write_server_pem(authority_.issue({.common_name = "address", .ips = {"127.0.0.1"}}),
                     dir.file("address.pem"));
    dir.write("clients.pem", read(authority_.ca_file()));

    return "server {\nlisten 127.0.0.1:" + std::to_string(p[kPlain]) + ";\n" +
           locations(dir, p[kTls], dead_, slow_.port(), cutting_.port()) + "}\n" +
           // The first one is for names that nobody knows.
           vhost("default", authority_.issue(for_name("default.nginx.test"))) +
           vhost("shop", between_->issue(for_name("shop.nginx.test")),
                 "location = /protocol { return 200 $server_protocol; }\n"
                 "location = /closed { return 444; }\n"
                 "location = /plain { return 302 http://127.0.0.1:" +
                     std::to_string(p[kPlain]) + "/; }\n") +
           vhost("expired", authority_.issue(expired)) + vhost("soon", authority_.issue(soon)) +
           vhost("chainless", between_->issue_without_chain(for_name("chainless.nginx.test"))) +
           tls_port(p[kClientCert], "ssl_client_certificate " + dir.file("clients.pem") +
                                        ";\nssl_verify_client on;\n") +
           tls_port(p[kOldTls], "ssl_protocols TLSv1.1;\nssl_ciphers DEFAULT:@SECLEVEL=0;\n") +
           tls_port(p[kNewTls], "ssl_protocols TLSv1.2;\n") +
           tls_port(p[kRefusesNames], "ssl_reject_handshake on;\n") +
           "server {\nlisten 127.0.0.1:" + std::to_string(p[kProxyProtocol]) +
           " proxy_protocol;\nreturn 200 \"never\";\n}\nserver {\nlisten 127.0.0.1:" +
           std::to_string(p[kEmptied]) + ";\nroot " + dir.file("emptied") + ";\nautoindex on;\n}\n";
  }

  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  [[nodiscard]] std::string plain(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(nginx_.port(kPlain)) + path;
  }
  [[nodiscard]] std::string tls(const std::string& name, const std::string& path = "/") const {
    return "https://" + name + ".nginx.test:" + std::to_string(nginx_.port(kTls)) + path;
  }
  [[nodiscard]] std::string address(Port port) const {
    return "https://127.0.0.1:" + std::to_string(nginx_.port(static_cast<std::size_t>(port))) + "/";
  }
  [[nodiscard]] core::SiteOptions trusting(core::SiteOptions more = {}) const {
    more.emplace_back("ca_file", authority_.ca_file());
    more.emplace_back("resolver", dns_.endpoint());
    return more;
  }

  void add_pages(std::vector<CheckCase>& all) const {
    all.push_back(healthy("nginx_page", plain("/")));
    all.push_back(healthy("nginx_head", plain("/"), {{"method", "HEAD"}}));
    all.push_back(healthy("nginx_empty", plain("/empty")));
    all.push_back(healthy("nginx_redirects", plain("/old"), {{"keyword", "made by hand"}}));
    all.push_back(healthy("nginx_cookie_kept", plain("/cookie"), {{"keyword", "Welcome back"}}));
    all.push_back(
        healthy("nginx_gzip", plain("/long.html"), {{"keyword", "the very last lantern"}}));
    all.push_back(healthy("nginx_http10", plain("/protocol"),
                          {{"http_version", "1.0"}, {"keyword", "HTTP/1.0"}}));
    all.push_back(healthy("nginx_http11", plain("/protocol"), {{"keyword", "HTTP/1.1"}}));
    all.push_back(healthy("nginx_knows_our_agent", plain("/agent"), {{"keyword", "known"}}));
    all.push_back(healthy("nginx_status_module", plain("/status"),
                          {{"body_match", "Active connections: [0-9]+"}}));
    all.back().varies = "it counts its requests";
    all.push_back(healthy("nginx_redirect_not_followed", plain("/old"),
                          {{"redirects", "none"}, {"expect_status", "301"}}));
    all.push_back(
        healthy("nginx_password", plain("/secret"),
                {{"auth_user", "staff"}, {"auth_password_file", files_.file("password")}}));
  }

  void add_refusals(std::vector<CheckCase>& all) const {
    all.push_back(answers_status("nginx_404", plain("/gone"), 404));
    all.push_back(answers_status("nginx_403", plain("/forbidden"), 403));
    all.push_back(answers_status("nginx_500", plain("/broken"), 500));
    all.push_back(answers_status("nginx_401", plain("/secret"), 401));
    all.push_back(answers_status(
        "nginx_wrong_password", plain("/secret"), 401,
        {{"auth_user", "staff"}, {"auth_password_file", files_.file("wrong-password")}}));
    all.push_back(
        answers_status("nginx_method_denied", plain("/reading-only"), 403, {{"method", "DELETE"}}));
    all.push_back(answers_status("nginx_post_to_a_file", plain("/lanterns.html"), 405,
                                 {{"method", "POST"}, {"body", "order=1"}}));
    all.push_back(answers_status("nginx_body_too_large", plain("/small"), 413,
                                 {{"method", "POST"}, {"body", std::string(100, 'x')}}));
    all.push_back(answers_status("nginx_maintenance", plain("/maintenance"), 503));
    all.push_back(answers_status("nginx_redirect_unexpected", plain("/old"), 301,
                                 {{"redirects", "none"}, {"expect_status", "200"}}));
    all.push_back(failing("nginx_444", plain("/closed"), Cause::HttpClosed, Phase::FirstByte));
    all.push_back(
        failing("nginx_redirect_loop", plain("/loop"), Cause::RedirectTooMany, Phase::FirstByte));
    all.push_back(failing("nginx_proxy_protocol",
                          "http://127.0.0.1:" + std::to_string(nginx_.port(kProxyProtocol)) + "/",
                          Cause::HttpClosed, Phase::FirstByte));
    CheckCase slow = failing("nginx_slow_body", plain("/slow"), Cause::BodyTimeout, Phase::Body);
    slow.at_least = 3000ms;
    slow.within = 3100ms;
    slow.varies = "it sends by its own clock";
    all.push_back(slow);
  }

  void add_content(std::vector<CheckCase>& all) const {
    const auto page = [&](const char* name, const char* path, Cause cause,
                          core::SiteOptions options = {}) {
      all.push_back(failing(name, plain(path), cause, Phase::Content, std::move(options)));
    };
    page("nginx_default_page", "/new-server", Cause::ContentErrorPage);
    page("nginx_maintenance_with_200", "/maintenance-with-200", Cause::ContentErrorPage);
    page("nginx_lost_with_200", "/lost", Cause::ContentErrorPage);
    page("nginx_keyword_missing", "/long.html", Cause::KeywordMissing, {{"keyword", "candle"}});
    page("nginx_keyword_forbidden_in_gzip", "/long.html", Cause::KeywordForbidden,
         {{"forbidden", "the very last lantern"}});
    page("nginx_json_differs", "/health", Cause::ContentJson,
         {{"json_equals", "/status == \"ok\"\n/parts/store == true"}});
    page("nginx_header_missing", "/", Cause::ContentHeader,
         {{"expect_header", "Strict-Transport-Security"}});
    page("nginx_page_too_small", "/", Cause::ContentSize, {{"size_min", "1KiB"}});
    all.push_back(healthy("nginx_json", plain("/health"), {{"json_equals", "/status == \"ok\""}}));
    all.push_back(healthy("nginx_header", plain("/"),
                          {{"expect_header", "Server ~ ^nginx\nContent-Type: text/html"}}));
    // Files to fetch are what a site may be for; a root without any is what a failed deployment leaves.
    const std::string emptied = "http://127.0.0.1:" + std::to_string(nginx_.port(kEmptied)) + "/";
    all.push_back(healthy("nginx_listing", plain("/files/"), {{"keyword", "price-list.txt"}}));
    all.push_back(failing("nginx_emptied", emptied, Cause::ContentErrorPage, Phase::Content));
    all.push_back(healthy("nginx_emptied_and_wanted", emptied, {{"detect_error_pages", "false"}}));
  }

  void add_proxied(std::vector<CheckCase>& all) const {
    all.push_back(answers_status("nginx_502", plain("/dead"), 502));
    CheckCase late = answers_status("nginx_504", plain("/slow-answer"), 504);
    late.at_least = 900ms;
    all.push_back(late);
    CheckCase never = failing("nginx_waits_for_its_backend", plain("/hanging"), Cause::HttpTimeout,
                              Phase::FirstByte);
    never.at_least = 3000ms;
    never.within = 3100ms;
    all.push_back(never);
    all.push_back(
        failing("nginx_backend_cuts_off", plain("/cut"), Cause::BodyTruncated, Phase::Body));
  }

  void add_tls(std::vector<CheckCase>& all) const {
    all.push_back(healthy("nginx_tls", tls("shop"), trusting({{"keyword", "made by hand"}})));
    all.push_back(healthy("nginx_to_https", plain("/secure"), trusting()));
    CheckCase downgrade = healthy("nginx_to_http", tls("shop", "/plain"), trusting());
    downgrade.warnings = {core::Warning::RedirectDowngrade};
    all.push_back(downgrade);
    CheckCase soon = healthy("nginx_expires_soon", tls("soon"), trusting());
    soon.warnings = {core::Warning::TlsExpiring};
    all.push_back(soon);
    all.push_back(healthy("nginx_http2", tls("shop", "/protocol"),
                          trusting({{"http_version", "2"}, {"keyword", "HTTP/2.0"}})));
    all.push_back(healthy("nginx_http2_not_asked", tls("shop", "/protocol"),
                          trusting({{"keyword", "HTTP/1.1"}})));
    all.push_back(answers_status("nginx_http2_404", tls("shop", "/gone"), 404,
                                 trusting({{"http_version", "2"}})));
    all.push_back(failing("nginx_tls_closed", tls("shop", "/closed"), Cause::HttpClosed,
                          Phase::FirstByte, trusting()));
    // nginx breaks the stream off as an error of protocol, which is also what libcurl says of its own finds.
    all.push_back(failing("nginx_http2_closed", tls("shop", "/closed"), Cause::HttpMalformed,
                          Phase::FirstByte, trusting({{"http_version", "2"}})));
    all.back().detail = "broken off";
    const auto bad = [&](const char* name, const std::string& url, Cause cause,
                         core::SiteOptions options) {
      all.push_back(failing(name, url, cause, Phase::Tls, std::move(options)));
    };
    bad("nginx_expired", tls("expired"), Cause::TlsCertExpired, trusting());
    all.back().warnings = {core::Warning::TlsExpiring};
    bad("nginx_name_without_vhost", tls("unknown"), Cause::TlsCertHostname, trusting());
    bad("nginx_chain_incomplete", tls("chainless"), Cause::TlsCertUntrusted, trusting());
    bad("nginx_unknown_authority", tls("shop"), Cause::TlsCertUntrusted,
        {{"resolver", dns_.endpoint()}, {"ca_file", stranger_.ca_file()}});
    bad("nginx_refuses_names", address(kRefusesNames), Cause::TlsHandshake, trusting());
    bad("nginx_old_tls", address(kOldTls), Cause::TlsProtocol, trusting());
    bad("nginx_not_new_enough", address(kNewTls), Cause::TlsProtocol,
        trusting({{"tls_min", "1.3"}}));
    bad("nginx_https_to_http_port",
        "https://127.0.0.1:" + std::to_string(nginx_.port(kPlain)) + "/", Cause::TlsProtocol,
        trusting());
    CheckCase old =
        healthy("nginx_old_tls_allowed", address(kOldTls), trusting({{"tls_min", "1.0"}}));
    old.warnings = {core::Warning::TlsDeprecated};
    all.push_back(old);
    all.push_back(answers_status("nginx_http_to_https_port",
                                 "http://127.0.0.1:" + std::to_string(nginx_.port(kTls)) + "/",
                                 400));
  }

  void add_client_certificates(std::vector<CheckCase>& all) const {
    const std::string url = address(kClientCert);
    all.push_back(healthy("nginx_client_certificate", url,
                          trusting({{"client_cert_file", files_.file("client.pem")}})));
    // nginx finishes the handshake and says it in HTTP.
    all.push_back(answers_status("nginx_no_client_certificate", url, 400, trusting()));
    all.push_back(answers_status("nginx_strange_client_certificate", url, 400,
                                 trusting({{"client_cert_file", files_.file("stranger.pem")}})));
  }

  TempDir files_;
  Authority authority_;
  Authority stranger_;
  std::unique_ptr<Authority> between_;
  FakeDns dns_;
  FaultServer slow_;
  FaultServer cutting_;
  int dead_;
  Nginx nginx_;
};

}  // namespace

std::unique_ptr<CaseArea> nginx_cases() {
  return std::make_unique<NginxCases>();
}

}  // namespace watchwheel::testing
