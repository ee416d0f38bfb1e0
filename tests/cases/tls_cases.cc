// SPDX-License-Identifier: Apache-2.0
// Handshakes and certificates: healthy ones of every kind, and whatever can be wrong with them. One server for each; names come
// from a name server of this file, certificates from authorities that are made here.
#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cases/check_case.h"
#include "support/certs.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using core::Warning;
using namespace std::chrono_literals;

constexpr std::string_view kHost = "shop.example";

std::string record(char type, std::string_view content) {
  std::string bytes{type, 3, 3, static_cast<char>(content.size() >> 8),
                    static_cast<char>(content.size() & 0xff)};
  return bytes.append(content);
}
std::string alert(unsigned char number) {
  return record(21, std::string{2, static_cast<char>(number)});
}
// A ServerHello of TLS 1.2 after which a certificate should come.
std::string server_hello() {
  std::string body{3, 3};
  body += std::string(32, 'r');                   // Random.
  body += std::string{0};                         // No session id.
  body += std::string{'\xc0', '\x2b', 0};         // ECDHE-ECDSA-AES128-GCM-SHA256, no compression.
  body += std::string{0, 5, '\xff', 1, 0, 1, 0};  // Extensions: renegotiation_info.
  return record(22, std::string{2, 0, 0, static_cast<char>(body.size())} + body);
}

class TlsArea final : public CaseArea {
 public:
  TlsArea() {
    for (const char* name : {"shop.example", "www.shop.example", "a.b.shop.example",
                             "other.example", "third.example", "www.other.example"})
      dns_.a(name, {"127.0.0.1"});
    healthy();
    versions();
    keys();
    names();
    dates();
    trust();
    extensions();
    strength();
    unverified();
    broken_handshakes();
    client_certificates();
  }
  [[nodiscard]] std::vector<CheckCase> cases() const override { return cases_; }

 private:
  using Options = core::SiteOptions;

  FaultServer& serve(TlsOptions tls) {
    servers_.push_back(std::make_unique<FaultServer>(std::move(tls)));
    servers_.back()->otherwise(ok("<html><body>hello, this is the shop</body></html>"));
    return *servers_.back();
  }
  FaultServer& serve(const Certificate& certificate) { return serve({.certificate = certificate}); }
  // A server that says this as soon as the client has spoken.
  FaultServer& answer(Script script) {
    FaultServer& server = serve(root_.issue(spec()));
    server.on_first_bytes(std::move(script));
    return server;
  }

  static CertSpec spec() { return {.dns_names = {"shop.example"}}; }

  // Adds a case that trusts our root, unless `options` name another file.
  CheckCase& add(std::string name, const FaultServer& server, Cause cause, std::string detail = "",
                 Options options = {}, std::string_view host = kHost) {
    std::map<std::string, std::string> all{{"resolver", dns_.endpoint()},
                                           {"ca_file", root_.ca_file()}};
    for (auto& [key, value] : options) all[key] = value;
    if (all["ca_file"].empty()) all.erase("ca_file");
    CheckCase made;
    made.name = "tls/" + std::move(name);
    made.url = server.url("/", host);
    made.options = on_loopback({all.begin(), all.end()});
    made.cause = cause;
    made.phase = cause == Cause::Ok ? Phase::Done : Phase::Tls;
    made.detail = std::move(detail);
    made.http_status = cause == Cause::Ok ? 200 : 0;
    cases_.push_back(std::move(made));
    return cases_.back();
  }
  CheckCase& up(std::string name, const FaultServer& server, Options options = {},
                std::string_view host = kHost) {
    return add(std::move(name), server, Cause::Ok, "", std::move(options), host);
  }

