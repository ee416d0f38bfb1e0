// SPDX-License-Identifier: Apache-2.0
// support/fake_dns.h - a name server on loopback that answers as a test tells it to.
//
// Owns     one thread, and one port of 127.0.0.1 (or another address) for UDP and TCP.
// Thread   every function may be called from any thread, at any time.
// Bounded  names as scripted; 64 TCP connections; of the log of queries the first 4096.
//
//   FakeDns dns;
//   dns.a("shop.example", {"192.0.2.1"});        // AAAA: NODATA by itself
//   dns.fail("gone.example", FakeDns::Kind::Servfail);
//   plan.resolvers = {dns.endpoint()};           // "127.0.0.1:PORT"
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::testing {

class FakeDns {
 public:
  enum class Type : std::uint16_t { A = 1, Ns = 2, Cname = 5, Aaaa = 28 };
  enum class Kind {
    Records,  // `addresses` of the type asked for, behind `cname` where one is given.
    Nodata,   // The name exists, but not with this type.
    Nxdomain,
    Servfail,
    Refused,
    Silence,    // No answer at all to this question.
    Malformed,  // An answer with the right id and question, and then bytes that are no record.
    WrongId,    // A good answer to a question nobody asked.
    Truncated,  // Over UDP an empty answer with TC set; over TCP as Records.
    TruncatedTcpCloses,   // The same, and over TCP it closes when the question is there,
    TruncatedTcpSilent,   // says nothing,
    TruncatedTcpGarbage,  // or says a length and then less, of no sense.
    Formerr,
    Notimp,
    NoEdns,         // Records; but FORMERR for a question with EDNS,
    NoEdnsBare,     // the same by a header alone,
    NoEdnsNotimp,   // or NOTIMP,
    NoEdnsSilent,   // or nothing.
    ShortHeader,    // Seven bytes.
    PointerLoop,    // A record whose name is a pointer to itself.
    LyingCount,     // Records, and a count of more.
    WrongQuestion,  // A good answer, with its right id, to another question.
    WrongPort,      // A good answer from another port.
    OtherName,      // Addresses of another name only.
    CnameCircle,    // `name` CNAME `cname`, `cname` CNAME `name`.
    LongChain,      // 20 aliases, and `addresses` at the end.
    Referral,       // Ask somebody else.
  };
  struct Answer {
    Kind kind = Kind::Records;
    std::vector<std::string> addresses{};
    std::uint32_t ttl_s = 60;
    std::string cname{};  // Records: `name` CNAME `cname`, the addresses belong to it.
    std::uint32_t cname_ttl_s = 60;
    bool soa = false;  // Beside an answer without addresses, or a cname without: that is all there is.
    std::uint32_t negative_ttl_s = 0;  // By that SOA.
    // Sent before, with addresses that are not `addresses` (127.0.0.66, ::66): WrongId, WrongQuestion, WrongPort, ShortHeader.
    std::vector<Kind> forged{};
    std::chrono::milliseconds delay{
        0};  // Before it is sent; other questions are answered meanwhile.
  };

  struct Options {
    std::string address = "127.0.0.1";
    bool tcp = true;  // False: refused.
  };
  struct Seen {
    std::uint16_t id = 0;
    std::uint16_t from_port = 0;
    bool tcp = false;
    std::uint16_t edns_bytes = 0;  // 0: without EDNS.
  };

  FakeDns();
  explicit FakeDns(const Options& options);
  ~FakeDns();
  FakeDns(const FakeDns&) = delete;
  FakeDns& operator=(const FakeDns&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string endpoint() const;  // "127.0.0.1:PORT"

  // What to say to (name, type). With several answers each serves once, in order; the last one
  // stays. Replaces what was there.
  void script(std::string_view name, Type type, std::vector<Answer> answers);
  void a(std::string_view name, std::vector<std::string> addresses, std::uint32_t ttl_s = 60);
  void aaaa(std::string_view name, std::vector<std::string> addresses, std::uint32_t ttl_s = 60);
  void fail(std::string_view name, Kind kind);  // For A and AAAA.
  // For names without a script (Nxdomain until told otherwise). A scripted name without a script
  // for this type: Nodata.
  // ". NS" is answered (Nodata), unless silence() or a script says otherwise.
  void otherwise(Answer answer);
  // Answers nothing to anybody while `on`: a dead resolver whose port is still open.
  void silence(bool on);

  // Queries that arrived, answered or not.
  [[nodiscard]] std::uint64_t queries() const;
  [[nodiscard]] std::uint64_t queries(std::string_view name, Type type) const;
  [[nodiscard]] std::uint64_t tcp_queries() const;
  // The first 4096 queries, in the order they came.
  [[nodiscard]] std::vector<Seen> seen() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchwheel::testing
