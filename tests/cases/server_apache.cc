// SPDX-License-Identifier: Apache-2.0
// Apache httpd: freshly installed, with .htaccess files of all kinds, and with the certificate it was installed with.
#include <string>

#include "cases/server_parts.h"
#include "support/apache.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;

enum Port { kPlain, kFresh, kTls, kSnakeoil, kOtherAddress, kClientCert, kEmptied, kPorts };

class ApacheCases : public CaseArea {
 public:
  ApacheCases()
      : authority_("Pottery Root"),
        apache_(kPorts,
                [this](const TempDir& dir, const RealServer::Ports& p) { return conf(dir, p); }) {
    files_.write("password", "paper");
    write_server_pem(authority_.issue({.common_name = "a client"}), files_.file("client.pem"));
  }

  [[nodiscard]] std::vector<CheckCase> cases() const override {
    std::vector<CheckCase> all;
    add_pages(all);
    add_refusals(all);
    add_tls(all);
    return all;
  }

 private:
  static void write_pages(const TempDir& dir) {
    for (const char* folder : {"www", "www/shop", "www/files", "www/closed", "www/denied",
                               "www/broken", "www/turning", "www/staff", "emptied"})
      std::filesystem::create_directory(dir.file(folder));
    const std::string page =
        "<!DOCTYPE html><html><head><title>Bowls</title></head><body><h1>Bowls</h1>"
        "<p>Thrown and glazed here.</p></body></html>";
    dir.write("www/index.html", page);
    dir.write("www/shop/index.html", page);
    dir.write("www/files/glazes.txt", "blue, green\n");
    dir.write("www/files/.htaccess", "Options +Indexes\n");
    dir.write("www/closed/glazes.txt", "blue, green\n");
    dir.write("www/denied/.htaccess", "Require all denied\n");
    dir.write("www/broken/.htaccess", "DenyEverybody yes\n");
    dir.write("www/turning/.htaccess", "RewriteEngine On\nRewriteRule ^(.*)$ again/$1\n");
    dir.write("www/staff/.htaccess", "AuthType Basic\nAuthName staff\nAuthUserFile " +
                                         dir.file("users") + "\nRequire valid-user\n");
    dir.write("www/staff/index.html", page);
    dir.write("users", "staff:{SHA}lQWTsfQt6EEWmqfVlIa36YC8Fc8=\n");
  }

  std::string conf(const TempDir& dir, const RealServer::Ports& p) const {
    write_pages(dir);
    // Within its directory, where it may read whoever it runs as.
    std::filesystem::copy_file(authority_.ca_file(), dir.file("clients.pem"));
    const auto with_certificate = [&](Port port, const Certificate& certificate,
                                      const std::string& more = "") {
      const std::string pem = dir.file("port" + std::to_string(port) + ".pem");
      write_server_pem(certificate, pem);
      return "<VirtualHost *:" + std::to_string(p[port]) + ">\nSSLEngine on\nSSLCertificateFile " +
             pem + "\n" + more + "</VirtualHost>\n";
    };
    const CertSpec ours{.common_name = "bowls", .ips = {"127.0.0.1"}};
    return "DocumentRoot " + dir.path() + "/www\n<Directory " + dir.path() +
           R"(/www>
AllowOverride All
Options -Indexes
Require all granted
</Directory>
AddOutputFilterByType DEFLATE text/html
Redirect 302 /round /round
Redirect gone /sold
ErrorDocument 404 "<html><body><h1>We looked everywhere</h1></body></html>"
SetEnvIf Request_URI ^/shop/ force-response-1.0 downgrade-1.0 nokeepalive
Header set X-Frame-Options DENY
<VirtualHost *:)" +
           std::to_string(p[kFresh]) +
           R"(>
DocumentRoot /usr/share/apache2/default-site
<Directory /usr/share/apache2/default-site>
Require all granted
</Directory>
</VirtualHost>
<VirtualHost *:)" +
           std::to_string(p[kEmptied]) + ">\nDocumentRoot " + dir.path() + "/emptied\n<Directory " +
           dir.path() +
           R"(/emptied>
