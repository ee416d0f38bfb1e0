// SPDX-License-Identifier: Apache-2.0
// checker/handshake.h - one TLS handshake of a check: sets its context up, judges the certificate while it goes on, and keeps
// what was seen.
//
// Owns     what was seen; the context and the session are the caller's.
// Thread   the lane's.
// Bounded  one certificate chain, as tls_facts.h says.
// Fails    install() says why; the callbacks never throw.
//
// It stays where it is from install() or attach() until the context or session is gone: that holds its address.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "checker/plan.h"
#include "checker/tls_client.h"
#include "checker/tls_facts.h"
#include "checker/tls_verdict.h"

struct ssl_st;
struct ssl_ctx_st;
struct x509_store_ctx_st;

namespace watchwheel::checker {

// The lane's part: what handshakes share.
class HandshakeHost {
 public:
  virtual ~HandshakeHost() = default;
  [[nodiscard]] virtual core::SteadyTime now() const noexcept = 0;
  [[nodiscard]] virtual core::WallTime wall() const = 0;
  [[nodiscard]] virtual TlsFactsCache& facts() noexcept = 0;
};

class Handshake {
 public:
  explicit Handshake(HandshakeHost& host) : host_(host) {}

  // Forgets the one before; `plan` lives until it has ended. Our certificate is shown `at_origin` only: where the check's URL
  // points to.
  void begin(const ProbePlan& plan, std::string_view host, const std::optional<IpAddress>& literal,
             bool at_origin);
  // Forgets everything, the plan too.
  void reset() { seen_ = Seen{}; }

  // For a context that is this handshake's alone, as libcurl has them: trust, versions, our certificate, callbacks. Our own
  // trouble: Unavailable; problem() has its words too.
  [[nodiscard]] core::Result<void> install(ssl_ctx_st* context);

  // The same for a context that many sessions share (tls_contexts.h): once what is the same for all of them …
  struct Common {
    std::uint64_t trust_generation = 0;  // Of the store that the context has.
    int security_level = 0;              // Of the context, before tls_min lowered it.
  };
  [[nodiscard]] static core::Result<Common> set_up(ssl_ctx_st* context, const ProbePlan& plan,
                                                   bool at_origin, core::SteadyTime now,
                                                   core::WallTime wall);
  // … and then each session. False: no memory.
  [[nodiscard]] bool attach(ssl_st* session, const Common& common);

  [[nodiscard]] std::optional<core::SteadyTime> done() const { return seen_.done; }
  // The server agreed to HTTP/2.
  [[nodiscard]] bool http2() const { return seen_.http2; }
  [[nodiscard]] const std::shared_ptr<const core::TlsFacts>& facts() const { return seen_.facts; }
  // The alert the server sent, or -1.
  [[nodiscard]] int alert() const { return seen_.alert; }
  [[nodiscard]] const std::string& problem() const { return seen_.problem; }
  // Whether the server asked for a certificate of ours, and got one.
  [[nodiscard]] ClientAsked client_asked() const {
    if (!seen_.asked) return ClientAsked::No;
    if (!seen_.plan->client) return ClientAsked::Unanswered;
    return seen_.at_origin ? ClientAsked::Answered : ClientAsked::Withheld;
  }
  // What is wrong with the certificate, where the plan asks for that; LocalResources for what is wrong with us.
  [[nodiscard]] CertProblem certificate() const;

 private:
  struct Seen {
    const ProbePlan* plan = nullptr;
    std::string host;
    std::optional<IpAddress> literal;
    bool at_origin = false;
    CertVerdict certificate;
    std::shared_ptr<const core::TlsFacts> facts;
    std::optional<core::SteadyTime> done;
    bool http2 = false;
    int alert = -1;
    bool asked = false;
    Common common;
    std::string problem;
    std::string client_problem;  // Why our certificate could not be shown to a server that asked.
  };

  [[nodiscard]] static Handshake* of(const ssl_st* session);
  [[nodiscard]] bool accept_certificate(x509_store_ctx_st* context);
  [[nodiscard]] CertVerdict verify(x509_store_ctx_st* context, const PresentedChain& chain);
  // Nothing: it cannot be reckoned, so the chain is not known.
  [[nodiscard]] std::optional<Digest> hash_with_rules(x509_store_ctx_st* context,
                                                      const Digest& chain) const;
  static int on_certificate_asked(ssl_st* session, void* self) noexcept;
  static int on_certificate(x509_store_ctx_st* context, void* self) noexcept;
  static void on_state(const ssl_st* session, int where, int value) noexcept;

  HandshakeHost& host_;
  Seen seen_;
};

}  // namespace watchwheel::checker
