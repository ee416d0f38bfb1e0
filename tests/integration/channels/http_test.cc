// SPDX-License-Identifier: Apache-2.0
// What receivers over HTTP really get, and what becomes of what they answer.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "../../unit/channels/messages.h"
#include "channels/bodies.h"
#include "sending.h"
#include "support/certs.h"
#include "support/child_process.h"
#include "support/fault_server.h"
#include "support/temp_dir.h"

namespace watchwheel::channels {
namespace {

using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::SendOutcome;
using sideeffects::SendResult;
using testing::FaultServer;
using testing::Sending;
using testing::target_at;
using testing::TempDir;
using namespace std::chrono_literals;
using Json = nlohmann::json;

std::string header(const std::string& request, const std::string& name) {
  const std::string begin = "\r\n" + name + ": ";
  const std::size_t at = request.find(begin);
  if (at == std::string::npos) return "";
  const std::size_t from = at + begin.size();
  return request.substr(from, request.find("\r\n", from) - from);
}

std::string body_of(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}

TEST(Webhook, ArrivesAsItWasMadeAndIsAnsweredOnce) {
  FaultServer server;
  server.on("/hook", testing::status(204, "No Content"));
  Sending sending({.user_agent = "Watchwheel/test"});
  const SendResult result = sending.send(target_at(server.url("/hook")), testing::down(), "msg_a");
  EXPECT_EQ(result.outcome, SendOutcome::Delivered) << result.detail;
  EXPECT_EQ(result.status, 204);
  EXPECT_EQ(result.detail, "status 204");
  const std::string request = server.last_request();
  EXPECT_TRUE(request.starts_with("POST /hook HTTP/1.1\r\n")) << request;
  EXPECT_EQ(header(request, "Content-Type"), "application/json");
  EXPECT_EQ(header(request, "User-Agent"), "Watchwheel/test");
  EXPECT_EQ(header(request, "webhook-id"), "msg_a");
  EXPECT_EQ(header(request, "webhook-signature"), "") << "there is no key";
  EXPECT_EQ(header(request, "Expect"), "");
  EXPECT_EQ(body_of(request), webhook_body(testing::down(), "msg_a", ""));
  EXPECT_EQ(sending.sender().in_flight(), 0U);
}

// Written after the Standard Webhooks document and nothing else; holds itself against its published example first.
constexpr const char* kVerifier = R"(
import base64, hashlib, hmac, json, sys
def verify(secret, id, timestamp, header, body):
    key = base64.b64decode(secret[len('whsec_'):] if secret.startswith('whsec_') else secret)
    want = base64.b64encode(hmac.new(key, f'{id}.{timestamp}.{body}'.encode(), hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(part, 'v1,' + want) for part in header.split(' '))
assert verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330',
              'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=', '{"test": 2432232314}')
assert not verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330',
                  'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=', '{"test": 2432232315}')
got = json.load(sys.stdin)
print(json.dumps([verify(s, got['id'], got['timestamp'], got['signature'], got['body']) for s in got['secrets']]))
)";

// Which of the keys an independent implementation takes the request for signed with.
std::string verified(const std::string& request, const std::vector<std::string>& keys) {
  const Json input{{"id", header(request, "webhook-id")},
                   {"timestamp", header(request, "webhook-timestamp")},
                   {"signature", header(request, "webhook-signature")},
                   {"body", body_of(request)},
                   {"secrets", keys}};
  const auto done = testing::run_program({"/usr/bin/python3", "-c", kVerifier}, input.dump());
  EXPECT_EQ(done.status, 0) << done.err;
  return done.out;
}

