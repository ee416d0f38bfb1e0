// SPDX-License-Identifier: Apache-2.0
// A mail server that is not ours (Python's aiosmtpd) really receives, and Python's own mail parser reads what it got.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "../../unit/channels/messages.h"
#include "sending.h"
#include "support/certs.h"
#include "support/child_process.h"
#include "support/real_server.h"
#include "support/temp_dir.h"

namespace watchwheel::channels {
namespace {

using sideeffects::ChannelTarget;
using sideeffects::ChannelType;
using sideeffects::MailTls;
using sideeffects::SendOutcome;
using sideeffects::SendResult;
using testing::RealServer;
using testing::Sending;
using testing::TempDir;
using Json = nlohmann::json;

// Writes each mail it takes as JSON, as Python's parser reads it. Arguments: port, folder, certificate and key (with them: STARTTLS
// is needed, and the login ww / hunter2).
constexpr const char* kSink = R"(
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
class Handler:
    count = 0
    asked = {}
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody'): return '550 5.1.1 no such user'
        if address.startswith('later'): return '451 4.7.1 come back later'
        Handler.asked[address] = Handler.asked.get(address, 0) + 1
        if address.startswith('grey') and Handler.asked[address] == 1: return '451 4.7.1 greylisted'
        envelope.rcpt_tos.append(address)
        return '250 OK'
    async def handle_DATA(self, server, session, envelope):
        raw = envelope.original_content
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        got = {'from': envelope.mail_from, 'to': envelope.rcpt_tos, 'headers': {k.lower(): str(v) for k, v in mail.items()},
               'text': mail.get_content().replace('\r\n', '\n'), 'ascii': raw.isascii(), 'longest': max(map(len, raw.split(b'\r\n'))),
               'tls': session.ssl is not None, 'login': session.authenticated, 'defects': len(mail.defects)}
        if 'refuse this' in got['headers']['subject']: return '554 5.7.1 not this one'
        Handler.count += 1
        with open(f'{sys.argv[2]}/mail{Handler.count}.json', 'w') as out: json.dump(got, out)
        return '250 2.0.0 queued'
def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b'ww' and data.password == b'hunter2', handled=False)
context = None
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
def session():
    if context is None: return SMTP(Handler(), hostname='sink')
    return SMTP(Handler(), hostname='sink', tls_context=context, require_starttls=True, auth_required=True,
                auth_require_tls=True, authenticator=authenticate)
async def main():
    server = await asyncio.get_running_loop().create_server(session, '127.0.0.1', int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
)";

class Sink {
 public:
  // Without a certificate it knows neither TLS nor logins.
  explicit Sink(const testing::Certificate* certificate = nullptr)
      : server_({.name = "aiosmtpd",
                 .ports = 1,
                 .prepare = [certificate](const TempDir& dir, const RealServer::Ports& ports) {
                   std::vector<std::string> words{"/usr/bin/python3", dir.write("sink.py", kSink),
                                                  std::to_string(ports.at(0)), dir.path()};
                   if (certificate != nullptr) {
                     testing::write_pem(*certificate, dir.file("cert.pem"));
                     testing::write_key(*certificate, dir.file("key.pem"));
                     words.push_back(dir.file("cert.pem"));
                     words.push_back(dir.file("key.pem"));
                   }
                   return words;
                 }}) {}

  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "smtp://" + host + ":" + std::to_string(server_.port());
  }
  [[nodiscard]] std::size_t count() const {
    std::size_t mails = 0;
    while (
        std::filesystem::exists(server_.dir().file("mail" + std::to_string(mails + 1) + ".json")))
      ++mails;
    return mails;
  }
  [[nodiscard]] Json mail(std::size_t number) const {
    std::ifstream file(server_.dir().file("mail" + std::to_string(number) + ".json"));
    return Json::parse(file);
  }

 private:
  RealServer server_;
};

ChannelTarget mail_target(const std::string& url) {
  ChannelTarget target = testing::target_at(url);
  target.type = ChannelType::Email;
  target.from = "Watchwheel für alle <ww@example.org>";
  target.to = {"noc@example.org", "Zweite <two@example.org>"};
  target.mail_tls = MailTls::None;
  return target;
}