  void healthy() {
    const auto middle = root_.intermediate({.common_name = "Middle"});
    const auto lower = middle->intermediate({.common_name = "Lower"});
    up("one intermediate", serve(middle->issue(spec())));
    up("two intermediates", serve(lower->issue(spec())));
    Certificate disorder = lower->issue(spec());
    std::swap(disorder.chain[1], disorder.chain[2]);
    up("intermediates in the wrong order", serve(disorder));
    Certificate with_root = middle->issue(spec());
    with_root.chain.push_back(root_.certificate());
    up("root sent along", serve(with_root));

    // As when a root of today is vouched for by one of yesterday, whose time is over.
    const Authority yesterday(
        {.common_name = "Yesterday's Root", .valid_from = -24h * 400, .valid_for = -24h * 10});
    Certificate crossed = middle->issue(spec());
    crossed.chain.push_back(yesterday.cross_sign(
        root_, {.common_name = "Case Root", .valid_from = -24h * 400, .valid_for = -24h * 10}));
    crossed.chain.push_back(yesterday.certificate());
    up("expired cross-signed root sent along", serve(crossed));

    std::vector<std::string> many{"shop.example"};
    for (int i = 0; i < 500; ++i) many.push_back("n" + std::to_string(i) + ".customers.example");
    up("certificate with 501 names", serve(root_.issue({.dns_names = many})));
    Certificate stuffed = middle->issue(spec());
    for (int i = 0; i < 40; ++i) stuffed.chain.push_back(strangers_root_.certificate());
    up("chain with 40 certificates that do not belong to it", serve(stuffed));

    FaultServer& silent = serve(root_.issue(spec()));
    silent.otherwise({send("HTTP/1.1 200 OK\r\n\r\nuntil the end"), cut_off()});
    up("end without close_notify", silent);
    FaultServer& polite = serve(root_.issue(spec()));
    polite.otherwise({send("HTTP/1.1 200 OK\r\n\r\nuntil the end"), half_close()});
    up("end with close_notify", polite);
  }