// AC-WH-2: old and new key verify while one is replaced; the id stays, the timestamp is the attempt's; a changed file counts at once.
TEST(Webhook, IsSignedByEveryKeyAsAnIndependentVerifierSees) {
  const std::string old_key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const std::string new_key = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNA==";
  TempDir dir;
  FaultServer server;
  server.on("/hook", testing::ok("thanks"));
  ChannelTarget target = target_at(server.url("/hook"));
  target.secret_files = {dir.write("key", old_key + "\n")};
  Sending sending;
  ASSERT_EQ(sending.send(target, testing::down(), "msg_b", 1).outcome, SendOutcome::Delivered);
  EXPECT_EQ(verified(server.last_request(), {old_key, new_key}), "[true, false]\n");

  target.secret_files = {dir.write("new", new_key), dir.file("key")};
  ASSERT_EQ(sending.send(target, testing::down(), "msg_b", 2).outcome, SendOutcome::Delivered);
  EXPECT_EQ(verified(server.last_request(), {old_key, new_key}), "[true, true]\n");
  EXPECT_EQ(header(server.last_request(), "webhook-id"), "msg_b");

  dir.write("key", new_key);
  target.secret_files = {dir.file("key")};
  ASSERT_EQ(sending.send(target, testing::down(), "msg_b", 3).outcome, SendOutcome::Delivered);
  EXPECT_EQ(verified(server.last_request(), {old_key, new_key}), "[false, true]\n");
  const core::SystemClock clock;
  EXPECT_NEAR(std::stod(header(server.last_request(), "webhook-timestamp")),
              static_cast<double>(core::to_unix_ms(clock.wall())) / 1000, 300);
}

TEST(Webhook, AKeyThatCannotBeReadIsOurTroubleAndNothingIsSent) {
  TempDir dir;
  FaultServer server;
  server.on("/hook", testing::ok("thanks"));
  ChannelTarget target = target_at(server.url("/hook"));
  Sending sending;
  for (const std::string& file : {dir.file("none"), dir.write("bad", "hunter2 hunter2 hunter2")}) {
    target.secret_files = {file};
    const SendResult result = sending.send(target, testing::down());
    EXPECT_EQ(result.outcome, SendOutcome::NotSent);
    EXPECT_NE(result.detail.find(file), std::string::npos) << result.detail;
    EXPECT_EQ(result.detail.find("hunter2"), std::string::npos) << result.detail;
  }
  EXPECT_EQ(server.connections(), 0U);
}

