// SPDX-License-Identifier: Apache-2.0
// checker/plan.h - check options made ready for use: what Prober::prepare() gives and all probes of
// a site share.
//
// Immutable once made, but for the trust store, which the lane fills at the first TLS handshake, and `renewal`.
// Thread   the lane's.
// Fails    make_plan is Invalid for an option that only shows unfit when it is used: a CIDR, a
//          resolver, a header, an expression, a JSON pointer, a CA file, a secret's file.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checker/address.h"
#include "checker/body_scan.h"
#include "checker/content_rules.h"
#include "checker/file_stamp.h"
#include "checker/prober.h"
#include "checker/tls_client.h"
#include "checker/tls_trust.h"
#include "core/check_options.h"

struct curl_slist;

namespace watchwheel::checker {

struct SlistDeleter {
  void operator()(curl_slist* list) const;
};
using HeaderList = std::unique_ptr<curl_slist, SlistDeleter>;

enum class TlsVersion : std::uint8_t { V1_0, V1_1, V1_2, V1_3 };
enum class HttpVersion : std::uint8_t { V1_0, V1_1, V2 };

// Who speaks HTTP: ourselves where we can (exchange_router.h), or libcurl always.
enum class ExchangeChoice : std::uint8_t { Auto, Curl };

// Basic authentication.
struct Login {
  std::string user;
  std::string password;
};

// The headers of a request as they are sent: whole lines.
struct HeaderLines {
  std::string text;         // In their order, without Host.
  std::string host;         // The line of the options' own; "": none.
  bool own_login = false;   // They say who asks,
  bool own_accept = false;  // and what is wanted.
};

struct ProbePlan;

// Secrets and client certificates are changed on disk while the plan that holds them lives, by renewals and rotations. The lane
// looks at most once each FileStamp::kLookEvery and then makes the plan anew; what cannot be made leaves the one before in force.
struct PlanRenewal {
  std::string stamp;  // Of the files of the plan in force. Taken before they were read.
  core::SteadyTime look_at = core::kNoSteadyTime;
  // The plan in force; null: the one that was prepared.
  std::shared_ptr<const ProbePlan> successor;
};

struct ProbePlan {
  core::CheckOptions options;
  std::vector<Cidr> allow;          // The options' and the engine's.
  std::vector<Endpoint> resolvers;  // Empty: the checker's own.
  std::uint32_t servers = 0;        // The resolver's name for them.
  TlsVersion tls_min = TlsVersion::V1_2;
  std::shared_ptr<TrustStore> trust;                // Never null.
  std::shared_ptr<const ClientCertificate> client;  // Null: none.
  // 2: where TLS and the server agree (ALPN), else 1.1.
  HttpVersion http = HttpVersion::V1_1;
  ExchangeChoice exchange = ExchangeChoice::Auto;
  BodyRules body_rules;
  ContentRules content;
  // For the origin of the check's URL only, as are all headers of the options but those that say how we ask (Accept,
  // User-Agent …). A bearer token is in `headers`.
  // A Host header changes what is asked for, not who is asked: name, port, server name (SNI) and certificate stay the URL's.
  std::optional<Login> login;  // Wins over credentials in the URL.
  std::string cookies;         // The options' own Cookie headers as one; "": none.
  // As libcurl takes them: `headers` for the origin of the check's URL, the other without what belongs there, for wherever a
  // redirect leads. Cookies are in neither: those of a redirect are added to them.
  HeaderList headers;
  HeaderList headers_elsewhere;
  // The same ones for our own exchange.
  HeaderLines lines;
  HeaderLines lines_elsewhere;
  bool frames_itself =
      false;  // They speak of framing, or ask for another protocol: who sends that has to know what it means.
  std::vector<std::string> files;  // Paths of the secrets, the client certificate and its key.
  mutable PlanRenewal renewal;     // The lane's thread only.
};

// What is the same for every plan of a checker.
struct PlanGround {
  std::string user_agent;
  std::vector<Cidr> allow;
  std::shared_ptr<TrustStores> trust;
};

// The files of a plan as they are on disk.
[[nodiscard]] FileStamp stamp_of(const std::vector<std::string>& files);

// `servers` is left 0: who has a resolver fills it in. `now` is for the dates of the client certificate.
[[nodiscard]] core::Result<std::shared_ptr<ProbePlan>> make_plan(const core::CheckOptions& options,
                                                                 const PlanGround& ground,
                                                                 core::WallTime now);

// A header that may authenticate, by its name: its value is never shown. What is sent elsewhere than to the origin of the check's
// URL does not hang on this guess: only headers that are known to hold nothing of the kind (ProbePlan::headers_elsewhere).
[[nodiscard]] bool is_credential_header(std::string_view name);

}  // namespace watchwheel::checker
