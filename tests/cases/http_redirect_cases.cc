// SPDX-License-Identifier: Apache-2.0
// Redirects by policy, what goes along with them, and what never does.
#include "cases/http_parts.h"
#include "support/certs.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;

Script moved(std::string_view location, std::string_view headers = "", int code = 302) {
  return status(code, "Moved",
                "Location: " + std::string(location) + "\r\n" + std::string(headers));
}

class RedirectCases final : public HttpPart {
 public:
  RedirectCases() {
    // Answers only what brings nothing of the check's along.
    for (const char* secret :
         {"\r\nAuthorization:", "\r\nCookie:", "\r\nX-Api-Key:", "front.example"})
      other_.on("/end", secret, status(403, "Forbidden"));
    other_.on("/end", ok("hello"));
    server_.on("/end", ok("hello"));
    secure_.on("/end", ok("hello"));
    add_chains();
    add_locations();
    add_policies();
    add_secrets();
    add_cookies();
  }

 private:
  static void too_many(CheckCase& one, std::string_view detail) {
    fails(one, Cause::RedirectTooMany, Phase::FirstByte, detail);
  }
  static void refused(CheckCase& one, std::string_view detail) {
    fails(one, Cause::RedirectRefused, Phase::FirstByte, detail);
  }
  static void invalid(CheckCase& one, std::string_view detail) {
    fails(one, Cause::RedirectInvalid, Phase::FirstByte, detail);
  }

  void add_chains() {
    for (int i = 0; i < 12; ++i)
      server_.on("/chain-" + std::to_string(i), moved("/chain-" + std::to_string(i + 1)));
    server_.on("/chain-12", ok("hello"));
    ask("ten-redirects", server_.url("/chain-2"), {{"keyword", "hello"}});
    too_many(ask("eleven-redirects", server_.url("/chain-1")), "more than 10 redirects; the next");
    ask("eleven-redirects-allowed", server_.url("/chain-1"), {{"max_redirects", "11"}});
    too_many(ask("no-redirect-allowed", server_.url("/chain-11"), {{"max_redirects", "0"}}),
             "more than 0 redirects; the next");
    too_many(healthy("loop", moved("/loop")), "in a loop");
    server_.on("/loop-b", moved("/loop-c"));
    server_.on("/loop-c", moved("/loop-b"));
    too_many(healthy("loop-beyond-the-first", moved("/loop-b")), "in a loop");
    server_.on("/scheme-loop", moved(secure_.url("/scheme-loop")));
    secure_.on("/scheme-loop", moved(server_.url("/scheme-loop")));
    CheckCase& loop =
        ask("loop-of-schemes", server_.url("/scheme-loop"), {{"tls_verify", "false"}});
    too_many(loop, "in a loop");
    loop.warnings = {core::Warning::RedirectDowngrade};
  }

  void add_locations() {
    healthy("location-relative", moved("end"));
    healthy("location-dotted", moved("./x/../end"));
    healthy("location-without-scheme",
            moved("//127.0.0.1:" + std::to_string(server_.port()) + "/end"));
    healthy("location-with-fragment", moved("/end#there"));
    healthy("location-with-space", moved("/end?a b"));
    server_.on("/query", "GET /query?x=1 ", ok("hello"));
    server_.on("/query", moved("?x=1"));
    ask("location-of-a-query", server_.url("/query"));
    healthy("location-twice-the-same", moved("/end", "Location: /end\r\n"));
    invalid(healthy("locations-differ", moved("/end", "Location: /other\r\n")), "differ");
    invalid(healthy("location-without-host", moved("http://")), "unusable location");
    invalid(healthy("location-with-bad-port", moved("http://127.0.0.1:99999/")),
            "unusable location");
    invalid(healthy("location-endless", moved("/" + std::string(9000, 'x'))), "unusable location");
    // Nowhere to go: the status is what it is.
    healthy("location-missing", status(302, "Moved")).http_status = 302;
    healthy("location-empty", moved("")).http_status = 302;
    fails(ask("location-missing-unexpected", server_.url("/location-missing"),
              {{"expect_status", "200"}}),
          Cause::HttpStatus, Phase::FirstByte, "302");
    healthy("multiple-choices", moved("/nowhere", "", 300)).http_status = 300;
    healthy("not-modified", moved("/nowhere", "", 304)).http_status = 304;
    fails(ask("redirect-to-a-closed-port", server_.url("/closed"), {}), Cause::ConnectRefused,
          Phase::Connect);
    server_.on("/closed", moved("http://127.0.0.1:" + std::to_string(closed_port()) + "/"));
    fails(healthy("redirect-to-an-error", moved("/nowhere")), Cause::HttpStatus, Phase::FirstByte,
          "404");
    healthy("redirect-endless-body",
            {send("HTTP/1.1 302 Moved\r\nLocation: /end\r\n\r\n"), endless("xxxxxxxx")});
  }