// AC-WH-5, AC-WH-6: the answers, as a real connection brings them.
TEST(Webhook, AnswersMeanWhatTheTableSays) {
  FaultServer server;
  server.on("/gone", testing::status(410, "Gone"));
  server.on("/missing", testing::status(404, "Not Found", "", "no such hook\n"));
  server.on("/moved", testing::redirect(301, server.url("/elsewhere")));
  server.on("/elsewhere", testing::ok("here"));
  server.on("/busy", testing::status(429, "Too Many Requests", "retry-after: 7\r\n"));
  server.on("/later",
            testing::status(503, "Unavailable", "Retry-After: Fri, 31 Dec 2055 23:59:59 GMT\r\n"));
  server.on("/broken",
            {testing::send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123"), testing::reset()});
  server.on("/reset", {testing::reset()});
  server.on("/noise", {testing::send("\x01\x02 what?\r\n\r\n")});
  server.on("/much",
            {testing::send("HTTP/1.1 200 OK\r\n\r\n"), testing::endless(std::string(4096, 'x'))});
  server.on("/muchwrong",
            {testing::send("HTTP/1.1 400 No\r\n\r\n"), testing::endless(std::string(4096, 'x'))});
  Sending sending;
  const auto ask = [&](const std::string& path) {
    return sending.send(target_at(server.url(path)), testing::down());
  };
  EXPECT_EQ(ask("/gone").outcome, SendOutcome::Gone);
  const SendResult missing = ask("/missing");
  EXPECT_EQ(missing.outcome, SendOutcome::Permanent);
  EXPECT_EQ(missing.detail, "status 404: no such hook");
  const SendResult moved = ask("/moved");
  EXPECT_EQ(moved.outcome, SendOutcome::Retry);
  EXPECT_EQ(moved.status, 301);
  const SendResult busy = ask("/busy");
  EXPECT_EQ(busy.outcome, SendOutcome::Retry);
  EXPECT_EQ(busy.retry_after, 7s);
  EXPECT_EQ(ask("/later").retry_after, 24h);
  EXPECT_EQ(ask("/broken").outcome, SendOutcome::Retry);
  EXPECT_EQ(ask("/reset").outcome, SendOutcome::Retry);
  EXPECT_EQ(ask("/noise").outcome, SendOutcome::Retry);
  EXPECT_EQ(ask("/much").outcome, SendOutcome::Delivered);
  EXPECT_EQ(ask("/muchwrong").outcome, SendOutcome::Permanent);
  for (const std::string& request : server.requests())
    EXPECT_FALSE(request.starts_with("POST /elsewhere")) << "a redirect was followed";
}

TEST(Webhook, NobodyThereIsTriedAgain) {
  const int port = testing::free_port();
  Sending sending;
  const SendResult result =
      sending.send(target_at("http://127.0.0.1:" + std::to_string(port) + "/"), testing::down());
  EXPECT_EQ(result.outcome, SendOutcome::Retry);
  EXPECT_EQ(result.status, 0);
  EXPECT_FALSE(result.detail.empty());
  EXPECT_EQ(sending.send(target_at("http://nobody.invalid/"), testing::down()).outcome,
            SendOutcome::Retry);
}

// AC-WH-8: internal addresses are refused before a connection is made, however they are written, unless they are allowed.
TEST(AddressGuard, HoldsForTheAddressThatIsConnectedTo) {
  FaultServer server;
  server.otherwise(testing::ok("secret of the inside"));
  const std::string port = ":" + std::to_string(server.port()) + "/";
  Sending sending;
  for (const std::string& host :
       {std::string("127.0.0.1"), std::string("localhost"), std::string("[::ffff:127.0.0.1]"),
        std::string("0x7f000001"), std::string("127.1"), std::string("10.0.0.1"),
        std::string("169.254.169.254"), std::string("[fe80::1]"), std::string("0.0.0.0")}) {
    ChannelTarget target = target_at("http://" + host + port);
    target.allow.clear();
    const SendResult result = sending.send(target, testing::down());
    EXPECT_EQ(result.outcome, SendOutcome::Retry) << host;
    EXPECT_NE(result.detail.find("is not asked"), std::string::npos)
        << host << ": " << result.detail;
  }
  // A list lets through what it names and nothing else.
  ChannelTarget target = target_at("http://127.0.0.1" + port);
  target.allow = {"127.0.0.2"};
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);
  EXPECT_EQ(server.connections(), 0U);
  target.allow = {"127.0.0.1"};
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Delivered);
  // Another target with the same host does not go over that one's connection.
  target.allow.clear();
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);
  EXPECT_EQ(server.connections(), 1U);
  // A name is judged by what it leads to this time.
  target = target_at("http://localhost" + port);
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Delivered);
}

TEST(AddressGuard, AProxyOfTheEnvironmentIsNotAsked) {
  FaultServer proxy;
  proxy.otherwise(testing::ok("I am everybody"));
  const std::string where = "http://127.0.0.1:" + std::to_string(proxy.port());
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"})
    ::setenv(name, where.c_str(), 1);
  {
    Sending sending;
    ChannelTarget target = target_at("http://10.255.255.1/");
    target.allow.clear();
    EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);
  }
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  EXPECT_EQ(proxy.connections(), 0U);
}

TEST(ReceiverTls, IsVerifiedAgainstTheGivenAuthority) {
  const testing::Authority ours("Ours");
  const testing::Authority others("Others");
  FaultServer server(
      {.certificate = ours.issue({.common_name = "localhost", .dns_names = {"localhost"}})});
  server.otherwise(testing::ok("thanks"));
  Sending sending;
  ChannelTarget target = target_at(server.url("/", "localhost"));
  target.ca_file = ours.ca_file();
  const SendResult good = sending.send(target, testing::down());
  EXPECT_EQ(good.outcome, SendOutcome::Delivered) << good.detail;
  target.ca_file = others.ca_file();
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);
  target.ca_file = "";
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry)
      << "the machine's authorities";
  target.ca_file = ours.ca_file();
  target.url = server.url("/", "127.0.0.1");
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry) << "another name";
  target.ca_file = "/nonexistent/ca.pem";
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::NotSent);
  EXPECT_EQ(server.requests().size(), 1U);
}