TEST(Email, ArrivesWholeAndReadable) {
  const Sink sink;
  Sending sending;
  ChannelTarget target = mail_target(sink.url());
  // A line with one dot ends a mail that is not sent with care.
  target.text = "Grüße: {{name}}\n.\n..\n" + std::string(300, 'x') + "\n{{detail}}\nend\n";
  sideeffects::Message message = testing::down();
  message.sites.front().name = "Läden";
  const SendResult result = sending.send(target, message, "msg_mail");
  ASSERT_EQ(result.outcome, SendOutcome::Delivered) << result.detail;
  EXPECT_EQ(result.status, 250);
  ASSERT_EQ(sink.count(), 2U);
  const Json mail = sink.mail(1);
  EXPECT_EQ(mail["from"], "ww@example.org");
  // Each recipient's server is spoken to for itself; the mail names them all.
  std::set<Json> envelopes{mail["to"], sink.mail(2)["to"]};
  EXPECT_EQ(envelopes, (std::set<Json>{Json{"noc@example.org"}, Json{"two@example.org"}}));
  EXPECT_EQ(mail["headers"]["to"], "noc@example.org, Zweite <two@example.org>");
  EXPECT_EQ(sink.mail(2)["headers"]["message-id"], mail["headers"]["message-id"]);
  EXPECT_EQ(mail["headers"]["subject"], "DOWN Läden: connect_timeout");
  EXPECT_EQ(mail["headers"]["from"], "Watchwheel für alle <ww@example.org>");
  EXPECT_EQ(mail["headers"]["message-id"], "<msg_mail@example.org>");
  EXPECT_EQ(mail["headers"]["references"], "<" + condition_key(testing::shop()) + "@example.org>");
  EXPECT_EQ(mail["headers"]["auto-submitted"], "auto-generated");
  EXPECT_EQ(mail["text"],
            "Grüße: Läden\n.\n..\n" + std::string(300, 'x') + "\nno answer in 5s\nend\n");
  EXPECT_EQ(mail["ascii"], true);
  EXPECT_LE(mail["longest"].get<int>(), 78);
  EXPECT_EQ(mail["defects"], 0);

  // The next attempt of the same message is the same mail; its end belongs to the same conversation.
  ASSERT_EQ(sending.send(target, message, "msg_mail", 2).outcome, SendOutcome::Delivered);
  EXPECT_EQ(sink.mail(3)["headers"]["message-id"], mail["headers"]["message-id"]);
  ASSERT_EQ(sending.send(target, testing::up(), "msg_up").outcome, SendOutcome::Delivered);
  EXPECT_EQ(sink.mail(5)["headers"]["references"], mail["headers"]["references"]);
}

TEST(Email, GoesOverTlsWithALoginAndNeverWithout) {
  const testing::Authority authority("Ours");
  const testing::Certificate certificate = authority.issue(
      {.common_name = "localhost", .dns_names = {"localhost"}, .ips = {"127.0.0.1"}});
  const Sink sink(&certificate);
  TempDir dir;
  Sending sending;
  ChannelTarget target = mail_target(sink.url("localhost"));
  target.mail_tls = MailTls::Required;
  target.ca_file = authority.ca_file();
  target.user = "ww";
  target.secret_files = {dir.write("password", "hunter2\n")};
  const SendResult result = sending.send(target, testing::down());
  ASSERT_EQ(result.outcome, SendOutcome::Delivered) << result.detail;
  EXPECT_EQ(sink.mail(1)["tls"], true);
  EXPECT_EQ(sink.mail(1)["login"], true);

  dir.write("password", "wrong-password");
  const SendResult refused = sending.send(target, testing::down());
  EXPECT_EQ(refused.outcome, SendOutcome::Permanent) << refused.detail;
  EXPECT_EQ(refused.detail.find("wrong-password"), std::string::npos) << refused.detail;
  dir.write("password", "hunter2");
  target.ca_file = "";
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry)
      << "nobody vouches for it";

  // A server that offers no TLS gets neither the login nor the mail.
  const Sink plain;
  target = mail_target(plain.url());
  target.mail_tls = MailTls::Required;
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);
  EXPECT_EQ(plain.count(), 0U);
  EXPECT_EQ(sink.count(), 2U);
}

TEST(Email, RefusalsMeanWhatTheyMean) {
  const Sink sink;
  Sending sending;
  ChannelTarget target = mail_target(sink.url());
  target.subject = "refuse this";
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Permanent);
  target = mail_target(sink.url());
  target.to = {"nobody@example.org"};
  const SendResult nobody = sending.send(target, testing::down());
  EXPECT_EQ(nobody.outcome, SendOutcome::Permanent);
  EXPECT_NE(nobody.detail.find("no such user"), std::string::npos) << nobody.detail;
  target.to = {"later@example.org"};
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);

  // One address that is wrong does not keep the others from being told, and is not passed over in silence.
  target.to = {"nobody@example.org", "noc@example.org"};
  const SendResult some = sending.send(target, testing::down());
  EXPECT_EQ(some.outcome, SendOutcome::Delivered);
  EXPECT_NE(some.detail.find("not for all recipients"), std::string::npos) << some.detail;
  EXPECT_EQ(sink.mail(1)["to"], (Json{"noc@example.org"}));

  // One that is not taken yet is tried again, and he alone; the refused one does not hinder him.
  target.to = {"grey@example.org", "nobody@example.org", "noc@example.org"};
  const std::size_t before = sink.count();
  const SendResult grey = sending.send(target, testing::down(), "msg_grey");
  EXPECT_EQ(grey.outcome, SendOutcome::Retry);
  EXPECT_TRUE(grey.part_taken);
  EXPECT_NE(grey.detail.find("greylisted"), std::string::npos) << grey.detail;
  ASSERT_EQ(sink.count(), before + 1);
  EXPECT_EQ(sink.mail(before + 1)["to"], (Json{"noc@example.org"}));
  EXPECT_EQ(sending.send(target, testing::down(), "msg_grey", 2).outcome, SendOutcome::Delivered);
  ASSERT_EQ(sink.count(), before + 2);
  EXPECT_EQ(sink.mail(before + 2)["to"], (Json{"grey@example.org"}));

  target = mail_target("smtp://127.0.0.1:" + std::to_string(testing::free_port()));
  EXPECT_EQ(sending.send(target, testing::down()).outcome, SendOutcome::Retry);
  target = mail_target(sink.url());
  target.allow.clear();
  EXPECT_NE(sending.send(target, testing::down()).detail.find("is not asked"), std::string::npos);
}

}  // namespace
}  // namespace watchwheel::channels
