// SPDX-License-Identifier: Apache-2.0
// support/fake_dns.h - a name server on loopback that answers as a test tells it to.
//
// Owns     one thread, and one port of 127.0.0.1 for UDP and TCP.
// Thread   every function may be called from any thread, at any time.
// Bounded  names as scripted; 64 TCP connections; counts only, no log of queries.
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
  };
  struct Answer {
    Kind kind = Kind::Records;
    std::vector<std::string> addresses{};
    std::uint32_t ttl_s = 60;
    std::string cname{};  // Records: `name` CNAME `cname`, the addresses belong to it.
    std::uint32_t cname_ttl_s = 60;
    std::chrono::milliseconds delay{
        0};  // Before it is sent; other questions are answered meanwhile.
  };

  FakeDns();
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

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchwheel::testing