// Goal: who hangs holds nobody else up. Method: one receiver that never answers among many that do; what came before its time
// was up is told by the order of the answers.
TEST(SlowReceiver, HoldsNobodyElseUp) {
  FaultServer dead;
  dead.otherwise({testing::hold()});
  FaultServer well;
  well.otherwise(testing::ok("thanks"));
  Sending sending;
  ChannelTarget slow = target_at(dead.url("/"));
  slow.timeout = 5s;
  for (int i = 0; i < 4; ++i) sending.post(slow, testing::down(), "slow");
  for (int i = 0; i < 49; ++i) sending.post(target_at(well.url("/")), testing::down(), "well");
  const auto answers = sending.answers().wait(53);
  for (std::size_t i = 0; i < 49; ++i) {
    EXPECT_EQ(answers[i].id, "well") << i;
    EXPECT_EQ(answers[i].result.outcome, SendOutcome::Delivered);
  }
  for (std::size_t i = 49; i < 53; ++i) {
    EXPECT_EQ(answers[i].id, "slow");
    EXPECT_EQ(answers[i].result.outcome, SendOutcome::Retry);
  }
}

TEST(Sender, BeyondItsBoundNothingIsSentAndTheAnswerSaysSo) {
  FaultServer server;
  server.otherwise({testing::hold()});
  Sending sending({.attempts_max = 2});
  ChannelTarget target = target_at(server.url("/"));
  sending.post(target, testing::down(), "a");
  sending.post(target, testing::down(), "b");
  sending.post(target, testing::down(), "c");
  const auto first = sending.answers().wait(1);
  EXPECT_EQ(first[0].id, "c");
  EXPECT_EQ(first[0].result.outcome, SendOutcome::NotSent);
  EXPECT_EQ(sending.sender().in_flight(), 2U);
  // Stopping ends what hangs and gives the attempts back.
  const core::SystemClock clock;
  sending.sender().stop(clock.steady() + 100ms);
  const auto all = sending.answers().wait(3);
  EXPECT_EQ(all[1].result.outcome, SendOutcome::NotSent);
  EXPECT_EQ(all[2].result.outcome, SendOutcome::NotSent);
  EXPECT_EQ(sending.sender().in_flight(), 0U);
  EXPECT_EQ(sending.send(target, testing::down(), "d").outcome, SendOutcome::NotSent)
      << "after the end";
}

