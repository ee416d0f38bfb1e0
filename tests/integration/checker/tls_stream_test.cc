// SPDX-License-Identifier: Apache-2.0
// What a TLS session can do between the handshake and its end, through both exchanges: they must say the same.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using ::testing::HasSubstr;

// Serves one connection as a test has it: accepts TLS, reads the request, and then does what it is told. Waits at most 10 s for
// anything, and ends with the test.
class Peer {
 public:
  using Setting = std::function<void(SSL_CTX*)>;
  using Doing = std::function<void(SSL*)>;

  // `first`: said with the server's own handshake, before the client has ended its part of it. TLS 1.3.
  Peer(const Certificate& certificate, const Setting& setting, Doing doing, std::string first)
      : context_(SSL_CTX_new(TLS_server_method())),
        doing_(std::move(doing)),
        first_(std::move(first)) {
    EXPECT_EQ(SSL_CTX_use_certificate(context_, certificate.chain.at(0).get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_, certificate.key.get()), 1);
    setting(context_);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Peer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(context_);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] std::string url() const {
    return "https://127.0.0.1:" + std::to_string(port_) + "/";
  }

 private:
  void speak_first(SSL* session) const {
    std::array<char, 16> room{};
    std::size_t size = 0;
    EXPECT_EQ(SSL_read_early_data(session, room.data(), room.size(), &size),
              SSL_READ_EARLY_DATA_FINISH);  // None came; the client waits for our part.
    EXPECT_EQ(SSL_write_early_data(session, first_.data(), first_.size(), &size), 1);
  }
  void serve() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd == -1) return;
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    SSL* session = SSL_new(context_);
    SSL_set_fd(session, fd);
    if (!first_.empty()) speak_first(session);
    if (SSL_accept(session) == 1) {
      std::string request(4096, '\0');
      const int got = SSL_read(session, request.data(), static_cast<int>(request.size()));
      if (got > 0) doing_(session);
    }
    SSL_free(session);
    ERR_clear_error();
    ::close(fd);
  }

  SSL_CTX* context_;
  Doing doing_;
  std::string first_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

void say(SSL* session, std::string_view text) {
  (void)SSL_write(session, text.data(), static_cast<int>(text.size()));
}

// Makes this side fail over what the client never sent, and tell the client by an alert.
void say_alert(SSL* session) {
  const std::string garbage = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
  BIO* bio = BIO_new_mem_buf(garbage.data(), static_cast<int>(garbage.size()));
  SSL_set0_rbio(session, bio);
  std::array<char, 16> room{};
  (void)SSL_read(session, room.data(), room.size());
}

// What the client sends until it leaves, so that closing does not reset.
void drain(SSL* session) {
  std::array<char, 256> room{};
  while (::recv(SSL_get_fd(session), room.data(), room.size(), 0) > 0) {
  }
}

// OpenSSL does not always say that its words reach nobody.
bool has_left(SSL* session) {
  char byte = 0;
  const ssize_t got = ::recv(SSL_get_fd(session), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN);
}

