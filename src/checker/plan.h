// SPDX-License-Identifier: Apache-2.0
// checker/plan.h - check options made ready for use: what Prober::prepare() gives and all probes of
// a site share.
//
// Immutable once made, but for the trust store, which the lane fills at the first TLS handshake.
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

// Basic authentication.
struct Login {
  std::string user;
  std::string password;
};

struct ProbePlan {
  core::CheckOptions options;
  std::vector<Cidr> allow;          // The options' and the engine's.
  std::vector<Endpoint> resolvers;  // Empty: the checker's own.
  std::uint32_t servers = 0;        // The resolver's name for them.
  TlsVersion tls_min = TlsVersion::V1_2;
  std::shared_ptr<TrustStore> trust;  // Never null.
  std::shared_ptr<const ClientCertificate> client;  // Null: none.
  // 2: where TLS and the server agree (ALPN), else 1.1.
  HttpVersion http = HttpVersion::V1_1;
  BodyRules body_rules;
  ContentRules content;
  // For the origin of the check's URL only, as are headers that may authenticate and a Host header. A bearer token is in `headers`.
  // A Host header changes what is asked for, not who is asked: name, port, server name (SNI) and certificate stay the URL's.
  std::optional<Login> login;  // Wins over credentials in the URL.
  std::string cookies;         // The options' own Cookie headers as one; "": none.
  // As libcurl takes them: `headers` for the origin of the check's URL, the other without what belongs there, for wherever a
  // redirect leads. Cookies are in neither: those of a redirect are added to them.
  HeaderList headers;
  HeaderList headers_elsewhere;
};

// What is the same for every plan of a checker.
struct PlanGround {
  std::string user_agent;
  std::vector<Cidr> allow;
  std::shared_ptr<TrustStores> trust;
};

// `servers` is left 0: who has a resolver fills it in.
[[nodiscard]] core::Result<std::shared_ptr<ProbePlan>> make_plan(const core::CheckOptions& options,
                                                                 const PlanGround& ground);

// A header that may authenticate, by its name: sent to the origin of the check's URL only.
[[nodiscard]] bool is_credential_header(std::string_view name);

}  // namespace watchwheel::checker