  void versions() {
    const Certificate certificate =
        root_.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048});
    FaultServer& tls10 = serve({.certificate = certificate, .version_max = TLS1_VERSION});
    FaultServer& tls11 = serve({.certificate = certificate, .version_max = TLS1_1_VERSION});
    FaultServer& tls12 = serve({.certificate = certificate, .version_max = TLS1_2_VERSION});
    FaultServer& tls13 = serve({.certificate = certificate, .version_min = TLS1_3_VERSION});
    up("TLS 1.2 alone", tls12);
    up("TLS 1.3 alone", tls13);
    up("TLS 1.3 asked for", tls13, {{"tls_min", "1.3"}});
    add("TLS 1.0 alone", tls10, Cause::TlsProtocol, "protocol_version");
    add("TLS 1.1 alone", tls11, Cause::TlsProtocol, "protocol_version");
    add("TLS 1.2 where 1.3 is asked for", tls12, Cause::TlsProtocol, "protocol_version",
        {{"tls_min", "1.3"}});
    up("TLS 1.0 where it is allowed", tls10, {{"tls_min", "1.0"}}).warnings = {
        Warning::TlsDeprecated};
    up("TLS 1.1 where it is allowed", tls11, {{"tls_min", "1.0"}}).warnings = {
        Warning::TlsDeprecated};
    up("TLS 1.3 where 1.0 is allowed", tls13, {{"tls_min", "1.0"}});
    add("TLS 1.0 where 1.1 is asked for", tls10, Cause::TlsProtocol, "", {{"tls_min", "1.1"}});
    add("no cipher in common, TLS 1.2",
        serve(
            {.certificate = certificate, .version_max = TLS1_2_VERSION, .ciphers = "NULL-SHA256"}),
        Cause::TlsHandshake, "handshake_failure (40)");
    add("no cipher in common, TLS 1.3",
        serve({.certificate = certificate,
               .version_min = TLS1_3_VERSION,
               .ciphersuites = "TLS_AES_128_CCM_8_SHA256"}),
        Cause::TlsHandshake, "handshake_failure (40)");
  }

  void keys() {
    for (const char* group : {"P-256", "P-384", "P-521", "X25519", "X448"})
      up("key exchange " + std::string(group),
         serve({.certificate = root_.issue(spec()), .groups = group}));
    up("key exchange P-256, TLS 1.2",
       serve(
           {.certificate = root_.issue(spec()), .version_max = TLS1_2_VERSION, .groups = "P-256"}));
    up("key exchange finite field",
       serve({.certificate = root_.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048}),
              .version_min = TLS1_3_VERSION,
              .groups = "ffdhe2048"}));
    const std::vector<std::pair<std::string, KeyKind>> kinds{
        {"P-256", KeyKind::Ec256},     {"P-384", KeyKind::Ec384}, {"P-521", KeyKind::Ec521},
        {"Ed25519", KeyKind::Ed25519}, {"RSA", KeyKind::Rsa2048}, {"RSA-PSS", KeyKind::RsaPss2048}};
    for (const auto& [name, kind] : kinds)
      up("key " + name, serve(root_.issue({.dns_names = {"shop.example"}, .key = kind})));
    up("key P-256 below an RSA authority",
       serve(root_.intermediate({.common_name = "RSA Middle", .key = KeyKind::Rsa2048})
                 ->issue(spec())));
    up("key RSA, TLS 1.2",
       serve({.certificate = root_.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048}),
              .version_max = TLS1_2_VERSION}));
  }

  void names() {
    FaultServer& wildcard = serve(root_.issue({.dns_names = {"*.shop.example"}}));
    up("wildcard", wildcard, {}, "www.shop.example");
    add("wildcard for the bare name", wildcard, Cause::TlsCertHostname,
        "certificate is not for shop.example but for *.shop.example");
    add("wildcard two labels deep", wildcard, Cause::TlsCertHostname, "a.b.shop.example", {},
        "a.b.shop.example");
    add("wildcard of a top level", serve(root_.issue({.dns_names = {"*.example"}})),
        Cause::TlsCertHostname, "*.example");
    add("wildcard in the middle", serve(root_.issue({.dns_names = {"www.*.example"}})),
        Cause::TlsCertHostname, "", {}, "www.shop.example");
    add("another host", serve(root_.issue({.dns_names = {"other.example", "third.example"}})),
        Cause::TlsCertHostname,
        "certificate is not for shop.example but for other.example, third.example");
    add("common name alone", serve(root_.issue({.common_name = "shop.example"})),
        Cause::TlsCertHostname, "no subject alternative names, only the subject CN=shop.example");
    up("name in capitals", serve(root_.issue({.dns_names = {"SHOP.Example"}})));

    FaultServer& address = serve(root_.issue({.ips = {"127.0.0.1"}}));
    up("address", address, {}, "127.0.0.1");
    add("name where the certificate has the address", address, Cause::TlsCertHostname, "127.0.0.1");
    add("another address", serve(root_.issue({.ips = {"127.0.0.2"}})), Cause::TlsCertHostname,
        "certificate is not for 127.0.0.1 but for 127.0.0.2", {}, "127.0.0.1");
    add("address as a name", serve(root_.issue({.dns_names = {"127.0.0.1"}})),
        Cause::TlsCertHostname, "", {}, "127.0.0.1");
    up("IPv6 address", serve({.certificate = root_.issue({.ips = {"::1"}}), .address = "::1"}), {},
       "::1");
    add("another IPv6 address",
        serve({.certificate = root_.issue({.ips = {"::2"}}), .address = "::1"}),
        Cause::TlsCertHostname, "::2", {}, "::1");

    FaultServer& by_name =
        serve({.certificate = root_.issue({.dns_names = {"default.example"}}),
               .by_name = {{"shop.example", root_.issue(spec())},
                           {"other.example", self_signed({.dns_names = {"other.example"}})}}});
    up("certificate by server name", by_name);
    add("certificate by server name, a bad one", by_name, Cause::TlsCertSelfSigned, "", {},
        "other.example");
    add("server name that has no certificate", by_name, Cause::TlsCertHostname, "default.example",
        {}, "third.example");
    FaultServer& picky = serve({.certificate = root_.issue(spec()),
                                .by_name = {{"shop.example", root_.issue(spec())}},
                                .refuses_other_names = true});
    up("server name that is known to a picky server", picky);
    add("server name that is refused", picky, Cause::TlsHandshake, "unrecognized_name (112)", {},
        "third.example");
  }

  void dates() {
    const auto lasting = [&](std::chrono::seconds time) {
      return root_.issue({.dns_names = {"shop.example"},
                          .valid_from = std::min(std::chrono::seconds{-24h}, time - 24h),
                          .valid_for = time});
    };
    add("expired three days ago", serve(lasting(-24h * 3)), Cause::TlsCertExpired,
        "certificate expired 3d")
        .warnings = {Warning::TlsExpiring};
    add("expired seconds ago", serve(lasting(-3s)), Cause::TlsCertExpired, "certificate expired ")
        .warnings = {Warning::TlsExpiring};
    add("not valid before tomorrow",
        serve(root_.issue({.dns_names = {"shop.example"}, .valid_from = 24h})),
        Cause::TlsCertNotYetValid, "certificate is not valid before");
    add("intermediate that is not valid yet",
        serve(root_.intermediate({.common_name = "Early Middle", .valid_from = 1h})->issue(spec())),
        Cause::TlsCertNotYetValid, "issuer CN=Early Middle");
    add("expired intermediate",
        serve(
            root_.intermediate({.common_name = "Old Middle", .valid_from = -48h, .valid_for = -1h})
                ->issue(spec())),
        Cause::TlsCertExpired, "certificate of the issuer CN=Old Middle (in the chain) expired 1h");
    const Authority gone({.common_name = "Gone Root", .valid_from = -48h, .valid_for = -1h});
    const std::string file = write("gone.pem", {gone.certificate()});
    add("expired root in the CA file", serve(gone.issue(spec())), Cause::TlsCertExpired,
        "issuer CN=Gone Root", {{"ca_file", file}});
    for (const int days : {29, 13, 6})
      up("ends in " + std::to_string(days) + " days", serve(lasting(24h * days))).warnings = {
          Warning::TlsExpiring};
    up("ends in 31 days", serve(lasting(24h * 31)));
  }

  void trust() {
    FaultServer& selfish = serve(self_signed(spec()));
    add("self-signed", selfish, Cause::TlsCertSelfSigned, "certificate is self-signed");
    add("self-signed and expired",
        serve(self_signed({.dns_names = {"shop.example"}, .valid_from = -48h, .valid_for = -1h})),
        Cause::TlsCertSelfSigned)
        .warnings = {Warning::TlsExpiring};
    const Certificate own = self_signed(spec());
    up("self-signed, itself in the CA file", serve(own),
       {{"ca_file", write("own.pem", {own.chain.front()})}});

    FaultServer& strange = serve(strangers_root_.issue(spec()));
    add("unknown issuer", strange, Cause::TlsCertUntrusted, "issued by CN=Stranger's Root");
    add("unknown issuer, the machine's store", strange, Cause::TlsCertUntrusted,
        "issued by CN=Stranger's Root", {{"ca_file", ""}});
    up("unknown issuer, its own CA file", strange, {{"ca_file", strangers_root_.ca_file()}});
    Certificate with_root = strangers_root_.issue(spec());
    with_root.chain.push_back(strangers_root_.certificate());
    add("unknown root sent along", serve(with_root), Cause::TlsCertUntrusted,
        "leads to the root CN=Stranger's Root, which is not trusted");
    add("unknown issuer with its intermediate",
        serve(strangers_root_.intermediate({.common_name = "Strange Middle"})->issue(spec())),
        Cause::TlsCertUntrusted, "chain ends at CN=Strange Middle, issued by CN=Stranger's Root");

    const auto middle = root_.intermediate({.common_name = "Middle"});
    add("missing intermediate", serve(middle->issue_without_chain(spec())), Cause::TlsCertUntrusted,
        "server sent no intermediate");
    CertSpec tells = spec();
    tells.extensions = {{"authorityInfoAccess", "caIssuers;URI:http://ca.example/middle.der"}};
    add("missing intermediate that could be fetched", serve(middle->issue_without_chain(tells)),
        Cause::TlsCertUntrusted, "an intermediate certificate is missing");
    Certificate wrong = middle->issue_without_chain(spec());
    wrong.chain.push_back(root_.intermediate({.common_name = "Other Middle"})->certificate());
    add("another's intermediate", serve(wrong), Cause::TlsCertUntrusted,
        "missing among the 2 that the server sent");
    up("intermediate in the CA file", serve(middle->issue_without_chain(spec())),
       {{"ca_file", write("middle.pem", {middle->certificate()})}});
    // The same name as our root, another key.
    const Authority impostor("Case Root");
    add("issuer that only has the right name", serve(impostor.issue(spec())),
        Cause::TlsCertUntrusted);
    Certificate altered = root_.issue(spec());
    altered.chain.front() = forged(altered.chain.front());
    add("forged signature", serve(altered), Cause::TlsCertUntrusted, "was altered or forged");
    add("server without its certificate's key", serve(without_its_key(root_.issue(spec()))),
        Cause::TlsHandshake, "bad signature");
  }

  void extensions() {
    const auto allowed = root_.intermediate(
        {.common_name = "Constrained Middle",
         .extensions = {{"nameConstraints", "critical,permitted;DNS:other.example"}}});
    add("name constraints that do not permit it", serve(allowed->issue(spec())),
        Cause::TlsCertUntrusted, "name constraints");
    up("name constraints that permit it",
       serve(allowed->issue({.common_name = "Customer", .dns_names = {"www.other.example"}})), {},
       "www.other.example");
    const auto excluded = root_.intermediate(
        {.common_name = "Excluding Middle",
         .extensions = {{"nameConstraints", "critical,excluded;DNS:shop.example"}}});
    add("name constraints that exclude it", serve(excluded->issue(spec())), Cause::TlsCertUntrusted,
        "name constraints");
    const auto short_path = root_.intermediate({.common_name = "Short Path", .path_length = 0});
    up("path length that suffices", serve(short_path->issue(spec())));
    add("path length exceeded",
        serve(short_path->intermediate({.common_name = "One Too Many"})->issue(spec())),
        Cause::TlsCertUntrusted, "path length");
    add("intermediate that is no authority",
        serve(
            root_.intermediate({.common_name = "No Authority", .authority = false})->issue(spec())),
        Cause::TlsCertUntrusted, "CN=No Authority (in the chain) is not one of an authority");
    CertSpec client = spec();
    client.extensions = {{"extendedKeyUsage", "clientAuth"}};
    add("certificate for clients only", serve(root_.issue(client)), Cause::TlsCertUntrusted,
        "not one for servers");
    CertSpec server = spec();
    server.extensions = {{"extendedKeyUsage", "serverAuth,clientAuth"}};
    up("certificate for servers and clients", serve(root_.issue(server)));
    CertSpec critical = spec();
    critical.extensions = {{"nsComment", "critical,whatever"}};
    add("critical extension that nobody knows", serve(root_.issue(critical)),
        Cause::TlsCertUntrusted, "not acceptable");
  }

  void strength() {
    const auto weak = [&](KeyKind kind) {
      return root_.issue({.dns_names = {"shop.example"}, .key = kind});
    };
    add("key RSA 1024", serve(weak(KeyKind::Rsa1024)), Cause::TlsCertUntrusted,
        "certificate has a weak key (RSA 1024): OpenSSL's security level 2");
    add("key RSA 512", serve({.certificate = weak(KeyKind::Rsa512), .version_max = TLS1_2_VERSION}),
        Cause::TlsCertUntrusted, "weak key (RSA 512)");
    add("weak key of the intermediate",
        serve(root_.intermediate({.common_name = "Weak Middle", .key = KeyKind::Rsa1024})
                  ->issue(spec())),
        Cause::TlsCertUntrusted, "issuer CN=Weak Middle (in the chain) has a weak key (RSA 1024)");
    for (const auto& [name, hash] : std::vector<std::pair<std::string, HashKind>>{
             {"SHA1", HashKind::Sha1}, {"MD5", HashKind::Md5}}) {
      const auto rsa = root_.intermediate({.common_name = "RSA Middle", .key = KeyKind::Rsa2048});
      add("signature with " + name,
          serve(rsa->issue({.dns_names = {"shop.example"}, .hash = hash})), Cause::TlsCertUntrusted,
          "weak signature (RSA-" + name);
    }
    add("signature with SHA1 of the intermediate",
        serve(root_.intermediate({.common_name = "Old Style", .hash = HashKind::Sha1})
                  ->issue(spec())),
        Cause::TlsCertUntrusted, "issuer CN=Old Style (in the chain) has a weak signature");
    add("key RSA 1024 where TLS 1.0 is allowed", serve(weak(KeyKind::Rsa1024)),
        Cause::TlsCertUntrusted, "weak key", {{"tls_min", "1.0"}});
  }

  void unverified() {
    const Options off{{"tls_verify", "false"}, {"ca_file", ""}};
    up("self-signed, unverified", serve(self_signed({.common_name = "x"})), off);
    up("unknown issuer, unverified", serve(strangers_root_.issue(spec())), off);
    up("another host, unverified", serve(root_.issue({.dns_names = {"other.example"}})), off);
    up("expired, unverified",
       serve(root_.issue({.dns_names = {"shop.example"}, .valid_from = -48h, .valid_for = -1h})),
       off)
        .warnings = {Warning::TlsExpiring};
    up("not yet valid, unverified",
       serve(root_.issue({.dns_names = {"shop.example"}, .valid_from = 24h})), off);
    up("weak key, unverified",
       serve(root_.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa1024})), off);
    Certificate altered = root_.issue(spec());
    altered.chain.front() = forged(altered.chain.front());
    up("forged signature, unverified", serve(altered), off);
    add("server without its certificate's key, unverified",
        serve(without_its_key(root_.issue(spec()))), Cause::TlsHandshake, "bad signature", off);
  }

  void broken_handshakes() {
    const Options brief{{"timeout", "700ms"}, {"connect_timeout", "500ms"}};
    for (auto& [name, script] : std::vector<std::pair<std::string, Script>>{
             {"silence after the client's hello", {hold()}},
             {"silence after the server's hello", {send(server_hello()), hold()}},
             {"half a record and silence", {send(server_hello().substr(0, 20)), hold()}},
             {"hello, a byte every second", {drip(server_hello(), 1000ms), hold()}}}) {
      CheckCase& added = add(name, answer(script), Cause::TlsTimeout,
                             "TLS handshake was not complete within 700ms", brief);
      added.at_least = 700ms;
      added.within = 900ms;
    }
    add("alert handshake_failure", answer({send(alert(40))}), Cause::TlsHandshake,
        "handshake_failure (40)");
    add("alert internal_error", answer({send(alert(80))}), Cause::TlsHandshake,
        "internal_error (80)");
    add("alert access_denied", answer({send(alert(49))}), Cause::TlsHandshake,
        "access_denied (49)");
    add("alert of a number nobody gave", answer({send(alert(199))}), Cause::TlsHandshake, "199");
    add("alert protocol_version", answer({send(alert(70))}), Cause::TlsProtocol,
        "protocol_version (70)");
    add("alert insufficient_security", answer({send(alert(71))}), Cause::TlsProtocol,
        "insufficient_security (71)");
    add("reset after the client's hello", answer({reset()}), Cause::TlsHandshake,
        "reset by the server during the TLS handshake");
    add("end after the client's hello", answer({cut_off()}), Cause::TlsHandshake,
        "closed by the server during the TLS handshake");
    add("reset after the server's hello", answer({send(server_hello()), pause(50ms), reset()}),
        Cause::TlsHandshake, "reset by the server during the TLS handshake");
    add("end after the server's hello", answer({send(server_hello()), cut_off()}),
        Cause::TlsHandshake, "closed by the server during the TLS handshake");
    add("plain HTTP",
        answer(
            {send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")}),
        Cause::TlsProtocol, "does this port speak plain HTTP?");
    add("plain SSH", answer({send("SSH-2.0-OpenSSH_9.2\r\n"), hold()}), Cause::TlsProtocol,
        "not TLS");
    add("garbage", answer({send("\x01\x02 garbage garbage garbage garbage"), hold()}),
        Cause::TlsProtocol);
    add("hello of SSL 2",
        answer({send(std::string("\x80\x0b\x04\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00", 13)),
                hold()}),
        Cause::TlsProtocol);
    add("record that is too long",
        answer({send(std::string("\x16\x03\x03\xff\xff", 5) + std::string(600, 'x')), hold()}),
        Cause::TlsProtocol);
    add("hello that is none", answer({send(record(22, "\x02\x01 not a hello at all")), hold()}),
        Cause::TlsHandshake);
  }

  void client_certificates() {
    const Certificate good = clients_root_.issue({.common_name = "monitor"});
    const Certificate bad = strangers_root_.issue({.common_name = "monitor"});
    const Certificate rsa = clients_root_.issue({.common_name = "rsa", .key = KeyKind::Rsa2048});
    const auto ours = [&](const Certificate& certificate, const std::string& name) {
      write_pem(certificate, dir_.file(name + ".pem"));
      write_key(certificate, dir_.file(name + ".key"));
      return Options{{"client_cert_file", dir_.file(name + ".pem")},
                     {"client_key_file", dir_.file(name + ".key")}};
    };
    const Options with_good = ours(good, "good");
    const Options with_rsa = ours(rsa, "rsa");
    const Options with_bad = ours(bad, "bad");
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const std::string of = version == TLS1_2_VERSION ? ", TLS 1.2" : ", TLS 1.3";
      FaultServer& server = serve({.certificate = root_.issue(spec()),
                                   .version_min = version,
                                   .version_max = version,
                                   .wants_client_certificate = true,
                                   .client_authority = clients_root_.certificate()});
      up("client certificate" + of, server, with_good);
      up("client certificate with an RSA key" + of, server, with_rsa);
      add("client certificate missing" + of, server, Cause::TlsHandshake,
          "asked for a client certificate, and none is set");
      add("client certificate of a stranger" + of, server, Cause::TlsHandshake, "unknown_ca (48)",
          with_bad);
    }
    FaultServer& asks = serve({.certificate = root_.issue(spec()),
                               .wants_client_certificate = true,
                               .client_authority = clients_root_.certificate()});
    FaultServer& leads_there = serve(root_.issue(spec()));
    leads_there.otherwise(redirect(302, asks.url("/", kHost)));
    add("client certificate asked for where a redirect leads", leads_there, Cause::TlsHandshake,
        "shown to the check's own site only", with_good);
    up("client certificate that nobody asks for", serve(root_.issue(spec())), with_good);
  }

  std::string write(const std::string& name, std::vector<std::shared_ptr<x509_st>> certificates) {
    write_pem({.key = nullptr, .chain = std::move(certificates)}, dir_.file(name));
    return dir_.file(name);
  }

  TempDir dir_;
  FakeDns dns_;
  Authority root_{"Case Root"};
  Authority strangers_root_{"Stranger's Root"};
  Authority clients_root_{"Clients' Root"};
  std::vector<std::unique_ptr<FaultServer>> servers_;
  std::vector<CheckCase> cases_;
};

}  // namespace

std::unique_ptr<CaseArea> tls_cases() {
  return std::make_unique<TlsArea>();
}

}  // namespace watchwheel::testing
