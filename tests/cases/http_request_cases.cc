// SPDX-License-Identifier: Apache-2.0
// What is asked: methods, bodies, headers and logins, HTTP/1.0 and 1.1; the status that comes; and how long it takes.
#include "cases/http_parts.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

using core::Cause;
using core::Phase;
using std::chrono::milliseconds;

Script broken() {
  return status(500, "Internal Server Error");
}

class RequestCases final : public HttpPart {
 public:
  RequestCases() {
    add_methods();
    add_headers();
    add_logins();
    add_statuses();
    add_early_answers();
    add_closings();
    add_deadlines();
  }

 private:
  // Only a request that holds `wanted` gets a good answer.
  CheckCase& wants(std::string_view name, std::string wanted, core::SiteOptions options) {
    const std::string path = "/" + std::string(name);
    server_.on(path, wanted, ok("hello"));
    server_.on(path, status(400, "Bad Request"));
    return ask(name, server_.url(path), std::move(options));
  }

  void add_methods() {
    wants("get", "GET /get HTTP/1.1\r\n", {});
    wants("http-1.0", "GET /http-1.0 HTTP/1.0\r\n", {{"http_version", "1.0"}});
    wants("http-2-without-tls", "GET /http-2-without-tls HTTP/1.1\r\n", {{"http_version", "2"}});
    wants("post", "\r\n\r\na=1", {{"method", "POST"}, {"body", "a=1"}}).url += "?q=1";
    wants("put", "PUT /put HTTP/1.1\r\n", {{"method", "PUT"}, {"body", "x"}});
    wants("patch", "PATCH /patch HTTP/1.1\r\n", {{"method", "PATCH"}, {"body", "x"}});
    wants("delete", "DELETE /delete HTTP/1.1\r\n", {{"method", "DELETE"}});
    wants("delete-body", "\r\n\r\nx=1", {{"method", "DELETE"}, {"body", "x=1"}});
    wants("options", "OPTIONS /options HTTP/1.1\r\n", {{"method", "OPTIONS"}});
    wants("options-body", "\r\n\r\n<x/>", {{"method", "OPTIONS"}, {"body", "<x/>"}});
    wants("propfind", "PROPFIND /propfind HTTP/1.1\r\n", {{"method", "PROPFIND"}});

    // The method asked for is the one judged.
    server_.on("/head-lies-well", "HEAD /", ok(""));
    server_.on("/head-lies-well", broken());
    ask("head-lies-well", server_.url("/head-lies-well"), {{"method", "HEAD"}});
    fails(ask("get-where-head-lies", server_.url("/head-lies-well")), Cause::HttpStatus,
          Phase::FirstByte, "500");
    server_.on("/head-refused", "HEAD /", status(405, "Method Not Allowed"));
    server_.on("/head-refused", ok("hello"));
    fails(ask("head-refused", server_.url("/head-refused"), {{"method", "HEAD"}}),
          Cause::HttpStatus, Phase::FirstByte, "405");
    ask("get-where-head-is-refused", server_.url("/head-refused"));
    healthy("head-with-length", {send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), hold()},
            {{"method", "HEAD"}});
    healthy("head-with-body", ok("hello"), {{"method", "HEAD"}});
    healthy("head-gzip", status(200, "OK", "Content-Encoding: gzip\r\n"), {{"method", "HEAD"}});
  }

  void add_headers() {
    wants("own-header", "\r\nX-Probe: a b\r\n", {{"header", "X-Probe: a b"}});
    wants("host-override", "\r\nHost: front.example\r\n", {{"header", "Host: front.example"}});
    wants("user-agent", "\r\nUser-Agent: mine/1\r\n", {{"user_agent", "mine/1"}});
    wants("asks-for-gzip", "\r\nAccept-Encoding: gzip, deflate\r\n", {});
    wants("own-cookie", "\r\nCookie: a=b; c=d\r\n", {{"header", "Cookie: a=b\nCookie: c=d"}});
  }

  void add_logins() {
    const std::string ann = "\r\nAuthorization: Basic YW5uOnMzY3JldA==\r\n";
    const core::SiteOptions login{{"auth_user", "ann"},
                                  {"auth_password_file", files_.write("password", "s3cret\n")}};
    wants("basic", ann, login);
    wants("basic-in-the-url", ann, {}).url.replace(0, 7, "http://ann:s3cret@");
    wants("basic-wins-over-the-url", ann, login).url.replace(0, 7, "http://bob:other@");
    wants("bearer", "\r\nAuthorization: Bearer t0ken\r\n",
          {{"bearer_token_file", files_.write("token", "t0ken")}});
    server_.on("/no-login", ann, ok("hello"));
    server_.on("/no-login", status(401, "Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n"));
    fails(ask("no-login", server_.url("/no-login")), Cause::HttpStatus, Phase::FirstByte, "401");
    ask("no-login-expected", server_.url("/no-login"), {{"expect_status", "401"}});
  }

  void add_statuses() {
    failing("500", broken(), Cause::HttpStatus, Phase::FirstByte, "500 Internal Server Error")
        .http_status = 500;
    failing("404", status(404, "Not Found"), Cause::HttpStatus, Phase::FirstByte, "404 Not Found");
    failing("503-endless", {send("HTTP/1.1 503 Away\r\n\r\n"), endless(std::string(4096, 'x'))},
            Cause::HttpStatus, Phase::FirstByte, "503 Away");
    failing("200-unexpected", ok("hello"), Cause::HttpStatus, Phase::FirstByte, "200 OK",
            {{"expect_status", "404,410-451"}});
    healthy("418-expected", status(418, "I'm a teapot"), {{"expect_status", "200-299,418"}});
    healthy("999-expected", status(999, "Odd"), {{"expect_status", "900-999"}}).http_status = 999;
    healthy("204", {send("HTTP/1.1 204 No Content\r\n\r\n")}).http_status = 204;
    healthy("304-expected", {send("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n")},
            {{"expect_status", "304"}});
    healthy("204-with-a-length",
            {send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")});
  }

  // Servers that have seen enough answer before they have read the request.
  void add_early_answers() {
    early_.on_first_bytes({send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n")});
    const core::SiteOptions large{{"method", "POST"}, {"body", std::string(64UL * 1024, 'x')}};
    fails(ask("answered-before-the-body", early_.url(), large), Cause::HttpStatus, Phase::FirstByte,
          "413");
    core::SiteOptions expected = large;
    expected.emplace_back("expect_status", "413");
    ask("answered-before-the-body-expected", early_.url(), expected);
  }

  void add_closings() {
    failing("closed-without-an-answer", {}, Cause::HttpClosed, Phase::FirstByte,
            "closed by the server without an answer");
    failing("reset-without-an-answer", {reset()}, Cause::HttpClosed, Phase::FirstByte,
            "reset by the server");
    failing("closed-in-the-header", {send("HTTP/1.1 200 OK\r\nContent-Ty")}, Cause::HttpClosed,
            Phase::FirstByte, "middle of the response header");
    failing("closed-in-the-status-line", {send("HTTP/1.1 2")}, Cause::HttpClosed, Phase::FirstByte);
    failing("closed-after-an-interim-response", {send("HTTP/1.1 103 Early Hints\r\n\r\n")},
            Cause::HttpClosed, Phase::FirstByte, "middle of the response header");
    failing("reset-in-the-header",
            {send("HTTP/1.1 200 OK\r\nContent-Ty"), pause(milliseconds{50}), reset()},
            Cause::HttpClosed, Phase::FirstByte, "reset by the server");
  }

  void add_deadlines() {
    at_deadline(failing("silent", {hold()}, Cause::HttpTimeout, Phase::FirstByte,
                        "no answer within 600ms"));
    at_deadline(failing(
        "dripping-header",
        {send("HTTP/1.1 200 OK\r\n"), drip("X: " + std::string(4000, 'x'), milliseconds{20})},
        Cause::HttpTimeout, Phase::FirstByte, "header was not complete"))
        .varies = "it counts drops";
    at_deadline(failing("dripping-status-line", {drip("HTTP/1.1 200 OK\r\n", milliseconds{200})},
                        Cause::HttpTimeout, Phase::FirstByte, "not even its first line came"));
    at_deadline(failing("dripping-body",
                        {send("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"),
                         drip(std::string(4000, 'x'), milliseconds{20})},
                        Cause::BodyTimeout, Phase::Body, "of 4000 bytes came"))
        .varies = "it counts drops";
    at_deadline(failing("stalled-body",
                        {send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), hold()},
                        Cause::BodyTimeout, Phase::Body, "5 of 9 bytes came"));
    at_deadline(failing("interim-and-silent", {send("HTTP/1.1 102 Processing\r\n\r\n"), hold()},
                        Cause::HttpTimeout, Phase::FirstByte, "header was not complete"));
    at_deadline(
        failing("endless-slow-chunks",
                {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                 drip(repeated("1\r\nx\r\n", 700), milliseconds{20})},
                Cause::BodyTimeout, Phase::Body))
        .varies = "it counts drops";
    full_.take_little();
    full_.on_connect({hold()});
    at_deadline(fails(ask("request-not-read", full_.url(),
                          {{"method", "POST"}, {"body", std::string(64UL * 1024, 'x')}}),
                      Cause::HttpTimeout, Phase::Request, "could not be sent within 600ms"));
    CheckCase& slow =
        healthy("slow-and-healthy",
                {pause(milliseconds{300}), send("HTTP/1.1 200 OK\r\n"), pause(milliseconds{200}),
                 send("Content-Length: 5\r\n\r\nhe"), pause(milliseconds{200}), send("llo")},
                {{"keyword", "hello"}});
    slow.at_least = milliseconds{700};
    CheckCase& warned = ask("slow-and-warned", slow.url, {{"latency_warning", "500ms"}});
    warned.at_least = milliseconds{700};
    warned.warnings = {core::Warning::LatencyExceeded};
  }

  TempDir files_;
  FaultServer early_;
  FaultServer full_;
};

}  // namespace

std::unique_ptr<CaseArea> http_request_cases() {
  return std::make_unique<RequestCases>();
}

}  // namespace watchwheel::testing