// Records of TLS 1.3 as a test wants them, for OpenSSL sends each message in one of its own: what comes after the handshake of a
// session whose server sent nothing since.
class OwnRecords {
 public:
  // For a context: from then on the newest session of this thread can be written for.
  static void prepare(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    EXPECT_EQ(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"), 1);
    EXPECT_EQ(SSL_CTX_set_num_tickets(context, 0), 1);
    SSL_CTX_set_keylog_callback(context, [](const SSL*, const char* line) {
      const std::string text(line);
      if (text.starts_with("SERVER_TRAFFIC_SECRET_0 "))
        newest_secret() = text.substr(text.rfind(' ') + 1);
    });
  }

  OwnRecords() {
    const std::string& hex = newest_secret();
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      secret_ += static_cast<char>(std::strtol(hex.substr(i, 2).c_str(), nullptr, 16));
    EXPECT_EQ(secret_.size(), kHash);
  }

  static std::string ticket() {
    return std::string("\x04\0\0\x16\0\0\x1c\x20\1\2\3\4\1n\0\x08", 16) + "12345678" +
           std::string(2, '\0');
  }
  // Everything after it is under new keys; the client is to follow.
  static std::string key_update() { return std::string("\x18\0\0\x01\x01", 5); }
  void change_keys() {
    secret_ = derived("traffic upd", kHash);
    sent_ = 0;
  }

  std::string handshake(const std::string& messages) { return record(messages, '\x16'); }
  std::string application(std::string_view bytes) { return record(std::string(bytes), '\x17'); }

 private:
  static constexpr std::size_t kHash = 32;

  static std::string& newest_secret() {
    static thread_local std::string secret;
    return secret;
  }
  [[nodiscard]] std::string derived(const std::string& label, std::size_t size) {
    std::string info{'\0', static_cast<char>(size), static_cast<char>(6 + label.size())};
    info += "tls13 " + label + '\0';
    std::string out(size, '\0');
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    const std::array<OSSL_PARAM, 5> params{
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret_.data(), secret_.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
        OSSL_PARAM_construct_end()};
    EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
    EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
    EXPECT_EQ(EVP_KDF_derive(context, bytes(out), out.size(), params.data()), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return out;
  }
  std::string record(std::string inner, char type) {
    constexpr std::size_t kTag = 16;
    inner += type;
    const std::size_t size = inner.size() + kTag;
    std::string head{'\x17', '\x03', '\x03', static_cast<char>(size >> 8U),
                     static_cast<char>(size & 0xffU)};
    std::string key = derived("key", 16);
    std::string nonce = derived("iv", 12);
    nonce.back() = static_cast<char>(nonce.back() ^ static_cast<char>(sent_++));
    std::string out(inner.size() + kTag, '\0');
    int got = 0;
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, bytes(key), bytes(nonce)), 1);
    EVP_EncryptUpdate(context, nullptr, &got, bytes(head), static_cast<int>(head.size()));
    EVP_EncryptUpdate(context, bytes(out), &got, bytes(inner), static_cast<int>(inner.size()));
    EVP_EncryptFinal_ex(context, bytes(out) + got, &got);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTag, bytes(out) + inner.size());
    EVP_CIPHER_CTX_free(context);
    return head + out;
  }
  static unsigned char* bytes(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
  }

  std::string secret_;
  int sent_ = 0;  // Under these keys; less than a byte holds.
};

void send_raw(SSL* session, const std::string& bytes) {
  (void)::send(SSL_get_fd(session), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

class TlsStream : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

  TlsStream() {
    options.exchange = GetParam();
    options.ca_file = root.ca_file();
    options.keyword = {"hello"};
  }
  core::ProbeResult ask(const Peer::Setting& setting, Peer::Doing doing) {
    const Peer peer(root.issue({.ips = {"127.0.0.1"}}), setting, std::move(doing), speaks_first);
    CheckerDriver driver;
    core::ProbeResult result = driver.check(peer.url(), options);
    const std::size_t by = options.exchange == "curl" ? 1 : 0;
    EXPECT_EQ(driver.checker().stats().exchanges[by].value(), 1U);
    return result;
  }
  static void only(SSL_CTX* context, int version) {
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
  }
  static void tls12(SSL_CTX* context) { only(context, TLS1_2_VERSION); }
  static void tls13(SSL_CTX* context) { only(context, TLS1_3_VERSION); }
  void show_client_certificate() {
    const Certificate ours = clients_root.issue({.common_name = "monitor"});
    write_pem(ours, dir.file("ours.pem"));
    write_key(ours, dir.file("ours.key"));
    options.client_cert_file = dir.file("ours.pem");
    options.client_key_file = dir.file("ours.key");
  }
  void want_client(SSL_CTX* context) const {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), clients_root.certificate().get());
    SSL_CTX_add_client_CA(context, clients_root.certificate().get());
  }

  Authority root{"Stream Root"};
  Authority clients_root{"Clients' Root"};
  TempDir dir;
  core::CheckOptions options;
  std::string speaks_first;
};

INSTANTIATE_TEST_SUITE_P(Each, TlsStream, ::testing::Values("auto", "curl"),
                         [](const auto& param) { return std::string(param.param); });

void expect(const core::ProbeResult& got, Cause cause, Phase phase, std::string_view detail = "") {
  EXPECT_EQ(got.cause, cause) << to_string(got.cause) << ": " << got.detail;
  EXPECT_EQ(got.phase, phase) << to_string(got.phase) << ": " << got.detail;
  EXPECT_THAT(got.detail, HasSubstr(std::string(detail)));
}
void expect_up(const core::ProbeResult& got) {
  expect(got, Cause::Ok, Phase::Done);
}

constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n";

TEST_P(TlsStream, NewKeysInTheMiddleOfTheBody) {
  expect_up(ask(&tls13, [](SSL* session) {
    say(session, std::string(kHead) + "well, ");
    EXPECT_EQ(SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED), 1);
    say(session, "hello");
    drain(session);
  }));
}

TEST_P(TlsStream, ARenegotiationInTheMiddleOfTheBody) {
  expect_up(ask(&tls12, [](SSL* session) {
    say(session, std::string(kHead) + "well, ");
    EXPECT_EQ(SSL_renegotiate(session), 1);
    EXPECT_EQ(SSL_do_handshake(session),
              1);  // Asks for it. The next call reads what the client answers.
    std::array<char, 1> room{};
    ::timeval soon{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(SSL_get_fd(session), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    (void)SSL_read(session, room.data(), 1);
    EXPECT_EQ(SSL_renegotiate_pending(session), 0);
    EXPECT_EQ(SSL_num_renegotiations(session), 1);
    say(session, "hello");
    drain(session);
  }));
}

TEST_P(TlsStream, ACertificateAskedForAfterTheRequest) {
  show_client_certificate();
  const auto setting = [&](SSL_CTX* context) {
    tls13(context);
    want_client(context);
  };
  const auto doing = [](SSL* session) {
    SSL_set_verify(session, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    EXPECT_EQ(SSL_verify_client_post_handshake(session), 1);
    EXPECT_EQ(SSL_do_handshake(session), 1);
    say(session, kHead.substr(0, 17));
    std::array<char, 1> room{};
    ::timeval soon{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(SSL_get_fd(session), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    (void)SSL_read(session, room.data(), 1);  // The certificate; then nothing.
    X509* shown = SSL_get1_peer_certificate(session);
    const bool good = shown != nullptr;
    X509_free(shown);
    if (good) say(session, std::string(kHead.substr(17)) + "well, hello");
    drain(session);
  };
  expect_up(ask(setting, doing));
  options.client_cert_file = options.client_key_file = "";
  expect(ask(setting, doing), Cause::TlsHandshake, Phase::Tls, "certificate_required (116)");
}

TEST_P(TlsStream, AnAlertInsteadOfAnAnswer) {
  expect(ask(&tls13, &say_alert), Cause::TlsHandshake, Phase::Tls, "bad_record_mac (20)");
  expect(ask(&tls12, &say_alert), Cause::TlsHandshake, Phase::Tls, "bad_record_mac (20)");
}

TEST_P(TlsStream, AnAlertInTheMiddleOfTheBody) {
  for (const auto& setting : {&tls12, &tls13}) {
    expect(ask(setting,
               [](SSL* session) {
                 say(session, std::string(kHead) + "well, ");
                 say_alert(session);
               }),
           Cause::BodyTruncated, Phase::Body, "bad record mac, after 6 of 11 bytes");
  }
}

TEST_P(TlsStream, ADamagedRecordInTheMiddleOfTheBody) {
  expect(ask(&tls13,
             [](SSL* session) {
               say(session, std::string(kHead) + "well, ");
               const std::string record =
                   std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
               (void)::send(SSL_get_fd(session), record.data(), record.size(), MSG_NOSIGNAL);
               drain(session);
             }),
         Cause::BodyTruncated, Phase::Body, "after 6 of 11 bytes");
}

TEST_P(TlsStream, AnEndWithoutGoodByeCountsByItsPlace) {
  const auto cut_after = [](std::string text) {
    return [text](SSL* session) {
      if (!text.empty()) say(session, text);
      SSL_set_quiet_shutdown(session, 1);
    };
  };
  expect_up(ask(&tls13, cut_after(std::string(kHead) + "well, hello")));
  expect_up(ask(&tls13, cut_after("HTTP/1.1 200 OK\r\n\r\nwell, hello")));
  expect(ask(&tls13, cut_after(std::string(kHead) + "well, ")), Cause::BodyTruncated, Phase::Body,
         "6 of 11 bytes");
  expect(ask(&tls13, cut_after("HTTP/1.1 200 OK\r\n")), Cause::HttpClosed, Phase::FirstByte,
         "in the middle of the response header");
  expect(ask(&tls13, cut_after("")), Cause::HttpClosed, Phase::FirstByte, "without an answer");
}

TEST_P(TlsStream, RecordsOfEverySize) {
  const std::string filler(1000 * 1000, 'x');
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(filler.size() + 5) + "\r\n\r\n";
  options.max_body_bytes = 2 * 1024 * 1024;
  const core::ProbeResult large = ask(&tls13, [&](SSL* session) {
    say(session, head + filler + "hello");
    drain(session);
  });
  expect_up(large);
  EXPECT_EQ(large.body_bytes, filler.size() + 5);
  expect_up(ask(&tls13, [](SSL* session) {
    for (const char c : std::string(kHead) + "well, hello") say(session, {&c, 1});
    say(session, "");
    drain(session);
  }));
}

TEST_P(TlsStream, ManyTicketsBeforeTheAnswer) {
  expect_up(ask(
      [](SSL_CTX* context) {
        tls13(context);
        SSL_CTX_set_num_tickets(context, 50);
      },
      [](SSL* session) {
        say(session, std::string(kHead) + "well, hello");
        drain(session);
      }));
}

// Goal: several messages in one record, as some servers send their tickets, hold nothing up and are not taken for the end, whatever
// comes after them: the answer at once, the answer later, a change of keys, the end.
TEST_P(TlsStream, ManyMessagesInOneRecord) {
  const auto both = OwnRecords::ticket() + OwnRecords::ticket();
  const std::string answer = std::string(kHead) + "well, hello";
  expect_up(ask(&OwnRecords::prepare, [&](SSL* session) {
    OwnRecords records;
    std::string all = records.handshake(both + both);
    all += records.application(answer);
    send_raw(session, all);
    drain(session);
  }));
  expect_up(ask(&OwnRecords::prepare, [&](SSL* session) {
    OwnRecords records;
    send_raw(session, records.handshake(both + both));
    std::this_thread::sleep_for(std::chrono::milliseconds{50});  // That it is read by itself.
    send_raw(session, records.application(answer));
    drain(session);
  }));
  expect_up(ask(&OwnRecords::prepare, [&](SSL* session) {
    OwnRecords records;
    std::string all = records.handshake(both);
    all += records.handshake(both);
    all += records.application("HTTP/1.1 200 OK\r\n\r\nwell, hello");
    send_raw(session, all);
  }));
  expect_up(ask(&OwnRecords::prepare, [&](SSL* session) {
    OwnRecords records;
    std::string all = records.application(kHead.substr(0, 20));
    all += records.handshake(both + OwnRecords::key_update());
    records.change_keys();
    all += records.application(answer.substr(20));
    send_raw(session, all);
    drain(session);
  }));
  expect(ask(&OwnRecords::prepare,
             [&](SSL* session) { send_raw(session, OwnRecords().handshake(both)); }),
         Cause::HttpClosed, Phase::FirstByte, "without an answer");
}

// Goal: what came with the handshake's last flight is read, though the socket tells of nothing more.
TEST_P(TlsStream, AnAnswerBeforeTheRequest) {
  speaks_first = std::string(kHead) + "well, hello";
  expect_up(ask(&tls13, &drain));
}

// Goal: a server that never stops giving tickets holds nobody but itself.
TEST_P(TlsStream, TicketsWithoutEnd) {
  if (options.exchange == "curl") GTEST_SKIP() << "only our own exchange promises it";
  options.timeout = std::chrono::milliseconds{600};
  options.connect_timeout = std::chrono::milliseconds{500};
  expect(ask(&tls13,
             [](SSL* session) {
               for (int i = 0; i < 100'000 && !has_left(session); ++i) {
                 if (SSL_new_session_ticket(session) != 1 || SSL_do_handshake(session) != 1) break;
               }
             }),
         Cause::HttpTimeout, Phase::FirstByte, "no answer within 600ms");
}

TEST_P(TlsStream, TicketsAndThenSilence) {
  options.timeout = std::chrono::milliseconds{600};
  options.connect_timeout = std::chrono::milliseconds{500};
  expect(ask(&tls13, &drain), Cause::HttpTimeout, Phase::FirstByte, "no answer within 600ms");
}

}  // namespace
}  // namespace watchwheel::testing