  void add_policies() {
    refused(healthy("scheme-ftp", moved("ftp://127.0.0.1/")),
            "another scheme than http and https: ftp");
    refused(healthy("scheme-javascript", moved("javascript:alert(1)")), "javascript");
    refused(healthy("same-host-refuses", moved(other_.url("/end")), {{"redirects", "same-host"}}),
            "another host: 127.0.0.2");
    healthy("same-host-follows", moved("/end"), {{"redirects", "same-host"}});
    healthy("same-host-other-scheme", moved(secure_.url("/end")),
            {{"redirects", "same-host"}, {"ca_file", root_.ca_file()}});
    healthy("none-judges", moved("/nowhere"), {{"redirects", "none"}}).http_status = 302;
    fails(ask("none-judges-the-status", server_.url("/none-judges"),
              {{"redirects", "none"}, {"expect_status", "200"}}),
          Cause::HttpStatus, Phase::FirstByte, "302");
    healthy("follows-to-https", moved(secure_.url("/end")), {{"ca_file", root_.ca_file()}});
    secure_.on("/down", moved(server_.url("/end")));
    ask("downgrade-warns", secure_.url("/down"), {{"ca_file", root_.ca_file()}}).warnings = {
        core::Warning::RedirectDowngrade};
    server_.on("/made", "POST /made", moved("/made", "", 303));
    server_.on("/made", "GET /made", ok("hello"));
    ask("post-then-get", server_.url("/made"), {{"method", "POST"}, {"body", "a=1"}});
    server_.on("/again", moved("/again-body", "", 307));
    server_.on("/again-body", "\r\n\r\na=1", ok("hello"));
    ask("post-again", server_.url("/again"), {{"method", "POST"}, {"body", "a=1"}});
  }

  void add_secrets() {
    const core::SiteOptions secrets{{"auth_user", "ann"},
                                    {"auth_password_file", files_.write("password", "s3cret")},
                                    {"header", "Cookie: a=b\nX-Api-Key: k\nHost: front.example"}};
    healthy("secrets-stay", moved(other_.url("/end")), secrets);
    healthy("bearer-stays", moved(other_.url("/end")),
            {{"bearer_token_file", files_.write("token", "t0ken")}});
    healthy("url-login-stays", moved(other_.url("/end"))).url.replace(0, 7, "http://ann:s3cret@");
    healthy("location-login-is-not-used",
            moved("http://ann:s3cret@127.0.0.2:" + std::to_string(other_.port()) + "/end"));
    // Back where it began, but by another's word.
    other_.on("/back", moved(server_.url("/came-back")));
    server_.on("/came-back", "\r\nAuthorization:", status(403, "Forbidden"));
    server_.on("/came-back", "\r\nCookie:", status(403, "Forbidden"));
    server_.on("/came-back", ok("hello"));
    healthy("secrets-do-not-come-back", moved(other_.url("/back")), secrets);
    server_.on("/inner", "\r\nAuthorization: Basic YW5uOnMzY3JldA==\r\n", ok("hello"));
    server_.on("/inner", status(401, "Unauthorized"));
    healthy("login-goes-along-within-the-origin", moved("/inner"), secrets);
  }

  void add_cookies() {
    // Lets in who brings its cookie, and sends everybody else round again.
    const auto bounce = [this](std::string_view name, std::string_view cookie,
                               std::string_view wanted) -> CheckCase& {
      const std::string path = "/" + std::string(name);
      server_.on(path, "\r\nCookie: " + std::string(wanted) + "\r\n", ok("hello"));
      server_.on(path, moved(path, "Set-Cookie: " + std::string(cookie) + "\r\n"));
      return ask(name, server_.url(path), {{"keyword", "hello"}});
    };
    bounce("cookie-bounce", "session=1; Path=/; HttpOnly", "session=1");
    bounce("cookie-joins-the-own", "session=1", "own=2; session=1")
        .options.emplace_back("header", "Cookie: own=2");
    too_many(bounce("cookie-secure-over-http", "session=1; Secure", "session=1"), "in a loop");
    too_many(bounce("cookie-of-another-path", "session=1; Path=/elsewhere", "session=1"),
             "in a loop");
    too_many(bounce("cookie-of-another-domain", "session=1; Domain=shop.example", "session=1"),
             "in a loop");
    too_many(bounce("cookie-ended", "session=1; Max-Age=0", "session=1"), "in a loop");
    secure_.on("/cookie-secure", "\r\nCookie: session=1\r\n", ok("hello"));
    secure_.on("/cookie-secure", moved("/cookie-secure", "Set-Cookie: session=1; Secure\r\n"));
    ask("cookie-secure", secure_.url("/cookie-secure"), {{"ca_file", root_.ca_file()}});
    healthy("cookies-stay", moved(other_.url("/end"), "Set-Cookie: session=1; Path=/\r\n"));
    // Asked twice at the same time and again and again: never does one check bring another's cookie.
    server_.on("/cookie-fresh", "\r\nCookie: n=1\r\n",
               moved("/cookie-fresh", "Set-Cookie: n=2\r\n"));
    server_.on("/cookie-fresh", "\r\nCookie: n=2\r\n", ok("hello"));
    server_.on("/cookie-fresh", moved("/cookie-fresh", "Set-Cookie: n=1\r\n"));
    server_.on("/no-cookies", "\r\nCookie:", status(403, "Forbidden"));
    server_.on("/no-cookies", ok("hello"));
    ask("cookies-one-after-another", server_.url("/cookie-fresh"), {{"max_redirects", "2"}});
    ask("cookies-of-nobody", server_.url("/no-cookies"));
  }

  TempDir files_;
  Authority root_{"HTTP cases' root"};
  FaultServer secure_{TlsOptions{.certificate = root_.issue({.ips = {"127.0.0.1"}})}};
  FaultServer other_{"127.0.0.2"};
};

}  // namespace

std::unique_ptr<CaseArea> http_redirect_cases() {
  return std::make_unique<RedirectCases>();
}

}  // namespace watchwheel::testing