TEST(Sender, StopWaitsForWhatIsUnderWay) {
  FaultServer server;
  server.otherwise(
      {testing::pause(300ms), testing::send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")});
  Sending sending;
  sending.post(target_at(server.url("/")), testing::down(), "a");
  const core::SystemClock clock;
  sending.sender().stop(clock.steady() + 60s);
  EXPECT_EQ(sending.answers().wait(1)[0].result.outcome, SendOutcome::Delivered);
}

TEST(Sender, AnAnswerMaySendTheNext) {
  FaultServer server;
  server.otherwise(testing::ok("thanks"));
  testing::Answers answers;  // Outlives the thread that adds to it.
  Sending sending({.attempts_max = 1});
  auto target = std::make_shared<ChannelTarget>(target_at(server.url("/")));
  auto message = std::make_shared<sideeffects::Message>(testing::down());
  sideeffects::Channels& channels = sending.sender();
  channels.send({.message_id = "1", .target = target, .message = message},
                [&](const SendResult& first) {
                  answers.add("1", first);
                  channels.send({.message_id = "2", .target = target, .message = message},
                                [&](const SendResult& second) { answers.add("2", second); });
                });
  for (const auto& one : answers.wait(2))
    EXPECT_EQ(one.result.outcome, SendOutcome::Delivered) << one.id;
}

TEST(Slack, ItsUrlIsReadFromAFileAndShownNowhere) {
  TempDir dir;
  FaultServer server;
  server.on("/services/T0/B0/s3cret", testing::ok("ok"));
  ChannelTarget target = target_at("");
  target.type = ChannelType::Slack;
  target.url_file = dir.write("url", server.url("/services/T0/B0/s3cret"));
  Sending sending;
  const SendResult result = sending.send(target, testing::down());
  EXPECT_EQ(result.outcome, SendOutcome::Delivered) << result.detail;
  EXPECT_EQ(Json::parse(body_of(server.last_request()))["attachments"][0]["color"], "danger");
  dir.write("url", "https://127.0.0.1:1/services/s3cret");
  EXPECT_EQ(sending.send(target, testing::down()).detail.find("s3cret"), std::string::npos);
  dir.write("url", "gopher://s3cret");
  const SendResult odd = sending.send(target, testing::down());
  EXPECT_EQ(odd.outcome, SendOutcome::NotSent);
  EXPECT_EQ(odd.detail.find("s3cret"), std::string::npos) << odd.detail;
}

// Goal: an outage of many sites reaches a receiver that takes one event a request; what it took is not told again.
TEST(PagerDuty, GetsAnEventForEachSiteAndNoneTwiceAcrossAttempts) {
  TempDir dir;
  FaultServer server;
  server.on("/v2/enqueue", testing::status(202, "Accepted"));
  server.on("/v2/enqueue", "site-no-23", testing::status(500, "Oops"));
  sideeffects::Message message = testing::digest();
  message.sites.clear();
  for (std::uint64_t i = 1; i <= 40; ++i) {
    message.sites.push_back(testing::shop());
    message.sites.back().site = core::SiteId{i};
    message.sites.back().name = "site-no-" + std::to_string(i);
  }
  ChannelTarget target = target_at(server.url("/v2/enqueue"));
  target.type = ChannelType::PagerDuty;
  target.secret_files = {dir.write("key", "R0UT1NGKEY")};
  Sending sending;
  const SendResult first = sending.send(target, message, "msg_pd", 1);
  EXPECT_EQ(first.outcome, SendOutcome::Retry);
  EXPECT_EQ(first.status, 500);

  server.on("/v2/again", testing::status(202, "Accepted"));
  target.url = server.url("/v2/again");
  const SendResult second = sending.send(target, message, "msg_pd", 2);
  EXPECT_EQ(second.outcome, SendOutcome::Delivered) << second.detail;
  std::map<std::string, int> taken;
  for (const std::string& request : server.requests()) {
    const Json event = Json::parse(body_of(request));
    EXPECT_EQ(event["routing_key"], "R0UT1NGKEY");
    ++taken[event["payload"]["source"].get<std::string>()];
  }
  EXPECT_EQ(taken.size(), 40U);
  for (const auto& [site, times] : taken) EXPECT_EQ(times, site == "site-no-23" ? 2 : 1) << site;

  // One that is refused for good is no refusal of the others, and they are not told again.
  server.on("/v2/strict", testing::status(202, "Accepted"));
  server.on("/v2/strict", "site-no-23", testing::status(400, "Bad"));
  target.url = server.url("/v2/strict");
  for (std::uint32_t attempt = 1; attempt <= 2; ++attempt) {
    const std::size_t before = server.requests().size();
    const SendResult part = sending.send(target, message, "msg_part", attempt);
    EXPECT_EQ(part.outcome, SendOutcome::Permanent);
    EXPECT_EQ(part.status, 400);
    EXPECT_TRUE(part.part_taken);
    EXPECT_EQ(server.requests().size(), before + (attempt == 1 ? 40U : 1U));
  }

  // What one target took another one has not.
  target.url = server.url("/v2/enqueue");
  EXPECT_EQ(sending.send(target, message, "msg_two", 1).outcome, SendOutcome::Retry);
  target.name = "others";
  target.url = server.url("/v2/again");
  const std::size_t before = server.requests().size();
  EXPECT_EQ(sending.send(target, message, "msg_two", 1).outcome, SendOutcome::Delivered);
  EXPECT_EQ(server.requests().size(), before + 40);
}

}  // namespace
}  // namespace watchwheel::channels