Options +Indexes
Require all granted
</Directory>
</VirtualHost>
)" + with_certificate(kTls, authority_.issue(ours), "SSLProtocol -all +TLSv1.2\n") +
           with_certificate(kSnakeoil, self_signed(ours)) +
           with_certificate(kOtherAddress,
                            authority_.issue({.common_name = "bowls", .ips = {"192.0.2.80"}})) +
           with_certificate(
               kClientCert, authority_.issue(ours),
               "SSLVerifyClient require\nSSLCACertificateFile " + authority_.ca_file() + "\n");
  }

  [[nodiscard]] std::string plain(const std::string& path, Port port = kPlain) const {
    return "http://127.0.0.1:" + std::to_string(apache_.port(port)) + path;
  }
  [[nodiscard]] std::string tls(Port port) const {
    return "https://127.0.0.1:" + std::to_string(apache_.port(port)) + "/";
  }

  void add_pages(std::vector<CheckCase>& all) const {
    all.push_back(healthy("apache_page", plain("/")));
    all.push_back(healthy("apache_deflated", plain("/"),
                          {{"keyword", "glazed here"}, {"header", "Accept-Encoding: gzip"}}));
    all.push_back(healthy("apache_adds_the_slash", plain("/shop"), {{"keyword", "glazed here"}}));
    all.push_back(healthy("apache_http10", plain("/shop/"), {{"keyword", "glazed here"}}));
    all.push_back(
        healthy("apache_header", plain("/"), {{"expect_header", "X-Frame-Options: DENY"}}));
    all.push_back(
        healthy("apache_password", plain("/staff/"),
                {{"auth_user", "staff"}, {"auth_password_file", files_.file("password")}}));
    all.push_back(failing("apache_default_page", plain("/", kFresh), Cause::ContentErrorPage,
                          Phase::Content));
    all.push_back(healthy("apache_listing", plain("/files/"), {{"keyword", "glazes.txt"}}));
    all.push_back(
        failing("apache_emptied", plain("/", kEmptied), Cause::ContentErrorPage, Phase::Content));
    all.push_back(failing("apache_header_unwanted", plain("/"), Cause::ContentHeader,
                          Phase::Content, {{"expect_header", "!Server"}}));
    all.push_back(failing("apache_expression_missing", plain("/"), Cause::KeywordMissing,
                          Phase::Content, {{"body_match", "[0-9]+ bowls left"}}));
  }

  void add_refusals(std::vector<CheckCase>& all) const {
    all.push_back(answers_status("apache_404", plain("/nowhere"), 404));
    all.push_back(answers_status("apache_410", plain("/sold"), 410));
    all.push_back(answers_status("apache_listing_forbidden", plain("/closed/"), 403));
    all.push_back(answers_status("apache_denied", plain("/denied/"), 403));
    all.push_back(answers_status("apache_broken_htaccess", plain("/broken/"), 500));
    all.push_back(answers_status("apache_rewrites_in_circles", plain("/turning/x"), 500));
    all.push_back(answers_status("apache_401", plain("/staff/"), 401));
    all.push_back(answers_status("apache_http_to_https_port", plain("/", kTls), 400));
    all.push_back(
        failing("apache_redirect_loop", plain("/round"), Cause::RedirectTooMany, Phase::FirstByte));
  }

  void add_tls(std::vector<CheckCase>& all) const {
    const auto trusting = [this](core::SiteOptions more = {}) {
      more.emplace_back("ca_file", authority_.ca_file());
      return more;
    };
    all.push_back(healthy("apache_tls12", tls(kTls), trusting()));
    all.push_back(healthy("apache_client_certificate", tls(kClientCert),
                          trusting({{"client_cert_file", files_.file("client.pem")}})));
    all.push_back(failing("apache_no_client_certificate", tls(kClientCert), Cause::TlsHandshake,
                          Phase::Tls, trusting()));
    all.push_back(failing("apache_snakeoil", tls(kSnakeoil), Cause::TlsCertSelfSigned, Phase::Tls,
                          trusting()));
    all.push_back(
        healthy("apache_snakeoil_not_verified", tls(kSnakeoil), {{"tls_verify", "false"}}));
    all.push_back(failing("apache_other_address", tls(kOtherAddress), Cause::TlsCertHostname,
                          Phase::Tls, trusting()));
    all.push_back(failing("apache_tls12_too_old", tls(kTls), Cause::TlsProtocol, Phase::Tls,
                          trusting({{"tls_min", "1.3"}})));
  }

  TempDir files_;
  Authority authority_;
  Apache apache_;
};

}  // namespace

std::unique_ptr<CaseArea> apache_cases() {
  return std::make_unique<ApacheCases>();
}

}  // namespace watchwheel::testing
